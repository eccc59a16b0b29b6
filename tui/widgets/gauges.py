"""Gauges of one host: cards, CPU, RAM, disk, network and the link, each no newer than it is."""

from __future__ import annotations

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui.widgets.gauge_lines import GaugeModel, GpuModel, panel_height, panel_lines, waiting
from tui.widgets.lines import changed_lines

__all__ = ["GaugeModel", "GaugePanel", "GpuModel", "panel_lines"]


class GaugePanel(Widget):
    """Gauges of one host. `show` redraws only when a visible figure changed."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    GaugePanel { height: auto; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.model: GaugeModel | None = None
        self.brief = False
        self._lines: list[Content] = []

    def show(self, model: GaugeModel, brief: bool = False) -> None:
        """Show other figures; a changed number of lines asks for a new layout."""
        if model == self.model and brief == self.brief:
            return
        had = 0 if self.model is None else panel_height(self.model, self.brief)
        layout = had != panel_height(model, brief)
        self.model, self.brief = model, brief
        width = self.size.width
        before, self._lines = self._lines, panel_lines(model, width, brief)
        parts = None if layout else changed_lines(before, self._lines, self.outer_size.width)
        if parts is None:
            self.refresh(layout=layout)
        elif parts:
            self.refresh(*parts)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One row a line: lines are cut to the width, never wrapped."""
        return 1 if self.model is None else panel_height(self.model, self.brief)

    def render(self) -> Content:
        """All lines."""
        if self.model is None:
            return waiting()
        self._lines = panel_lines(self.model, self.size.width, self.brief)
        return Content("\n").join(self._lines)
