"""The MLflow follower against a real `mlflow server` on sqlite: outages, restarts, resumes, damage."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pipeline.journal import RunJournal, number, read_run
from pipeline.training.delivery import METRICS, RUN_TAG, SUMMARY
from pipeline.training.quiet import quiet
from pipeline.training.track import alive, follow, only_one, quiet_client
from tests.pipeline.conftest import Lab, until

quiet()
quiet_client()
pytestmark = [pytest.mark.train, pytest.mark.slow]

Reap = Callable[[subprocess.Popen[str]], subprocess.Popen[str]]
History = list[tuple[str, float | str, int, int]]


class Server:
    """`mlflow server` on one port and one database, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1",
                    "--port", str(self.port), "--workers", "1",
                    "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
                    "--artifacts-destination", str(self.folder / "artifacts"),
                ],
                stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            )  # fmt: skip
        until(self.answers, 90, "the MLflow server answers")

    def answers(self) -> bool:
        """One look."""
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """The server and its workers, at once."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    @property
    def client(self) -> Any:
        """An MLflow client of it."""
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.uri)

    def runs(self, run: str) -> list[Any]:
        """The MLflow runs of one of our runs."""
        experiment = self.client.get_experiment_by_name("gonogo")
        if experiment is None:
            return []
        found = self.client.search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{run}'")
        return list(found)

    def history(self, mlflow_run: str) -> History:
        """Every stored metric of a run, sorted."""
        keys = self.client.get_run(mlflow_run).data.metrics
        found = [
            (m.key, plain(m.value), m.timestamp, m.step)
            for key in keys
            for m in self.client.get_metric_history(mlflow_run, key)
        ]
        return sorted(found, key=repr)


def plain(value: float) -> float | str:
    """A number that compares equal to itself; MLflow keeps the infinities as the largest floats."""
    if math.isnan(value):
        return "NaN"
    return math.copysign(sys.float_info.max, value) if math.isinf(value) else value


def expected(path: Path) -> History:
    """What MLflow must hold, written down independently of the follower."""
    record, found = read_run(path), []
    for event in [*record.points, *record.evals]:
        for key in METRICS:
            value = number(event.get(key))
            if value is not None:
                found.append((key, plain(value), event["t"], event["step"]))
    for key in SUMMARY:
        value = number(record.end.get(key))
        if value is not None:
            found.append((key, plain(value), record.end["t"], record.end["step"]))
    return sorted(found, key=repr)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("mlflow"))
    made.start()
    yield made
    made.kill()


def write_run(
    folder: Path, run: str, points: int = 5, attempt: int = 1, first: int = 1
) -> RunJournal:
    """A journal without an end."""
    journal = RunJournal(folder / "run.jsonl")
    journal.write(
        "start", run=run, name=f"name of {run}", arm="control", seed=3, attempt=attempt, model="tiny",
        max_steps=points,
    )  # fmt: skip
    for step in range(first, first + points):
        journal.write("point", step=step, loss=1 / step, learning_rate=1e-3, gpu_alloc_bytes=None)
    return journal


def test_an_outage_in_mid_run_costs_neither_time_nor_points(
    server: Server, lab: Lab, tmp_path: Path, reap: Reap
) -> None:
    path = tmp_path / "run.jsonl"
    job = reap(lab.spawn(tmp_path, "control", 250, "--tracking-uri", server.uri))
    until(
        lambda: (
            (path.exists() and read_run(path).start and server.runs(read_run(path).start["run"]))
            or job.poll() is not None
        ),
        90,
        "the run appears in MLflow",
    )
    assert job.poll() is None, "the training was over before the server could be killed"
    server.kill()
    down_at = len(read_run(path).points)
    assert job.wait(120) == 0, "a training without its tracking server must end as any other"
    assert not server.answers()
    assert down_at < 250
    log = tmp_path / "track.log"
    until(lambda: "trying again" in log.read_text(), 60, "the follower has noticed")
    server.start()
    until(lambda: "delivered" in log.read_text(), 90, "the follower has delivered")

    record = read_run(path)
    (run,) = server.runs(record.start["run"])
    assert server.history(run.info.run_id) == expected(path)
    assert len(record.points) == 250
    assert run.info.status == "FINISHED"
    assert run.info.end_time == record.end["t"]
    assert run.info.start_time == record.start["t"]
    adapter = {file["name"]: file["sha256"] for file in record.saved["files"]}
    assert run.data.tags["gonogo.adapter_sha256"] == adapter["adapter_model.safetensors"]
    # No step waited for the network: the slowest took no longer than a client's first time-out.
    seconds = [point["seconds"] for point in record.points]
    assert max(b - a for a, b in pairwise(seconds)) < 10


def test_a_server_that_accepts_and_never_answers_does_not_hold_the_training(
    lab: Lab, tmp_path: Path, reap: Reap
) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        uri = f"http://127.0.0.1:{hole.getsockname()[1]}"
        began = time.monotonic()
        code, record = lab.train(tmp_path, "micro", 5, "--tracking-uri", uri)
        took = time.monotonic() - began
        follower = next(
            int(pid.name) for pid in Path("/proc").iterdir()
            if pid.name.isdigit() and uri.encode() in _command(pid)
        )  # fmt: skip
        os.kill(follower, signal.SIGTERM)
    assert code == 0
    assert len(record.points) == 5
    assert took < 60


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_delivering_again_from_the_beginning_adds_nothing(server: Server, tmp_path: Path) -> None:
    journal = write_run(tmp_path, "again", points=700)  # more than one call may carry
    journal.write("end", status="succeeded", step=700, loss_start=1.0, loss_end=0.1)
    assert follow(tmp_path, server.uri) == 0
    (run,) = server.runs("again")
    once = server.history(run.info.run_id)
    assert once == expected(journal.path)
    assert len(once) == 2 * 700 + 2
    (tmp_path / "track.json").unlink()
    assert follow(tmp_path, server.uri) == 0
    assert [r.info.run_id for r in server.runs("again")] == [run.info.run_id]
    assert server.history(run.info.run_id) == once
    assert server.runs("again")[0].info.status == "FINISHED"


def test_a_stretch_torn_by_a_crash_is_delivered_from_the_cursor(
    server: Server, tmp_path: Path
) -> None:
    journal = write_run(tmp_path, "torn", points=30)
    data = journal.path.read_bytes()
    journal.path.write_bytes(data[:-40])  # the last point is half there
    assert follow(tmp_path, server.uri, lifetime=0.5) == 1
    journal.path.write_bytes(data)
    journal.write("end", status="failed", step=30, error="it broke")
    assert follow(tmp_path, server.uri) == 0
    (run,) = server.runs("torn")
    assert server.history(run.info.run_id) == expected(journal.path)
    assert run.info.status == "FAILED"
    assert run.data.tags["gonogo.error"] == "it broke"


def test_nan_and_infinity_are_kept(server: Server, tmp_path: Path) -> None:
    journal = RunJournal(tmp_path / "run.jsonl")
    journal.write("start", run="nan", name="nan", attempt=1)
    for step, loss in enumerate((math.nan, 1.5, math.inf, math.nan, -math.inf), start=1):
        journal.write("point", step=step, loss=loss)
    journal.write("end", status="failed", step=5)
    assert follow(tmp_path, server.uri) == 0
    (run,) = server.runs("nan")
    found = server.history(run.info.run_id)
    assert found == expected(journal.path)
    largest = sys.float_info.max
    values = {step: value for key, value, _, step in found if key == "loss"}
    assert values == {1: "NaN", 2: 1.5, 3: largest, 4: "NaN", 5: -largest}


def test_damaged_lines_cost_only_themselves(server: Server, tmp_path: Path) -> None:
    journal = write_run(tmp_path, "damaged", points=3)
    with journal.path.open("ab") as file:
        file.write(b"\xff\xff not json\n" + b'{"v":1,"kind":"point","t":1,"step":"x"}\n')
        file.write(b"y" * (3 << 20) + b"\n")  # longer than what is read at a time
    journal.write("point", step=4, loss=0.1)
    journal.write("end", status="succeeded", step=4)
    assert follow(tmp_path, server.uri) == 0
    (run,) = server.runs("damaged")
    assert server.history(run.info.run_id) == expected(journal.path)
    assert ("loss", 0.1) in [row[:2] for row in server.history(run.info.run_id)]


def test_a_resumed_run_goes_into_the_same_mlflow_run(
    server: Server, tmp_path: Path, reap: Reap
) -> None:
    journal = write_run(tmp_path, "resumed", points=4)
    journal.write("end", status="interrupted", step=4)
    assert follow(tmp_path, server.uri) == 0
    (run,) = server.runs("resumed")
    assert run.info.status == "KILLED"
    assert run.data.params["seed"] == "3"

    # The second attempt's follower is up before the attempt has written its start: it waits.
    assert follow(tmp_path, server.uri, lifetime=0.5, attempt=2) == 1
    log = (tmp_path / "log").open("w")
    follower = reap(
        subprocess.Popen(
            [
                sys.executable, "-m", "pipeline.training.track", "--run-dir", str(tmp_path),
                "--tracking-uri", server.uri, "--attempt", "2",
            ],
            stdout=log, stderr=log, text=True,
        )
    )  # fmt: skip
    lock = tmp_path / "track.lock"
    until(lambda: not free(lock), 30, "the follower is at work")
    journal = write_run(tmp_path, "resumed", points=4, attempt=2, first=5)
    until(lambda: server.runs("resumed")[0].info.status == "RUNNING", 30, "the run goes on")
    journal.write("end", status="succeeded", step=8)
    assert follower.wait(30) == 0
    (again,) = server.runs("resumed")
    assert again.info.run_id == run.info.run_id
    assert again.info.status == "FINISHED"
    assert again.data.tags["gonogo.attempt"] == "2"
    steps = [row[3] for row in server.history(run.info.run_id) if row[0] == "loss"]
    assert sorted(steps) == list(range(1, 9))


def free(lock: Path) -> bool:
    """Whether nobody holds the follower's lock."""
    if not lock.exists():
        return True
    with only_one(lock.parent, 0.0) as mine:
        return mine


