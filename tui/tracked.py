"""Runs of the tracking server over the mirrored ones: loaded by metric, kept up to date while they run.

Only the metric that is looked at is fetched. What is loaded stays when the server goes away; a run that
may have grown since is then drawn dim, with the age of what is known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.training.delivery import tag_of
from tui.chart.ema import FloatArray
from tui.chart.series import Series
from tui.curves import CURVES, STEP_LIMIT
from tui.live import LiveStore
from tui.mlflow_rest import MlflowError
from tui.mlflow_runs import History, RunInfo, history, interval, run_by_id
from tui.run_view import RunView
from tui.vocabulary import age

if TYPE_CHECKING:
    from tui.fleet import Fleet

LOOK_SECONDS = 5.0
"""Between two looks at a run that still runs."""

FULL_SECONDS = 120.0
"""Between two loads of all its points: a restart from a checkpoint goes back to steps already seen."""

PATIENCE = 10.0
"""Seconds without an answer after which a run counts as away."""

MOST = 8
"""Runs that are kept over the mirrored ones."""

NAMES = {
    "loss": ("loss", "train_loss", "train/loss", "training_loss"),
    "eval_loss": ("eval_loss", "eval/loss", "val_loss", "validation_loss", "val/loss"),
    "learning_rate": ("learning_rate", "train/learning_rate", "train_learning_rate", "lr"),
    "grad_norm": ("grad_norm", "train/grad_norm", "train_grad_norm"),
    "tokens_per_s": ("tokens_per_s", "tokens_per_second", "train/tokens_per_second"),
    "memory": ("gpu_reserved_bytes", "gpu_alloc_bytes", "rss_bytes"),
}
"""Our metrics and the names under which others log the same, the first that a run has is taken."""


def server_key(metric: str, info: RunInfo) -> str:
    """The server's name of a metric of ours, or of any other of the run's; "" where it has none."""
    return next((key for key in NAMES.get(metric, (metric,)) if key in info.last), "")


class TrackedRun(RunView):
    """A run of the server with the curves that were looked at so far."""

    def __init__(self, info: RunInfo, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__("", info.run_id, Path())
        self.info = info
        self.clock = clock
        self.first_t = info.start_ms
        self.known: dict[str, History] = {}
        self.full_at: dict[str, float] = {}
        """Metric to the moment all of its points were asked for."""
        self.seen = clock()
        self.trouble = ""
        """Why the server's newest answer was none."""
        self.gone = False

    @property
    def away(self) -> bool:  # type: ignore[override]
        """It may have grown, and the server does not say."""
        late = self.clock() - self.seen > PATIENCE
        return bool(self.trouble) and (self.info.running or not self.known) and late

    @property
    def name(self) -> str:
        """Its name, and the age of what is known when that is not fresh."""
        cut = {h.cut for h in self.known.values()} - {""}
        notes = [*sorted(cut)]
        if self.gone:
            notes.append("deleted on the server")
        elif self.away:
            notes.append(f"MLflow away {age(self.clock() - self.seen)}")
        return f"{self.info.name[:40]} ({', '.join(notes)})" if notes else self.info.name[:60]

    @property
    def arm(self) -> str:
        """As its parameter `arm` says, or an empty string."""
        return self.info.arm

    def take(self, metric: str, new: History) -> bool:
        """All that is known of a metric now; True when that is more or other than before."""
        old = self.known.get(metric)
        if old is not None and old.begins(new) and len(old) == len(new) and old.cut == new.cut:
            return False
        if self.first_t is None and len(new):
            self.first_t = int(new.times[0])
        first = 0
        if old is not None and old.begins(new) and _flat(old) == _flat(new) and not new.cut:
            first = len(old)
        self.known[metric] = new
        if not first:
            self.series[metric] = Series(metric)
        x, y = _steps(new)[first:], new.values[first:]
        seconds = (new.times[first:] - (self.first_t or 0)) / 1000
        sound = (np.abs(x) < STEP_LIMIT) & (np.abs(seconds) < 1e10)
        if metric == "memory":
            y = y / 2**30
        self.series[metric].extend_columns(x[sound], y[sound], np.maximum(seconds[sound], 0.0))
        return True


def _flat(points: History) -> bool:
    """Logged without steps: all of them are the same."""
    return len(points) > 1 and bool((points.steps == points.steps[0]).all())


def _steps(points: History) -> FloatArray:
    """The steps, or the points' numbers where they were logged without."""
    return np.arange(len(points), dtype=np.float64) if _flat(points) else points.steps


