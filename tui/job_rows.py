"""The table of jobs: one line a job on any host, columns as the width allows."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

from textual.content import Content

from agents import JobStatus
from tui.chart.axes import duration
from tui.energy import JobEnergy, energy_cost
from tui.run_view import RunView
from tui.tail import clean
from tui.vocabulary import DIM, HEAD, JOBS, STALE, age, clip
from tui.widgets.row_list import Row

WIDE = 100
QUEUE = re.compile(r"\b(\d{1,2}) of (\d{1,2})\b")
"""How far a queue is, as its host says it."""


@dataclass(frozen=True)
class JobFigures:
    """What one line shows; None is unknown and drawn as a dash, never as 0."""

    host: str
    job_id: str
    name: str
    state: str
    backend: str
    step: int | None = None
    max_steps: int | None = None
    eta: float | None = None
    tokens: float | None = None
    kwh: Decimal | None = None
    cost: Decimal | None = None
    simulated: bool = False
    age_s: float | None = None
    stale: bool = False
    """The link is down: the figures are the last ones known."""

    @property
    def key(self) -> str:
        """host/job id."""
        return f"{self.host}/{self.job_id}"


def job_figures(
    host: str,
    job: JobStatus,
    run: RunView | None,
    energy: JobEnergy | None,
    price: Decimal | None,
    now_ms: int | None = None,
) -> JobFigures:
    """The figures of a job at `now_ms` (UTC ms of this machine); cost in the budget's currency."""
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    state = str(job.state)
    running = state in ("running", "unknown")
    tokens = run.series.get("tokens_per_s") if run is not None else None
    known = energy is not None and bool(energy.method)
    began = job.started_ms or job.created_ms
    at = QUEUE.search(job.detail) if job.backend == "queue" else None
    figures = JobFigures(
        host=host,
        job_id=job.job_id,
        name=clean(job.name),
        state=state,
        backend=job.backend,
        step=run.step if run is not None and (run.step or run.max_steps) else None,
        max_steps=(run.max_steps or None) if run is not None else None,
        eta=run.eta_seconds() if run is not None and running else None,
        tokens=float(tokens.y[-1]) if tokens is not None and len(tokens) else None,
        kwh=energy.kwh if energy is not None and known else None,
        cost=energy_cost(energy, price) if energy is not None and known else None,
        simulated=energy is not None and energy.simulated,
        age_s=None if began is None else max(0.0, (now_ms - began) / 1000),
        stale=state == "unknown",
    )
    if at is not None:
        figures = replace(figures, step=int(at.group(1)), max_steps=int(at.group(2)))
    return figures


NAME = (14, 40)
"""Cells of a name, at least and at most."""

SPARED = ("cost", "kWh", "tok/s")
"""Columns that a narrow terminal does without, in this order; never a part of one."""


@lru_cache(64)
def _columns(width: int) -> tuple[tuple[str, int], ...]:
    """(name, cells) for a width; a negative width is right-aligned. A name takes what is left over."""
    wide = width >= WIDE
    columns = {"name": 0, "host": 9 if wide else 7, "state": 10}
    if wide:
        columns["runs as"] = 9
    columns |= {"step": -12, "ETA": -8, "tok/s": -7}
    columns |= {"kWh": -8 if wide else -7, "cost": -8 if wide else -7, "age": -5}
    left = width - 1 - sum(map(abs, columns.values()))
    for name in SPARED:
        if left < NAME[0]:
            left += abs(columns.pop(name))
    columns["name"] = max(NAME[0], min(NAME[1], left))
    return tuple(columns.items())


def _line(cells: dict[str, tuple[str, str]], width: int) -> Content:
    parts: list[str | Content | tuple[str, str]] = [" "]
    for name, cells_wide in _columns(width):
        text, style = cells[name]
        room = abs(cells_wide) - 1
        text = clip(text, room)
        shown = f"{text:<{room}} " if cells_wide > 0 else f" {text:>{room}}"
        parts.append((shown, style))
    return Content.assemble(*parts)


def _kwh(kwh: Decimal) -> str:
    """Three digits behind the point, fewer where they would not fit into the column."""
    return f"{kwh:.3f}" if kwh < 10 else f"{kwh:.1f}"


def head_row() -> Row:
    """The column names."""

    def draw(width: int) -> Content:
        return _line({name: (name, HEAD) for name, _ in _columns(width)}, width)

    return Row("head", draw, selectable=False)


def figures_row(job: JobFigures) -> Row:
    """One job."""

    def draw(width: int) -> Content:
        steps = "-" if job.step is None else f"{job.step}/{job.max_steps or '?'}"
        tone = STALE if job.stale else ""
        mark = "~" if job.simulated else ""
        cost = "-" if job.cost is None else f"{mark}{job.cost}"
        cells = {
            "name": (job.name, tone),
            "host": (job.host, DIM),
            "state": (job.state, JOBS.get(job.state, DIM)),
            "runs as": (job.backend, DIM),
            "step": (steps, tone),
            "ETA": ("-" if job.eta is None else duration(job.eta), tone),
            "tok/s": ("-" if job.tokens is None else f"{job.tokens:.0f}", tone),
            "kWh": ("-" if job.kwh is None else f"{mark}{_kwh(job.kwh)}", tone),
            "cost": (cost, tone),
            "age": ("-" if job.age_s is None else age(job.age_s), DIM),
        }
        return _line(cells, width)

    return Row(job.key, draw)
