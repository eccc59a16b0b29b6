"""What `?` opens: the keys of the screen as they are bound now, what the marks mean; `/` searches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from tui import rows
from tui.help import Line
from tui.vocabulary import DIM, STRONG
from tui.widgets.filter_line import FilterLine
from tui.widgets.hint import Hint
from tui.widgets.row_list import Row, RowList


class HelpScreen(ModalScreen[None]):
    """Headings and lines; a search keeps the headings of what it finds."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "close", "Back", id="dialog.back"),
        Binding("slash", "search", "Search", id="list.filter"),
    ]

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self.lines = tuple(lines)

    def compose(self) -> ComposeResult:
        """Search line, list, keys."""
        found = RowList(id="help")
        with Vertical(classes="dialog -tall"):
            yield Label("Help", classes="dialog--title", markup=False)
            yield FilterLine("help-search", found, "words of a key's help")
            yield found
            yield Hint("/ search   j k move   esc back")

    def on_mount(self) -> None:
        """Everything."""
        self._draw("")
        self.query_one("#help", RowList).focus()

    def _draw(self, text: str) -> None:
        words = text.casefold().split()
        table: list[Row] = []
        head: Row | None = None
        count = 0
        for number, line in enumerate(self.lines):
            if not line.key and not line.style:
                head = rows.heading(f"head:{number}", line.text)
                continue
            if all(word in f"{line.key} {line.text}".casefold() for word in words):
                table += [head] if head is not None else []
                head = None
                table.append(_row(number, line))
                count += 1
        self.query_one("#help", RowList).set_rows(
            table or [rows.heading("nothing", "nothing matches")]
        )
        self.query_one(FilterLine).say(f"{count} of {sum(bool(x.key) for x in self.lines)}")

    @on(Input.Changed, "#help-search")
    def _typed(self, event: Input.Changed) -> None:
        self._draw(event.value)

    def action_search(self) -> None:
        """Show the search line."""
        self.query_one(FilterLine).open()

    def action_close(self) -> None:
        """First out of the search, then back."""
        line = self.query_one(FilterLine)
        if line.text:
            line.clear()
        else:
            self.dismiss(None)


def _row(number: int, line: Line) -> Row:
    def draw(_width: int) -> Content:
        return Content.assemble(
            (f"  {line.key:<13}", line.style or STRONG), (line.text, DIM if line.style else "")
        )

    return Row(f"line:{number}", draw)
