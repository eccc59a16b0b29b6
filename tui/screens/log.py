"""A job's mirrored log: at its end and growing, with a search."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from tui.log_search import Found, Window, read_window, search
from tui.screens.dialogs import DetailScreen
from tui.widgets.hint import Hint
from tui.widgets.row_list import Row, RowList

LOOK_SECONDS = 1.0
FOUND = "bold reverse"


def log_row(number: int, text: str, wanted: str) -> Row:
    """One line, with what was searched for marked; never interpreted as markup."""

    def draw(width: int) -> Content:
        return marked(text, wanted).truncate(width, ellipsis=True)

    return Row(f"line:{number}", draw)


def marked(text: str, wanted: str) -> Content:
    """A line with every hit of the search in it marked."""
    content = Content(text)
    if wanted:
        low, at = text.casefold(), 0
        # Folding may change a text's length (ß): then the marks would stand beside the word.
        while len(low) == len(text) and (at := low.find(wanted, at)) >= 0:
            content = content.stylize(FOUND, at, at + len(wanted))
            at += len(wanted)
    return content


class LogScreen(ModalScreen[None]):
    """A part of a log, at first its end, which it follows. `/` searches all of it, `n` and `N` go on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Back", id="dialog.back"),
        Binding("slash", "search", "Search", id="log.search"),
        Binding("n", "next(1)", "Next hit", id="log.next"),
        Binding("N", "next(-1)", "Hit before", id="log.previous"),
        Binding("f", "follow", "To the end", id="log.follow"),
        Binding("y", "copy", "Copy the line", show=False, id="list.copy"),
    ]

    def __init__(self, title: str, path: Path) -> None:
        super().__init__()
        self.heading, self.path = title, path
        self.wanted = ""
        self.window = Window([], [], 0, True)
        self.at: int | None = None
        """The byte around which lines are shown, None for the end."""
        self.found: Found | None = None
        """The hits in a log that is larger than the window."""
        self._mark: tuple[int, int] | None = None

    def compose(self) -> ComposeResult:
        """The lines over the whole dialog, the search below."""
        with Vertical(classes="dialog -tall"):
            yield Label(self.heading, classes="dialog--title", markup=False)
            yield RowList(id="lines")
            search = Input(placeholder="search", id="search", compact=True)
            search.display = False
            yield search
            yield Hint("", id="log-hint")

    def on_mount(self) -> None:
        """Open at the end and look at the file once a second."""
        self._read()
        self.query_one("#lines", RowList).focus()
        self._hint()
        self.set_interval(LOOK_SECONDS, self._read)

    @property
    def lines(self) -> list[str]:
        """The lines that are loaded."""
        return self.window.lines

    def _read(self) -> None:
        try:
            stat = self.path.stat()
            mark = (stat.st_size, stat.st_mtime_ns)
        except OSError:
            mark = (0, 0)
        if mark == self._mark or self.at is not None:
            return
        self._mark = mark
        rows = self.query_one("#lines", RowList)
        at_end = not rows.rows or rows.cursor >= len(rows.rows) - 1
        self._load(None)
        if at_end:
            rows.action_end(1)

    def _load(self, at: int | None) -> None:
        self.at = at
        self.window = read_window(self.path, at)
        self._fill()

    def _fill(self) -> None:
        rows = [log_row(number, text, self.wanted) for number, text in enumerate(self.lines)]
        self.query_one("#lines", RowList).set_rows(rows)

    def _hint(self, said: str = "") -> None:
        keys = "/ search   n N next, before   f follow   j k G g move   enter whole line   y copy   esc back"
        self.query_one("#log-hint", Label).update(f"{said}   {keys}" if said else keys)

    def hits(self) -> list[int]:
        """Numbers of the loaded lines that hold what is searched for, in any case."""
        if not self.wanted:
            return []
        return [n for n, text in enumerate(self.lines) if self.wanted in text.casefold()]

    def action_search(self) -> None:
        """Type what to look for."""
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    def line(self) -> str:
        """The line under the cursor, all of it."""
        rows = self.query_one("#lines", RowList)
        return self.lines[rows.cursor] if rows.cursor < len(self.lines) else ""

    @on(RowList.Chosen, "#lines")
    def _chosen(self) -> None:
        self.app.push_screen(DetailScreen(marked(self.line(), self.wanted), "Line"))

    def action_copy(self) -> None:
        """The line under the cursor."""
        self.app.copy_to_clipboard(self.line())
        self.notify("Copied the line.", markup=False)

    def action_follow(self) -> None:
        """To the end, and along with it."""
        self._load(None)
        self.query_one("#lines", RowList).action_end(1)

    @on(Input.Submitted, "#search")
    def _searched(self, event: Input.Submitted) -> None:
        self.wanted = event.value.casefold()
        self.found = None
        self._end_search()
        self._fill()
        if self.wanted and not self.window.whole:
            self._search_all(self.wanted)
        else:
            self.action_next(-1, here=True)

    @work(group="log-search", exclusive=True, exit_on_error=False)
    async def _search_all(self, wanted: str) -> None:
        """All of the file, in a thread; what is typed anew or closed ends it."""
        self._hint(f"searching {self.window.size:,} bytes…")
        found = await asyncio.to_thread(
            search, self.path, wanted, lambda: self.wanted != wanted or not self.is_attached
        )
        if self.wanted == wanted and self.is_attached:
            self.found = found
            self.action_next(-1, here=True)

    def _end_search(self) -> None:
        self.query_one("#search", Input).display = False
        self.query_one("#lines", RowList).focus()

    def action_next(self, direction: int, here: bool = False) -> None:
        """The next hit downwards or upwards, around the end; a log is first searched upwards."""
        if self.found is not None:
            self._next_of_all(self.found, direction, here)
            return
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

    def _next_of_all(self, found: Found, direction: int, here: bool) -> None:
        """The same in a log of which only a part is loaded."""
        places, rows = found.places, self.query_one("#lines", RowList)
        if not places:
            self._hint(f"no “{self.wanted[:40]}” in {found.size:,} bytes")
            return
        at = self.window.places[rows.cursor] if rows.cursor < len(self.window.places) else -1
        if at < 0:  # a line that tells of what is not loaded: the first or the last
            at = found.size if rows.cursor else 0
        if direction > 0:
            number = bisect_right(places, at) % len(places)
        else:
            number = (bisect_right if here else bisect_left)(places, at) - 1
        number %= len(places)
        place = places[number]
        if place not in self.window.places:
            self._load(place)
        if place in self.window.places:
            rows.cursor = self.window.places.index(place)
        lost = found.total - len(places)
        said = f"{number + 1 + lost} of {found.total}"
        if lost:
            said += f" (the newest {len(places):,} can be reached)"
        size = self.path.stat().st_size if self.path.exists() else 0
        if size > found.size:
            said += f"   {size - found.size:,} newer bytes not searched, / again"
        self._hint(said)

    def action_close(self) -> None:
        """End the search, or go back."""
        if self.query_one("#search", Input).display:
            self._end_search()
        else:
            self.dismiss(None)
