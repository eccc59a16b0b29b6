"""Jobs in containers, over SSH, against a real Docker engine that these tests start themselves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from agents import Container, JobSpec, JobState, LinkState, Mount, RemoteError
from tui.settings import HostSettings, Settings, TrainingSettings
from tui.train_plan import TrainPlan, TrainRequest, build_job

pytestmark = pytest.mark.docker
MB = 1 << 20


def box(**changes):
    return Container("gonogo-test:base", network="none", **changes)


def shell(script, name="job", **changes):
    settings = {"container": box(), **changes}
    return JobSpec(name, ("sh", "-c", script), **settings)


async def ended(watched, job_id, wait_until, timeout=30):
    def status():
        found = watched.link._jobs.known.get(job_id)
        return found if found is not None and found.state.terminal else None

    return await wait_until(status, timeout, f"{job_id} ends")


@pytest.fixture
def docked(sshd, engine):
    """The host of these tests has the engine's socket; its containers end with the test."""
    sshd.environment["DOCKER_HOST"] = engine.url
    yield sshd
    engine.remove_jobs()


@pytest.mark.parametrize(
    ("script", "state", "code", "detail"),
    [
        ("exit 0", JobState.succeeded, 0, ""),
        ("exit 7", JobState.failed, 7, "exit code 7"),
        ("exit 3", JobState.oom, 3, "out of memory"),
        ("kill -SEGV $$", JobState.failed, 128 + signal.SIGSEGV, "ended by SIGSEGV"),
    ],
)
async def test_exit_codes(script, state, code, detail, docked, engine, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(shell(script, oom_codes=(3,)))
    status = await ended(watched, job.job_id, wait_until)
    assert (status.state, status.code, status.detail) == (state, code, detail)
    assert status.backend == "docker"
    assert status.started_ms
    assert abs(status.ended_ms - status.started_ms) < 20_000
    await wait_until(lambda: engine.docker("ps", "-aq", "--filter", "label=gonogo.job") == "")


async def test_out_of_memory_is_said(docked, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    hungry = shell("echo eating; tail /dev/zero", container=box(memory=16 * MB))
    status = await ended(watched, (await link.start_job(hungry)).job_id, wait_until)
    assert (status.state, status.code) == (JobState.oom, 128 + signal.SIGKILL)
    assert status.detail == "out of memory, ended by SIGKILL"


async def test_the_log_is_the_file_of_the_job_byte_for_byte(
    docked, make_link, wait_until, tmp_path
):
    watched = make_link()
    link = await watched.live()
    data = tmp_path / "a, b"
    data.mkdir()
    (data / "x").write_text("given\n")
    script = (
        'printf "\\377\\000é\\n"; echo err >&2; cat "$1/x"; echo no >"$1/y"; '
        'echo "$SECRET $GONOGO_JOB_DIR $HOME" $(id -u); pwd; echo mine >"$GONOGO_JOB_DIR/out"'
    )
    spec = JobSpec(
        "log",
        ("sh", "-c", script, "sh", str(data)),
        env={"SECRET": "s3cret"},
        labels={"arm": "control"},
        container=box(mounts=(Mount(str(data)),)),
    )
    status = await ended(watched, (await link.start_job(spec)).job_id, wait_until)
    folder = docked.home / ".gonogo/jobs" / status.job_id
    log = (folder / "log.txt").read_bytes()
    lines = log.split(b"\n")
    assert lines[:3] == [b"\xff\0\xc3\xa9", b"err", b"given"]
    assert lines[3].endswith(b"Read-only file system")
    assert b"\n".join(lines[4:]).decode() == f"s3cret {folder} /tmp {os.getuid()}\n{folder}\n"
    assert (folder / "out").read_text() == "mine\n"
    assert "s3cret" not in (folder / "job.json").read_text()
    assert status.labels == {"arm": "control"}
    copy = tmp_path / "runs/tower" / status.job_id
    for name in ("log.txt", "job.json", "exit.json"):
        same = (folder / name).read_bytes()
        await wait_until(
            lambda n=name, s=same: (copy / n).exists() and (copy / n).read_bytes() == s
        )


async def test_the_same_op_id_is_one_container(docked, engine, make_link):
    one, two = await make_link().live(), await make_link(name="again").live()
    spec = shell("sleep 60")
    jobs = await asyncio.gather(*(link.start_job(spec) for link in (one, two, one)))
    assert len({job.job_id for job in jobs}) == 1
    assert len(engine.docker("ps", "-q", "--filter", "label=gonogo.job").split()) == 1
    await one.stop_job(jobs[0].job_id, 0)


@pytest.mark.parametrize("created", [False, True])
async def test_a_start_whose_agent_died_is_taken_up(created, docked, engine, make_link, wait_until):
    """Before the container or after it, but before it was written down: one container, which runs once."""
    spec = shell('echo ran >>"$GONOGO_JOB_DIR/ran"; sleep 60')
    link = await make_link().live()
    job = await link.start_job(spec)
    await link.close()
    folder = docked.home / ".gonogo/jobs" / job.job_id
    await wait_until((folder / "ran").exists)
    if not created:
        engine.docker("rm", "-f", f"gonogo-{job.job_id}")
        (folder / "ran").unlink()
    record = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**record, "container": None, "started": None}))
    again = await make_link(name="again").live()
    assert (await again.start_job(spec)).job_id == job.job_id
    await wait_until((folder / "ran").exists)
    assert (folder / "ran").read_text() == "ran\n"
    assert len(engine.docker("ps", "-q", "--filter", "label=gonogo.job").split()) == 1
    assert (await again.stop_job(job.job_id, 0)).state is JobState.stopped


