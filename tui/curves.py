"""From run journals to curves: which metrics there are, how events become points, which lines to draw."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.journal import number
from tui.chart.ema import FloatArray
from tui.chart.series import Series
from tui.chart.view import CurveLine

if TYPE_CHECKING:
    from tui.live import LiveStore
    from tui.run_view import RunView

CURVES = ("loss", "eval_loss", "learning_rate", "grad_norm", "tokens_per_s", "memory")
TITLES = {
    "loss": "train loss",
    "eval_loss": "validation loss",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "tokens_per_s": "tokens/s",
    "memory": "memory GiB",
}
"""`memory` is what the process has reserved on the GPU, else its resident memory."""

MEMORY = ("gpu_reserved_bytes", "gpu_alloc_bytes", "rss_bytes")
STEP_LIMIT = 10**12
"""No run has so many steps; a journal that says so is damaged."""

TIME_LIMIT = 10**12
"""Milliseconds, thirty years."""

_MEMORY = frozenset(MEMORY)

ARM_COLORS = {"control": 0, "experiment": 1}


def _number(value: object) -> float | None:
    try:
        return number(value)
    except OverflowError:  # an integer of hundreds of digits
        return None


class Points:
    """Collects the points of a batch of events, column by column, and hands them on at once."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[list[float], list[float], list[float], list[float]]] = {}
        self._tokens = 0.0
        self._token_base = 0.0

    def take(self, event: dict[str, Any], first_t: int | None) -> None:
        """Add one `point` or `eval` event; what is no number or no step is left out."""
        step, t = event.get("step"), event.get("t")
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < STEP_LIMIT:
            return
        seconds = 0.0
        if isinstance(t, int) and first_t is not None and 0 <= t - first_t < TIME_LIMIT:
            seconds = (t - first_t) / 1000
        tokens = self._count(event.get("tokens"))
        for key in CURVES:
            value = event.get(key)
            # A run has hundreds of thousands of these: no calls for the usual ones.
            if type(value) is not float or key == "memory":
                value = self._memory(event) if key == "memory" else _number(value)
                if value is None:
                    continue
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = ([], [], [], [])
            row[0].append(step)
            row[1].append(value)
            row[2].append(seconds)
            row[3].append(tokens)

    def take_many(self, events: list[dict[str, Any]], first_t: int) -> None:
        """As `take` of each event, for events whose step and time are integers."""
        steps = [event["step"] for event in events]
        if min(steps) < 0 or max(steps) >= STEP_LIMIT:
            events = [event for event in events if 0 <= event["step"] < STEP_LIMIT]
            steps = [event["step"] for event in events]
        times = [event["t"] - first_t for event in events]
        seconds = [t / 1000 if 0 <= t < TIME_LIMIT else 0.0 for t in times]
        counts = [event.get("tokens") for event in events]
        told = any(count is not None for count in counts)
        tokens = list(map(self._count, counts)) if told else [self._count(None)] * len(steps)
        for key in CURVES:
            column = self._memories(events) if key == "memory" else [e.get(key) for e in events]
            kinds = set(map(type, column))
            if kinds <= {type(None)}:
                continue
            values: list[Any] = column if kinds == {float} else list(map(_number, column))
            row = self._rows.setdefault(key, ([], [], [], []))
            if kinds == {float} or None not in values:
                parts: Iterable[list[Any]] = (steps, values, seconds, tokens)
            else:
                kept = [index for index, value in enumerate(values) if value is not None]
                parts = ([part[i] for i in kept] for part in (steps, values, seconds, tokens))
            for known, part in zip(row, parts, strict=True):
                known += part

    def _memories(self, events: list[dict[str, Any]]) -> list[float | None]:
        """`_memory` of each event; without a look at each where none tells any."""
        if not any(map(_MEMORY.intersection, events)):
            return []
        return [self._memory(event) for event in events]

    def _count(self, value: object) -> float:
        """Tokens since the first attempt: a count that starts again goes on from what was reached."""
        found = _number(value)
        if found is None or not 0 <= found < 1e18:
            return self._token_base + self._tokens if self._tokens else np.nan
        if found < self._tokens:
            self._token_base += self._tokens
        self._tokens = found
        return self._token_base + found

    @staticmethod
    def _memory(event: dict[str, Any]) -> float | None:
        for key in MEMORY:
            told = event.get(key)
            value = None if told is None else _number(told)
            if value is not None:
                return value / 2**30
        return None

    def flush(self, series: dict[str, Series]) -> None:
        """Append what was collected to the curves."""
        leader: Series | None = None
        first: tuple[list[float], ...] = ()
        shared: tuple[FloatArray, FloatArray, FloatArray | None] | None = None
        for key in CURVES:  # the train loss first: most others come with its steps
            row = self._rows.get(key)
            if row is None or not row[0]:
                continue
            curve = series.get(key)
            if curve is None:
                curve = series[key] = Series(key)
            y = np.array(row[1], dtype=np.float64)
            if shared is not None and (row[0], *row[2:]) == (first[0], *first[2:]):
                x, t, known = shared  # most journals tell all their numbers at each step
                curve.extend_columns(x, y, t, known, leader)
                continue
            x, t, tokens = (np.array(row[part], dtype=np.float64) for part in (0, 2, 3))
            known = None if np.isnan(tokens).all() else np.nan_to_num(tokens)
            curve.extend_columns(x, y, t, known)
            if leader is None:
                leader, first, shared = curve, row, (x, t, known)
        self._rows = {}


