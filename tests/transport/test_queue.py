"""A queue of jobs runs on the host itself: it needs neither agent nor link, and says why it stops."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest

from agents import Container, JobSpec, JobState, LinkState, Mount, RemoteError


def shell(script, name):
    return JobSpec(name, ("sh", "-c", script), labels={"kind": "train"})


def pair(first, second, name="pair"):
    return JobSpec(
        name, (), labels={"kind": "queue"}, steps=(shell(first, "one"), shell(second, "two"))
    )


async def ended(watched, job_id, wait_until, timeout=20):
    def status():
        found = watched.link._jobs.known.get(job_id)
        return found if found is not None and found.state.terminal else None

    return await wait_until(status, timeout, f"{job_id} ends")


def folders(sshd, name):
    """The job folders of this name on the host."""
    return sorted((sshd.home / ".gonogo/jobs").glob(f"{name}-*"))


def exits(sshd, name):
    return [json.loads(p.read_text()) for f in folders(sshd, name) for p in f.glob("exit.json")]


async def test_the_second_runs_without_agent_link_or_laptop(sshd, make_link, wait_until, tmp_path):
    go = tmp_path / "go"
    watched = make_link()
    link = await watched.live()
    wait = f"echo one; while [ ! -e {go} ]; do sleep 0.05; done"
    queue = await link.start_job(pair(wait, "echo two: $GONOGO_JOB_DIR"))
    assert (queue.state, queue.backend) == (JobState.running, "queue")

    def says(text):
        found = link._jobs.known.get(queue.job_id)
        return found is not None and text in found.detail

    await wait_until(lambda: says("1 of 2: one running; then two"))
    for pid in sshd.agent_pids():
        os.killpg(pid, signal.SIGKILL)
    await link.close()
    await sshd.stop()
    await wait_until(lambda: not sshd.agent_pids())
    assert not folders(sshd, "two")
    go.touch()
    await wait_until(lambda: exits(sshd, "two"), what="the second ran with nobody looking")
    assert [e["code"] for e in exits(sshd, "one") + exits(sshd, "two")] == [0, 0]
    folder = folders(sshd, "two")[0]
    assert (folder / "log.txt").read_text() == f"two: {folder}\n"
    await sshd.start(sshd.port)
    again = make_link()
    await again.live()
    status = await ended(again, queue.job_id, wait_until)
    assert (status.state, status.detail) == (JobState.succeeded, "2 of 2")
    second = await ended(again, folder.name, wait_until)
    assert second.labels == {"kind": "train", "queue": queue.job_id}


async def test_a_failing_first_starts_no_second(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    queue = await link.start_job(pair("exit 7", "echo never"))
    status = await ended(watched, queue.job_id, wait_until)
    said = "1 of 2: one failed (exit code 7); not started: two"
    assert (status.state, status.detail) == (JobState.failed, said)
    assert not folders(sshd, "two")
    log = (folders(sshd, "pair")[0] / "log.txt").read_text()
    assert "not started: two" in log


async def test_a_first_whose_folder_was_deleted_starts_no_second(sshd, make_link, wait_until):
    """How it ended nobody will know: the queue ends, rather than looking for it for ever."""
    watched = make_link()
    queue = await (await watched.live()).start_job(pair("sleep 60", "true"))
    await wait_until(lambda: any((f / "job.json").exists() for f in folders(sshd, "one")))
    await wait_until(lambda: '"running"' in (folders(sshd, "pair")[0] / "queue.json").read_text())
    (one,) = folders(sshd, "one")
    pid = json.loads((one / "job.json").read_text())["pid"]
    shutil.rmtree(one)
    try:
        status = await ended(watched, queue.job_id, wait_until)
    finally:
        os.killpg(pid, signal.SIGKILL)
    assert status.state is JobState.failed
    assert (
        status.detail == "1 of 2: one lost (its folder was deleted while it ran); not started: two"
    )
    assert not folders(sshd, "two")


async def test_a_program_that_is_not_there_starts_no_second(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    steps = (JobSpec("one", ("/no/such/program",)), shell("true", "two"))
    status = await link.start_job(JobSpec("pair", (), steps=steps))
    status = await ended(watched, status.job_id, wait_until)
    assert status.state is JobState.failed
    assert "cannot start /no/such/program" in status.detail
    assert not folders(sshd, "two")


async def test_a_dataset_that_vanished_starts_no_second(sshd, make_link, wait_until, tmp_path):
    """It was there when the queue began; the engine is not even asked."""
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    watched = make_link()
    link = await watched.live()
    box = Container("trainer:1", mounts=(Mount(str(data)),))
    steps = (shell(f"rm {data}", "one"), JobSpec("two", ("train",), container=box))
    queue = await link.start_job(JobSpec("pair", (), steps=steps))
    status = await ended(watched, queue.job_id, wait_until)
    assert status.state is JobState.failed
    assert f"2 of 2: two failed (could not start: {data}, which the job mounts" in status.detail
    assert not folders(sshd, "two")


async def test_stopping_the_queue_stops_what_runs_and_starts_nothing(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    # A training that is asked to end writes its checkpoint and ends well: no reason to go on.
    queue = await link.start_job(pair("trap 'exit 0' TERM; sleep 300 & wait", "echo never"))
    await wait_until(lambda: folders(sshd, "one"))
    one = folders(sshd, "one")[0].name
    await wait_until(lambda: "running" in watched.job_states(one))
    status = await link.stop_job(queue.job_id, 5)
    assert status.state is JobState.stopped
    assert status.detail.endswith("1 of 2: one; not started: two")
    assert (await ended(watched, one, wait_until)).state is JobState.stopped
    assert not folders(sshd, "two")


async def test_stopping_the_running_job_ends_the_queue(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    queue = await link.start_job(pair("sleep 300", "echo never"))
    await wait_until(lambda: folders(sshd, "one"))
    one = folders(sshd, "one")[0].name
    await wait_until(lambda: "running" in watched.job_states(one))
    await link.stop_job(one, 5)
    status = await ended(watched, queue.job_id, wait_until)
    assert status.state is JobState.failed
    assert status.detail.startswith("1 of 2: one stopped")
    assert not folders(sshd, "two")


async def test_a_reboot_is_said(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    queue = await link.start_job(pair("sleep 300", "echo never"))
    await wait_until(lambda: folders(sshd, "one"))
    await link.stop_job(queue.job_id, 1)
    await link.close()
    folder = folders(sshd, "pair")[0]
    (folder / "exit.json").unlink()
    record = json.loads((folder / "job.json").read_text())
    record["boot_id"] = "another"
    (folder / "job.json").write_text(json.dumps(record))
    again = make_link()
    await again.live()
    status = await ended(again, queue.job_id, wait_until)
    assert status.state is JobState.lost
    assert status.detail == "the host rebooted while it ran; 1 of 2: one; not started: two"


async def test_a_killed_queue_leaves_its_job_and_says_so(sshd, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    queue = await link.start_job(pair("sleep 300", "echo never"))
    await wait_until(lambda: folders(sshd, "one"))
    one = folders(sshd, "one")[0].name
    await wait_until(lambda: "running" in watched.job_states(one))
    os.kill(queue.pid, signal.SIGKILL)
    status = await ended(watched, queue.job_id, wait_until)
    assert status.state is JobState.failed
    assert status.detail == "ended by SIGKILL; 1 of 2: one; not started: two"
    assert link._jobs.known[one].state is JobState.running
    await link.stop_job(one, 1)


async def test_one_op_id_is_one_queue_and_values_stay_out_of_the_record(
    sshd, make_link, wait_until
):
    watched = make_link()
    link = await watched.live()
    secret = JobSpec("one", ("sh", "-c", 'echo "got $TOKEN"'), env={"TOKEN": "s3cret"})
    spec = JobSpec("pair", (), steps=(secret, shell("true", "two")))
    first, second = await link.start_job(spec), await link.start_job(spec)
    assert first.job_id == second.job_id
    await ended(watched, first.job_id, wait_until)
    assert [len(folders(sshd, name)) for name in ("pair", "one", "two")] == [1, 1, 1]
    assert (folders(sshd, "one")[0] / "log.txt").read_text() == "got s3cret\n"
    for path in (sshd.home / ".gonogo/jobs").glob("*/*.json"):
        assert "s3cret" not in path.read_text()


@pytest.mark.parametrize(
    "steps",
    [
        (JobSpec("Bad Name", ("true",)),),
        (JobSpec("fine", ("true",)), JobSpec("nowhere", ("true",), cwd="/no/such/folder")),
        (JobSpec("inner", (), steps=(JobSpec("x", ("true",)),)),),
        tuple(JobSpec(f"j{i}", ("true",)) for i in range(33)),
        (JobSpec("one", ("true",), op_id="same"), JobSpec("two", ("true",), op_id="same")),
    ],
)
async def test_unusable_queues_are_refused_whole(steps, sshd, make_link):
    link = await make_link().live()
    with pytest.raises(RemoteError) as caught:
        await link.start_job(JobSpec("pair", (), steps=steps))
    assert caught.value.code == "invalid"
    assert not list((sshd.home / ".gonogo/jobs").glob("*"))


@pytest.mark.docker
async def test_containers_one_after_the_other(sshd, engine, make_link, wait_until, tmp_path):
    sshd.environment["DOCKER_HOST"] = engine.url
    watched = make_link()
    link = await watched.live()
    box = Container("gonogo-test:base", network="none")
    first = JobSpec("one", ("sh", "-c", "sleep 1; echo one"), container=box)
    second = JobSpec("two", ("sh", "-c", "echo two; exit 7"), container=box)
    third = JobSpec("three", ("sh", "-c", "true"), container=box)
    try:
        queue = await link.start_job(JobSpec("trio", (), steps=(first, second, third)))
        await wait_until(lambda: folders(sshd, "one"), 20)
        for pid in sshd.agent_pids():
            os.killpg(pid, signal.SIGKILL)
        await watched.state(LinkState.live, 20)
        status = await ended(watched, queue.job_id, wait_until, 40)
        said = "2 of 3: two failed (exit code 7); not started: three"
        assert (status.state, status.detail) == (JobState.failed, said)
        assert [e["code"] for e in exits(sshd, "one") + exits(sshd, "two")] == [0, 7]
        assert not folders(sshd, "three")
        stopped = await link.start_job(
            JobSpec("duo", (), steps=(JobSpec("slow", ("sleep", "300"), container=box), third))
        )
        await wait_until(lambda: folders(sshd, "slow"), 20)
        slow = folders(sshd, "slow")[0].name
        await wait_until(lambda: "running" in watched.job_states(slow), 20)
        assert (await link.stop_job(stopped.job_id, 1)).state is JobState.stopped
        assert (await ended(watched, slow, wait_until, 20)).state is JobState.stopped
        assert not folders(sshd, "three")
    finally:
        engine.remove_jobs()
