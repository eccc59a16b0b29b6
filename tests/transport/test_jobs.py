"""Jobs start once, outlive everything, and are told truthfully."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

import pytest

from agents import HostLink, JobSpec, JobState, LinkDown, LinkState, RemoteError
from agents.remote.host import process_stat


async def ended(watched, job_id, wait_until, timeout=15):
    def status():
        found = watched.link._jobs.known.get(job_id)
        return found if found is not None and found.state.terminal else None

    return await wait_until(status, timeout, f"{job_id} ends")


@pytest.mark.parametrize(
    ("script", "state", "code"),
    [
        ("exit 0", JobState.succeeded, 0),
        ("exit 7", JobState.failed, 7),
        ("exit 3", JobState.oom, 3),
        ("kill -SEGV $$", JobState.failed, 128 + signal.SIGSEGV),
    ],
)
async def test_exit_codes(script, state, code, make_link, wait_until, tmp_path):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("job", ("sh", "-c", script), oom_codes=(3,)))
    status = await ended(watched, job.job_id, wait_until)
    assert (status.state, status.code) == (state, code)
    exit_file = tmp_path / "runs/tower" / job.job_id / "exit.json"
    assert json.loads(exit_file.read_text())["oom"] == (state is JobState.oom)


async def test_job_folder_and_environment(sshd, make_link, wait_until, tmp_path):
    watched = make_link()
    link = await watched.live()
    script = 'echo "$GONOGO_JOB_DIR|$SECRET|$PWD"; echo err >&2; cat'
    spec = JobSpec("env", ("sh", "-c", script), env={"SECRET": "s3cret"}, labels={"arm": "control"})
    job = await link.start_job(spec)
    assert job.state in (JobState.running, JobState.succeeded)
    assert job.pid is not None
    status = await ended(watched, job.job_id, wait_until)
    assert status.labels == {"arm": "control"}
    folder = sshd.home / ".gonogo/jobs" / job.job_id
    log = folder / "log.txt"
    assert log.read_text() == f"{folder}|s3cret|{sshd.home}\nerr\n"
    record = json.loads((folder / "job.json").read_text())
    assert record["env"] == ["SECRET"]
    assert "s3cret" not in (folder / "job.json").read_text()
    assert {"op_id", "name", "argv", "cwd", "backend", "pid", "starttime", "boot_id"} <= set(record)
    copy = tmp_path / "runs/tower" / job.job_id
    for name in ("job.json", "log.txt", "exit.json"):
        same = (folder / name).read_bytes()
        await wait_until(
            lambda n=name, s=same: (copy / n).exists() and (copy / n).read_bytes() == s
        )


async def test_the_same_op_id_starts_one_job(sshd, make_link):
    link = await make_link().live()
    spec = JobSpec("once", ("sleep", "30"))
    first, second = await asyncio.gather(link.start_job(spec), link.start_job(spec))
    assert first.job_id == second.job_id
    assert len(list((sshd.home / ".gonogo/jobs").iterdir())) == 1
    other = await link.start_job(JobSpec("once", ("sleep", "30")))
    assert other.job_id != first.job_id
    for job in (first, other):
        await link.stop_job(job.job_id, 1)


async def test_the_same_op_id_over_two_agents(sshd, make_link):
    """A request that both the old and the new connection carry is still one job."""
    one = await make_link().live()
    two = await make_link(name="again").live()
    spec = JobSpec("once", ("sleep", "30"))
    results = await asyncio.gather(*(link.start_job(spec) for link in (one, two) * 3))
    assert len({job.job_id for job in results}) == 1
    await one.stop_job(results[0].job_id, 1)


async def test_a_start_whose_answer_was_lost_is_asked_again(sshd, proxy, make_link, wait_until):
    watched = make_link(proxy.port)
    link = await watched.live()
    await wait_until(lambda: link.latency_ms is not None)
    proxy.budget = 1  # the answer, or what precedes it, does not come through
    job = await link.start_job(JobSpec("once", ("sleep", "30")), timeout=20)
    assert LinkState.backoff in watched.states()
    assert [p.name for p in (sshd.home / ".gonogo/jobs").iterdir()] == [job.job_id]
    await link.stop_job(job.job_id, 1)


async def test_a_program_that_does_not_exist(make_link):
    link = await make_link().live()
    job = await link.start_job(JobSpec("ghost", ("/no/such/program",)))
    assert job.state is JobState.failed
    assert job.code == 127
    assert "cannot start /no/such/program" in job.detail


@pytest.mark.parametrize(
    "spec",
    [
        JobSpec("Bad Name", ("true",)),
        JobSpec("../up", ("true",)),
        JobSpec("empty", ()),
        JobSpec("nul", ("a\0b",)),
        JobSpec("nowhere", ("true",), cwd="/no/such/folder"),
    ],
)
async def test_unusable_requests_are_refused(spec, sshd, make_link):
    link = await make_link().live()
    with pytest.raises(RemoteError) as caught:
        await link.start_job(spec)
    assert caught.value.code == "invalid"
    assert not list((sshd.home / ".gonogo/jobs").glob("*"))


async def test_stop_ends_the_whole_group(make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("tree", ("sh", "-c", "sleep 300 & sleep 300 & wait")))
    status = await link.stop_job(job.job_id, 5)
    assert status.state is JobState.stopped
    await wait_until(lambda: not _session(job.pid), what="no process of the job is left")
    assert (await link.stop_job(job.job_id, 5)).state is JobState.stopped


async def test_stop_kills_after_the_grace(sshd, make_link, wait_until):
    link = await make_link().live()
    script = "trap '' TERM; echo ready; while true; do sleep 0.1; done"
    job = await link.start_job(JobSpec("stubborn", ("sh", "-c", script)))
    log = sshd.home / ".gonogo/jobs" / job.job_id / "log.txt"
    await wait_until(lambda: log.read_text() == "ready\n")
    began = time.monotonic()
    status = await link.stop_job(job.job_id, 1)
    assert status.state is JobState.stopped
    assert status.code == 128 + signal.SIGKILL
    assert 0.8 < time.monotonic() - began < 6


async def test_a_job_may_finish_its_work_when_stopped(make_link):
    link = await make_link().live()
    script = "trap 'exit 4' TERM; echo ready; while true; do sleep 0.1; done"
    job = await link.start_job(JobSpec("polite", ("sh", "-c", script)))
    status = await link.stop_job(job.job_id, 10)
    assert status.state is JobState.stopped
    assert status.code in (4, 128 + signal.SIGTERM)


async def test_stop_survives_the_agents_end(sshd, make_link, wait_until):
    """The grace period is kept by the supervisor: SIGKILL comes without agent or link."""
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(
        JobSpec("stubborn", ("sh", "-c", "trap '' TERM; sleep 1000 & wait; sleep 1000"))
    )
    await link.call("stop_job", job_id=job.job_id, grace=2)
    await link.close()
    await sshd.stop()
    exit_file = sshd.home / ".gonogo/jobs" / job.job_id / "exit.json"
    await wait_until(exit_file.exists, 10)
    assert json.loads(exit_file.read_text())["stopped"] is True


async def test_jobs_are_unknown_while_the_link_is_down(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("long", ("sleep", "60")))
    port = sshd.port
    await sshd.stop()
    await watched.state(LinkState.backoff)
    assert watched.job_states(job.job_id)[-1] == "unknown"
    assert [status.state for status in await link.jobs()] == [JobState.unknown]
    with pytest.raises(LinkDown):
        await link.call("jobs")
    await sshd.start(port)
    await link.wait_live(10)
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "running")
    await link.stop_job(job.job_id, 1)


async def test_lost_after_a_reboot(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("before", ("sleep", "60")))
    await link.close()
    path = sshd.home / ".gonogo/jobs" / job.job_id / "job.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "boot_id": "another-boot"}))
    again = make_link()
    await again.live()
    status = await ended(again, job.job_id, wait_until)
    assert status.state is JobState.lost
    assert "rebooted" in status.detail
    os.killpg(record["pid"], signal.SIGKILL)


async def test_lost_when_killed_with_its_supervisor(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("gone", ("sleep", "60")))
    record = json.loads((sshd.home / ".gonogo/jobs" / job.job_id / "job.json").read_text())
    os.kill(record["supervisor"]["pid"], signal.SIGKILL)
    await asyncio.sleep(0.6)
    assert [job.state for job in await link.jobs()] == [JobState.running]
    os.kill(record["pid"], signal.SIGKILL)
    status = await ended(watched, job.job_id, wait_until)
    assert status.state is JobState.lost
    assert "no exit code" in status.detail


async def test_a_reused_pid_is_not_the_job(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("old", ("sleep", "60")))
    await link.stop_job(job.job_id, 1)
    await link.close()
    folder = sshd.home / ".gonogo/jobs" / job.job_id
    record = json.loads((folder / "job.json").read_text())
    bystander = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=-1)
    try:
        for name in ("exit.json", "stop.json"):
            (folder / name).unlink()
        record["pid"] = bystander.pid
        (folder / "job.json").write_text(json.dumps(record))
        again = make_link()
        link = await again.live()
        assert (await ended(again, job.job_id, wait_until)).state is JobState.lost
        await link.stop_job(job.job_id, 0.1)
        assert bystander.returncode is None
    finally:
        bystander.kill()
        await bystander.wait()


async def test_a_second_laptop_sees_the_jobs_of_the_first(make_link, wait_until, tmp_path):
    first = await make_link().live()
    job = await first.start_job(JobSpec("shared", ("sh", "-c", "echo one; sleep 30")))
    second = make_link(name="other")
    await second.live()
    copy = tmp_path / "runs/other" / job.job_id / "log.txt"
    await wait_until(lambda: copy.exists() and copy.read_text() == "one\n")
    assert isinstance(second.link, HostLink)
    await first.stop_job(job.job_id, 1)
    await wait_until(lambda: second.job_states(job.job_id)[-1] == "stopped")


def _session(session):
    from agents.remote.host import session_members

    return [pid for pid, _ in session_members({session}) if process_stat(pid)]


async def test_many_jobs_that_end_or_are_stopped_at_once(make_link):
    """Races between start, stop and end: never lost, never stuck until the grace is over."""
    link = await make_link().live()
    for _ in range(40):
        job = await link.start_job(JobSpec("short", ("sleep", "100")))
        began = time.monotonic()
        assert (await link.stop_job(job.job_id, 20)).state is JobState.stopped
        assert time.monotonic() - began < 10
    jobs = [await link.start_job(JobSpec("short", ("true",))) for _ in range(40)]
    ends = [await link._jobs.until_terminal(job.job_id) for job in jobs]
    assert {end.state for end in ends} == {JobState.succeeded}
