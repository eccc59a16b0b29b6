"""What is said to docker, what its answers mean, and where a path lies for the Windows engine."""

from __future__ import annotations

import datetime
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.remote import child, inspection, machine
from agents.remote.docker import engine_path, explain, outcome, run_argv, time_ms
from agents.remote.inspection import Inspection
from agents.remote.loop import Loop

JOB = {
    "job_id": "x-20260101-000000-0000",
    "argv": ["python", "-m", "thing", "$(boom)"],
    "cwd": "",
    "env": ["TOKEN"],
    "cmd_sha256": "ab",
    "boot_id": "one",
    "oom_codes": [3],
    "docker": {
        "image": "img:1",
        "mounts": [{"source": "/a,b", "target": "/data", "read_only": True}],
        "memory": 1024,
        "shm": 2048,
        "gpus": True,
        "network": "host",
    },
}


def test_the_argv_of_a_job() -> None:
    argv = run_argv("docker", JOB, "/home/u/jobs/x", "7:8", '["name=seccomp"]')
    after = {word: argv[n + 1] for n, word in enumerate(argv[:-1]) if word.startswith("--")}
    assert after["--user"] == "7:8"
    assert (after["--memory"], after["--memory-swap"]) == ("1024", "1024")
    assert (after["--gpus"], after["--network"], after["--pull"]) == ("all", "host", "never")
    assert 'type=bind,"source=/a,b","target=/data",readonly' in argv
    assert 'type=bind,"source=/home/u/jobs/x","target=/home/u/jobs/x"' in argv
    assert argv[argv.index("TOKEN") - 1] == "--env"
    assert argv[argv.index("img:1") + 1] == "-c"
    assert argv[-5:] == ["/home/u/jobs/x/log.txt", *JOB["argv"]]
    assert "--rm" not in argv


def test_the_argv_follows_the_engine() -> None:
    argv = run_argv("docker", JOB, "/f", "7:8", '["name=rootless","name=selinux","name=userns"]')
    assert argv[argv.index("--user") + 1] == "0:0"
    assert "label=disable" in argv
    assert argv[argv.index("--userns") + 1] == "host"


@pytest.mark.parametrize(
    ("path", "windows"),
    [
        ("/mnt/c/data sets/x", "C:\\data sets\\x"),
        ("/mnt/d", "D:\\"),
        ("/home/u/.gonogo", "\\\\wsl.localhost\\Ubuntu\\home\\u\\.gonogo"),
        ("/mnt/cc/x", "\\\\wsl.localhost\\Ubuntu\\mnt\\cc\\x"),
    ],
)
def test_paths_for_the_windows_engine(path: str, windows: str) -> None:
    assert engine_path(path, "/mnt/c/Docker/docker.exe", "Ubuntu") == windows
    assert engine_path(path, "/usr/bin/docker", "Ubuntu") == path


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "docker-down"),
        ("docker: Got permission denied while trying to connect to the Docker daemon socket at "
         "unix:///var/run/docker.sock: Post \"http://…\": dial unix: connect: permission denied.",
         "docker-permission"),
        ("error during connect: this error may indicate that the docker daemon is not running: Get "
         '"http://%2F%2F.%2Fpipe%2Fdocker_engine/v1.24/version": open //./pipe/docker_engine', "docker-down"),
        ("docker: Error response from daemon: No such image: img:1.", "no-image"),
        ('docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].',
         "no-gpu"),
        ("nvidia-container-cli: initialization error: WSL environment detected but no adapters were found",
         "no-gpu"),
        ("Emulate Docker CLI using podman.\nError: template: info:1:7: executing \"info\" at "
         "<.ServerErrors>: can't evaluate field ServerErrors in type system.infoReport", "podman"),
        ("write /var/lib/docker/x: no space left on device", "no-space"),
        ("docker: Error response from daemon: something new.\n\nRun 'docker run --help'", "docker"),
    ],
)  # fmt: skip
def test_known_words_become_one_sentence(text: str, code: str) -> None:
    found, sentence = explain(text, "img:1")
    assert found == code
    assert sentence
    assert "\n" not in sentence
    if code == "docker":
        assert sentence == "something new."


@pytest.mark.parametrize("year", [1970, 1999, 2000, 2024, 2026, 2100])
@pytest.mark.parametrize("month", range(1, 13))
def test_times(year: int, month: int) -> None:
    moment = datetime.datetime(year, month, 28, 23, 59, 58, 120_000, tzinfo=datetime.UTC)
    assert (
        time_ms(f"{year}-{month:02}-28T23:59:58.12345678Z") == round(moment.timestamp() * 1000) + 3
    )
    assert time_ms("0001-01-01T00:00:00Z") is None
    assert time_ms(None) is None


def at(second: int) -> str:
    return datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("code", "oom", "ended", "boot", "expected"),
    [
        (0, False, 5000, "one", {}),
        (0, True, 5000, "one", {"oom": False}),
        (137, True, 5000, "one", {"oom": True, "signal": 9, "code": None}),
        (3, False, 5000, "one", {"oom": True}),
        (255, False, 5000, "one", {"lost": "the Docker engine went away under it (code 255)"}),
        (255, False, 9001, "two", {"lost": "the host rebooted while it ran"}),
        (143, False, 8990, "two", {"lost": "the host rebooted while it ran"}),
        (0, False, 8990, "two", {"code": 0}),
        (7, False, 5000, "two", {"code": 7}),
    ],
)
def test_how_a_container_ended(
    code: int, oom: bool, ended: int, boot: str, expected: dict[str, object]
) -> None:
    state = {"ExitCode": code, "OOMKilled": oom, "FinishedAt": at(ended)}
    result = outcome(state, JOB, None, (boot, 9_000_000))
    assert {key: result[key] for key in expected} == expected
    assert ("lost" in result) == ("lost" in expected)
    assert result["t"] == ended * 1000