def fetch(base: str, run: TrackedRun, metric: str, now: float) -> History | None:
    """What the server has of a metric; None where nothing was to be asked. Blocks; MlflowError."""
    key = server_key(metric, run.info)
    old = run.known.get(metric)
    if not key or run.gone:
        return None
    fresh = now - run.full_at.get(metric, -1e9) < FULL_SECONDS
    if old is not None and old.cut:
        return interval(base, run.job_id, key) if old.cut == "sampled" else None
    if old is not None and len(old) and fresh and not _flat(old):
        at = float(old.steps.max())
        more = interval(base, run.job_id, key, at)
        if more is not None and not more.cut:
            again = old.steps >= at
            known = History(old.steps[again], old.times[again], old.values[again])
            if known.begins(more):
                n = len(known)
                return History(
                    np.append(old.steps, more.steps[n:]), np.append(old.times, more.times[n:]),
                    np.append(old.values, more.values[n:]),
                )  # fmt: skip
        elif more is None and now - run.full_at[metric] < FULL_SECONDS / 4:
            return None  # a server without intervals: all points, but not so often
    found = history(base, run.job_id, key)
    run.full_at[metric] = now
    return found


class TrackedRuns:
    """The runs that were picked from the server. `changed` is called with every visible change."""

    def __init__(
        self,
        base: Callable[[], Awaitable[str]],
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.runs: dict[str, TrackedRun] = {}
        self.metric = "loss"
        self._base, self._changed, self._clock = base, changed, clock
        self._wake = asyncio.Event()

    def add(self, info: RunInfo) -> None:
        """Draw this run too; the oldest of too many leaves."""
        self.runs[info.run_id] = TrackedRun(info, self._clock)
        while len(self.runs) > MOST:
            del self.runs[next(iter(self.runs))]
        self._wake.set()
        self._changed()

    def remove(self, run_id: str) -> TrackedRun | None:
        """Draw it no more."""
        found = self.runs.pop(run_id, None)
        self._changed()
        return found

    def look_at(self, metric: str) -> None:
        """The metric to load; what is loaded of others stays."""
        if metric != self.metric:
            self.metric = metric
            self._wake.set()

    def others(self) -> list[str]:
        """Metric names of the runs beyond our own, at most 100."""
        ours = {name for names in NAMES.values() for name in names}
        found = {key for run in self.runs.values() for key in run.info.last if key not in ours}
        return sorted(found - set(CURVES))[:100]

    def beside(self, runs: Iterable[RunView], store: LiveStore, metric: str) -> list[RunView]:
        """Those runs and the picked ones; a picked run that is mirrored here is drawn from its mirror."""
        shown = list(runs)
        for run in self.runs.values():
            twin = twin_of(run.info, store)
            if twin is None or not len(twin.series.get(metric, ())):
                shown.append(run)
            elif all(other is not twin for other in shown):
                shown.append(twin)
        return shown

    async def watch(self) -> None:
        """Load and refresh for as long as the app lives."""
        while True:
            self._wake.clear()
            for run in list(self.runs.values()):
                await self.look(run, self.metric)
            try:
                async with asyncio.timeout(LOOK_SECONDS if self.runs else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def look(self, run: TrackedRun, metric: str) -> None:
        """One look at one run; whatever goes wrong is kept as the run's trouble."""
        running = run.info.running
        if run.gone or (metric in run.known and not running):
            return
        before = (run.trouble, run.away, run.info, run.gone)
        grew = False
        try:
            base = await self._base()
            if running:
                run.info = await asyncio.to_thread(run_by_id, base, run.job_id)
                if not run.info.running:
                    run.full_at.clear()  # its end: whatever came last, and whatever came late
            found = await asyncio.to_thread(fetch, base, run, metric, self._clock())
            run.seen, run.trouble = self._clock(), ""
            grew = found is not None and run.take(metric, found)
        except MlflowError as problem:
            run.trouble = str(problem)
            run.gone = problem.status == 404
        except OSError as problem:
            run.trouble = f"MLflow is out of reach: {problem}"
        if grew or run.away or before != (run.trouble, run.away, run.info, run.gone):
            self._changed()


async def connected(fleet: Fleet, seconds: float = 15.0) -> str:
    """The address of MLflow once its host is reached. Raises MlflowError, LinkDown."""
    base = await fleet.mlflow_base()
    await fleet.links[fleet.workspace.settings.mlflow.host].wait_live(seconds)
    return base


def twin_of(info: RunInfo, store: LiveStore) -> RunView | None:
    """The mirrored run that the server's run tells of, or None."""
    if not info.ours:
        return None
    for run in store.runs.values():
        if run.start and tag_of(run.start.get("run")) == info.ours:
            return run
    return None