async def test_a_job_is_adopted_after_everything_of_ours_was_killed(
    docked, engine, make_link, wait_until, tmp_path
):
    """Agent and link die, the app with them; the next app finds the job running, then its end."""
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(
        shell("echo one; until [ -e $GONOGO_JOB_DIR/go ]; do sleep 0.1; done; echo two; exit 5")
    )
    assert job.state is JobState.running
    for pid in docked.agent_pids():
        os.killpg(pid, signal.SIGKILL)
    await watched.link.close()
    folder = docked.home / ".gonogo/jobs" / job.job_id
    # As if the agent had been killed between the engine's yes and writing it down.
    record = json.loads((folder / "job.json").read_text())
    record["container"] = record["started"] = None
    (folder / "job.json").write_text(json.dumps(record))
    again = make_link(name="next")
    link = await again.live()
    assert [found.state for found in await link.jobs()] == [JobState.running]
    assert again.job_states(job.job_id) == ["running"]
    record = json.loads((folder / "job.json").read_text())
    name = f"gonogo-{job.job_id}"
    assert record["container"] == engine.docker("inspect", "-f", "{{.Id}}", name)
    assert record["started"] > record["created"] - 1000
    (folder / "go").touch()
    status = await ended(again, job.job_id, wait_until)
    assert (status.state, status.code) == (JobState.failed, 5)
    copy = tmp_path / "runs/next" / job.job_id / "log.txt"
    await wait_until(lambda: copy.exists() and copy.read_text() == "one\ntwo\n")


