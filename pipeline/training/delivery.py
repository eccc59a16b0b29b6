"""From journal events to one MLflow run: what is sent, and how far it has been sent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.journal import RunReader, number

BATCH = 1000
"""Metrics of one log-batch call (the REST API's limit)."""

READ = 1 << 20
"""Bytes of the journal taken at a time."""

METRICS = (
    "loss", "learning_rate", "grad_norm", "epoch", "tokens_per_s", "rss_bytes", "gpu_alloc_bytes",
    "gpu_reserved_bytes", "eval_loss",
)  # fmt: skip
SUMMARY = (
    "loss_start", "loss_end", "eval_start", "eval_end", "peak_gpu_alloc_bytes",
    "peak_gpu_reserved_bytes", "peak_rss_bytes",
)  # fmt: skip
PARAMS = (
    "arm", "seed", "stage", "model", "revision", "dataset", "dataset_sha256", "samples", "max_steps",
    "batch_size", "grad_accum", "recipe_sha256", "template_sha256", "device",
)  # fmt: skip
STATUS = {"succeeded": "FINISHED", "interrupted": "KILLED"}
EXPERIMENT = "gonogo"
RUN_TAG = "gonogo.run_id"


def tag_of(run: object) -> str:
    """The id of a journal's run as the value of RUN_TAG."""
    return "".join(c for c in str(run) if c.isalnum() or c in "-_")[:100]


class RunDeleted(Exception):
    """The run was deleted on the server; it is not for the follower to bring it back."""


def metrics_of(event: dict[str, Any]) -> list[tuple[str, float, int, int]]:
    """(key, value, timestamp ms, step) of one journal event; NaN and infinities are kept."""
    step = event.get("step")
    if event["kind"] not in ("point", "eval", "end") or not isinstance(step, int) or step < 0:
        return []
    found = []
    for key in SUMMARY if event["kind"] == "end" else METRICS:
        value = number(event.get(key))
        if value is not None:
            found.append((key, value, event["t"], step))
    return found


@dataclass
class Cursor:
    """How far one journal has been delivered to one server; kept in `track.json`."""

    path: Path
    server: str
    offset: int = 0
    run: str = ""
    attempt: int = 0
    ended: bool = False

    @classmethod
    def load(cls, path: Path, uri: str) -> Cursor:
        """The saved cursor, or a new one when there is none, it is damaged or of another server."""
        server = hashlib.sha256(uri.encode()).hexdigest()[:16]
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            saved = json.loads(path.read_text())
            if saved["server"] == server:
                return cls(
                    path, server, int(saved["offset"]), str(saved["run"]), int(saved["attempt"]),
                    bool(saved["ended"]),
                )  # fmt: skip
        return cls(path, server)

    def save(self) -> None:
        """Write the file, whole or not at all."""
        fields = {key: value for key, value in vars(self).items() if key != "path"}
        draft = self.path.with_suffix(".tmp")
        draft.write_text(json.dumps(fields))
        draft.replace(self.path)

    def rewind(self) -> None:
        """Begin again: the server has lost the run, or the journal was replaced by a shorter one."""
        self.offset, self.run, self.attempt, self.ended = 0, "", 0, False


@dataclass
class Tracker:
    """One journal, one MLflow run. `step()` delivers what is there now and may raise anything."""

    client: Any
    journal: Path
    cursor: Cursor
    refused: int = 0
    """Metrics that the server will not have at any time."""
    _metrics: list[Any] = field(default_factory=list)

    def step(self) -> bool:
        """Deliver up to READ bytes of complete lines; True when there is none left."""
        with self.journal.open("rb") as file:
            if file.seek(0, os.SEEK_END) < self.cursor.offset:
                self.cursor.rewind()
            file.seek(self.cursor.offset)
            data = file.read(READ)
        whole = data[: data.rfind(b"\n") + 1]
        if len(data) == READ and not whole:
            whole = data  # one endless line is damage, of which the journal's readers take nothing
        if not whole:
            return True
        self._metrics.clear()
        for event in RunReader().feed(whole):
            self._take(event)
        self._send()
        self.cursor.offset += len(whole)
        self.cursor.save()
        return len(data) < READ

    def finish(self, status: str, ended_ms: int) -> None:
        """Give the run its terminal status."""
        self.client.set_terminated(self.cursor.run, status, ended_ms)
        self.cursor.ended = True

    def _take(self, event: dict[str, Any]) -> None:
        from mlflow.entities import Metric

        if event["kind"] == "start":
            self._send()
            self.cursor.run = self._find_or_create(event)
            self.cursor.attempt = int(number(event.get("attempt")) or 1)
            self.cursor.ended = False
        if not self.cursor.run:
            return
        self._metrics += [Metric(key, v, t, s) for key, v, t, s in metrics_of(event)]
        if len(self._metrics) >= BATCH:
            self._send()
        if event["kind"] == "saved":
            self._tag_adapter(event)
        elif event["kind"] == "end":
            self._send()
            if event.get("error"):
                self.client.set_tag(self.cursor.run, "gonogo.error", str(event["error"])[:5000])
            self.finish(STATUS.get(event["status"], "FAILED"), event["t"])

    def _send(self) -> None:
        while self._metrics:
            self._log(self._metrics[:BATCH])
            del self._metrics[:BATCH]

    def _log(self, metrics: list[Any]) -> None:
        """One call; a batch that is refused as invalid is halved until the culprit stands alone."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.log_batch(self.cursor.run, metrics=metrics)
        except MlflowException as problem:
            if problem.error_code != "INVALID_PARAMETER_VALUE":
                raise
            if self.client.get_run(self.cursor.run).info.lifecycle_stage != "active":
                raise RunDeleted("somebody deleted the run in MLflow") from None
            if len(metrics) == 1:
                self.refused += 1
                print(f"refused: {metrics[0].key} of step {metrics[0].step}", flush=True)
                return
            middle = len(metrics) // 2
            self._log(metrics[:middle])
            self._log(metrics[middle:])

    def _tag_adapter(self, event: dict[str, Any]) -> None:
        for file in event["files"]:
            if isinstance(file, dict) and file.get("name") == "adapter_model.safetensors":
                digest = str(file.get("sha256"))[:64]
                self.client.set_tag(self.cursor.run, "gonogo.adapter_sha256", digest)

    def _find_or_create(self, start: dict[str, Any]) -> str:
        """The MLflow run of a start event, by its tag: a lost answer to a creation makes no second."""
        key = tag_of(start.get("run"))
        name = str(start.get("name") or key)[:200]
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        experiment_id = (
            experiment.experiment_id if experiment else self.client.create_experiment(EXPERIMENT)
        )
        found = self.client.search_runs(
            [experiment_id], f"tags.`{RUN_TAG}` = '{key}'", max_results=1
        )
        if found:
            run = found[0]
            self.client.update_run(run.info.run_id, status="RUNNING")
        else:
            tags = {RUN_TAG: key, "mlflow.runName": name}
            run = self.client.create_run(experiment_id, start_time=start["t"], tags=tags)
        run_id = str(run.info.run_id)
        self.client.set_tag(run_id, "gonogo.attempt", str(start.get("attempt", 1)))
        for param in PARAMS:
            # A parameter is written once; a later attempt's is the same or was refused at its start.
            if param not in run.data.params and start.get(param) not in (None, ""):
                self.client.log_param(run_id, param, str(start[param])[:500])
        return run_id
