"""A pane of text beside a list: tab reaches it, the keys of lists scroll it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


class Pane(VerticalScroll, can_focus=True):
    """Its left edge is lit while it has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False, id="list.down"),
        Binding("k", "scroll_up", show=False, id="list.up"),
        Binding("g", "scroll_home", show=False, id="list.first"),
        Binding("G", "scroll_end", show=False, id="list.last"),
    ]
    DEFAULT_CSS = """
    Pane { scrollbar-size-vertical: 1; }
    Pane:focus { background: $primary 10%; }
    """
