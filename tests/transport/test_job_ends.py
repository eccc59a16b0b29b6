"""How jobs end when things go wrong: processes that slip away, damaged records, no disk, no memory."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from agents import JobChanged, JobSpec, JobState, RemoteError
from agents.remote import offspring
from tests.transport.test_jobs import ended

ESCAPES = """
import os, sys, time
def away(clean, minutes):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            env = {} if clean else dict(os.environ)
            os.execve("/bin/sleep", ["sleep", str(minutes)], env)
        os._exit(0)
away(False, 7001)
away(True, 7002)
print("away", flush=True)
time.sleep(7003)
"""
STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


def sleepers(place: Path) -> list[int]:
    """Processes of this test: those that work in its folder."""
    found = []
    for pid, _ in offspring.living():
        try:
            if Path(f"/proc/{pid}/cwd").readlink() == place:
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("orphaned", [False, True])
async def test_stop_reaches_what_left_the_session(orphaned, sshd, make_link, wait_until, tmp_path):
    """Also without the supervisor, whatever kept its environment; never a bystander."""
    place = tmp_path / "place"
    place.mkdir()
    env = {"GONOGO_JOB_DIR": "/another/job"}
    bystander = await asyncio.create_subprocess_exec("sleep", "7001", env=env)
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("slips", (sys.executable, "-c", ESCAPES), cwd=str(place)))
    folder = sshd.home / ".gonogo/jobs" / job.job_id
    await wait_until(
        lambda: len(sleepers(place)) == 3 and "away" in (folder / "log.txt").read_text()
    )
    if orphaned:
        record = json.loads((folder / "job.json").read_text())
        os.kill(record["supervisor"]["pid"], signal.SIGKILL)
    status = await link.stop_job(job.job_id, 2)
    assert status.state is JobState.stopped
    left = await wait_until(lambda: len(sleepers(place)) == int(orphaned) and [sleepers(place)])
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()
    for pid in left[0]:  # without a supervisor, one with an empty environment has no trace
        os.kill(pid, signal.SIGKILL)


async def test_stopped_means_that_nothing_is_left(sshd, make_link, wait_until, tmp_path):
    """A helper that ignores SIGTERM may hold the card's memory: the state waits for its end."""
    place = tmp_path / "place"
    place.mkdir()
    link = await make_link().live()
    script = f'setsid sh -c "{STUBBORN}" & sleep 7003'
    job = await link.start_job(JobSpec("stubborn", ("sh", "-c", script), cwd=str(place)))
    await wait_until(lambda: len(sleepers(place)) >= 3)
    assert (await link.stop_job(job.job_id, 1)).state is JobState.stopped
    assert not sleepers(place)


def opened(pid: int) -> set[str]:
    return {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}


async def test_arguments_and_values_arrive_as_they_are(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    odd = [
        "",
        " ",
        "a b",
        "'\"`$(id)\\",
        "*",
        "~",
        "-x",
        "é漢🙂",
        "line\nbreak\ttab\x1b[31m",
        "\udcff",
    ]
    show = "import os, sys; os.write(1, b'|'.join(map(os.fsencode, [*sys.argv[1:], os.environ['ODD']])))"
    value = "k=v; $HOME\n'\""
    job = await link.start_job(
        JobSpec("odd", (sys.executable, "-c", show, *odd), env={"ODD": value})
    )
    status = await ended(watched, job.job_id, wait_until)
    assert status.state is JobState.succeeded
    log = sshd.home / ".gonogo/jobs" / job.job_id / "log.txt"
    assert log.read_bytes() == b"|".join(map(os.fsencode, [*odd, value]))
    "".join(status.argv).encode("utf-8")  # a terminal can be given it
    job = await link.start_job(JobSpec("long", ("/bin/echo", "x" * 190_000)))
    assert (job.state, job.code) == (JobState.failed, 127)
    assert "Argument list too long" in job.detail


async def test_a_job_holds_nothing_of_its_channel(sshd, make_link, wait_until):
    """A descriptor of the channel in a job's hands would keep the SSH session open as long as it runs."""
    link = await make_link().live()
    job = await link.start_job(JobSpec("apart", ("sleep", "7001")))
    folder = sshd.home / ".gonogo/jobs" / job.job_id
    record = json.loads((folder / "job.json").read_text())
    held = {str(folder / "log.txt"), os.devnull, str(folder)}
    for pid in (job.pid, record["supervisor"]["pid"]):
        assert opened(pid) <= held
    await link.close()
    await wait_until(lambda: not sshd.agent_pids(), what="the session ends while the job runs on")
    assert offspring.process_stat(job.pid) is not None
    os.kill(record["supervisor"]["pid"], signal.SIGTERM)
    await wait_until((folder / "exit.json").exists)


async def test_a_folder_deleted_while_its_job_runs_is_said(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("bare", ("sleep", "7001")))
    shutil.rmtree(sshd.home / ".gonogo/jobs" / job.job_id)
    told = await wait_until(
        lambda: [e.job for e in watched.of(JobChanged) if "deleted" in e.job.detail]
    )
    assert told[-1].state is JobState.unknown
    assert f"kill -- -{job.pid}" in told[-1].detail
    with pytest.raises(RemoteError, match="there is no job"):
        await link.stop_job(job.job_id, 1)
    os.killpg(job.pid, signal.SIGKILL)


async def test_a_thousand_job_folders(sshd, make_link, wait_until):
    root = sshd.home / ".gonogo/jobs"
    for n in range(1000):
        folder = root / f"old-20250101-{n:06}-abcd"
        folder.mkdir(parents=True)
        record = {"v": 1, "op_id": f"op{n}", "name": "old", "argv": ["/bin/true"], "created": n}
        (folder / "job.json").write_text(json.dumps(record))
        (folder / "exit.json").write_text('{"code": 0, "signal": null, "t": 1}')
    watched = make_link()
    link = await watched.live()
    assert len(await link.jobs()) == 1000
    job = await link.start_job(JobSpec("new", ("true",)))
    await wait_until(lambda: "succeeded" in watched.job_states(job.job_id), 30)
    await wait_until(lambda: len(link._jobs.known) == 1001, 60)
    assert link.attempt == 0
    again = await link.start_job(JobSpec("old", ("/bin/true",), op_id="op7"))
    assert again.job_id == "old-20250101-000007-abcd"