APP = """
import asyncio, pathlib, sys
from agents import Container, HostLink, HostSpec, JobSpec

async def main():
    key, known, runs = map(pathlib.Path, sys.argv[2:])
    address = "tester@127.0.0.1:" + sys.argv[1]
    spec = HostSpec("tower", address, identity_file=key, known_hosts=known)
    link = HostLink(spec, runs, lambda event: None)
    asyncio.create_task(link.run())
    await link.wait_live(15)
    script = "echo one; until [ -e $GONOGO_JOB_DIR/go ]; do sleep 0.1; done; echo two"
    box = Container("gonogo-test:base", network="none")
    job = await link.start_job(JobSpec("trained", ("sh", "-c", script), container=box))
    print(job.job_id, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_job_outlives_the_app_that_was_killed(docked, make_link, wait_until, tmp_path):
    """kill -9 of the program that started it; another one adopts it, its log and its end."""
    words = [str(docked.port), str(docked.client_key), str(docked.known_hosts), str(tmp_path / "r")]
    app = await asyncio.create_subprocess_exec(sys.executable, "-c", APP, *words, stdout=-1)
    try:
        job_id = (await asyncio.wait_for(app.stdout.readline(), 30)).decode().strip()
    finally:
        app.kill()
        await app.wait()
    watched = make_link()
    await watched.live()
    await wait_until(lambda: watched.job_states(job_id) == ["running"])
    (docked.home / ".gonogo/jobs" / job_id / "go").touch()
    assert (await ended(watched, job_id, wait_until)).state is JobState.succeeded
    copy = tmp_path / "runs/tower" / job_id / "log.txt"
    await wait_until(lambda: copy.exists() and copy.read_text() == "one\ntwo\n")


async def test_an_end_that_nobody_saw_is_found_later(docked, engine, make_link, wait_until):
    link = await make_link().live()
    job = await link.start_job(shell("sleep 0.5; exit 6"))
    await link.close()
    await docked.stop()
    name = f"gonogo-{job.job_id}"
    await wait_until(lambda: engine.docker("inspect", "-f", "{{.State.Status}}", name) == "exited")
    await docked.start(docked.port)
    again = make_link(docked.port)
    link = await again.live()
    assert [(j.state, j.code) for j in await link.jobs()] == [(JobState.failed, 6)]


@pytest.mark.parametrize(
    ("script", "grace", "code"),
    [
        ("trap 'exit 4' TERM; while :; do sleep 0.1; done", 20, 4),
        ("trap '' TERM; while :; do sleep 0.1; done", 1, 128 + signal.SIGKILL),
    ],
)
async def test_stop(script, grace, code, docked, make_link):
    link = await make_link().live()
    job = await link.start_job(shell(script))
    status = await link.stop_job(job.job_id, grace)
    assert (status.state, status.code) == (JobState.stopped, code)
    assert (await link.stop_job(job.job_id, grace)).state is JobState.stopped


async def test_a_removed_container_is_lost_with_its_reason(docked, engine, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(shell("sleep 60"))
    engine.docker("rm", "-f", "-v", f"gonogo-{job.job_id}")
    status = await ended(watched, job.job_id, wait_until)
    assert status.state in (JobState.lost, JobState.failed)
    assert "removed" in status.detail or "SIGKILL" in status.detail


async def test_a_container_that_went_unseen_is_lost(docked, engine, make_link):
    link = await make_link().live()
    job = await link.start_job(shell("sleep 60"))
    await link.close()
    engine.docker("rm", "-f", f"gonogo-{job.job_id}")
    found = await (await make_link(name="next").live()).jobs()
    assert [(j.state, j.detail) for j in found] == [
        (JobState.lost, "somebody removed its container")
    ]


async def test_while_the_engine_is_away_a_job_is_unknown_not_failed(
    docked, engine, make_link, wait_until
):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(shell("until [ -e $GONOGO_JOB_DIR/go ]; do sleep 0.1; done"))
    engine.stop()
    try:
        await wait_until(lambda: watched.job_states(job.job_id)[-1] == "unknown", 20)
        detail = link._jobs.known[job.job_id].detail
        assert detail.startswith("the Docker engine does not run")
        with pytest.raises(RemoteError) as caught:
            await link.stop_job(job.job_id, 1)
        assert caught.value.code == "docker-down"
        other = await link.start_job(shell("true"))
        assert other.state is JobState.failed
        assert other.detail.startswith("the Docker engine does not run: start it")
        assert link.state is LinkState.live
    finally:
        engine.start()
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "running", 20)
    (docked.home / ".gonogo/jobs" / job.job_id / "go").touch()
    assert (await ended(watched, job.job_id, wait_until)).state is JobState.succeeded


@pytest.mark.parametrize(
    ("container", "said"),
    [
        (Container("no-such:image"), "the image no-such:image is not on this host: build or pull"),
        (box(gpus=True), "install the NVIDIA Container Toolkit"),
        (box(memory=1 * MB), "the memory limit is too small"),
    ],
)
async def test_a_start_that_the_engine_refuses(
    container, said, docked, engine, make_link, wait_until
):
    link = await make_link().live()
    job = await link.start_job(shell("true", container=container))
    assert job.state is JobState.failed
    assert said in job.detail
    await wait_until(lambda: engine.docker("ps", "-aq", "--filter", "label=gonogo.job") == "")


async def test_without_a_docker_command_the_start_says_so(
    usual_folders_are_empty, sshd, make_link, tmp_path
):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "python3").symlink_to(sys.executable)
    sshd.path = str(bare)
    link = await make_link().live()
    job = await link.start_job(shell("true"))
    assert (job.state, job.code) == (JobState.failed, 127)
    assert job.detail == "there is no docker command on this host: install Docker"


@pytest.mark.parametrize(
    "spec",
    [
        shell("true", container=Container("; rm -rf /")),
        shell("true", container=box(mounts=(Mount("/no/such/place"),))),
        shell("true", container=box(mounts=(Mount("relative"),))),
        shell("true", container=box(mounts=(Mount("/tmp", "/"),))),
        shell("true", container=box(memory=-1)),
        shell("true", env={"DOCKER_HOST": "tcp://elsewhere"}),
        shell("true", cwd="relative"),
    ],
)
async def test_unusable_requests_are_refused(spec, sshd, make_link):
    link = await make_link().live()
    with pytest.raises(RemoteError) as caught:
        await link.start_job(spec)
    assert caught.value.code in ("invalid", "no-path")
    assert not list((sshd.home / ".gonogo/jobs").glob("*"))


async def test_a_talkative_health_check_hides_no_job(docked, engine, make_link, wait_until):
    """Its output stands in the engine's state: three of these are more than what is read of an answer."""
    check = "HEALTHCHECK --interval=0.1s --timeout=5s CMD cat /bin/busybox || true"
    base = engine.docker("create", "gonogo-test:base", "true")
    export = engine.docker(
        "commit", "-c", check.replace("cat ", "head -c 4000 "), base, "gonogo-test:ill"
    )
    engine.docker("rm", base)
    assert export
    watched = make_link()
    link = await watched.live()
    talkative = Container("gonogo-test:ill", network="none")
    jobs = [await link.start_job(shell("sleep 60", container=talkative)) for _ in range(3)]
    names = [f"gonogo-{job.job_id}" for job in jobs]
    await wait_until(
        lambda: len(engine.docker("inspect", "-f", "{{json .State}}", *names)) > 1 << 16
    )
    await link.close()
    again = make_link(name="again")
    states = [(job.state, job.detail) for job in await (await again.live()).jobs()]
    assert states == [(JobState.running, "")] * 3
    engine.docker("rm", "-f", names[0])
    assert (await ended(again, jobs[0].job_id, wait_until)).state in (
        JobState.lost,
        JobState.failed,
    )
    assert again.job_states(jobs[1].job_id) == ["running"]