def test_one_follower_at_a_time(tmp_path: Path) -> None:
    with only_one(tmp_path, 0.0) as first:
        assert first
        assert not free(tmp_path / "track.lock")
    assert free(tmp_path / "track.lock")


def test_a_training_that_was_killed_is_a_failed_run(server: Server, tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", ""])
    assert alive(os.getpid())
    write_run(tmp_path, "killed", points=2)
    until(lambda: not alive(writer.pid), 10, "the writer is gone")  # not yet reaped: a zombie
    assert follow(tmp_path, server.uri, writer=writer.pid) == 0
    writer.wait()
    assert not alive(writer.pid)
    (run,) = server.runs("killed")
    assert run.info.status == "FAILED"
    assert len(server.history(run.info.run_id)) == 4


def test_a_run_that_the_server_has_lost_is_delivered_again(server: Server, tmp_path: Path) -> None:
    journal = write_run(tmp_path, "lost", points=3)
    assert follow(tmp_path, server.uri, lifetime=0.5) == 1
    cursor = json.loads((tmp_path / "track.json").read_text())
    assert cursor["offset"] == journal.path.stat().st_size
    (tmp_path / "track.json").write_text(json.dumps({**cursor, "run": "0" * 32}))
    journal.write("end", status="succeeded", step=3)
    assert follow(tmp_path, server.uri) == 0
    (run,) = server.runs("lost")
    assert server.history(run.info.run_id) == expected(journal.path)


def test_a_cursor_of_another_server_is_not_believed(server: Server, tmp_path: Path) -> None:
    journal = write_run(tmp_path, "moved", points=3)
    journal.write("end", status="succeeded", step=3)
    cursor = {
        "server": "x",
        "offset": journal.path.stat().st_size,
        "run": "r",
        "attempt": 1,
        "ended": True,
    }
    (tmp_path / "track.json").write_text(json.dumps(cursor))
    assert follow(tmp_path, server.uri) == 0
    (run,) = server.runs("moved")
    assert server.history(run.info.run_id) == expected(journal.path)
    (tmp_path / "track.json").write_text("{torn")
    assert follow(tmp_path, server.uri) == 0


def test_a_run_deleted_by_a_person_stays_deleted(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = write_run(tmp_path, "deleted", points=3)
    assert follow(tmp_path, server.uri, lifetime=0.5) == 1
    server.client.delete_run(server.runs("deleted")[0].info.run_id)
    journal.write("point", step=4, loss=1.0)
    journal.write("end", status="succeeded", step=4)
    assert follow(tmp_path, server.uri) == 1
    assert "somebody deleted the run" in capfd.readouterr().out
    assert server.runs("deleted") == []


def test_an_absent_server_is_given_up_in_the_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, "nobody").write("end", status="succeeded", step=5)
    began = time.monotonic()
    assert follow(tmp_path, "http://user:secret@127.0.0.1:9", lifetime=1.0) == 1
    assert time.monotonic() - began < 30
    out = capfd.readouterr().out
    assert "trying again" in out
    assert "gave up" in out
    assert "secret" not in out
