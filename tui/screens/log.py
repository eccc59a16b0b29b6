"""A job's mirrored log: at its end and growing, with a search."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from tui.tail import tail_lines
from tui.widgets.row_list import Row, RowList

LOOK_SECONDS = 1.0
FOUND = "bold reverse"


def log_row(number: int, text: str, wanted: str) -> Row:
    """One line, with what was searched for marked; never interpreted as markup."""

    def draw(_width: int) -> Content:
        content = Content(text)
        if wanted:
            low, at = text.casefold(), 0
            # Folding may change a text's length (ß): then the marks would stand beside the word.
            while len(low) == len(text) and (at := low.find(wanted, at)) >= 0:
                content = content.stylize(FOUND, at, at + len(wanted))
                at += len(wanted)
        return content

    return Row(f"line:{number}", draw)


class LogScreen(ModalScreen[None]):
    """The last 512 KiB of a log. `/` searches, `n` and `N` go on; it follows while at the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Back", id="dialog.back"),
        Binding("slash", "search", "Search", id="log.search"),
        Binding("n", "next(1)", "Next hit", id="log.next"),
        Binding("N", "next(-1)", "Hit before", id="log.previous"),
    ]

    def __init__(self, title: str, path: Path) -> None:
        super().__init__()
        self.heading, self.path = title, path
        self.wanted = ""
        self.lines: list[str] = []
        self._mark: tuple[int, int] | None = None

    def compose(self) -> ComposeResult:
        """The lines over the whole dialog, the search below."""
        with Vertical(classes="dialog -tall"):
            yield Label(self.heading, classes="dialog--title", markup=False)
            yield RowList(id="lines")
            search = Input(placeholder="search", id="search", compact=True)
            search.display = False
            yield search
            yield Label("", id="log-hint", classes="dialog--hint", markup=False)

    def on_mount(self) -> None:
        """Open at the end and look at the file once a second."""
        self._read()
        self.query_one("#lines", RowList).focus()
        self._hint()
        self.set_interval(LOOK_SECONDS, self._read)

    def _read(self) -> None:
        try:
            stat = self.path.stat()
            mark = (stat.st_size, stat.st_mtime_ns)
        except OSError:
            mark = (0, 0)
        if mark == self._mark:
            return
        self._mark = mark
        rows = self.query_one("#lines", RowList)
        at_end = not rows.rows or rows.cursor >= len(rows.rows) - 1
        self.lines = tail_lines(self.path)
        self._fill()
        if at_end:
            rows.action_end(1)

    def _fill(self) -> None:
        rows = [log_row(number, text, self.wanted) for number, text in enumerate(self.lines)]
        self.query_one("#lines", RowList).set_rows(rows)

    def _hint(self, said: str = "") -> None:
        keys = "/ search   n N next, before   j k G g move   esc back"
        self.query_one("#log-hint", Label).update(f"{said}   {keys}" if said else keys)

    def hits(self) -> list[int]:
        """Numbers of the lines that hold what is searched for, in any case."""
        if not self.wanted:
            return []
        return [n for n, text in enumerate(self.lines) if self.wanted in text.casefold()]

    def action_search(self) -> None:
        """Type what to look for."""
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    @on(Input.Submitted, "#search")
    def _searched(self, event: Input.Submitted) -> None:
        self.wanted = event.value.casefold()
        self._end_search()
        self._fill()
        self.action_next(-1, here=True)

    def _end_search(self) -> None:
        self.query_one("#search", Input).display = False
        self.query_one("#lines", RowList).focus()

    def action_next(self, direction: int, here: bool = False) -> None:
        """The next hit downwards or upwards, around the end; a log is first searched upwards."""
        rows, hits = self.query_one("#lines", RowList), self.hits()
        if not hits:
            self._hint(f"no “{self.wanted[:40]}”" if self.wanted else "")
            return
        at = rows.cursor
        if direction > 0:
            target = next((n for n in hits if n > at), hits[0])
        else:
            before = [n for n in hits if n < at or (here and n == at)]
            target = before[-1] if before else hits[-1]
        rows.cursor = target
        self._hint(f"{hits.index(target) + 1} of {len(hits)}")

    def action_close(self) -> None:
        """End the search, or go back."""
        if self.query_one("#search", Input).display:
            self._end_search()
        else:
            self.dismiss(None)
