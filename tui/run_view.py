"""One run whose journal is mirrored here: read by byte offset, so a restart rebuilds the same curves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.journal import RunReader
from tui.bulk import pieces
from tui.later import later
from tui.tail import clean

if TYPE_CHECKING:
    from tui.chart.series import Series
    from tui.curves import Points
else:
    Points = later("tui.curves", "Points")

READ_LIMIT = 8 * 2**20
"""Bytes of one journal read at a time."""


def whole(value: object) -> int:
    """A count that a host sent: a non-negative int, 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _at(point: dict[str, Any]) -> tuple[float, float]:
    """Step and seconds of a point; the seconds begin anew with each attempt."""
    seconds = point.get("seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return whole(point.get("step")), math.nan
    return whole(point.get("step")), float(seconds)


@dataclass
class RunView:
    """A job whose run journal is mirrored here, with its curves."""

    host: str
    job_id: str
    path: Path
    reader: RunReader = field(default_factory=RunReader)
    offset: int = 0
    series: dict[str, Series] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    behind: int = 0
    loading: bool = False
    """The app reads it step by step; what arrives meanwhile is read with the rest."""
    first_t: int | None = None
    points: Points = field(default_factory=Points)
    began: tuple[float, float] = (0.0, 0.0)
    """Step and seconds from which this attempt's pace is measured."""

    away = False
    """Its curves come from a server that does not answer now; never so for a mirrored file."""

    @property
    def name(self) -> str:
        """The run's name, else the job's."""
        return clean(str(self.start.get("name") or self.job_id))[:60]

    @property
    def arm(self) -> str:
        """control, experiment, …, or an empty string."""
        return clean(str(self.start.get("arm") or ""))[:20]

    @property
    def step(self) -> int:
        """Newest step, 0 before the first point."""
        return whole(self.last.get("step"))

    @property
    def max_steps(self) -> int:
        """Planned steps, 0 when the journal does not say."""
        return whole(self.start.get("max_steps"))

    def eta_seconds(self) -> float | None:
        """Remaining seconds at this attempt's mean pace, None while unknown or after the end."""
        steps, seconds = (now - then for now, then in zip(_at(self.last), self.began, strict=True))
        if self.end or not self.max_steps or not steps > 0 or not 0 <= seconds < math.inf:
            return None
        return seconds / steps * max(0, self.max_steps - self.step)

    def clear(self) -> None:
        """Forget everything: the host's file was replaced by another one."""
        self.reader, self.offset, self.series = RunReader(), 0, {}
        self.start, self.model, self.last, self.end, self.first_t = {}, {}, {}, {}, None
        self.points, self.began = Points(), (0.0, 0.0)

    def read(self, limit: int = READ_LIMIT) -> bool:
        """Take in at most `limit` bytes that the mirror holds beyond the last read; True with any new."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(limit)
        except FileNotFoundError:
            return False
        if not data:
            return False
        self.offset += len(data)
        for lines, points in pieces(self.reader.lines(data)):
            if points:
                self._take_points(points)
                continue
            for event in self.reader.parse(lines):
                self._take(event)
        self.points.flush(self.series)
        return True

    def _take_points(self, events: list[dict[str, Any]]) -> None:
        """As `_take` of each, for events that are nothing but `point` and `eval`."""
        if self.first_t is None:
            self.first_t = events[0]["t"]
        if math.isnan(self.began[0]):
            self.began = next((_at(e) for e in events if e["kind"] == "point"), self.began)
        self.last = next((e for e in reversed(events) if e["kind"] == "point"), self.last)
        self.points.take_many(events, self.first_t)

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.get("kind")
        if self.first_t is None and isinstance(event.get("t"), int):
            self.first_t = event["t"]
        if kind == "start":
            self.start, self.end = event, {}
            # An attempt goes on at a step that its first point tells, and its seconds begin at 0.
            self.began = (math.nan, math.nan) if self.step else (0.0, 0.0)
        elif kind == "model":
            self.model = event
        elif kind == "end":
            self.end = event
        elif kind in ("point", "eval"):
            if kind == "point":
                self.last = event
                if math.isnan(self.began[0]):
                    self.began = _at(event)
            self.points.take(event, self.first_t)
