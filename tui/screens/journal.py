"""Everything that was ever done, newest first: time, actor, item, old > new, why."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui.copying import record_text
from tui.roadmap.describe import describe, visible, when, why
from tui.roadmap.query import parse
from tui.roadmap.records import ACTIONS, Record
from tui.screens.dialogs import LinesScreen
from tui.screens.room import Room
from tui.vocabulary import DIM, STRONG, WARN
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_bar import Key
from tui.widgets.row_list import Row, RowList


def record_row(record: Record) -> Row:
    """One record on one line."""

    def draw(width: int) -> Content:
        reason = why(record)
        return Content.assemble(
            (f" {when(record.at)[5:]} ", DIM),
            (f"{visible(record.by)[:16]:<16} ", STRONG),
            f"{visible(record.do)[:9]:<9} ",
            describe(record),
            (f"  ({reason})" if reason else "", DIM),
            ("  by hand" if record.hand else "", WARN),
        )

    return Row(record.id, draw)


class JournalScreen(Room):
    """Key 6."""

    PLACE = "Journal"
    KEYS = (
        Key("enter", "whole record", "screen.show"),
        Key("/", "filter", "screen.filter"),
        Key("y", "copy", "screen.copy"),
        Key("u", "undo", "app.undo"),
        Key("U", "redo", "app.redo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", id="list.filter"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.filter_text = ""
        self._lines: dict[str, str] = {}

    def body(self) -> list[Widget]:
        """Filter line, list, one line of figures."""
        records = RowList(id="records")
        line = FilterLine("journal-filter", records, "words, who:ana, is:tick, stage:2")
        return [
            Vertical(line, records, id="journal-list"),
            Static(id="journal-sum", markup=False),
        ]

    def on_mount(self) -> None:
        """The list has the cursor."""
        super().on_mount()
        self.query_one("#records", RowList).focus()

    def _line(self, record: Record) -> str:
        known = self._lines.get(record.id)
        if known is None:
            known = f"{when(record.at)} {record.by} {record.do} {describe(record)} {why(record)}"
            self._lines[record.id] = known
        return known

    def update_state(self) -> None:
        """Rows anew; the cursor stays on its record."""
        ws = self.gonogo.ws
        query = parse(self.filter_text, tuple(sorted(ACTIONS)))
        records = ws.state.records
        if query.terms:
            records = [r for r in records if query.record(r, self._line(r))]
        self.query_one("#records", RowList).set_rows([record_row(r) for r in reversed(records)])
        self.query_one(FilterLine).say(f"{len(records)} of {len(ws.state.records)}")
        journal = ws.journal
        parts = [f"{len(records)} of {len(ws.state.records)} records in {journal.path.name}"]
        if journal.chain.lines_of_work > 1:
            parts.append(f"merged {journal.chain.lines_of_work} lines of work")
        if journal.torn:
            parts.append(f"an unfinished record of {journal.torn} bytes at the end")
        if query.problem:
            parts.append(query.problem)
        self.query_one("#journal-sum", Static).update(Content("   ".join(parts)))

    def current(self) -> Record | None:
        """The record under the cursor."""
        key = self.query_one("#records", RowList).key
        return next((r for r in self.gonogo.ws.state.records if r.id == key), None)

    def action_show(self) -> None:
        """The whole record as JSON."""
        record = self.current()
        if record is None:
            return
        title = f"line {record.line} of {self.gonogo.ws.journal.path.name}"
        lines = [visible(line) for line in record_text(record).split("\n")]
        self.app.push_screen(LinesScreen(title, lines))

    @on(RowList.Chosen, "#records")
    def _chosen(self) -> None:
        self.action_show()

    def copied(self) -> tuple[str, str]:
        """The record under the cursor as JSON."""
        record = self.current()
        return (record_text(record), "the record") if record is not None else ("", "")

    def action_filter(self) -> None:
        """Show the filter line."""
        self.query_one(FilterLine).open()

    def set_filter(self, text: str) -> None:
        """Filter from the command line."""
        self.query_one(FilterLine).put(text)

    @on(Input.Changed, "#journal-filter")
    def _filtered(self, event: Input.Changed) -> None:
        self.filter_text = event.value
        self.update_state()
