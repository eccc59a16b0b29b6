"""Copies a run journal into MLflow: a follower that may lag, fail and catch up; the training never waits.

The journal's own timestamps go with every metric. MLflow's SQL stores keep (run, key, step, timestamp,
value) once, so delivering a stretch again after a crash adds nothing. The cursor is a byte offset in
`track.json` beside the journal; losing it costs time, never points.

The mlflow client is used for all calls, but its own retries (minutes, then an exception) are turned off:
this process has its own back-off and outlives outages of a day.
API: https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.journal import FILE_NAME, RunReader, number

BATCH = 1000
"""Metrics of one log-batch call (the REST API's limit)."""

LIFETIME = 24 * 3600.0
"""Seconds after the end of the run for which an absent server is waited for."""

METRICS = (
    "loss",
    "learning_rate",
    "grad_norm",
    "tokens_per_s",
    "rss_bytes",
    "gpu_alloc_bytes",
    "eval_loss",
)
SUMMARY = (
    "loss_start",
    "loss_end",
    "eval_start",
    "eval_end",
    "peak_gpu_reserved_bytes",
    "peak_rss_bytes",
)
PARAMS = (
    "arm", "seed", "stage", "model", "revision", "dataset", "dataset_sha256", "samples", "max_steps",
    "batch_size", "grad_accum", "recipe_sha256", "template_sha256", "device",
)  # fmt: skip
STATUS = {"succeeded": "FINISHED", "interrupted": "KILLED"}
EXPERIMENT = "gonogo"
RUN_TAG = "gonogo.run_id"


def quiet_client() -> None:
    """One try a call, short time-outs, no telemetry; must run before mlflow is imported."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")


def metrics_of(event: dict[str, Any]) -> list[tuple[str, float, int, int]]:
    """(key, value, timestamp ms, step) of one journal event; NaN and infinities are kept."""
    step = event.get("step")
    if not isinstance(step, int):
        return []
    keys = SUMMARY if event["kind"] == "end" else METRICS
    found = []
    for key in keys:
        value = number(event.get(key))
        if value is not None:
            found.append((key, value, event["t"], step))
    return found


class Tracker:
    """One journal, one MLflow run. `step()` delivers what is there now and may raise anything."""

    def __init__(self, run_dir: Path, uri: str) -> None:
        from mlflow.tracking import MlflowClient

        self.client = MlflowClient(tracking_uri=uri)
        self.journal, self.cursor = run_dir / FILE_NAME, run_dir / "track.json"
        self.offset = 0
        self.run = ""
        self.ended = False
        if self.cursor.exists():
            saved = json.loads(self.cursor.read_text())
            self.offset, self.run, self.ended = saved["offset"], saved["run"], saved["ended"]

    def _save(self) -> None:
        draft = self.cursor.with_suffix(".tmp")
        draft.write_text(json.dumps({"offset": self.offset, "run": self.run, "ended": self.ended}))
        draft.replace(self.cursor)

    def step(self) -> bool:
        """Deliver every complete line beyond the cursor; True when the run's end is delivered."""
        with self.journal.open("rb") as file:
            file.seek(self.offset)
            data = file.read(4 << 20)
        whole = data[: data.rfind(b"\n") + 1]
        if whole:
            self._deliver(RunReader().feed(whole))
            self.offset += len(whole)
            self._save()
        return self.ended and len(data) < 4 << 20

    def _deliver(self, events: Iterable[dict[str, Any]]) -> None:
        from mlflow.entities import Metric

        metrics: list[Metric] = []
        for event in events:
            if event["kind"] == "start":
                self.run = self._find_or_create(event)
                self.ended = False
            if not self.run:
                continue
            metrics += [Metric(key, v, t, s) for key, v, t, s in metrics_of(event)]
            while len(metrics) >= BATCH:
                self.client.log_batch(self.run, metrics=metrics[:BATCH])
                metrics = metrics[BATCH:]
            if event["kind"] == "end":
                self.client.log_batch(self.run, metrics=metrics)
                metrics = []
                end = int(event["t"])
                self.client.set_terminated(
                    self.run, STATUS.get(str(event.get("status")), "FAILED"), end
                )
                self.ended = True
        if metrics:
            self.client.log_batch(self.run, metrics=metrics)

    def _find_or_create(self, start: dict[str, Any]) -> str:
        run_id = str(start["run"])
        experiment = self.client.get_experiment_by_name(EXPERIMENT)
        experiment_id = (
            experiment.experiment_id if experiment else self.client.create_experiment(EXPERIMENT)
        )
        found = self.client.search_runs(
            [experiment_id], f"tags.`{RUN_TAG}` = '{run_id}'", max_results=1
        )
        if found:
            self.client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)
        tags = {RUN_TAG: run_id, "mlflow.runName": str(start.get("name", run_id))}
        run = self.client.create_run(experiment_id, start_time=int(start["t"]), tags=tags)
        for key in PARAMS:
            if start.get(key) not in (None, ""):
                self.client.log_param(run.info.run_id, key, str(start[key])[:500])
        return str(run.info.run_id)


def follow(run_dir: Path, uri: str, lifetime: float = LIFETIME, pause: float = 1.0) -> int:
    """Deliver until the run has ended and everything is there. Returns 0, or 1 when time ran out."""
    quiet_client()
    tracker: Tracker | None = None
    wait, silent_since = pause, time.monotonic()
    size = -1
    while True:
        try:
            tracker = tracker or Tracker(run_dir, uri)
            before = tracker.offset
            if tracker.step():
                print(f"delivered {tracker.offset} bytes to {uri}", flush=True)
                return 0
            if tracker.offset != before or (run_dir / FILE_NAME).stat().st_size != size:
                silent_since = time.monotonic()
            size = (run_dir / FILE_NAME).stat().st_size
            wait = pause
        except FileNotFoundError:
            pass  # the journal has not begun yet
        except Exception as problem:
            # Whatever the server or the network does, there is a later try.
            text = f"{type(problem).__name__}: {problem}".splitlines()[0]
            print(f"again in {wait:.0f} s: {text[:300]}", flush=True)
            wait = min(wait * 2, 15.0)
        if time.monotonic() - silent_since > lifetime:
            print("gave up: nothing new for too long", flush=True)
            return 1
        time.sleep(wait)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="pipeline.training.track", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--run-dir", type=Path, required=True, help="folder with run.jsonl")
    parser.add_argument("--tracking-uri", required=True, help="like http://127.0.0.1:5000")
    parser.add_argument(
        "--lifetime", type=float, default=LIFETIME, help="seconds to wait for a server"
    )
    options = parser.parse_args(arguments)
    os.nice(5)
    return follow(options.run_dir, options.tracking_uri, options.lifetime)


if __name__ == "__main__":
    sys.exit(main())