def samples_per_step(start: dict[str, Any]) -> int | None:
    """Batch size times accumulation steps, None where the journal does not say."""
    batch, grads = start.get("batch_size"), start.get("grad_accum", 1)
    for value in (batch, grads):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 10**9:
            return None
    return int(batch) * int(grads)  # type: ignore[arg-type]


def lines_of(
    runs: Iterable[RunView], metric: str, store: LiveStore | None = None
) -> tuple[CurveLine, ...]:
    """The curves of these runs: control and experiment keep their colours, others take what is free."""
    lines: list[CurveLine] = []
    for run in runs:
        series = run.series.get(metric)
        if series is None:
            continue
        used = {line.color for line in lines}
        color = ARM_COLORS.get(run.arm, -1)
        if color < 0 or color in used:
            color = next(c for c in (*range(2, 4), *range(2), *range(4, 99)) if c not in used)
        host = store.hosts.get(run.host) if store is not None else None
        outages: tuple[tuple[float, float | None], ...] = ()
        if host is not None and run.first_t is not None:
            ended = run.end.get("t")
            outages = tuple(
                ((begin - run.first_t) / 1000, None if end is None else (end - run.first_t) / 1000)
                for begin, end in host.outages
                if (end is None or end >= run.first_t)
                and not (isinstance(ended, int) and begin > ended)
            )
        scale = samples_per_step(run.start)
        lines.append(
            CurveLine(series, run.name, color, run.arm, run.first_t, scale, outages, run.away)
        )
    return tuple(lines)


def find_runs(store: LiveStore, names: Iterable[str]) -> list[RunView]:
    """The runs called so: job id, else the newest of that run name or arm. KeyError names what is unknown."""
    found = []
    newest = sorted(store.runs.values(), key=lambda run: run.first_t or 0, reverse=True)
    for name in names:
        tests = (
            lambda run, n=name: n in (run.job_id, f"{run.host}/{run.job_id}"),
            lambda run, n=name: n == run.name,
            lambda run, n=name: n == run.arm,
        )
        run = next((run for test in tests for run in newest if test(run)), None)
        if run is None:
            raise KeyError(name)
        found.append(run)
    return found


def file_stem(metric: str) -> str:
    """A metric as a part of a file name."""
    return re.sub(r"[^a-z0-9_-]+", "-", metric.lower())
