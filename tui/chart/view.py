"""What is looked at: the curves, the x axis, the visible range, the crosshair. Pure state, no drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tui.chart.ema import FloatArray
from tui.chart.series import Branch, Series

AXES = ("step", "relative", "wall", "samples", "tokens")
AXIS_NAMES = {
    "step": "step",
    "relative": "time",
    "wall": "clock",
    "samples": "samples",
    "tokens": "tokens",
}
WEIGHTS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.97, 0.99)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SMALLEST_ZOOM = 1e-4
"""A view shows at least this part of everything."""


@dataclass(frozen=True, eq=False)
class CurveLine:
    """One curve of the chart.

    `origin_ms` is the run's start (UTC ms), `samples_per_step` batch size times accumulation (None
    where the run does not say), `outages` the times, in seconds since the start, in which the link
    to its host was down (the end is None while it still is).
    """

    series: Series
    name: str
    color: int
    arm: str = ""
    origin_ms: int | None = None
    samples_per_step: int | None = None
    outages: tuple[tuple[float, float | None], ...] = ()
    away: bool = False
    """Its server does not answer: drawn dim, there may be more of it by now."""

    def positions(self, axis: str, branch: Branch | None = None) -> FloatArray:
        """Where the points lie on that axis, shape (n,); empty where the run does not know it."""
        data: Series | Branch = self.series if branch is None else branch
        if axis == "relative":
            return data.t
        if axis == "wall":
            return np.zeros(0) if self.origin_ms is None else data.t + self.origin_ms / 1000
        if axis == "samples":
            return np.zeros(0) if not self.samples_per_step else data.x * self.samples_per_step
        if axis == "tokens":
            return np.zeros(0) if data.tokens is None else data.tokens
        return data.x


@dataclass
class View:
    """How the curves are looked at. `zoom` is None while everything is shown."""

    axis: str = "step"
    log_y: bool = False
    weight: float = 0.8
    robust: bool = False
    difference: bool = False
    zoom: tuple[float, float] | None = None
    tail: bool = False
    """The right edge of the zoom follows the newest point."""
    cross: float | None = None
    """Where the crosshair stands on the x axis."""

    def key(self) -> tuple[object, ...]:
        """Changes whenever something has to be drawn anew."""
        return tuple(vars(self).values())

    def visible(self, extent: tuple[float, float]) -> tuple[float, float]:
        """The range asked for; with `tail` it ends at the newest point."""
        if self.zoom is None:
            return extent
        if self.tail:
            return extent[1] - (self.zoom[1] - self.zoom[0]), extent[1]
        return self.zoom

    def zoom_at(self, factor: float, extent: tuple[float, float], anchor: float | None) -> None:
        """Show `factor` times the range; what lies under `anchor` stays where it is (None: the right end)."""
        low, high = self.visible(extent)
        whole = extent[1] - extent[0]
        span = min(whole, max((high - low) * factor, whole * SMALLEST_ZOOM))
        if anchor is None:
            anchor = high
        # Beside a large position a small range can have no width in floating point.
        part = min(1.0, max(0.0, (anchor - low) / (high - low))) if high > low else 1.0
        self._set(anchor - part * span, span, extent)

    def pan(self, distance: float, extent: tuple[float, float]) -> None:
        """Move the range by `distance` on the x axis."""
        if self.zoom is not None:
            low, high = self.visible(extent)
            self._set(low + distance, high - low, extent)

    def follow(self) -> None:
        """Show everything and go along with what comes."""
        self.zoom, self.tail = None, False

    def _set(self, low: float, span: float, extent: tuple[float, float]) -> None:
        low = max(extent[0], min(extent[1] - span, low))
        if span >= (extent[1] - extent[0]) * (1 - 1e-9):
            self.follow()
            return
        self.zoom = (low, low + span)
        self.tail = low + span >= extent[1] - 0.05 * span


def extent(lines: tuple[CurveLine, ...], axis: str) -> tuple[float, float] | None:
    """Smallest and largest x of all curves, or None when no run knows that axis."""
    spans = [x for line in lines if len(x := line.positions(axis))]
    if not spans:
        return None
    low, high = min(float(x[0]) for x in spans), max(float(x[-1]) for x in spans)
    return (low, high) if high > low else (low, low + 1)


def pair_of(lines: tuple[CurveLine, ...]) -> tuple[CurveLine, CurveLine] | None:
    """(control, experiment) by their arms, else the first two curves, None with fewer than two."""
    shown = [line for line in lines if len(line.series)]
    arms = {line.arm: line for line in reversed(shown)}
    if "control" in arms and "experiment" in arms:
        return arms["control"], arms["experiment"]
    return (shown[0], shown[1]) if len(shown) > 1 else None


def value_at(x: FloatArray, y: FloatArray, at: float) -> float | None:
    """y at `at`: the point there, else on the line between its neighbours.

    None outside the curve and beside a point that is not finite.
    """
    if not len(x) or not x[0] <= at <= x[-1]:
        return None
    right = int(np.searchsorted(x, at, side="left"))
    if x[right] == at:
        value = float(y[right])
    else:
        part = (at - x[right - 1]) / (x[right] - x[right - 1])
        with np.errstate(invalid="ignore", over="ignore"):
            value = float(y[right - 1] + part * (y[right] - y[right - 1]))
    return value if math.isfinite(value) else None


def nearest(lines: tuple[CurveLine, ...], axis: str, at: float) -> float | None:
    """The position of the first curve's point nearest to `at`; None without points."""
    for line in lines:
        x = line.positions(axis)
        if len(x):
            right = min(int(np.searchsorted(x, at)), len(x) - 1)
            left = max(0, right - 1)
            return float(x[left] if at - x[left] <= x[right] - at else x[right])
    return None


def neighbour(lines: tuple[CurveLine, ...], axis: str, at: float, distance: float) -> float | None:
    """The point at least `distance` (signed) away from `at`, the last one at the end of the curve."""
    for line in lines:
        x = line.positions(axis)
        if not len(x):
            continue
        if distance > 0:
            index = int(np.searchsorted(x, at + distance, side="left"))
        else:
            index = int(np.searchsorted(x, at + distance, side="right")) - 1
        return float(x[min(len(x) - 1, max(0, index))])
    return None
