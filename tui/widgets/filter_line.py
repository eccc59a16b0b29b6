"""The filter of a list: one line above it, how many rows it lets through, escape clears it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Label

from tui.widgets.row_list import RowList


class FilterInput(Input):
    """What is typed; up and down go on to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "clear", "Clear", show=False, id="filter.clear"),
        Binding("down", "leave", "To the list", show=False, id="filter.leave"),
    ]

    def action_clear(self) -> None:
        """No filter, and back to the list."""
        self.query_ancestor(FilterLine).clear()

    def action_leave(self) -> None:
        """Keep the filter and go to the list."""
        self.query_ancestor(FilterLine).leave()


class FilterLine(Horizontal):
    """Hidden without a filter. `rows` is the list below it."""

    DEFAULT_CSS = """
    FilterLine { height: 1; padding: 0 1; background: $panel; }
    FilterLine .filter--mark { width: 2; color: $primary; text-style: bold; }
    FilterLine Input { width: 1fr; background: $panel; }
    FilterLine .filter--count { width: auto; color: $text-muted; padding-left: 1; }
    """

    def __init__(self, input_id: str, rows: RowList, placeholder: str) -> None:
        super().__init__()
        self.input = FilterInput(placeholder=placeholder, id=input_id, compact=True)
        self._rows = rows
        self._count = Label("", classes="filter--count", markup=False)
        self.display = False

    def compose(self) -> ComposeResult:
        """Mark, text, count."""
        yield Label("/", classes="filter--mark", markup=False)
        yield self.input
        yield self._count

    @property
    def text(self) -> str:
        """The filter, stripped; empty without one."""
        return self.input.value.strip()

    def say(self, text: str) -> None:
        """How many rows are let through."""
        self._count.update(Content(text if self.text else ""))

    def open(self) -> None:
        """Show it and type."""
        self.display = True
        self.input.focus()

    def put(self, text: str) -> None:
        """A filter that comes from elsewhere."""
        self.display = bool(text)
        self.input.value = text

    def clear(self) -> None:
        """No filter."""
        self.input.value = ""
        self.leave()

    def leave(self) -> None:
        """To the list; an empty filter goes away."""
        self.display = bool(self.text)
        self._rows.focus()

    def on_input_submitted(self) -> None:
        """Enter keeps the filter."""
        self.leave()
