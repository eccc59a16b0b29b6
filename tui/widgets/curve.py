"""Loss curves of several runs over each other, drawn in braille, raw and smoothed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.strip import Strip
from textual.widget import Widget

from tui import vocabulary
from tui.chart.axes import duration, label, limits, ticks
from tui.chart.raster import BLANK, BoolArray, Window, curve_bounds, raster_bounds, to_codes
from tui.chart.series import FloatArray, Series

LEFT = 8
"""Cells of the y axis: seven for a label, one for the rule."""

ASCII_LEVELS = np.array([ord(c) for c in " .:*#"], dtype=np.uint16)


Layer = tuple[FloatArray, FloatArray, int]
"""Lower and upper bound of each dot column, and the colour number (plus four for raw values)."""


@dataclass(frozen=True, eq=False)
class CurveLine:
    """One curve of the chart: its data, its name in the legend and its colour number (0-3)."""

    series: Series
    name: str
    color: int


class Curve(Widget, can_focus=True):
    """Chart with a legend line on top and an x axis below."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "curve--axis",
        "curve--title",
        "curve--note",
        *(f"curve--line-{n}" for n in range(4)),
        *(f"curve--raw-{n}" for n in range(4)),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "toggle_log", "Log y", id="curve.log"),
        Binding("s", "smooth(1)", "Smoother", id="curve.smoother"),
        Binding("S", "smooth(-1)", "Rougher", id="curve.rougher"),
        Binding("x", "axis", "X axis", id="curve.axis"),
        Binding("plus,equals_sign", "zoom(0.5)", "Zoom in", id="curve.zoom_in"),
        Binding("minus", "zoom(2.0)", "Zoom out", id="curve.zoom_out"),
        Binding("left", "pan(-0.2)", "Pan left", show=False, id="curve.pan_left"),
        Binding("right", "pan(0.2)", "Pan right", show=False, id="curve.pan_right"),
        Binding("f,0", "follow", "Follow", id="curve.follow"),
    ]
    DEFAULT_CSS = """
    Curve { height: 1fr; min-height: 6; }
    Curve .curve--axis { color: $text-muted; }
    Curve .curve--title { text-style: bold; }
    Curve .curve--note { color: $text-muted; text-style: italic; }
    Curve .curve--line-0 { color: $accent; }
    Curve .curve--line-1 { color: $warning; }
    Curve .curve--line-2 { color: $success; }
    Curve .curve--line-3 { color: $error; }
    Curve .curve--raw-0 { color: $accent 45%; }
    Curve .curve--raw-1 { color: $warning 45%; }
    Curve .curve--raw-2 { color: $success 45%; }
    Curve .curve--raw-3 { color: $error 45%; }
    """
    WEIGHTS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.97)

    def __init__(self, title: str = "loss", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.empty_text = "no points yet"
        self.lines: tuple[CurveLine, ...] = ()
        self.log_y = False
        self.by_time = False
        self.weight = 0.8
        self.zoom: tuple[float, float] | None = None
        self._strips: list[Strip] = []
        self._drawn: object = None

    def show(self, lines: tuple[CurveLine, ...]) -> None:
        """Show these curves; redraws only when a point, a curve or the size has changed."""
        self.lines = lines
        for line in lines:
            if line.series.weight != self.weight:
                line.series.resmooth(self.weight)
        if self._signature() != self._drawn:
            self.refresh()

    def _signature(self) -> object:
        data = tuple(
            (line.name, line.color, len(line.series), line.series.rewinds, id(line.series))
            for line in self.lines
        )
        return data, self.size, self.log_y, self.by_time, self.weight, self.zoom, self.title

    # --- geometry -----------------------------------------------------------------------------

    def _positions(self, series: Series) -> FloatArray:
        return series.t if self.by_time else series.x

    def extent(self) -> tuple[float, float] | None:
        """Smallest and largest x of all curves, or None when there is no point."""
        spans = [self._positions(line.series) for line in self.lines if len(line.series)]
        if not spans:
            return None
        low, high = min(float(x[0]) for x in spans), max(float(x[-1]) for x in spans)
        return (low, high) if high > low else (low, low + 1)

    def window(self) -> Window | None:
        """What is visible now, or None when there is nothing to see."""
        width = max(1, self.size.width - LEFT)
        measured = self._measure(width)
        return None if measured is None else measured[0]

    def _measure(self, width: int) -> tuple[Window, list[Layer]] | None:
        """The visible window and, bottom to top, every layer's column bounds: one pass over the points."""
        extent = self.extent()
        if extent is None:
            return None
        x0, x1 = self.zoom or extent
        plane = Window(x0, x1, 0.0, 1.0, self.log_y)
        wanted = [(line.series, line.series.y, line.color) for line in self.lines]
        if self.weight:
            wanted = [(series, values, color + 4) for series, values, color in wanted]
            wanted += [(line.series, line.series.smooth, line.color) for line in self.lines]
        layers = []
        for series, values, color in wanted:
            x = self._positions(series)
            finite = series.bad == 0
            layers.append((*curve_bounds(x, values, plane, 2 * width, finite=finite), color))
        y = limits([bounds for low, high, _ in layers for bounds in (low, high)])
        if y is None:
            return None
        return Window(x0, x1, y[0], y[1], self.log_y), layers

    # --- drawing ------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of the chart; the whole chart is drawn once a change."""
        signature = self._signature()
        if signature != self._drawn:
            self._strips = self._draw()
            self._drawn = signature
        base = self.rich_style
        if y < len(self._strips):
            return self._strips[y].adjust_cell_length(self.size.width, base)
        return Strip.blank(self.size.width, base)

    def notify_style_update(self) -> None:
        """Colours changed with the theme: draw anew."""
        self._drawn = None
        super().notify_style_update()

    def _style(self, name: str) -> RichStyle:
        return self.get_component_rich_style(name)

    def _draw(self) -> list[Strip]:
        width, height = self.size.width - LEFT, self.size.height - 3
        measured = self._measure(width) if width >= 8 and height >= 2 else None
        if measured is None:
            note = Segment(f" {self.title}: {self.empty_text}", self._style("curve--note"))
            return [Strip([note])]
        window, layers = measured
        codes, owner = self._cells(window, layers, width, height)
        rows = [self._legend()]
        labels = self._y_labels(window, height)
        axis = self._style("curve--axis")
        for row in range(height):
            segments = [
                Segment(f"{labels.get(row, ''):>7}" + ("┤" if row in labels else "│"), axis)
            ]
            segments += self._runs(codes[row], owner[row])
            rows.append(Strip(segments))
        rows += self._x_axis(window, width)
        return rows

    def _cells(
        self, window: Window, layers: list[Layer], width: int, height: int
    ) -> tuple[np.ndarray, np.ndarray]:
        dots: BoolArray = np.zeros((4 * height, 2 * width), dtype=np.bool_)
        owner = np.full((height, width), -1, dtype=np.int8)
        for low, high, color in layers:
            drawn = raster_bounds(low, high, window, height)
            touched = drawn.reshape(height, 4, width, 2).any(axis=(1, 3))
            owner[touched] = color
            dots |= drawn
        if vocabulary.marks is vocabulary.ASCII:
            counts = dots.reshape(height, 4, width, 2).sum(axis=(1, 3))
            return ASCII_LEVELS[np.minimum((counts + 1) // 2, 4)], owner
        return to_codes(dots), owner

    def _runs(self, codes: np.ndarray, owner: np.ndarray) -> list[Segment]:
        text = "".join(map(chr, codes)).replace(chr(BLANK), " ")
        edges = np.flatnonzero(np.diff(owner)) + 1
        segments = []
        for first, last in zip([0, *edges], [*edges, len(owner)], strict=True):
            color = int(owner[first])
            name = (
                "curve--axis"
                if color < 0
                else f"curve--line-{color}"
                if color < 4
                else f"curve--raw-{color - 4}"
            )
            segments.append(Segment(text[first:last], self._style(name)))
        return segments

    def _y_labels(self, window: Window, height: int) -> dict[int, str]:
        labels: dict[int, str] = {}
        scale = (height - 1) / (window.y1 - window.y0)
        for value in ticks(window.y0, window.y1, max(3, height // 3)):
            row = round((window.y1 - value) * scale)
            if 0 <= row < height:
                labels[row] = label(10**value if window.log_y else value)
        return labels

    def _legend(self) -> Strip:
        mode = f"{'log ' if self.log_y else ''}smooth {self.weight:g}"
        segments = [Segment(f" {self.title} ", self._style("curve--title"))]
        for line in self.lines:
            if not len(line.series):
                continue
            style = self._style(f"curve--line-{line.color}")
            last = label(float(line.series.smooth[-1]))
            segments.append(Segment(f"  {vocabulary.marks.rule * 2} {line.name} {last}", style))
            if line.series.bad:
                mark = Segment(f" {line.series.bad} NaN", self._style("curve--line-3"))
                segments.append(mark)
        segments.append(Segment(f"   {mode}", self._style("curve--note")))
        if self.zoom:
            segments.append(Segment("  zoomed (f follows)", self._style("curve--note")))
        return Strip(segments)

    def _x_axis(self, window: Window, width: int) -> list[Strip]:
        axis = self._style("curve--axis")
        rule = ["─"] * width
        text = [" "] * (width + LEFT)
        for value in ticks(window.x0, window.x1, max(2, width // 14)):
            column = round((value - window.x0) / (window.x1 - window.x0) * (width - 1))
            name = duration(value) if self.by_time else label(value)
            start = LEFT + column - len(name) // 2
            if start + len(name) > len(text) or any(
                c != " " for c in text[max(0, start - 1) : start]
            ):
                continue
            rule[column] = "┬"
            text[start : start + len(name)] = name
        unit = "time" if self.by_time else "step"
        return [
            Strip([Segment(f"{unit:>7}└" + "".join(rule), axis)]),
            Strip([Segment("".join(text), axis)]),
        ]

    # --- keys ---------------------------------------------------------------------------------

    def action_toggle_log(self) -> None:
        """Linear or logarithmic y."""
        self.log_y = not self.log_y
        self.refresh()

    def action_smooth(self, direction: int) -> None:
        """Next stronger or weaker smoothing."""
        index = min(range(len(self.WEIGHTS)), key=lambda i: abs(self.WEIGHTS[i] - self.weight))
        self.weight = self.WEIGHTS[max(0, min(len(self.WEIGHTS) - 1, index + direction))]
        for line in self.lines:
            line.series.resmooth(self.weight)
        self.refresh()

    def action_axis(self) -> None:
        """Steps or time since the start."""
        self.by_time = not self.by_time
        self.zoom = None
        self.refresh()

    def action_zoom(self, factor: float) -> None:
        """Show half or twice the range around the newest visible point."""
        extent = self.extent()
        if extent is None:
            return
        x0, x1 = self.zoom or extent
        span = max((x1 - x0) * factor, (extent[1] - extent[0]) / 1000)
        x0, x1 = max(extent[0], x1 - span), x1
        self.zoom = None if x0 <= extent[0] and x1 >= extent[1] else (x0, x1)
        self.refresh()

    def action_pan(self, part: float) -> None:
        """Move the visible range by a part of its width."""
        extent = self.extent()
        if extent is None or self.zoom is None:
            return
        x0, x1 = self.zoom
        shift = (x1 - x0) * part
        shift = max(extent[0] - x0, min(extent[1] - x1, shift))
        self.zoom = (x0 + shift, x1 + shift)
        self.refresh()

    def action_follow(self) -> None:
        """Show everything again and follow the newest point."""
        self.zoom = None
        self.refresh()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in."""
        event.stop()
        self.action_zoom(0.8)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out."""
        event.stop()
        self.action_zoom(1.25)
