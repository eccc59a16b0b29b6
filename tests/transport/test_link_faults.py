"""The link under bad keys, silence, sleep and drops."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import time

import asyncssh
import pytest

from agents import (
    GaugeArrived,
    LinkChanged,
    LinkDown,
    LinkState,
    NeedsUser,
    RemoteError,
    liveness,
    retry,
)
from agents import link as link_module
from agents.known_hosts import HostKeys, Presented


async def test_unknown_host_key_waits_for_acceptance(sshd, make_link, tmp_path):
    sshd.known_hosts.unlink()
    watched = make_link().start()
    change = await watched.state(LinkState.needs_user)
    fingerprint = sshd.host_key.get_fingerprint()
    assert fingerprint in change.detail
    assert watched.link.pending_host_key == fingerprint
    with pytest.raises(LinkDown, match="not known"):
        await watched.link.wait_live(5)
    assert watched.link.accept_host_key() == sshd.known_hosts
    await watched.link.wait_live(10)
    assert stat.S_IMODE(sshd.known_hosts.stat().st_mode) == 0o600
    await watched.link.close()
    await make_link().live()


async def test_changed_host_key_is_refused_with_both_fingerprints(sshd, make_link):
    port = sshd.port
    old = sshd.host_key.get_fingerprint()
    await sshd.stop()
    sshd.host_key = asyncssh.generate_private_key("ssh-ed25519")
    await sshd.start(port)
    recorded = sshd.known_hosts.read_text()
    watched = make_link().start()
    change = await watched.state(LinkState.needs_user)
    assert "changed" in change.detail
    assert old in change.detail
    assert sshd.host_key.get_fingerprint() in change.detail
    with pytest.raises(NeedsUser):
        watched.link.accept_host_key()
    assert sshd.known_hosts.read_text() == recorded


async def test_changed_key_of_another_type_is_named_so(sshd, make_link):
    """The recorded type is no longer offered: still a changed key, not a failed exchange."""
    port = sshd.port
    await sshd.stop()
    sshd.host_key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    await sshd.start(port)
    change = await make_link().start().state(LinkState.needs_user)
    assert "changed" in change.detail
    assert sshd.host_key.get_fingerprint() in change.detail


async def test_needs_user_is_never_retried_by_itself(sshd, make_link, tmp_path, wait_until):
    stranger = tmp_path / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(stranger))
    watched = make_link(identity_file=stranger).start()
    change = await watched.state(LinkState.needs_user)
    assert "refused the login" in change.detail
    logins = sshd.logins
    await asyncio.sleep(2.5)
    assert sshd.logins == logins
    watched.link.retry_now()
    await wait_until(lambda: sshd.logins > logins, 5)
    assert sshd.logins == logins + 1


async def test_a_missing_identity_file_is_named(make_link, tmp_path):
    change = await make_link(identity_file=tmp_path / "none").start().state(LinkState.needs_user)
    assert str(tmp_path / "none") in change.detail


async def test_ssh_config_aliases_are_followed(sshd, make_link, tmp_path):
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(
        f"Host rig\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User tester\n"
        f"  IdentityFile {sshd.client_key}\n  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    watched = make_link(name="rig", ssh="", identity_file=None, known_hosts=None)
    await watched.live()


async def test_ssh_config_with_comments_and_times_is_followed(sshd, make_link, tmp_path):
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    (folder / "config").write_text(
        f"Host rig # mine\n  HostName=127.0.0.1 # my box\n  Port {sshd.port}\n  User tester\n"
        f"  ConnectTimeout 2m\n  IdentityFile ~/%j\n  IdentityFile {sshd.client_key}\n"
        f"  RequestTTY force\n  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    watched = make_link(name="rig", ssh="", identity_file=None, known_hosts=None)
    await watched.live()


async def test_an_ssh_config_that_cannot_be_read_names_its_line(make_link, tmp_path):
    (tmp_path / ".ssh").mkdir(mode=0o700)
    config = tmp_path / ".ssh/config"
    config.write_text("Host rig\n  IdentitiesOnly perhaps\n")
    watched = make_link(name="rig", ssh="", identity_file=None, known_hosts=None)
    change = await watched.start().state(LinkState.needs_user)
    assert f"{config} line 2: " in change.detail


@pytest.mark.parametrize("also_there", [True, False])
async def test_a_key_file_that_is_not_there_is_passed_over_as_ssh_does(
    also_there, sshd, make_link, tmp_path
):
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    usual = f"  IdentityFile {sshd.client_key}\n"
    if not also_there:
        (folder / "id_ed25519").write_bytes(sshd.client_key.read_bytes())
        usual = ""
    (folder / "config").write_text(
        f"Host rig\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User tester\n"
        f"  IdentityFile ~/.ssh/none\n{usual}  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    watched = make_link(name="rig", ssh="", identity_file=None, known_hosts=None)
    await watched.live()


async def test_damaged_known_hosts_lines_are_skipped(sshd, make_link):
    good = sshd.known_hosts.read_text()
    sshd.known_hosts.write_text("garbage\n@nonsense x y\n\xff\n" + good)
    await make_link().live()


async def test_drop_and_return_within_two_seconds(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    port = sshd.port
    await sshd.stop()
    await watched.state(LinkState.backoff)
    await asyncio.sleep(4.5)  # long enough for the backoff to have grown past 2 s
    assert link.attempt >= 3
    await sshd.start(port)
    began = time.monotonic()
    await link.wait_live(5)
    took = time.monotonic() - began
    print(f"\nrecovered {took:.2f} s after the host came back")
    assert took <= 2.0


@pytest.mark.alone
@pytest.mark.slow
async def test_silence_is_noticed_within_fifteen_seconds(sshd, make_link, wait_until):
    watched = make_link()
    await watched.live()
    await wait_until(lambda: watched.of(GaugeArrived))
    pids = sshd.agent_pids()
    for pid in pids:
        os.killpg(pid, signal.SIGSTOP)
    began = time.monotonic()
    await watched.state(LinkState.suspect, 10)
    suspected = time.monotonic() - began
    await wait_until(
        lambda: watched.link.state not in (LinkState.live, LinkState.suspect), 15, "the drop"
    )
    dropped = time.monotonic() - began
    print(f"\nsuspect after {suspected:.1f} s, dropped after {dropped:.1f} s")
    assert 6 <= suspected <= 9
    assert dropped <= 15.0
    await watched.link.wait_live(10)


async def test_suspect_ends_when_the_host_speaks_again(sshd, make_link, wait_until, monkeypatch):
    monkeypatch.setattr(liveness, "SUSPECT_AFTER", 1.5)
    watched = make_link(gauge_interval=0.3)
    await watched.live()
    for pid in sshd.agent_pids():
        os.killpg(pid, signal.SIGSTOP)
    await watched.state(LinkState.suspect)
    for pid in sshd.agent_pids():
        os.killpg(pid, signal.SIGCONT)
    await watched.state(LinkState.live)
    assert LinkState.backoff not in watched.states()


async def test_waking_from_sleep_reconnects_at_once(sshd, make_link, wait_until, monkeypatch):
    watched = make_link()
    await watched.live()
    logins = sshd.logins
    real = time.time
    monkeypatch.setattr(retry.time, "time", lambda: real() + 3600)
    await wait_until(lambda: sshd.logins > logins, 5, "a new connection")
    await watched.link.wait_live(5)
    details = [e.detail for e in watched.of(LinkChanged)]
    assert any("slept" in detail for detail in details)


async def test_retry_now_ends_a_long_backoff(sshd, make_link, monkeypatch):
    monkeypatch.setattr(link_module, "backoff_delay", lambda attempt: 30.0)
    watched = make_link()
    link = await watched.live()
    sshd.cut()
    change = await watched.state(LinkState.backoff)
    assert change.retry_in == 30.0
    link.retry_now()
    await link.wait_live(5)


def test_backoff_grows_to_thirty_seconds_and_no_further():
    delays = [[retry.backoff_delay(n) for _ in range(200)] for n in range(40)]
    for n, found in enumerate(delays):
        middle = min(30.0, 0.5 * 2**n)
        assert all(middle * 0.69 <= delay <= min(30.0, middle * 1.31) for delay in found)
        assert len({round(delay, 6) for delay in found}) > 1


async def test_invalid_bytes_from_the_host_do_not_end_the_connection(sshd, make_link, wait_until):
    sshd.stderr_noise = bytes(range(256)) * 20
    watched = make_link()
    link = await watched.live()
    text = link.host_stderr
    assert "\x1b" not in text
    assert "\x00" not in text


async def test_calls_answer_errors_and_end_with_the_link(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    with pytest.raises(RemoteError) as caught:
        await link.call("no_such_operation")
    assert caught.value.code == "unknown-op"
    with pytest.raises(RemoteError) as caught:
        await link.probe("run_argv", argv=["id"])
    assert caught.value.code == "unknown-probe"
    for pid in sshd.agent_pids():
        os.killpg(pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError, match=r"did not answer jobs within 0\.5 s"):
        await link.call("jobs", timeout=0.5)
    waiting = asyncio.create_task(link.call("jobs"))
    await asyncio.sleep(0)
    sshd.cut()
    with pytest.raises(LinkDown):
        await waiting


async def test_an_agent_that_ends_is_started_again(sshd, make_link, wait_until):
    watched = make_link()
    await watched.live()
    pids = sshd.agent_pids()
    for pid in pids:
        os.killpg(pid, signal.SIGKILL)
    await watched.state(LinkState.backoff)
    await watched.link.wait_live(5)
    assert set(sshd.agent_pids()).isdisjoint(pids)


async def test_a_listener_that_fails_does_not_end_the_link(sshd, make_link, wait_until):
    watched = make_link(gauge_interval=0.1)
    seen = []

    def broken(event):
        seen.append(event)
        raise ValueError("a bug in the listener")

    watched.link._listener = broken
    watched.start()
    await watched.link.wait_live(10)
    await wait_until(lambda: sum(isinstance(e, GaugeArrived) for e in seen) > 2)


def test_a_key_is_appended_after_a_torn_last_line(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text("other ssh-ed25519 AAAA")
    key = asyncssh.generate_private_key("ssh-ed25519")
    keys = HostKeys([path])
    keys.accept(Presented("tower", 22, key, ()))
    lines = path.read_text().splitlines()
    assert lines[0] == "other ssh-ed25519 AAAA"
    assert lines[1].startswith("tower ssh-ed25519 ")
    assert keys.judge("tower", 22, key).recorded == (key.get_fingerprint(),)


def test_a_symbolic_link_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "known_hosts").symlink_to(target)
    key = asyncssh.generate_private_key("ssh-ed25519")
    keys = HostKeys([tmp_path / "known_hosts"])
    assert keys.accept(Presented("tower", 22, key, ())) is None
    assert target.read_text() == ""
    assert asyncssh.match_known_hosts(keys.load(), "tower", "", None)[0]