def test_a_stop_that_came_too_late_did_not_stop_it() -> None:
    state = {"ExitCode": 1, "FinishedAt": at(5000)}
    assert outcome(state, JOB, {"t": 4_999_000}, ("one", 0))["stopped"]
    assert not outcome(state, JOB, {"t": 5_001_000}, ("one", 0))["stopped"]


def test_an_engine_with_another_clock_does_not_make_a_stop_a_failure() -> None:
    """Docker Desktop's machine may be behind the WSL distribution that gave the order."""
    state = {"ExitCode": 143, "FinishedAt": at(4990)}
    assert outcome(state, JOB, {"t": 5_001_000, "grace": 10}, ("one", 0))["stopped"]
    assert not outcome(state, JOB, None, ("one", 0))["stopped"]
    assert not outcome({"ExitCode": 1, "FinishedAt": at(4990)}, JOB, {}, ("one", 0))["stopped"]


class _Table:
    """Documents of one job, as the table has them."""

    def __init__(self, folder: Path) -> None:
        self.place = folder

    def folder(self, job_id: str) -> str:
        return str(self.place)

    def document(self, job_id: str, name: str) -> dict[str, object] | None:
        path = self.place / name
        return json.loads(path.read_text()) if path.exists() else None


def test_a_jumping_clock_ends_no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hours pass at once when WSL wakes; only what this agent itself waited for counts."""
    now = [100.0]
    monkeypatch.setattr(inspection.time, "monotonic", lambda: now[0])
    said: list[list[str]] = []
    looking = Inspection(Loop(), _Table(tmp_path))  # type: ignore[arg-type]
    monkeypatch.setattr(looking, "_docker", lambda words, *rest: said.append(words))
    job = {"job_id": JOB["job_id"], "created": 1, "container": "c" * 64}
    looking._open[JOB["job_id"]] = job  # type: ignore[index]
    looking._found(JOB["job_id"], "c" * 64, {"Status": "created"})  # type: ignore[arg-type]
    assert not (tmp_path / "exit.json").exists()
    (tmp_path / "stop.json").write_text('{"t": 1, "grace": 5}')
    looking._found(JOB["job_id"], "c" * 64, {"Status": "running"})  # type: ignore[arg-type]
    assert said == []
    now[0] += 16
    looking._found(JOB["job_id"], "c" * 64, {"Status": "running"})  # type: ignore[arg-type]
    assert said == [["kill", "gonogo-" + str(JOB["job_id"])]]
    (tmp_path / "stop.json").unlink()
    now[0] += inspection.START_GRACE
    looking._found(JOB["job_id"], "c" * 64, {"Status": "created"})  # type: ignore[arg-type]
    assert "never started" in (tmp_path / "exit.json").read_text()


@pytest.mark.parametrize(
    ("answer", "lost", "state"),
    [
        ("", False, "unknown"),
        ("WARNING: something\n", False, "unknown"),
        ('/{name} {id} {{"Status":"runn', False, "unknown"),
        ('/{name} {id} {{"Status":"running"}}\n', False, "running"),
        ("Error: No such container: {name}-other\n", False, "unknown"),
        ("Error: No such container: {name}\n", True, ""),
        ("Error response from daemon: No such container: {name}\n", True, ""),
    ],
)
def test_only_a_word_of_the_engine_makes_a_job_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, lost: bool, state: str
) -> None:
    """An answer that was cut says nothing of a container: a training of 21 hours runs on."""
    job_id = str(JOB["job_id"])
    looking = Inspection(Loop(), _Table(tmp_path))  # type: ignore[arg-type]

    def docker(words: list[str], done: Callable[[int, str], None], *rest: object) -> None:
        if words[0] == "info":
            done(0, 'ID /var/lib/docker ["name=seccomp"]')

    monkeypatch.setattr(looking, "_docker", docker)
    looking._open[job_id] = {"job_id": job_id, "container": "c" * 64}
    text = answer.format(name=f"gonogo-{job_id}", id="c" * 64)
    looking._inspected([job_id], 1 if "such" in text else 0, text)
    assert (tmp_path / "exit.json").exists() == lost
    if not lost:
        assert looking._seen[job_id][0] == state


def test_the_usual_folders_are_looked_in_after_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """`gonogo doctor` finds Docker there, so a job has to as well."""
    assert child.FOLDERS == machine.FOLDERS
    monkeypatch.setenv("PATH", "/nonexistent")
    assert child.find_program("sh") in ("/usr/bin/sh", "/bin/sh")
    assert child.find_program("no-such-program") == ""
    monkeypatch.setattr(
        inspection.os.path, "isfile", lambda path: path == machine.WINDOWS["docker.exe"]
    )
    assert inspection.find_docker() == machine.WINDOWS["docker.exe"]


@pytest.mark.parametrize("leave", ["exit 0", "sleep 300"])
def test_offspring_that_keeps_the_pipe_holds_no_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: str
) -> None:
    monkeypatch.setattr(child, "LET_GO", 0.2)
    loop, said = Loop(), []
    pid = tmp_path / "pid"
    script = (
        f"setsid sh -c 'echo $$ >{pid}; exec sleep 300' & until [ -s {pid} ]; do :; done; {leave}"
    )

    def done(code: int | None, output: bytes) -> None:
        said.append(code)
        loop.running = False

    child.run_command(loop, ["sh", "-c", script], 1.0, done)
    loop.later(20, lambda: setattr(loop, "running", False))
    loop.run()
    os.kill(int(pid.read_text()), signal.SIGKILL)
    assert said == [None]
