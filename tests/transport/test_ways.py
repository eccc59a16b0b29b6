"""Ways to a host: several addresses, jump hosts, a ProxyCommand, and what is said when they fail."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import asyncssh
import pytest

from agents import LinkState, tcp


@pytest.fixture
def rig(sshd, make_link, tmp_path):
    """A link to `rig`; `{hop}` in its lines is what logs in on the server of the test."""
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    hop = (
        f"  HostName 127.0.0.1\n  Port {sshd.port}\n  User tester\n"
        f"  IdentityFile {sshd.client_key}\n"
    )
    known = f"  UserKnownHostsFile {sshd.known_hosts}\n"

    def make(lines: str):
        text = f"Host rig\n{hop}{known}{lines}"
        (folder / "config").write_text(text.replace("{hop}", hop).replace("{known}", known))
        return make_link(name="rig", ssh="", identity_file=None, known_hosts=None)

    return make


async def test_the_key_of_a_jump_host_is_asked_about(rig, sshd, tmp_path):
    lines = "  ProxyJump first,second\nHost first\n{hop}  UserKnownHostsFile ~/new\n"
    watched = rig(lines + "Host second\n{hop}{known}").start()
    change = await watched.state(LinkState.needs_user)
    assert "the jump host first of rig is not known" in change.detail
    assert watched.link.pending_host_key == sshd.host_key.get_fingerprint()
    assert watched.link.asker == "the jump host first of rig"
    assert watched.link.accept_host_key() == tmp_path / "new"
    await watched.link.wait_live(10)
    assert watched.link.asker == "rig"
    assert sshd.logins >= 4  # the first twice, the second and the host itself


async def test_a_jump_hosts_password_is_asked_for(rig, sshd, tmp_path):
    stranger = tmp_path / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(stranger))
    sshd.password = "correct horse"
    lines = "  ProxyJump hop\nHost hop\n{known}  HostName 127.0.0.1\n  User tester\n"
    lines += f"  Port {sshd.port}\n  IdentityFile {stranger}\n"
    watched = rig(lines).start()
    change = await watched.state(LinkState.needs_user)
    assert change.detail == "the jump host hop of rig wants a password"
    # Whoever types it has to see whose it is.
    assert watched.link.pending_login.sentence("rig") == change.detail
    watched.link.answer_login(["correct horse"])
    await watched.link.wait_live(10)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("  ProxyJump hop\nHost hop\n  Port 1\n  HostName 127.0.0.1\n", "the jump host hop of rig"),
        ("  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n", "leads in a circle"),
        ("  ProxyCommand exit 3\n", "ProxyCommand of rig ended with code"),
        ("  ProxyCommand no-such-program %h\n", "no-such-program: not found"),
        ("  ProxyCommand sh -c 'echo gone \x1b[2J away >&2; exit 3'\n", "code 3: gone  away"),
    ],
)
async def test_what_fails_on_the_way_is_said_of_it(lines, said, rig, wait_until):
    watched = rig(lines).start()
    failed = (LinkState.backoff, LinkState.needs_user)
    await wait_until(lambda: watched.link.state in failed, 15)
    assert said in watched.link.detail


CARRY = """
import os, socket, sys, threading
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def up():
    while data := os.read(0, 65536):
        s.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536):
    sys.stderr.write("a warning in between\\n" * 50)
    sys.stderr.flush()
    os.write(1, data)
