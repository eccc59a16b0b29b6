"""The agent starts on a host that has nothing but a shell and some Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agents import GaugeArrived, HostNoise, JobSpec, LinkState, bootstrap
from agents.liveness import Liveness

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"


def interpreter(version: str) -> str:
    """A Python of this version, or the reason to skip."""
    for path in sorted(PYENV.glob(f"{version}.*/bin/python")):
        return str(path)
    found = shutil.which(f"python{version}")
    # A version manager's stand-in may be on PATH without the interpreter behind it.
    if found is None or subprocess.run([found, "-V"], capture_output=True, check=False).returncode:
        pytest.skip(f"no Python {version} on this machine")
    return found


async def test_live_with_hello_and_a_gauge(make_link, wait_until):
    watched = make_link(gauge_interval=0.2)
    link = await watched.live()
    assert watched.states() == [
        LinkState.connecting,
        LinkState.authenticating,
        LinkState.bootstrapping,
        LinkState.live,
    ]
    assert link.host_info["boot_id"]
    gauges = await wait_until(
        lambda: len(watched.of(GaugeArrived)) > 2 and watched.of(GaugeArrived)
    )
    gauge = gauges[-1].gauge
    assert gauge.cpu.percent is not None
    assert gauge.cpu.count
    assert 0 < gauge.ram.used < gauge.ram.total
    assert gauge.disk.free is not None
    assert await wait_until(lambda: link.latency_ms is not None)


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.13"])
async def test_old_and_new_interpreters(version, make_link, wait_until):
    watched = make_link(python=interpreter(version), simulate_gpu=True, gauge_interval=0.2)
    link = await watched.live()
    assert link.host_info["python"].startswith(version + ".")
    job = await link.start_job(JobSpec("probe", ("sh", "-c", "echo out; exit 3")))
    await wait_until(lambda: "failed" in watched.job_states(job.job_id))
    await wait_until(lambda: watched.mirrored("log") and watched.mirrored("log")[-1].size == 4)
    found = await link.probe("file", path=sys.executable)
    assert found["exists"]
    assert "Traceback" not in link.host_stderr


async def test_banner_noise_is_skipped_and_kept(sshd, make_link):
    sshd.noise = b'Welcome to the tower!\n\xff\xfe{"m": 1} GONOGO \0\0GONOGO fake\nP\n' * 50
    watched = make_link()
    await watched.live()
    text = watched.of(HostNoise)[0].text
    assert "Welcome to the tower!" in text
    assert len(text) <= 64 * 1024


async def test_noise_without_end_is_bounded(sshd, make_link):
    sshd.noise = b"x" * 300_000
    watched = make_link()
    await watched.live()
    assert len(watched.of(HostNoise)[0].text) == 64 * 1024


async def test_stderr_flood_does_not_stop_the_link(sshd, make_link, wait_until):
    sshd.stderr_noise = b"warning: \xff\xfe\n" * 500_000  # 6 MB, past the 2 MiB window
    watched = make_link()
    link = await watched.live(20)
    assert (await link.probe("file", path="/etc/hostname"))["path"] == "/etc/hostname"
    assert len(link.host_stderr) <= 64 * 1024


async def test_no_python(sshd, make_link, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    sshd.path = str(empty)
    change = await _needs_user(make_link())
    assert "has no Python: install Python 3.8 or newer" in change.detail


async def test_python_too_old(sshd, make_link, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    old = folder / "python3"
    old.write_text('#!/bin/sh\nif [ "$1" = -V ]; then echo "Python 3.6.9"; exit 0; fi\nexit 1\n')
    old.chmod(0o755)
    sshd.path = str(folder)
    change = await _needs_user(make_link())
    assert "no Python 3.8 or newer (python3 is Python 3.6.9)" in change.detail


async def test_old_python3_beside_a_newer_one(sshd, make_link, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    old = folder / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    (folder / "python3.11").symlink_to(sys.executable)
    sshd.path = str(folder)
    await make_link().live()


async def test_nothing_is_left_on_the_host(sshd, make_link, wait_until):
    watched = make_link(simulate_gpu=True)
    link = await watched.live()
    await link.probe("file", path="/etc/hostname")
    assert list(sshd.home.rglob("*")) == []
    job = await link.start_job(JobSpec("one", ("true",)))
    await wait_until(lambda: "succeeded" in watched.job_states(job.job_id))
    await link.close()
    await wait_until(lambda: not sshd.agent_pids(), what="the agent ends with its stdin")
    left = {str(path.relative_to(sshd.home)) for path in sshd.home.rglob("*") if path.is_file()}
    folder = f".gonogo/jobs/{job.job_id}"
    assert left == {f"{folder}/job.json", f"{folder}/exit.json", f"{folder}/log.txt"}


async def test_damaged_frames_lead_to_a_new_connection(sshd, make_link, wait_until):
    watched = make_link(gauge_interval=0.1)
    link = await watched.live()
    await wait_until(lambda: link.latency_ms is not None)
    seen = {"damaged": 0}

    def flip(data: bytes) -> bytes:
        if seen["damaged"] == 0 and len(data) > 40 and b'"gauge"' in data:
            seen["damaged"] = 1
            return data[:30] + bytes([data[30] ^ 0x20]) + data[31:]
        return data

    sshd.wrap = flip
    sshd.cut()
    await wait_until(
        lambda: any("damaged data" in e.detail for e in watched.events if hasattr(e, "detail")),
        timeout=15,
    )
    assert seen["damaged"] == 1
    await watched.live()


async def test_an_agent_without_a_laptop_ends_by_itself(sshd, make_link, wait_until, monkeypatch):
    """As when sshd does not notice that the link is gone: no end of stdin, only silence."""
    original = bootstrap._sources

    def impatient(names):
        modules = original(names)
        if "agents.remote.main" in modules:
            source = modules["agents.remote.main"]
            changed = source.replace("SILENCE = 60.0", "SILENCE = 1.0").replace(
                "every(5.0, self._watch", "every(0.2, self._watch"
            )
            assert changed.count("SILENCE = 1.0") == changed.count("every(0.2, self._watch") == 1
            modules["agents.remote.main"] = changed
        return modules

    monkeypatch.setattr(bootstrap, "_sources", impatient)
    monkeypatch.setattr(Liveness, "_ping", lambda self, number: None)
    bootstrap.build_payload.cache_clear()
    try:
        watched = make_link(gauge_interval=0.2)
        await watched.live()
        change = await watched.state(LinkState.backoff)
        assert "no word from the laptop" in change.detail
    finally:
        bootstrap.build_payload.cache_clear()


async def test_local_host_speaks_the_same_protocol(tmp_path, make_link, wait_until):
    watched = make_link(local=True, name="laptop")
    link = await watched.live()
    job = await link.start_job(JobSpec("here", ("sh", "-c", "echo hi")))
    await wait_until(lambda: "succeeded" in watched.job_states(job.job_id))
    folder = tmp_path / "runs" / "laptop" / job.job_id
    log = folder / "log.txt"
    await wait_until(lambda: log.exists() and log.read_text() == "hi\n")
    assert json.loads((folder / "exit.json").read_text())["code"] == 0


async def _needs_user(watched):
    change = await watched.start().state(LinkState.needs_user)
    assert change.retry_in is None
    return change
