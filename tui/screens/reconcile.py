"""An edited plan: what was reworded, what is new, what has lost its place, and where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label, Static

from tui.roadmap.describe import visible
from tui.roadmap.reanchor import Orphan, Question, Reading
from tui.screens.dialogs import ChoiceScreen, LinesScreen
from tui.screens.unasked import Unasked
from tui.vocabulary import DIM, STRONG, WARN
from tui.widgets.hint import Hint
from tui.widgets.row_list import Row, RowList
from tui.words import counted


@dataclass(frozen=True)
class Settled:
    """Old ids that are still the same, and old ids that go to a new place chosen by hand."""

    same: frozenset[str]
    matched: dict[str, str] = field(default_factory=dict)


class ReconcileScreen(Unasked[Settled | None]):
    """Closes with the answer, or None to ask again later."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "same", "Same or not", id="reconcile.toggle"),
        Binding("a", "all", "All the same", id="reconcile.all"),
        Binding("r", "none", "None the same", id="reconcile.none"),
        Binding("m", "match", "Match by hand", id="reconcile.match"),
        Binding("D", "diff", "Differences", id="reconcile.diff"),
        Binding("enter", "apply", "Apply", id="reconcile.apply"),
        Binding("escape", "later", "Later", id="reconcile.later"),
    ]

    def __init__(
        self,
        name: str,
        reading: Reading,
        questions: tuple[Question, ...],
        orphans: tuple[Orphan, ...],
    ) -> None:
        super().__init__()
        self.plan_name, self.reading = name, reading
        self.questions, self.orphans = questions, orphans
        self.gone = len(reading.lost) if reading.many_lost else 0
        self.same = {question.old for question in questions}
        self.matched: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        """Counts, rows, the chosen one in full, keys."""
        with Vertical(classes="dialog -tall"):
            yield Label(self._title(), classes="dialog--title", markup=False)
            yield RowList(id="pairs")
            yield Static(id="pair", markup=False)
            if self.gone:
                yield Label(
                    f"{counted(self.gone, 'box is', 'boxes are')} gone."
                    " Is it the right file? Type yes to go on.",
                    classes="dialog--label",
                    markup=False,
                )
                yield Input(id="sure", compact=True)
            yield Label("", id="error", classes="dialog--error", markup=False)
            hint = "space same  a all  r none  m match  D diff  enter apply  esc later"
            yield Hint(hint)

    def _title(self) -> str:
        reading = self.reading
        known = len(reading.reference.ids) if reading.reference else 0
        now, lost, new = len(reading.document.boxes), len(reading.lost), len(reading.added)
        boxes = sum(not question.blank for question in self.questions)
        same = now - boxes - new - reading.moved
        return (
            f"{self.plan_name} was edited: {known} boxes before, {now} now\n"
            f"{same} same, {reading.moved} moved, {len(self.questions)} reworded, {new} new,"
            f" {lost} lost, {len(self.orphans)} kept aside"
        )

    def on_mount(self) -> None:
        """The list has the cursor."""
        self._draw()
        self.query_one(RowList).focus()

    # --- rows ---------------------------------------------------------------------------------

    def _rows(self) -> Iterator[Row]:
        if self.questions:
            yield self._heading("REWORDED  (same: the id stays, a check's result counts as old)")
        for question in self.questions:
            yield Row(question.old, partial(self._question, question))
        reading, boxes = self.reading, self.reading.document.boxes
        if reading.added:
            yield self._heading("NEW")
        for item in reading.added:
            yield Row(f"new {item}", partial(self._plain, "new", item, boxes[item].label))
        aside = {orphan.id for orphan in self.orphans}
        empty = [item for item in reading.lost if item not in aside]
        if empty:
            yield self._heading("GONE  (nothing was recorded for them)")
        for item in empty:
            yield Row(f"gone {item}", partial(self._plain, "gone", item, self._old_text(item)))
        if self.orphans:
            yield self._heading("KEPT ASIDE  (recorded for what the plan no longer has)")
        for orphan in self.orphans:
            yield Row(f"gone {orphan.id}", partial(self._orphan, orphan))

    @staticmethod
    def _heading(text: str) -> Row:
        return Row("", lambda _width: Content.styled(text, STRONG), selectable=False)

    def _old_text(self, item: str) -> str:
        reference = self.reading.reference
        if reference is None or item not in reference.ids:
            return ""
        return reference.items[reference.ids.index(item)].label

    def _question(self, question: Question, width: int) -> Content:
        mark = "[same]" if question.old in self.same else "[new] "
        words = f"{question.old:<7} {visible(question.new_text)}"
        room = max(8, width - 14)
        return Content.assemble(
            (f" {mark} ", STRONG), f"{words[:room]:<{room}}", (f" {question.likeness:.2f}", DIM)
        )

    def _plain(self, word: str, item: str, text: str, width: int) -> Content:
        going = f" > {self.matched[item]}" if item in self.matched else ""
        return Content.assemble((f"  {word:<5} ", DIM), f"{item}{going} ", (visible(text), DIM))

    def _orphan(self, orphan: Orphan, width: int) -> Content:
        told = visible(f"{orphan.text} ({orphan.data})".strip())
        to = self.matched.get(orphan.id)
        word = (f"  to {to}  ", STRONG) if to else ("  aside ", WARN)
        return Content.assemble(word, f"{orphan.id} ", (told, DIM))

    def _draw(self) -> None:
        self.query_one(RowList).set_rows(list(self._rows()))
        self._explain(self.query_one(RowList).key)

    def _explain(self, key: str) -> None:
        question = next((q for q in self.questions if q.old == key), None)
        item = key.removeprefix("gone ")
        if question is not None:
            numbers = question.numbers
            said = (
                "the value goes along" if question.blank
                else f"numbers {numbers[0]} > {numbers[1]}: confirm what the check expects"
                if numbers else "the tick stays, the check's result counts as old"
            )  # fmt: skip
            text = Content.assemble(
                ("was  ", DIM), f"{visible(question.old_text)}\n",
                ("now  ", DIM), f"{visible(question.new_text)}\n", (said, WARN),
            )  # fmt: skip
        elif key.startswith("new "):
            text = Content("Not in the plan before; it begins open.")
        elif any(orphan.id == item for orphan in self.orphans):
            text = Content(
                "Kept in the state file and listed at the end of an export.\nm matches it."
            )
        else:
            text = Content(
                "Nothing is written until you apply. What was recorded is never dropped."
            )
        self.query_one("#pair", Static).update(text)

    @on(RowList.Moved, "#pairs")
    def _moved(self, event: RowList.Moved) -> None:
        self._explain(event.key)

    # --- keys ---------------------------------------------------------------------------------

    def action_same(self) -> None:
        """The box under the cursor is the same one, or another; a match by hand is taken back."""
        key = self.query_one(RowList).key
        if any(q.old == key for q in self.questions):
            self.same ^= {key}
        self.matched.pop(key.removeprefix("gone "), None)
        self._draw()

    def action_all(self) -> None:
        """All are the same."""
        self.same = {question.old for question in self.questions}
        self._draw()

    def action_none(self) -> None:
        """None is the same: what was recorded for them is kept aside."""
        self.same = set()
        self._draw()

    @work(exclusive=True, exit_on_error=False)
    async def action_match(self) -> None:
        """Choose the new place of what has none."""
        item = self.query_one(RowList).key.removeprefix("gone ")
        kinds = {orphan.id: orphan.kind for orphan in self.orphans}
        kinds.update((lost, "box") for lost in self.reading.lost)
        document, error = self.reading.document, self.query_one("#error", Label)
        boxes = [(i, document.boxes[i].label) for i in self.reading.added]
        blanks = [(i, document.fields[i].label) for i in self.reading.added_blanks]
        used = {new for old, new in self.matched.items() if old != item}
        free = {"box": boxes, "blank": blanks}.get(kinds.get(item, ""), [])
        choices = [(i, f"{i}  {visible(text)}") for i, text in free if i not in used]
        error.update("" if choices else "Nothing new stands in the plan that it could be.")
        if choices:
            chosen = await self.app.push_screen_wait(ChoiceScreen(f"{item} is now", choices))
            if chosen:
                self.matched[item] = chosen
                self._draw()

    def action_diff(self) -> None:
        """The two texts, line by line."""
        self.app.push_screen(LinesScreen(f"{self.plan_name}: - before, + now", self.reading.diff()))

    @on(RowList.Chosen, "#pairs")
    @on(Input.Submitted, "#sure")
    def action_apply(self) -> None:
        """Close with the answer; many missing boxes want a typed yes."""
        if self.fresh:
            return
        if self.gone and self.query_one("#sure", Input).value.strip().casefold() != "yes":
            self.query_one("#error", Label).update("Type yes, or esc and put the old text back.")
            self.query_one("#sure", Input).focus()
            return
        self.dismiss(Settled(frozenset(self.same), dict(self.matched)))

    def action_later(self) -> None:
        """Nothing is changed; what is asked waits."""
        self.dismiss(None)
