"""From curves and a view to column bounds, limits and marks: everything but the characters."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tui.chart.axes import limits, nice_step
from tui.chart.difference import Difference
from tui.chart.ema import FloatArray
from tui.chart.raster import Window, anchored, curve_bounds
from tui.chart.series import Series
from tui.chart.view import CurveLine, View, extent

MOST_MARKS = 2000
"""Points that are not finite and are marked one by one; beyond that the last ones are."""


@dataclass(frozen=True, eq=False)
class Layer:
    """Column bounds of one curve, each of shape (2 * width,), and how it is drawn."""

    low: FloatArray
    high: FloatArray
    role: str
    line: int
    """Index of its line."""


@dataclass(frozen=True)
class Mark:
    """A sign at a dot column and a height in data units (None: at the floor or the ceiling)."""

    column: int
    y: float | None
    kind: str
    """nan, inf, -inf, floor (no logarithm), above, below (off the scale)."""


@dataclass(eq=False)
class Plot:
    """One panel ready to be drawn. `bands` are column ranges in which the link was down."""

    window: Window
    layers: list[Layer]
    marks: list[Mark] = field(default_factory=list)
    bands: list[tuple[int, int]] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    floored: dict[int, int] = field(default_factory=dict)
    """Line to the number of visible values that have no logarithm."""


def color_role(kind: str, line: CurveLine) -> str:
    """The style name of a curve: line-0 to line-3, raw-…, old-…, line-away-… for one that is not fresh."""
    if kind == "line" and line.away:
        kind = "line-away"
    return f"{kind}-{line.color % 4}"


def measure(lines: tuple[CurveLine, ...], view: View, width: int) -> Plot | None:
    """Everything visible, bottom layer first; one pass over the visible points of each curve.

    None where no run knows the axis, or nothing visible has a finite value.
    """
    whole = extent(lines, view.axis)
    if whole is None:
        return None
    columns = 2 * width
    plane = anchored(*view.visible(whole), columns, view.log_y)
    old, raw, main = [], [], []
    for index, line in enumerate(lines):
        x = line.positions(view.axis)
        if not len(x):
            continue
        series, finite = line.series, line.series.bad == 0
        for branch in series.branches:
            bx = line.positions(view.axis, branch)
            if len(bx):
                bounds = curve_bounds(bx, branch.y, plane, columns)
                old.append(Layer(*bounds, color_role("old", line), index))
        bounds = curve_bounds(x, series.y, plane, columns, finite=finite)
        raw.append(Layer(*bounds, color_role("raw" if view.weight else "line", line), index))
        if view.weight:
            bounds = curve_bounds(x, series.smooth, plane, columns, finite=finite)
            main.append(Layer(*bounds, color_role("line", line), index))
    layers = old + raw + main
    y = _limits(raw if view.robust else layers, view.robust)
    if y is None:
        return None
    window = Window(plane.x0, plane.x1, *y, view.log_y, plane.bin, plane.first)
    plot = Plot(window, layers)
    for index, line in enumerate(lines):
        _decorate(plot, index, line, view, columns)
    for layer in raw:
        _off_scale(plot, layer)
    return plot


def _limits(layers: list[Layer], robust: bool) -> tuple[float, float] | None:
    """Rounded limits around the bounds; robust: between their 1st and 99th percentile of columns."""
    bounds = [part for layer in layers for part in (layer.low, layer.high)]
    if robust and bounds:
        together = np.concatenate(bounds)
        together = together[np.isfinite(together)]
        if len(together):
            bounds = [np.percentile(together, [1, 99])]
    found = limits(bounds, air=0.0)
    if found is None:
        return None
    step = nice_step(found[1] - found[0], 20)
    low, high = np.floor(found[0] / step) * step, np.ceil(found[1] / step) * step
    if not high > low:  # the step is below the spacing of floating point numbers there
        return found
    return float(low), float(high)


def column_of(window: Window, columns: int, x: float) -> int:
    """Dot column of a position; outside [0, columns) where it is not visible."""
    return int(np.floor((x - window.x0) / (window.x1 - window.x0) * columns))


def _decorate(plot: Plot, index: int, line: CurveLine, view: View, columns: int) -> None:
    x, window = line.positions(view.axis), plot.window
    if not len(x):
        return
    series = line.series
    seen: set[tuple[int, str]] = set()
    for at in series.bad_at[-MOST_MARKS:]:
        column, value = column_of(window, columns, float(x[at])), float(series.y[at])
        kind = "nan" if np.isnan(value) else "inf" if value > 0 else "-inf"
        if 0 <= column < columns and (column // 2, kind) not in seen:
            seen.add((column // 2, kind))
            plot.marks.append(Mark(column, _before(series, at, view.log_y), kind))
    if view.log_y:
        first = int(np.searchsorted(x, window.x0))
        last = int(np.searchsorted(x, window.x1, side="right"))
        none = np.flatnonzero(series.y[first:last] <= 0)
        finite = none[np.isfinite(series.y[first:last][none])]
        if len(finite):
            plot.floored[index] = len(finite)
        cells = {column_of(window, columns, float(p)) // 2 for p in x[first:last][finite]}
        plot.marks += [Mark(2 * cell, None, "floor") for cell in sorted(cells)]
    plot.restarts += [
        column
        for branch in series.branches
        if len(bx := line.positions(view.axis, branch))
        and 0 <= (column := column_of(window, columns, float(bx[0]))) < columns
    ]
    for begin, end in line.outages:
        # On an axis of steps an outage lies where the steps were made that nobody could see.
        around = np.searchsorted(series.t, (begin, begin if end is None else end))
        if view.axis in ("relative", "wall"):
            offset = float(x[0]) - float(series.t[0])
            low, high = begin + offset, window.x1 if end is None else end + offset
        else:
            low = float(x[min(int(around[0]), len(x) - 1)])
            high = window.x1 if end is None else float(x[min(int(around[1]), len(x) - 1)])
        left, right = column_of(window, columns, low), column_of(window, columns, high)
        if right >= 0 and left < columns:
            plot.bands.append((max(0, left), min(columns - 1, max(left, right))))


def _before(series: Series, at: int, log_y: bool) -> float | None:
    """The last finite value before a point that is not, in the units of the axis."""
    for index in range(at - 1, max(-1, at - 1000), -1):
        value = float(series.y[index])
        if np.isfinite(value) and (value > 0 or not log_y):
            return float(np.log10(value)) if log_y else value
    return None


def _off_scale(plot: Plot, layer: Layer) -> None:
    window = plot.window
    air = (window.y1 - window.y0) * 1e-9
    with np.errstate(invalid="ignore"):
        for column in np.flatnonzero(layer.high > window.y1 + air):
            plot.marks.append(Mark(int(column), None, "above"))
        for column in np.flatnonzero(layer.low < window.y0 - air):
            plot.marks.append(Mark(int(column), None, "below"))


def difference_plot(found: Difference, window: Window, width: int) -> Plot | None:
    """The difference below the chart, on the chart's own columns: interval, then its mean."""
    columns = 2 * width
    plane = Window(window.x0, window.x1, 0, 1, False, window.bin, window.first)
    lower = curve_bounds(found.x, found.low, plane, columns)[0]
    upper = curve_bounds(found.x, found.high, plane, columns)[1]
    mean = curve_bounds(found.x, found.mean, plane, columns)
    layers = [Layer(lower, upper, "interval", -1), Layer(*mean, "difference", -1)]
    bounds = [lower, upper, *mean, np.zeros(1)]
    y = limits(bounds)
    if y is None or not np.isfinite(mean[0]).any():
        return None
    return Plot(Window(plane.x0, plane.x1, *y, False, plane.bin, plane.first), layers)
