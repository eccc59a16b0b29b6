"""From a plot to rows of (text, role) runs: braille or ASCII, with axes, legend, marks and crosshair.

A role names a style and nothing more: the widget, the command line and the SVG give it their colours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tui.chart import legend
from tui.chart.axes import clock, duration, labels, log_ticks, ticks
from tui.chart.difference import Comparison
from tui.chart.fitting import clipped
from tui.chart.plot import Plot, column_of, difference_plot, measure
from tui.chart.raster import BLANK, BoolArray, Window, raster_bounds, to_codes
from tui.chart.view import AXIS_NAMES, LETTERS, CurveLine, View, extent, pair_of

LEFT = 8
"""Cells of the y axis: seven for a label, one for the rule."""

Run = tuple[str, str]
Rows = list[list[Run]]

KINDS = ("line", "raw", "old", "line-away")
ROLES = (
    *(f"{kind}-{number}" for kind in KINDS for number in range(4)),
    *("axis", "title", "note", "mark", "band", "cross", "difference", "interval"),
)
NUMBER = {role: index for index, role in enumerate(ROLES)}
DASHES = ((1, 0), (6, 2), (2, 2), (8, 3))
"""Line styles, as (period, gap) in dot columns: solid, dashed, dotted, long dashes."""


@dataclass(frozen=True)
class Pen:
    """What may be drawn with."""

    ascii: bool = False
    dashes: bool = False
    """Tell lines apart by their style, where colours cannot."""

    def sign(self, kind: str) -> str:
        """The character of a mark."""
        unicode, plain = SIGNS[kind]
        return plain if self.ascii else unicode


PLAIN_PEN = Pen()

SIGNS = {
    "nan": ("×", "x"),
    "inf": ("▲", "^"),
    "-inf": ("▼", "v"),
    "floor": ("▼", "v"),
    "above": ("▲", "^"),
    "below": ("▼", "v"),
    "band": ("·", ":"),
    "cross": ("│", "|"),
    "zero": ("╌", "-"),
    "restart": ("↺", "R"),
    "rule": ("─", "-"),
    "tick": ("┬", "+"),
    "side": ("│", "|"),
    "notch": ("┤", "+"),
    "corner": ("└", "+"),
}


@dataclass(eq=False)
class Canvas:
    """Characters and their roles, both of shape (height, width)."""

    codes: NDArray[np.uint32]
    owner: NDArray[np.int16]

    def put(self, row: int, column: int, sign: str, role: str) -> None:
        """One character; outside the canvas nothing."""
        height, width = self.codes.shape
        if 0 <= row < height and 0 <= column < width:
            self.codes[row, column] = ord(sign)
            self.owner[row, column] = NUMBER[role]

    def runs(self, row: int) -> list[Run]:
        """One row as runs of equal role."""
        text = "".join(map(chr, self.codes[row].tolist())).replace(chr(BLANK), " ")
        owner = self.owner[row]
        edges = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)]
        return [(text[first:last], ROLES[int(owner[first])]) for first, last in pairwise(edges)]


def picture(
    lines: tuple[CurveLine, ...],
    view: View,
    width: int,
    height: int,
    *,
    title: str = "",
    pen: Pen = PLAIN_PEN,
    comparison: Comparison | None = None,
    empty: str = "no points yet",
) -> Rows:
    """The whole chart in `width` x `height` cells: legend, curves, difference, axis.

    The first row is the legend; with a crosshair the second tells what it reads. Without points or
    room a single row says so. `comparison` keeps the difference of the pair between calls.
    """
    inner = width - LEFT
    head = 1 + (view.cross is not None)
    room = height - head - 2
    if inner < 8 or room < 2:
        return [[(clipped(f" {title}: no room to draw", width), "note")]]
    plot = measure(lines, view, inner)
    if plot is None:
        why = empty
        if extent(lines, "step") is not None:
            known = extent(lines, view.axis) is not None
            why = "nothing to draw here" + (", f shows all" if view.zoom else "")
            why = why if known else f"the runs tell no {AXIS_NAMES[view.axis]}"
        return [[(clipped(f" {title}: {why}", width), "note")]]
    rows: Rows = [legend.legend(lines, view, title, plot, pen.ascii, width)]
    if view.cross is not None:
        rows.append(legend.readout(lines, view, pen.ascii, width))
    lower = 0
    found = None
    pair = pair_of(lines)
    if view.difference and pair is not None:
        comparison = comparison or Comparison(pair[0].series, pair[1].series)
        found = comparison.update(pair[1].positions(view.axis))
    below = difference_plot(found, plot.window, inner) if found is not None else None
    if view.difference and difference_fits(view, height):
        lower = max(3, room // 3)
    rows += _panel(plot, lines, view, inner, room - lower, pen)
    if lower:
        rows.append(legend.difference_line(found, lines, inner + LEFT))
        if below is None:
            rows += [[("", "note")] for _ in range(lower - 1)]
        else:
            rows += _panel(below, lines, view, inner, lower - 1, pen)
    return rows + _x_axis(plot, view, inner, pen)


def difference_fits(view: View, height: int) -> bool:
    """Whether a chart of `height` rows has room for the difference below its curves."""
    return height - (1 + (view.cross is not None)) - 2 >= 8


def _panel(
    plot: Plot, lines: tuple[CurveLine, ...], view: View, width: int, height: int, pen: Pen
) -> Rows:
    canvas = _curves(plot, lines, width, height, pen)
    blank = BLANK if not pen.ascii else ord(" ")
    checks = np.indices((height, width)).sum(axis=0) % 2 == 0
    for first, last in plot.bands:
        part = slice(first // 2, last // 2 + 1)
        free = (canvas.codes[:, part] == blank) & checks[:, part]
        canvas.codes[:, part][free] = ord(pen.sign("band"))
        canvas.owner[:, part][free] = NUMBER["band"]
    if plot.window.y0 < 0 < plot.window.y1 and not plot.window.log_y:
        row = _row(plot.window, height, 0.0)
        free = canvas.codes[row] == blank
        canvas.codes[row][free] = ord(pen.sign("zero"))
        canvas.owner[row][free] = NUMBER["axis"]
    for mark in plot.marks:
        top = mark.kind in ("above", "inf")
        row = (0 if top else height - 1) if mark.y is None else _row(plot.window, height, mark.y)
        canvas.put(min(height - 1, max(0, row)), mark.column // 2, pen.sign(mark.kind), "mark")
    if view.cross is not None:
        column = column_of(plot.window, 2 * width, view.cross) // 2
        if 0 <= column < width:
            free = canvas.codes[:, column] == blank
            canvas.codes[:, column][free] = ord(pen.sign("cross"))
            canvas.owner[:, column] = NUMBER["cross"]
    _letters(canvas, plot, lines, width, height)
    names = _y_labels(plot.window, height)
    side, notch = pen.sign("side"), pen.sign("notch")
    return [
        [
            (f"{names.get(row, ''):>7}" + (notch if row in names else side), "axis"),
            *canvas.runs(row),
        ]
        for row in range(height)
    ]


def _curves(plot: Plot, lines: tuple[CurveLine, ...], width: int, height: int, pen: Pen) -> Canvas:
    dots: BoolArray = np.zeros((4 * height, 2 * width), dtype=np.bool_)
    codes = np.full((height, width), ord(" "), dtype=np.uint32)
    owner = np.full((height, width), NUMBER["axis"], dtype=np.int16)
    for layer in plot.layers:
        drawn = raster_bounds(layer.low, layer.high, plot.window, height)
        period, gap = DASHES[layer.line % 4 if pen.dashes else 0]
        if gap and layer.role.startswith("line"):
            columns = np.arange(2 * width) + plot.window.first
            drawn[:, columns % period >= period - gap] = False
        touched = drawn.reshape(height, 4, width, 2).any(axis=(1, 3))
        owner[touched] = NUMBER[layer.role]
        if pen.ascii:
            main = layer.role.startswith("line")
            sign = LETTERS[layer.line % 26] if main else "*" if layer.line < 0 else "."
            codes[touched] = ord(":" if layer.role == "interval" else sign)
        dots |= drawn
    return Canvas(codes if pen.ascii else to_codes(dots).astype(np.uint32), owner)


def _letters(
    canvas: Canvas, plot: Plot, lines: tuple[CurveLine, ...], width: int, height: int
) -> None:
    """Each curve's letter behind its end, so that it can be told without its colour."""
    shown = {layer.line: layer for layer in plot.layers if layer.role.startswith("line")}
    if len(shown) < 2:
        return
    taken: set[tuple[int, int]] = set()
    for index, layer in shown.items():
        filled = np.flatnonzero(~np.isnan(layer.low))
        if not len(filled):
            continue
        column = min(width - 1, int(filled[-1]) // 2 + 1)
        row = _row(plot.window, height, float(layer.high[filled[-1]] + layer.low[filled[-1]]) / 2)
        row = min(height - 1, max(0, row))
        while (row, column) in taken and column + 1 < width:
            column += 1
        taken.add((row, column))
        canvas.put(row, column, LETTERS[index % 26], f"line-{lines[index].color % 4}")


def _row(window: Window, height: int, y: float) -> int:
    part = (window.y1 - y) / (window.y1 - window.y0)
    return round(min(9e6, max(-9e6, part * (4 * height - 1)))) // 4


def _y_labels(window: Window, height: int) -> dict[int, str]:
    make = log_ticks if window.log_y else ticks
    values = make(window.y0, window.y1, max(2, height // 3))
    names = labels([10 ** min(value, 308.0) for value in values] if window.log_y else values)
    rows = [_row(window, height, value) for value in values]
    return {row: name for row, name in zip(rows, names, strict=True) if 0 <= row < height}


def _x_axis(plot: Plot, view: View, width: int, pen: Pen) -> Rows:
    window = plot.window
    rule = [pen.sign("rule")] * width
    text = [" "] * (width + LEFT)
    span = window.x1 - window.x0
    values = ticks(window.x0, window.x1, max(2, width // 14))
    for value, name in zip(values, _positions(values, view.axis, span), strict=True):
        column = int((value - window.x0) / span * width)
        start = LEFT + column - len(name) // 2
        if column >= width or start + len(name) > len(text):
            continue
        if any(c != " " for c in text[max(0, start - 1) : start]):
            continue
        rule[column] = pen.sign("tick")
        text[start : start + len(name)] = name
    for column in plot.restarts:
        rule[column // 2] = pen.sign("restart")
    unit = AXIS_NAMES[view.axis]
    return [
        [(f"{unit:>7}{pen.sign('corner')}" + "".join(rule), "axis")],
        [("".join(text), "axis")],
    ]


def _positions(values: list[float], axis: str, span: float) -> list[str]:
    if axis == "relative":
        return [duration(value) if math.isfinite(value) else "" for value in values]
    return [clock(value, span) for value in values] if axis == "wall" else labels(values, 12)
