"""Logins that need a person: passwords, passphrases, one-time codes. Asked, never stored."""

from __future__ import annotations

import logging
from pathlib import Path

import asyncssh
import pytest

from agents import LinkState
from tests.transport.conftest import until


@pytest.fixture
def stranger(tmp_path) -> Path:
    """A key that no host knows, so that only the password is left."""
    path = tmp_path / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(path))
    return path


@pytest.fixture
def locked_key(tmp_path, client_key) -> Path:
    """The accepted key behind the passphrase "open sesame"; no .pub file beside it."""
    path = tmp_path / "locked"
    key = asyncssh.read_private_key(client_key)
    key.write_private_key(str(path), passphrase="open sesame")
    path.chmod(0o600)
    return path


async def asked(watched, kind: str, again: bool = False):
    link = watched.link

    def found():
        request = link.pending_login
        waits = link.state is LinkState.needs_user and request is not None
        return request if waits and (request.kind, request.again) == (kind, again) else None

    return await until(found, 10, f"asked for a {kind}, {link.detail}")


async def test_a_password_is_asked_kept_for_reconnects_and_stored_nowhere(
    sshd, make_link, stranger, tmp_path, wait_until, caplog
):
    sshd.password = "correct horse 7391"
    caplog.set_level(logging.DEBUG)
    watched = make_link(identity_file=stranger).start()
    request = await asked(watched, "password")
    assert request.prompts == (("Password", False),)
    assert "password" in watched.link.detail
    watched.link.answer_login(["wrong"])
    again = await asked(watched, "password", again=True)
    assert "not accepted" in again.sentence("tower")
    watched.link.answer_login([sshd.password])
    await watched.link.wait_live(10)
    assert watched.link.pending_login is None
    logins = sshd.logins
    sshd.cut()
    await wait_until(lambda: sshd.logins > logins)
    await watched.link.wait_live(10)
    secret = sshd.password.encode()
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert secret not in path.read_bytes(), path
    assert sshd.password not in caplog.text
    assert sshd.password not in repr(watched.events)
    assert sshd.password not in repr(watched.link._dialer.answers)


async def test_a_passphrase_is_asked_for_the_named_key(sshd, make_link, locked_key):
    watched = make_link(identity_file=locked_key).start()
    request = await asked(watched, "passphrase")
    assert request.path == locked_key
    assert str(locked_key) in request.sentence("tower")
    watched.link.answer_login(["close sesame"])
    await asked(watched, "passphrase", again=True)
    watched.link.answer_login(["open sesame"])
    await watched.link.wait_live(10)


async def test_a_plain_key_that_works_asks_nothing(sshd, make_link, locked_key, tmp_path):
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(
        f"Host rig\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User tester\n"
        f"  IdentityFile {locked_key}\n  IdentityFile {sshd.client_key}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    watched = make_link(name="rig", ssh="", identity_file=None, known_hosts=None)
    await watched.live()
    assert LinkState.needs_user not in watched.states()


async def test_a_skipped_key_leads_to_the_password(sshd, make_link, locked_key):
    sshd.password = "pw"
    watched = make_link(identity_file=locked_key).start()
    await asked(watched, "passphrase")
    watched.link.skip_login()
    await asked(watched, "password")
    watched.link.answer_login(["pw"])
    await watched.link.wait_live(10)


async def test_a_one_time_code_is_asked_shown_and_used_once(sshd, make_link, stranger, wait_until):
    sshd.code = "271828"
    watched = make_link(identity_file=stranger).start()
    request = await asked(watched, "challenge")
    assert request.prompts == (("One-time code: ", True),)
    watched.link.answer_login(["271828"])
    await watched.link.wait_live(10)
    sshd.code = "314159"
    sshd.cut()
    await asked(watched, "challenge")
    watched.link.answer_login(["314159"])
    await watched.link.wait_live(10)


async def test_answers_that_nobody_asked_for_are_refused(sshd, make_link):
    watched = make_link()
    await watched.live()
    with pytest.raises(ValueError, match="nothing is asked"):
        watched.link.answer_login(["x"])


@pytest.mark.parametrize("methods", ["keyboard-interactive", "both"])
async def test_a_password_that_was_taken_is_not_asked_again_with_the_code(
    methods, sshd, make_link, stranger
):
    """PAM with a second factor: the password first, then two prompts at once."""

    class TwoSteps(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return methods == "both"

        def validate_password(self, username, password) -> bool:
            return False

        def kbdint_auth_supported(self) -> bool:
            return True

        def get_kbdint_challenge(self, *_):
            return "", "", "", [("Password: ", False)]

        def validate_kbdint_response(self, username, responses):
            if list(responses) == ["correct horse"]:
                return "", "", "", [("Code: ", False), ("Token: ", True)]
            return list(responses) == ["123", "456"]

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=TwoSteps,
        process_factory=sshd._handle,
        server_host_keys=[sshd.host_key],
        encoding=None,
    )
    try:
        sshd.vouch(server.get_port())
        watched = make_link(port=server.get_port(), identity_file=stranger).start()
        await asked(watched, "password")
        watched.link.answer_login(["correct horse"])
        request = await asked(watched, "challenge")
        assert request.prompts == (("Code: ", False), ("Token: ", True))
        watched.link.answer_login(["123", "456"])
        await watched.link.wait_live(10)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("code", "text", "state", "said"),
    [
        (2, "Too many authentication failures", LinkState.needs_user, "`IdentitiesOnly yes`"),
        (11, "\x1b]0;x\x07\x1b[2J\r\nbye\x9b" + "x" * 9000, LinkState.backoff, " ]0;x  [2J  bye "),
    ],
)
async def test_a_server_that_hangs_up_during_the_login(code, text, state, said, sshd, make_link):
    """After too many keys no further try is made: the host would lock us out."""

    class Rude(asyncssh.SSHServer):
        def connection_made(self, conn):
            self.conn = conn

        def begin_auth(self, username):
            self.conn.disconnect(code, text)
            return True

    server = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Rude, server_host_keys=[sshd.host_key]
    )
    try:
        sshd.vouch(server.get_port())
        change = await make_link(port=server.get_port()).start().state(state)
        assert said in change.detail
        assert change.detail.isprintable()
        assert len(change.detail) < 500
    finally:
        server.close()
