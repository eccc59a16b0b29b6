"""Failures that belong to no other file, and the list of all: each has a test or a reason why not."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agents import AgentError, GaugeArrived, JobSpec, JobState, LinkState, liveness
from agents.session import Session

TESTS = Path(__file__).parents[1]
MODES = tomllib.loads((TESTS / "data/failure_modes.toml").read_text("utf-8"))["mode"]


def test_every_failure_mode_has_a_test_or_a_reason():
    names = {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert [mode["number"] for mode in MODES] == list(range(1, 56))
    for mode in MODES:
        tests, why = mode.get("tests", []), mode.get("why", "")
        assert tests or len(why) > 20, mode
        assert set(tests) <= names, mode


@pytest.fixture
def small_disk(sshd):
    """The host's home on a file system of 2 MiB of its own."""
    if os.getuid() != 0:
        pytest.skip("a file system of its own needs root")
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(sshd.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")
    yield sshd.home
    subprocess.run(["umount", "-l", str(sshd.home)], check=False)


def fill(path: Path) -> None:
    """Write until the file system takes no byte more."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue


async def test_a_full_disk_on_the_host_refuses_jobs_and_keeps_the_link(
    small_disk, make_link, wait_until
):
    watched = make_link()
    link = await watched.live()
    filler = small_disk / "filler"
    running = await link.start_job(JobSpec("greedy", ("sleep", "600")))
    fill(filler)
    with pytest.raises(AgentError, match=r"no space is left .*: free some"):
        await link.start_job(JobSpec("late", ("echo", "hi")))
    # Above all the job that filled it must be stoppable.
    assert (await link.stop_job(running.job_id, 5)).state is JobState.stopped
    fill(small_disk / "more")
    seen = len(watched.of(GaugeArrived))
    await wait_until(lambda: len(watched.of(GaugeArrived)) > seen)
    disk = watched.of(GaugeArrived)[-1].gauge.disk
    assert disk.free is not None
    assert disk.free < 65536
    assert link.state is LinkState.live
    filler.unlink()
    (small_disk / "more").unlink()
    job = await link.start_job(JobSpec("late", ("echo", "hi")))
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "succeeded")


async def test_a_line_of_five_mebibytes_is_copied_like_any_other(make_link, wait_until, sshd):
    watched = make_link()
    link = await watched.live()
    script = (
        "import sys; sys.stdout.write('x' * 5 * 2**20 + '\\nend\\n'); sys.stdout.flush();"
        "sys.stdout.buffer.write(b'\\xff\\xfe\\n')"
    )
    job = await link.start_job(JobSpec("wide", (sys.executable, "-c", script)))
    copy = watched.root / "tower" / job.job_id / "log.txt"
    source = sshd.home / ".gonogo/jobs" / job.job_id / "log.txt"
    await wait_until(lambda: copy.exists() and copy.stat().st_size == 5 * 2**20 + 8, 20)
    assert copy.read_bytes() == source.read_bytes()
    assert link.attempt == 0


async def test_include_and_proxyjump_of_ssh_config(sshd, make_link, tmp_path):
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)
    common = (
        f"  HostName 127.0.0.1\n  Port {sshd.port}\n  User tester\n"
        f"  IdentityFile {sshd.client_key}\n  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    (folder / "more").write_text(f"Host jump\n{common}")
    (folder / "config").write_text(f"Include more\nHost rig\n{common}  ProxyJump jump\n")
    watched = make_link(name="rig", ssh="", identity_file=None, known_hosts=None)
    link = await watched.live()
    assert sshd.logins == 2
    assert await link.jobs() == []


async def test_the_hosts_clock_is_told_apart_from_ours(make_link, wait_until, monkeypatch):
    monkeypatch.setattr(liveness, "PING_EVERY", 0.2)
    watched = make_link()
    link = await watched.live()
    await wait_until(lambda: link.clock_offset_ms is not None)
    assert abs(link.clock_offset_ms) < 5_000
    original = Session._dispatch

    def ahead(self, message, blob):
        if message.get("m") == "pong":
            message = {**message, "t_ms": message["t_ms"] + 3_600_000}
        original(self, message, blob)

    monkeypatch.setattr(Session, "_dispatch", ahead)
    await wait_until(lambda: link.clock_offset_ms > 3_590_000)
