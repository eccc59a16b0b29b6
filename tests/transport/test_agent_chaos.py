"""The agent is killed and frozen at random moments while it mirrors, starts, stops and receives."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from agents import JobSpec, JobState, LinkDown, RemoteError, liveness
from agents import link as link_module

POINTS = """
import os, sys, time
path = os.environ["GONOGO_JOB_DIR"] + "/run.jsonl"
with open(path, "ab", buffering=0) as out:
    for step in range(100000):
        out.write(b'{"step": %d, "loss": %d}\\n' % (step, step * 7919 % 1000))
        time.sleep(0.02)
"""


async def torment(link, chance: random.Random, until: float) -> int:
    """SIGKILL, or SIGSTOP and SIGCONT, to the agent of the moment; returns how often."""
    blows = 0
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(0.02, 0.8))
        pid = link.host_info.get("pid")
        with contextlib.suppress(ProcessLookupError, TypeError):
            if chance.random() < 0.5:
                os.kill(pid, signal.SIGKILL)
            else:
                os.kill(pid, signal.SIGSTOP)
                await asyncio.sleep(chance.choice((0.1, 0.6, 2.5)))
                os.kill(pid, signal.SIGCONT)
            blows += 1
    return blows


async def persistent(make):
    """Ask until the host answers; what is uncertain is asked again."""
    while True:
        try:
            return await make()
        except (LinkDown, TimeoutError):
            await asyncio.sleep(0.2)
        except RemoteError as error:
            if error.code != "busy":
                raise
            await asyncio.sleep(0.2)


async def one_job(link, number: int) -> str:
    """Start a job and stop it again; returns its id."""
    spec = JobSpec(f"short{number}", ("sleep", "600"))
    job = await persistent(lambda: link.start_job(spec, timeout=20))
    ended = await persistent(lambda: link.stop_job(job.job_id, grace=1))
    assert ended.state is JobState.stopped
    return job.job_id


def left_in(home: Path) -> list[int]:
    """Processes, this one apart, that have the host's home as theirs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "environ").read_bytes().split(b"\0")
            state = (process / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if f"HOME={home}".encode() in words and state != "Z":
                found.append(int(process.name))
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.slow
@pytest.mark.parametrize(("local", "seed"), [(False, 1), (True, 2), (False, 3)])
async def test_nothing_is_lost_doubled_or_left(
    local, seed, sshd, make_link, tmp_path, wait_until, monkeypatch
):
    monkeypatch.setattr(liveness, "DROP_AFTER", 2.0)
    monkeypatch.setattr(liveness, "SUSPECT_AFTER", 1.0)
    monkeypatch.setattr(link_module, "backoff_delay", lambda attempt: 0.1)
    chance = random.Random(seed)
    data = chance.randbytes(6_000_000)
    source = tmp_path / "data.bin"
    source.write_bytes(data)
    watched = make_link(local=local)
    link = await watched.live()
    home = tmp_path if local else sshd.home
    writer = await link.start_job(JobSpec("writer", ("python3", "-c", POINTS)))
    until = time.monotonic() + 15
    blows = asyncio.create_task(torment(link, chance, until))
    starts = [asyncio.create_task(one_job(link, number)) for number in range(4)]
    sends = []
    while time.monotonic() < until:
        sends.append(await link.put_file(source, f"~/in/{len(sends)}.bin", patience=60))
    assert await blows > 5
    ids = await asyncio.gather(*starts)
    await persistent(lambda: link.stop_job(writer.job_id, grace=1))
    journal = home / ".gonogo/jobs" / writer.job_id / "run.jsonl"
    copy = watched.root / "tower" / writer.job_id / "run.jsonl"
    await wait_until(lambda: copy.read_bytes() == journal.read_bytes(), 20, "the whole copy")
    steps = [line.split(b",")[0] for line in copy.read_bytes().splitlines()]
    assert steps == [b'{"step": %d' % step for step in range(len(steps))]
    assert not list(copy.parent.glob("*.old-*"))
    assert sends
    assert set(sends) == {hashlib.sha256(data).hexdigest()}
    assert {path.read_bytes() for path in (home / "in").glob("*.bin")} == {data}
    folders = {path.name for path in (home / ".gonogo/jobs").iterdir() if path.name[0] != "."}
    assert folders == {writer.job_id, *ids}
    pid = link.host_info["pid"]
    await watched.link.close()
    await wait_until(lambda: not left_in(home), 20, f"the end of what was started, agent {pid}")
