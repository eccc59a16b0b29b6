"""known_hosts as ssh reads it: no file at all, aliases, revoked keys, authorities, addresses."""

from __future__ import annotations

import subprocess

import asyncssh
import pytest

from agents import LinkState, NeedsUser
from agents.known_hosts import HostKeys, Presented
from tests.transport.openssh import OpenSsh


def configure(home, server, lines: str) -> None:
    folder = home / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "config").write_text(
        f"Host rig\n  HostName 127.0.0.1\n  Port {server.port}\n  User tester\n"
        f"  IdentityFile {server.client_key}\n{lines}"
    )


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def public(server) -> str:
    return " ".join(server.host_key.export_public_key().decode().split()[:2])


@pytest.fixture
def rig(make_link):
    return lambda: make_link(name="rig", ssh="", identity_file=None, known_hosts=None)


@pytest.mark.parametrize("file", ["none", "/dev/null"])
async def test_without_a_file_each_key_is_asked_about(file, sshd, rig, tmp_path):
    """`UserKnownHostsFile none` is no leave to trust whoever answers."""
    configure(tmp_path, sshd, f"  UserKnownHostsFile {file}\n")
    watched = rig().start()
    change = await watched.state(LinkState.needs_user)
    assert "is not known" in change.detail
    assert watched.link.pending_host_key == sshd.host_key.get_fingerprint()
    assert watched.link.accept_host_key() is None
    await watched.link.wait_live(10)
    # It holds until the program ends, also for the next connection.
    sshd.cut()
    await watched.state(LinkState.backoff)
    await watched.link.wait_live(10)


async def test_an_alias_stands_in_the_file_without_a_port(sshd, rig, tmp_path):
    configure(tmp_path, sshd, "  HostKeyAlias boxy\n  UserKnownHostsFile ~/boxes ~/more\n")
    watched = rig().start()
    await watched.state(LinkState.needs_user)
    watched.link.accept_host_key()
    await watched.link.wait_live(10)
    assert (tmp_path / "boxes").read_text() == f"boxy {public(sshd)}\n"
    assert not (tmp_path / "more").exists()
    await watched.link.close()
    await rig().live()


@pytest.mark.parametrize("host", ["[127.0.0.1]:{port}", "127.0.0.1", "*"])
@pytest.mark.parametrize("known", [True, False])
async def test_a_revoked_key_can_never_be_accepted(known, host, sshd, make_link):
    revoked = f"@revoked {host.format(port=sshd.port)} {public(sshd)}\n"
    old = sshd.known_hosts.read_text() if known else ""
    sshd.known_hosts.write_text(old + revoked)
    watched = make_link().start()
    change = await watched.state(LinkState.needs_user)
    assert "revoked" in change.detail
    with pytest.raises(NeedsUser):
        watched.link.accept_host_key()


async def test_a_key_on_file_for_the_address_vouches_for_no_name(sshd, rig, tmp_path):
    """A name whose key changed is refused, though another name's line has its address."""
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()
    (tmp_path / "known").write_text(
        f"tower.example {other[0]} {other[1]}\n[127.0.0.1]:{sshd.port} {public(sshd)}\n"
    )
    configure(tmp_path, sshd, "  HostKeyAlias tower.example\n  UserKnownHostsFile ~/known\n")
    change = await rig().start().state(LinkState.needs_user)
    assert "changed" in change.detail


async def test_hashed_names_are_found(sshd, make_link):
    command = ["ssh-keygen", "-H", "-f", str(sshd.known_hosts)]
    run(command)
    assert sshd.known_hosts.read_text().startswith("|1|")
    await make_link().live()


def test_a_link_local_address_keeps_its_scope(tmp_path):
    key = asyncssh.generate_private_key("ssh-ed25519")
    keys = HostKeys([tmp_path / "known_hosts"])
    for port, name in ((22, "fe80::1%eth0"), (2222, "[fe80::1%eth0]:2222")):
        keys.accept(Presented("fe80::1%eth0", port, key, ()))
        assert f"{name} ssh-ed25519 " in (tmp_path / "known_hosts").read_text()
        assert keys.match(keys.load(), "fe80::1%eth0", port)[0]
        assert not keys.match(keys.load(), "fe80::1%eth1", port)[0]


@pytest.mark.sshd
async def test_a_certificate_authority_vouches_for_its_hosts(tmp_path, client_key, watch):
    server = OpenSsh(tmp_path / "openssh", client_key).start()
    server.stop()
    folder = server.folder
    key, authority = folder / "host_key", folder / "authority"
    public_key = asyncssh.read_private_key(key).export_public_key()
    key.with_name("host_key.pub").write_bytes(public_key)
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(authority)]
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "rig", "-h", "-n", "127.0.0.1"]
    run(make)
    run([*sign, f"{key}.pub"])
    server.settings = f"HostCertificate {key}-cert.pub\n"
    server.start()
    ca = " ".join(authority.with_name("authority.pub").read_text().split()[:2])
    name = f"[127.0.0.1]:{server.port}"
    try:
        for text, said in (
            (f"@cert-authority {name} {ca}\n", ""),
            (f"{name} {public_key.decode()}", ""),
            (f"@cert-authority * {ca}\n@revoked * {ca}\n", "revoked"),
            (f"@cert-authority elsewhere.example {ca}\n", "is not known"),
        ):
            (folder / "known_hosts").write_text(text)
            watched = watch(server.spec())
            try:
                if said:
                    change = await watched.start().state(LinkState.needs_user)
                    assert said in change.detail
                else:
                    await watched.live()
            finally:
                await watched.link.close()
    finally:
        server.stop()