async def test_a_paused_job_says_so_and_can_be_stopped(docked, engine, make_link, wait_until):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(shell("sleep 60"))
    engine.docker("pause", f"gonogo-{job.job_id}")
    await wait_until(lambda: link._jobs.known[job.job_id].detail == "paused")
    assert link._jobs.known[job.job_id].state is JobState.running
    assert (await link.stop_job(job.job_id, 1)).state is JobState.stopped


@pytest.mark.parametrize(
    ("argv", "code", "detail"),
    [
        (("no-such-program",), 127, "exit code 127: the image has no program no-such-program"),
        (("/tmp",), 126, "exit code 126: /tmp in the image cannot be executed"),
    ],
)
async def test_a_program_that_the_image_lacks_is_named(
    argv, code, detail, docked, make_link, wait_until
):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("job", argv, container=box()))
    status = await ended(watched, job.job_id, wait_until)
    assert (status.state, status.code, status.detail) == (JobState.failed, code, detail)


async def test_a_container_killed_by_hand_is_no_lack_of_memory(
    docked, engine, make_link, wait_until
):
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(shell("sleep 60"))
    engine.docker("kill", f"gonogo-{job.job_id}")
    status = await ended(watched, job.job_id, wait_until)
    assert (status.state, status.detail) == (JobState.failed, "ended by SIGKILL")


def words_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


@pytest.mark.parametrize("backend", ["process", "docker"])
async def test_what_the_plan_shows_is_what_runs(
    backend, docked, engine, make_link, tmp_path, wait_until
):
    """Word for word and mount for mount, as the kernel and the engine tell it."""
    folder = tmp_path / "a b, 'c'"
    (folder / "model").mkdir(parents=True)
    (folder / "data.jsonl").write_text("{}\n")
    (folder / "python").write_text("#!/bin/sh\nsleep 60\ntrue\n")
    (folder / "python").chmod(0o755)
    python, shared = str(folder / "python"), str(folder)
    host = HostSettings(role="tower", backend=backend, python=python)
    training = TrainingSettings(
        image="gonogo-test:base", python=python, mounts=(f"{shared}:rw",), network="none",
        memory_gb=0.25, shm_gb=0.125, gpus=False,
    )  # fmt: skip
    settings = Settings(hosts={"tower": host}, training=training)
    request = TrainRequest(arm="placebo", stage="S1", steps=7, seed=3, recipe="accum=4 lr=2e-4")
    job = build_job(settings, request, f"{shared}/data.jsonl", f"{shared}/model")
    (shown,) = TrainPlan("tower", job).as_json()["jobs"]
    link = await make_link().live()
    started = await link.start_job(job)
    try:
        if backend == "process":
            assert words_of(started.pid) == ["/bin/sh", *shown["argv"]]
            assert shown["mounts"] == []
            return
        told = json.loads(engine.docker("inspect", f"gonogo-{started.job_id}"))[0]
        assert told["Args"][-len(shown["argv"]) :] == shown["argv"]
        own = str(docked.home / ".gonogo/jobs" / started.job_id)
        mounts = [
            f"{m['Source']} ({'rw' if m['RW'] else 'ro'})" for m in told["Mounts"]
            if m["Source"] == m["Destination"] and m["Source"] != own
        ]  # fmt: skip
        assert sorted([*mounts, "the job's own folder (rw)"]) == sorted(shown["mounts"])
        limits = told["HostConfig"]
        assert (limits["Memory"], limits["ShmSize"]) == (2**28, 2**27)
        assert limits["NetworkMode"] == "none"
    finally:
        await link.stop_job(started.job_id, 0)
