"""Runs, experiments and metric histories of an MLflow server, checked and bounded: plain data, no Textual.

What the server sends was written by anybody who may log to it: names are clipped and cleaned, numbers
are numbers or left out, and an answer of another shape is one MlflowError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from tui.mlflow_rest import INFINITE, RUN_TAG, MlflowError, call
from tui.tail import clean

API = "/api/2.0/mlflow"
INTERVAL = "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"
"""Not in the documented API: asked where it exists, done without elsewhere."""

PAGE = 50
"""Runs of one answer: a run may carry hundreds of parameters."""

MOST_RUNS = 10_000
MOST_EXPERIMENTS = 5_000
MOST_KEYS = 500
"""Metric keys that are kept of a run."""

HISTORY_PAGE = 25_000
MOST_POINTS = 250_000
"""Points of one metric that are loaded."""

SAMPLE = 2_500
"""Points that an interval may have; more are thinned out by the server."""

FAR = 2**53
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
UNSAFE = re.compile(r"['\"`\\;%\x00-\x1f\x7f]")
STATES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")


@dataclass(frozen=True)
class Experiment:
    """One experiment of the server."""

    id: str
    name: str


@dataclass(frozen=True)
class RunInfo:
    """One run as the server lists it; times are UTC ms, None where it tells none."""

    run_id: str
    experiment_id: str
    name: str
    state: str
    start_ms: int | None = None
    end_ms: int | None = None
    last: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """Metric key to its newest (value, step)."""
    arm: str = ""
    ours: str = ""
    """The id of our own run that it tells of, or an empty string."""

    @property
    def running(self) -> bool:
        """It may still grow."""
        return self.state in ("RUNNING", "SCHEDULED")

    def url(self, base: str) -> str:
        """Its page behind `base`."""
        return f"{base}/#/experiments/{quote(self.experiment_id)}/runs/{quote(self.run_id)}"


@dataclass(frozen=True)
class History:
    """One metric's points in the order they were logged, arrays of shape (n,): steps, UTC ms, values."""

    steps: NDArray[np.float64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    cut: str = ""
    """Why it is not all of them, or an empty string."""

    def __len__(self) -> int:
        return len(self.steps)

    def begins(self, other: History) -> bool:
        """Whether `other` is this and what came after it."""
        n = len(self)
        return len(other) >= n and all(
            np.array_equal(mine, theirs[:n], equal_nan=True)
            for mine, theirs in (
                (self.steps, other.steps), (self.times, other.times), (self.values, other.values),
            )
        )  # fmt: skip


def _list(answer: Any, key: str, path: str) -> list[Any]:
    """The list under `key`; a missing one is empty, as protobuf leaves it out."""
    found = answer.get(key, []) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise MlflowError(f"MLflow's answer to {path} has no list of {key}", 200)
    return found


def _token(answer: Mapping[str, Any]) -> str:
    token = answer.get("next_page_token", "")
    return token if isinstance(token, str) and len(token) < 4096 else ""


def _text(value: object, most: int) -> str:
    return clean(value[: 4 * most])[:most] if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    """An integer, also one that protobuf writes as text."""
    if isinstance(value, str) and value.lstrip("-").isascii() and value.lstrip("-").isdecimal():
        value = int(value[:20])
    ok = isinstance(value, int) and not isinstance(value, bool) and -FAR <= value <= FAR
    return int(value) if ok else None  # type: ignore[call-overload]


def value_of(value: object) -> float | None:
    """A metric's value: a number, or one of protobuf's words NaN, Infinity, -Infinity."""
    if isinstance(value, str):
        value = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return math.copysign(math.inf, number) if abs(number) >= INFINITE else number


def _pairs(items: object, most: int = 2_000) -> dict[str, Any]:
    """MLflow's lists of {"key": …, "value": …} as a mapping."""
    found = items if isinstance(items, list) else []
    return {
        item["key"]: item.get("value")
        for item in found[:most]
        if isinstance(item, dict) and isinstance(item.get("key"), str)
    }


def run_info(run: object) -> RunInfo | None:
    """Check one run of an answer; None for what is none."""
    info = run.get("info") if isinstance(run, dict) else None
    if not isinstance(run, dict) or not isinstance(info, dict):
        return None
    run_id, experiment = info.get("run_id") or info.get("run_uuid"), info.get("experiment_id")
    if not (isinstance(run_id, str) and IDENTIFIER.match(run_id)):
        return None
    if not (isinstance(experiment, str) and IDENTIFIER.match(experiment)):
        return None
    data = run.get("data")
    data = data if isinstance(data, dict) else {}
    metrics = data.get("metrics")
    metrics = metrics if isinstance(metrics, list) else []
    last: dict[str, tuple[float, int]] = {}
    for metric in metrics[:MOST_KEYS]:
        if isinstance(metric, dict) and isinstance(metric.get("key"), str):
            value, step = value_of(metric.get("value")), _whole(metric.get("step", 0))
            if value is not None and step is not None and len(metric["key"]) <= 250:
                last[metric["key"]] = (value, step)
    tags, params = _pairs(data.get("tags")), _pairs(data.get("params"))
    name = _text(info.get("run_name"), 250) or _text(tags.get("mlflow.runName"), 250)
    state = info.get("status") if info.get("status") in STATES else "?"
    return RunInfo(
        run_id, experiment, name or run_id[:12], str(state), _whole(info.get("start_time")),
        _whole(info.get("end_time")) or None, last, _text(params.get("arm") or tags.get("arm"), 20),
        _text(tags.get(RUN_TAG), 100),
    )  # fmt: skip


def experiments(base: str) -> list[Experiment]:
    """The active experiments, the one that changed last at the head, at most MOST_EXPERIMENTS."""
    found: list[Experiment] = []
    token = ""
    while True:
        body: dict[str, Any] = {"max_results": 1000, "order_by": ["last_update_time DESC"]}
        if token:
            body["page_token"] = token
        answer = call(base, f"{API}/experiments/search", body)
        page = _list(answer, "experiments", "experiments/search")
        for item in page:
            known = isinstance(item, dict) and isinstance(item.get("experiment_id"), str)
            if known and IDENTIFIER.match(item["experiment_id"]):
                ident = item["experiment_id"]
                found.append(Experiment(ident, _text(item.get("name"), 250) or ident))
        token = _token(answer)
        if not page or not token or len(found) >= MOST_EXPERIMENTS:
            return found[:MOST_EXPERIMENTS]


def runs_page(
    base: str,
    experiment_ids: Iterable[str],
    wanted: str = "",
    running: bool = False,
    token: str = "",
) -> tuple[list[RunInfo], str]:
    """One page of runs, the newest first, and the token of the next one ("" at the end).

    `wanted` is looked for in the runs' names, in any case; `running` leaves out what is over.
    """
    terms = []
    wanted = UNSAFE.sub("", wanted)[:100].strip()
    if wanted:
        terms.append(f"attributes.run_name ILIKE '%{wanted}%'")
    if running:
        terms.append("attributes.status = 'RUNNING'")
    body: dict[str, Any] = {
        "experiment_ids": list(experiment_ids), "filter": " and ".join(terms), "max_results": PAGE,
        "order_by": ["attributes.start_time DESC"],
    }  # fmt: skip
    if not body["experiment_ids"]:
        return [], ""
    if token:
        body["page_token"] = token
    answer = call(base, f"{API}/runs/search", body)
    page = _list(answer, "runs", "runs/search")
    checked = [info for run in page[: 4 * PAGE] if (info := run_info(run)) is not None]
    if page and not checked:
        raise MlflowError("MLflow's answer to runs/search holds no run that can be read", 200)
    return checked, _token(answer) if page else ""


def run_by_id(base: str, run_id: str) -> RunInfo:
    """One run. Raises MlflowError, also for what is no run id."""
    if not IDENTIFIER.match(run_id):
        raise MlflowError(f"{run_id[:80]!r} is no run id of MLflow")
    answer = call(base, f"{API}/runs/get?{urlencode({'run_id': run_id})}")
    info = run_info(answer.get("run")) if isinstance(answer, dict) else None
    if info is None or info.run_id != run_id:
        raise MlflowError(f"MLflow's answer on run {run_id} is not that run", 200)
    return info


def _points(page: list[Any]) -> tuple[list[float], list[float], list[float]]:
    steps, times, values = [], [], []
    for point in page:
        if not isinstance(point, dict):
            continue
        value = value_of(point.get("value", 0.0))
        step, at = _whole(point.get("step", 0)), _whole(point.get("timestamp", 0))
        if value is not None and step is not None and at is not None:
            steps.append(float(step))
            times.append(float(at))
            values.append(value)
    return steps, times, values


def _history(columns: tuple[list[float], list[float], list[float]], cut: str = "") -> History:
    steps, times, values = (np.array(column, dtype=np.float64) for column in columns)
    order = np.lexsort((steps, times))  # as the SQL store answers; others answer as they like
    return History(steps[order], times[order], values[order], cut)


def history(base: str, run_id: str, key: str) -> History:
    """Every point of one metric; beyond MOST_POINTS an even sample where the server makes one."""
    columns: tuple[list[float], list[float], list[float]] = ([], [], [])
    token = ""
    while True:
        query = {"run_id": run_id, "metric_key": key, "max_results": HISTORY_PAGE}
        if token:
            query["page_token"] = token
        answer = call(base, f"{API}/metrics/get-history?{urlencode(query)}")
        page = _list(answer, "metrics", "metrics/get-history")
        for column, more in zip(columns, _points(page[:MOST_POINTS]), strict=True):
            column += more
        before, token = token, _token(answer)
        if not page or not token or token == before:
            return _history(columns)
        if len(columns[0]) >= MOST_POINTS:
            sample = interval(base, run_id, key)
            if sample is not None and len(sample):
                return sample
            return _history(columns, f"first {len(columns[0]):,} points")


def interval(base: str, run_id: str, key: str, first: float | None = None) -> History | None:
    """At most SAMPLE points from step `first` on (None: of all), None where the server cannot tell."""
    query: dict[str, Any] = {"run_ids": run_id, "metric_key": key, "max_results": SAMPLE}
    if first is not None:
        query |= {"start_step": int(first), "end_step": FAR}
    try:
        answer = call(base, f"{INTERVAL}?{urlencode(query)}")
    except MlflowError as problem:
        if problem.status in (400, 404, 405, 501):
            return None
        raise
    page = _list(answer, "metrics", "get-history-bulk-interval")
    columns = _points(page[: 2 * SAMPLE])
    return _history(columns, "sampled" if len(columns[0]) >= SAMPLE - 1 else "")