"""


async def test_a_proxy_command_is_a_shells_and_its_stderr_no_part_of_the_stream(
    rig, sshd, tmp_path, wait_until
):
    program = tmp_path / "carry.py"
    program.write_text(CARRY)
    pid = tmp_path / "pid"
    # A pipe, a redirection and an expansion: nothing of that survives a split without a shell.
    line = f"sh -c 'echo $$ > {pid}; exec python3 {program} %p' | cat; true"
    watched = rig(f"  ProxyCommand {line}\n")
    link = await watched.live()
    number = int(pid.read_text())
    assert await link.jobs() == []
    await watched.link.close()
    await wait_until(lambda: not Path(f"/proc/{number}").exists(), 10, "the program's end")


async def test_a_final_match_and_the_tokens_of_a_host_are_followed(sshd, make_link, tmp_path):
    """What `Match final` says is read before the address is dialled."""
    (tmp_path / ".ssh/conf").mkdir(mode=0o700, parents=True)
    (tmp_path / ".ssh/config").write_text("Include conf/*\n")
    (tmp_path / ".ssh/conf/rig").write_text(
        "Host rig\n  HostName 127.0.0.1\n  User tester\n  UserKnownHostsFile ~/known_%h_%n_%p\n"
        f"  IdentityFile {sshd.client_key}\nMatch final host 127.0.0.1\n  Port {sshd.port}\n"
    )
    watched = make_link(name="rig", ssh="", identity_file=None, known_hosts=None).start()
    await watched.state(LinkState.needs_user)
    path = tmp_path / f"known_127.0.0.1_rig_{sshd.port}"
    assert watched.link.accept_host_key() == path
    await watched.link.wait_live(10)


async def test_an_address_that_never_answers_does_not_hide_the_next(sshd, monkeypatch):
    kind = type(asyncio.get_running_loop())
    real = kind.sock_connect

    async def connect(loop, sock, address):
        if address == ("192.0.2.1", sshd.port):
            await asyncio.Event().wait()
        return await real(loop, sock, address)

    def resolve(host, port, family=0, type=0, proto=0, flags=0):
        assert host == "both.example"
        return [(socket.AF_INET, type, 6, "", (a, port)) for a in ("192.0.2.1", "127.0.0.1")]

    monkeypatch.setattr(kind, "sock_connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sock = await tcp.tcp_connect("both.example", sshd.port, 30)
    assert sock.getpeername()[0] == "127.0.0.1"
    sock.close()


async def test_a_resolver_that_hangs_holds_one_thread(monkeypatch):
    """The threads that look names up also read files for every other host."""
    hang = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: hang.wait(60) and [])
    try:
        for _ in range(40):
            with pytest.raises(TimeoutError):
                await tcp.tcp_connect("dead.example", 22, 0.01)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 10) == 7
    finally:
        hang.set()


@pytest.mark.parametrize(
    ("lines", "peer"),
    [("  AddressFamily inet\n", "127.0.0.1"), ("  BindAddress 127.0.0.9\n", "127.0.0.1")],
)
async def test_family_and_source_of_ssh_config_are_used(lines, peer, rig, sshd, monkeypatch):
    real, asked = socket.getaddrinfo, []

    def resolve(host, port, family=0, *rest, **more):
        asked.append((host, family))
        return real(host, port, family, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    await rig(lines).live()
    conn = sshd.connections[-1]
    if "inet" in lines:
        assert ("127.0.0.1", socket.AF_INET) in asked
    else:
        assert conn.get_extra_info("peername")[0] == "127.0.0.9"


async def test_ipv6_with_a_port(sshd, make_link):
    """`[::1]:port` in the settings, and the line that known_hosts gets for it."""
    try:
        server = await asyncssh.listen(
            "::1",
            0,
            process_factory=sshd._handle,
            server_host_keys=[sshd.host_key],
            authorized_client_keys=f"{sshd.client_key}.pub",
            encoding=None,
        )
    except OSError:
        pytest.skip("no IPv6 on this machine")
    try:
        port = server.get_port()
        for address in ("::1", "0:0:0:0:0:0:0:1"):
            watched = make_link(ssh=f"tester@[{address}]:{port}").start()
            await watched.state(LinkState.needs_user)
            watched.link.accept_host_key()
            await watched.link.wait_live(10)
            assert f"[{address}]:{port} ssh-ed25519 " in sshd.known_hosts.read_text()
            await watched.link.close()
    finally:
        server.close()
