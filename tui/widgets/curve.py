"""Curves of several runs over each other: the chart as a widget, with its keys and the mouse."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui import vocabulary
from tui.chart.difference import Comparison
from tui.chart.paint import LEFT, ROLES, Pen, Rows, picture
from tui.chart.raster import anchored
from tui.chart.view import AXES, WEIGHTS, CurveLine, View, extent, nearest, neighbour, pair_of
from tui.widgets.lines import changed_parts

__all__ = ["CHART_KEYS", "Curve", "CurveLine"]

CHART_KEYS: tuple[tuple[str, str, str, str], ...] = (
    ("l", "toggle_log", "log y", "curve.log"),
    ("left_square_bracket", "smooth(-1)", "rougher", "curve.rougher"),
    ("right_square_bracket", "smooth(1)", "smoother", "curve.smoother"),
    ("x", "axis", "x axis", "curve.axis"),
    ("y", "fit", "robust y", "curve.fit"),
    ("c", "cross", "crosshair", "curve.cross"),
    ("d", "difference", "difference", "curve.difference"),
    ("plus", "zoom(0.5)", "zoom in", "curve.zoom_in"),
    ("minus", "zoom(2.0)", "zoom out", "curve.zoom_out"),
    ("left", "left", "left", "curve.pan_left"),
    ("right", "right", "right", "curve.pan_right"),
    ("shift+left", "pan(-0.5)", "page left", "curve.page_left"),
    ("shift+right", "pan(0.5)", "page right", "curve.page_right"),
    ("f", "follow", "show all, follow", "curve.follow"),
)
"""Key, action, word, id: the same on the chart and on a screen that passes them on."""


class Curve(Widget, can_focus=True):
    """Chart with a legend line on top and an x axis below."""

    class Looked(Message):
        """The view changed by key or mouse."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"curve--{role}" for role in ROLES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, action, word, show=False, id=name) for key, action, word, name in CHART_KEYS
    ]
    DEFAULT_CSS = """
    Curve { height: 1fr; min-height: 6; }
    Curve .curve--axis { color: $text-muted; }
    Curve .curve--title { text-style: bold; }
    Curve .curve--note { color: $text-muted; text-style: italic; }
    Curve .curve--mark { color: $error; text-style: bold; }
    Curve .curve--band { color: $error 70%; }
    Curve .curve--cross { color: $foreground; text-style: bold; }
    Curve .curve--difference { color: $foreground; text-style: bold; }
    Curve .curve--interval { color: $foreground 35%; }
    Curve .curve--line-0 { color: $accent; text-style: bold; }
    Curve .curve--line-1 { color: $warning; text-style: bold; }
    Curve .curve--line-2 { color: $secondary; text-style: bold; }
    Curve .curve--line-3 { color: $error; text-style: bold; }
    Curve .curve--line-away-0 { color: $accent 45%; }
    Curve .curve--line-away-1 { color: $warning 45%; }
    Curve .curve--line-away-2 { color: $secondary 45%; }
    Curve .curve--line-away-3 { color: $error 45%; }
    Curve .curve--raw-0 { color: $accent 45%; }
    Curve .curve--raw-1 { color: $warning 45%; }
    Curve .curve--raw-2 { color: $secondary 45%; }
    Curve .curve--raw-3 { color: $error 45%; }
    Curve .curve--old-0 { color: $accent 25%; }
    Curve .curve--old-1 { color: $warning 25%; }
    Curve .curve--old-2 { color: $secondary 25%; }
    Curve .curve--old-3 { color: $error 25%; }
    """

    def __init__(self, title: str = "loss", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.empty_text = "no points yet"
        self.lines: tuple[CurveLine, ...] = ()
        self.view = View()
        self._strips: list[Strip] = []
        self._drawn: object = None
        self._drawn_size = Size(0, 0)
        self._dragged: int | None = None
        self._moved = False
        self._comparison: Comparison | None = None

    def show(self, lines: tuple[CurveLine, ...]) -> None:
        """Show these curves; redraws only when a point, a curve or the size has changed."""
        self.lines = lines
        self._smooth_alike()
        signature = self._signature()
        if signature == self._drawn or not self.size:
            return
        if self._drawn is None or not self._strips or self._drawn_size != self.size:
            self.refresh()
            return
        before, self._strips, self._drawn = self._strips, self._draw(), signature
        parts = changed_parts(before, self._strips)
        if parts is None:
            self.refresh()
        elif parts:  # without a region everything would be drawn
            self.refresh(*parts)

    def _smooth_alike(self) -> None:
        for line in self.lines:
            if line.series.weight != self.view.weight:
                line.series.resmooth(self.view.weight)

    def _signature(self) -> object:
        data = tuple(
            (line.name, line.color, line.away, line.outages, len(line.series), line.series.generation,
             id(line.series))
            for line in self.lines
        )  # fmt: skip
        return data, self.size, self.view.key(), self.title, self.empty_text

    # --- drawing ------------------------------------------------------------------------------

    def pen(self) -> Pen:
        """ASCII where the terminal asks for it; line styles where it shows no colours."""
        return Pen(vocabulary.marks is vocabulary.ASCII, self.app.no_color)

    def rows(self) -> Rows:
        """The chart as it is seen, as rows of (text, role)."""
        size = self.size
        pair = pair_of(self.lines)
        if pair is None:
            self._comparison = None
        else:
            control, experiment = (line.series for line in pair)
            known = self._comparison
            if known is None or (known.control, known.experiment) != (control, experiment):
                self._comparison = Comparison(control, experiment)
        return picture(
            self.lines, self.view, size.width, size.height, title=self.title,
            pen=self.pen(), comparison=self._comparison, empty=self.empty_text,
        )  # fmt: skip

    def render_line(self, y: int) -> Strip:
        """One line of the chart; the whole chart is drawn once a change."""
        signature = self._signature()
        if signature != self._drawn:
            self._strips = self._draw()
            self._drawn, self._drawn_size = signature, self.size
        base = self.rich_style
        if y < len(self._strips):
            return self._strips[y].adjust_cell_length(self.size.width, base)
        return Strip.blank(self.size.width, base)

    def notify_style_update(self) -> None:
        """Colours changed with the theme: draw anew."""
        self._drawn = None
        super().notify_style_update()

    def _style(self, role: str) -> RichStyle:
        return self.get_component_rich_style(f"curve--{role}")

    def _draw(self) -> list[Strip]:
        return [
            Strip([Segment(text, self._style(role)) for text, role in row if text])
            for row in self.rows()
        ]

    # --- the view -----------------------------------------------------------------------------

    def _extent(self) -> tuple[float, float] | None:
        return extent(self.lines, self.view.axis)

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.Looked())

    @property
    def _cell(self) -> float:
        """Width of one character on the x axis, 0 without points."""
        whole = self._extent()
        columns = 2 * max(1, self.size.width - LEFT)
        return 0.0 if whole is None else 2 * anchored(*self.view.visible(whole), columns).bin

    def _under(self, column: int) -> float | None:
        """x axis position under a column of the widget; None outside the chart."""
        whole = self._extent()
        width = self.size.width - LEFT
        if whole is None or not 0 <= column - LEFT < width:
            return None
        window = anchored(*self.view.visible(whole), 2 * width)
        return window.x0 + (column - LEFT + 0.5) * 2 * window.bin

    def action_toggle_log(self) -> None:
        """Linear or logarithmic y."""
        self.view.log_y = not self.view.log_y
        self._changed()

    def action_smooth(self, direction: int) -> None:
        """Next stronger or weaker smoothing."""
        index = min(range(len(WEIGHTS)), key=lambda i: abs(WEIGHTS[i] - self.view.weight))
        self.view.weight = WEIGHTS[max(0, min(len(WEIGHTS) - 1, index + direction))]
        self._smooth_alike()
        self._changed()

    def action_axis(self) -> None:
        """Steps, time since the start, clock, samples, tokens."""
        view = self.view
        view.axis = AXES[(AXES.index(view.axis) + 1) % len(AXES)]
        view.follow()
        if view.cross is not None:
            view.cross = self._newest()
        self._changed()

    def action_fit(self) -> None:
        """Fit y to everything, or to the middle 98 % with marks for the rest."""
        self.view.robust = not self.view.robust
        self._changed()

    def action_difference(self) -> None:
        """Show experiment minus control below, or not."""
        self.view.difference = not self.view.difference
        self._changed()

    def action_cross(self) -> None:
        """Crosshair on the newest visible point, or none."""
        self.view.cross = self._newest() if self.view.cross is None else None
        self._changed()

    def _newest(self) -> float | None:
        whole = self._extent()
        if whole is None:
            return None
        return nearest(self.lines, self.view.axis, self.view.visible(whole)[1])

    def action_zoom(self, factor: float) -> None:
        """Show half or twice the range around the crosshair, else around the newest visible point."""
        whole = self._extent()
        if whole is not None:
            self.view.zoom_at(factor, whole, self.view.cross)
            self._changed()

    def action_pan(self, part: float) -> None:
        """Move the visible range by a part of its width."""
        whole = self._extent()
        if whole is not None:
            low, high = self.view.visible(whole)
            self.view.pan((high - low) * part, whole)
            self._changed()

    def action_left(self) -> None:
        """Crosshair or range to the left."""
        self._sideways(-1)

    def action_right(self) -> None:
        """Crosshair or range to the right."""
        self._sideways(1)

    def _sideways(self, direction: int) -> None:
        view, whole = self.view, self._extent()
        if view.cross is None or whole is None:
            self.action_pan(0.2 * direction)
            return
        view.cross = neighbour(self.lines, view.axis, view.cross, direction * self._cell)
        low, high = view.visible(whole)
        if view.cross is not None and not low <= view.cross <= high:
            view.pan(view.cross - (low if direction < 0 else high), whole)
        self._changed()

    def action_follow(self) -> None:
        """Show everything again and follow the newest point."""
        self.view.follow()
        self._changed()

    # --- the mouse ----------------------------------------------------------------------------

    def _wheel(self, event: events.MouseEvent, factor: float) -> None:
        event.stop()
        whole = self._extent()
        if whole is not None:
            self.view.zoom_at(factor, whole, self._under(event.x))
            self._changed()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in at the pointer."""
        self._wheel(event, 0.8)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out at the pointer."""
        self._wheel(event, 1.25)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin of a click or of a drag."""
        self._dragged, self._moved = event.x, False
        self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """A drag moves the range; without a button the crosshair goes along."""
        whole = self._extent()
        if whole is None:
            return
        if self._dragged is not None and event.x != self._dragged:
            self.view.pan((self._dragged - event.x) * self._cell, whole)
            self._dragged, self._moved = event.x, True
            self._changed()
        elif self._dragged is None and self.view.cross is not None:
            self._point(event.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End of a drag."""
        self._dragged = None
        self.release_mouse()

    def on_click(self, event: events.Click) -> None:
        """The crosshair on the point under the pointer; the end of a drag is no click."""
        if not self._moved:
            self._point(event.x)

    def _point(self, column: int) -> None:
        under = self._under(column)
        at = None if under is None else nearest(self.lines, self.view.axis, under)
        if at is not None and at != self.view.cross:
            self.view.cross = at
            self._changed()
