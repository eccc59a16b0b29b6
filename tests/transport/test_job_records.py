"""What a job's folder says when records are damaged, a start was cut short, disk or memory ran out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.remote import launch, supervisor
from agents.remote.errors import OpError
from agents.remote.jobs import JobTable
from agents.remote.loop import Loop


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
