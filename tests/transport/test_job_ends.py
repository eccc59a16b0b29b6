"""How jobs end when things go wrong: processes that slip away, damaged records, no disk, no memory."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents import JobChanged, JobSpec, JobState, RemoteError
from agents.remote import launch, offspring, supervisor
from agents.remote.errors import OpError
from agents.remote.jobs import JobTable
from agents.remote.loop import Loop
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


# --- without a link: the table itself ---------------------------------------------------------


def request(**changes: object) -> dict[str, object]:
    return {"name": "job", "argv": ["/bin/true"], "op_id": "op", **changes}


@pytest.fixture
def table(tmp_path: Path) -> JobTable:
    return JobTable(str(tmp_path), Loop())


def made(table: JobTable, **changes: object) -> tuple[Path, dict, dict, int]:
    job_id, job, env, hold = table.create(request(**changes))
    assert job is not None
    return Path(table.folder(job_id)), job, env, hold


def run(folder: Path, job: dict, env: dict, hold: int) -> dict:
    """The supervisor of a job to its end, in a child of this process; what exit.json says."""
    pipe = launch.launch(str(folder), job, env, None, hold)
    os.read(pipe, 600)
    os.close(pipe)
    deadline = time.monotonic() + 30
    while not (folder / "exit.json").exists() or launch.is_held(str(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return json.loads((folder / "exit.json").read_text())


def test_a_stop_before_the_program_runs_is_obeyed(table, tmp_path):
    ran = tmp_path / "ran"
    folder, job, env, hold = made(table, argv=["/bin/sh", "-c", f"touch {ran}"])
    assert table.status(folder.name)["state"] == "starting"
    told: list[dict] = []
    table.stop(Loop(), folder.name, 3, told.append, lambda *words: pytest.fail(str(words)))
    ended = run(folder, job, env, hold)
    assert ended["stopped"]
    assert table.status(folder.name)["state"] == "stopped"
    assert not ran.exists()


def test_a_full_disk_keeps_no_exit_code_out(table, monkeypatch):
    def full(folder: str, name: str, value: dict) -> None:
        if name == "exit.json":
            raise OSError(28, "No space left on device")
        write(folder, name, value)

    write = supervisor.write_json
    monkeypatch.setattr(supervisor, "write_json", full)
    folder, job, env, hold = made(table, argv=["/bin/sh", "-c", "exit 7"])
    assert run(folder, job, env, hold)["code"] == 7
    assert table.status(folder.name)["detail"] == "exit code 7"
    assert not list(folder.glob(".*"))


def test_a_start_that_never_happened_says_so_and_is_taken_up_again(table):
    folder, _, _, hold = made(table)
    assert table.create(request())[:2] == (folder.name, None)
    os.close(hold)  # its agent is gone
    status = table.status(folder.name)
    assert status["state"] == "lost"
    assert "never started" in status["detail"]
    assert table.create(request(argv=["/bin/other"]))[1] is None  # not what was asked for
    job_id, job, env, hold = table.create(request())
    assert (job_id, job is not None) == (folder.name, True)
    assert run(folder, job, env, hold)["code"] == 0


def test_a_folder_whose_making_was_cut_short_is_cleared_away(table):
    left = Path(table.root) / ".new-job-20260101-000000-abcd"
    left.mkdir(parents=True)
    (left / "job.json").write_text("{")
    _, _, _, hold = made(table)
    os.close(hold)
    assert not left.exists()


def test_a_record_too_long_to_be_read_back_is_refused(table):
    """Its op_id would not be found again, and a second request would be a second run."""
    long = request(argv=["/bin/true", "x" * 300_000])
    with pytest.raises(OpError, match="put them into a file"):
        table.create(long)
    for odd in (
        {"oom_codes": 3}, {"oom_codes": ["3"]}, {"labels": ["a"]}, {"labels": {"a": 1}},
    ):  # fmt: skip
        with pytest.raises(OpError):
            table.create(request(**odd))


DAMAGED = [
    ("exit.json", "", "lost", "exit.json on the host cannot be read"),
    ("exit.json", '{"code": 0', "lost", "cannot be read"),
    ("exit.json", "[1]", "lost", "cannot be read"),
    ("exit.json", '{"code": "0", "signal": "x", "t": "now"}', "lost", "cannot be read"),
    ("exit.json", '{"code": true, "stopped": "no"}', "lost", "cannot be read"),
    ("exit.json", '{"code": null, "signal": 999999}', "failed", "signal 999999"),
    ("exit.json", '{"code": 0, "error": {"deep": 1}, "oom": "yes"}', "succeeded", "deep"),
    ("job.json", "", "lost", "job.json on the host cannot be read"),
    ("job.json", "\xff\xfe", "lost", "cannot be read"),
    pytest.param("job.json", "[" * 100_000, "lost", "cannot be read", id="deep"),
    ("job.json", '{"v": 99, "created": 1}', "lost", ""),
    (
        "job.json",
        '{"pid": "1", "boot_id": 3, "supervisor": 7, "labels": 1, "argv": {}}',
        "lost",
        "",
    ),
    ("job.json", '{"pid": -1, "supervisor": {"pid": [], "starttime": {}}}', "lost", ""),
    ("job.json", '{"backend": "queue", "created": 1, "name": 7}', "lost", ""),
]


@pytest.mark.parametrize(("name", "content", "state", "detail"), DAMAGED)
def test_a_damaged_document_costs_only_its_job(name, content, state, detail, table):
    folder, job, env, hold = made(table)
    run(folder, job, env, hold)
    if name == "job.json":
        (folder / "exit.json").unlink()
    (folder / name).write_bytes(content.encode("latin-1"))
    status = table.status(folder.name)
    assert status["state"] == state
    assert detail in status["detail"]
    json.dumps(status)
    folder, job, env, hold = made(table, op_id="next")
    assert run(folder, job, env, hold)["code"] == 0


def test_a_fifo_in_place_of_a_document_is_not_waited_for(table):
    folder, job, env, hold = made(table)
    run(folder, job, env, hold)
    (folder / "exit.json").unlink()
    os.mkfifo(folder / "exit.json")
    assert table.status(folder.name)["state"] == "lost"


def test_a_living_job_whose_record_was_damaged_goes_on_and_can_be_stopped(table):
    folder, job, env, hold = made(table, argv=["/bin/sleep", "7001"])
    pipe = launch.launch(str(folder), job, env, None, hold)
    assert os.read(pipe, 600) == b"ok"
    os.close(pipe)
    (folder / "job.json").write_text("{")
    assert table.status(folder.name)["state"] == "running"
    loop = Loop()
    told: list[dict] = []
    table.stop(loop, folder.name, 5, told.append, lambda *words: pytest.fail(str(words)))

    def look() -> None:
        told.append(table.status(folder.name))
        if told[-1]["state"] != "running":
            loop.running = False

    loop.every(0.05, look)
    loop.later(20, lambda: setattr(loop, "running", False))
    loop.run()
    # Nobody asked the supervisor, so it reports what it saw.
    assert (told[-1]["state"], told[-1]["detail"]) == ("failed", "ended by SIGTERM")


# --- with a link ------------------------------------------------------------------------------


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


# --- out of memory ----------------------------------------------------------------------------


def limited(megabytes: int) -> Path:
    """A control group with so much memory, of either version, or a skip."""
    if os.getuid():
        pytest.skip("a control group needs root")
    version1 = Path("/sys/fs/cgroup/memory")
    root, limit = (
        (version1, "memory.limit_in_bytes")
        if version1.is_dir()
        else (version1.parent, "memory.max")
    )
    group = root / f"gonogo-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(megabytes << 20))
    except OSError as problem:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"no control group here: {problem}")
    return group


@pytest.mark.parametrize("below_a_shell", [False, True])
def test_the_kernels_oom_killer_is_recognized(below_a_shell, table):
    group = limited(160)
    eat = "x = bytearray(1); import itertools\nfor n in itertools.count(1): x += bytes(2**20)"
    argv = [sys.executable, "-c", eat]
    if below_a_shell:
        argv = ["/bin/sh", "-c", f'{sys.executable} -c "{eat}"; exit $?']
    # The agent, the supervisor and the job in the group, as all of a login is in one.
    agent = (
        "import os, sys, json\n"
        "open(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))\n"
        "from agents.remote.jobs import JobTable\nfrom agents.remote.loop import Loop\n"
        "loop = Loop()\ntable = JobTable(sys.argv[2], loop)\n"
        "def look():\n"
        "    jobs = [table.status(job) for job in table.ids()]\n"
        "    loop.running = not jobs or jobs[0]['state'] in ('starting', 'running')\n"
        "table.start(loop, json.loads(sys.argv[3]), lambda status: loop.every(0.1, look))\n"
        "loop.run()\n"
    )
    words = [str(group), table.home, json.dumps(request(argv=argv))]
    subprocess.run([sys.executable, "-c", agent, *words], timeout=60, check=True)
    group.rmdir()
    (job_id,) = table.ids()
    status = table.status(job_id)
    assert status["state"] == "oom", status
    assert "out of memory" in status["detail"]


def test_a_kill_by_hand_is_no_lack_of_memory(table):
    folder, job, env, hold = made(table, argv=["/bin/sh", "-c", "kill -9 $$"])
    assert run(folder, job, env, hold)["oom"] is False
    status = table.status(folder.name)
    assert (status["state"], status["detail"]) == ("failed", "ended by SIGKILL")
