"""An edited plan: which reworded boxes are still the same, and what has lost its place."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from tui.roadmap.describe import visible
from tui.roadmap.reanchor import Orphan, Question
from tui.vocabulary import DIM, STRONG, WARN
from tui.widgets.row_list import Row, RowList


class ReconcileScreen(ModalScreen[frozenset[str] | None]):
    """Closes with the old ids that are still the same, or None to ask again later."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "same", "Same or not", id="reconcile.toggle"),
        Binding("a", "all", "All the same", id="reconcile.all"),
        Binding("enter", "apply", "Apply", id="reconcile.apply"),
        Binding("escape", "later", "Later", id="reconcile.later"),
    ]

    def __init__(
        self, name: str, questions: tuple[Question, ...], orphans: tuple[Orphan, ...], gone: int = 0
    ) -> None:
        """`gone` is the number of missing boxes where it is so many that a typed yes is wanted."""
        super().__init__()
        self.plan_name, self.questions, self.orphans, self.gone = name, questions, orphans, gone
        self.same = {question.old for question in questions}

    def compose(self) -> ComposeResult:
        """Rows, the chosen pair in full, keys."""
        reworded, aside = len(self.questions), len(self.orphans)
        title = f"{self.plan_name} was edited: {reworded} reworded, {aside} kept aside"
        with Vertical(classes="dialog -tall"):
            yield Label(title, classes="dialog--title", markup=False)
            yield RowList(id="pairs")
            yield Static(id="pair", markup=False)
            if self.gone:
                yield Label(
                    f"{self.gone} boxes are gone. Is it the right file? Type yes to go on.",
                    classes="dialog--label",
                    markup=False,
                )
                yield Input(id="sure", compact=True)
            yield Label("", id="error", classes="dialog--error", markup=False)
            hint = "space same / not   a all the same   enter apply   esc later"
            yield Label(hint, classes="dialog--hint", markup=False)

    def on_mount(self) -> None:
        """The list has the cursor."""
        self._draw()
        self.query_one(RowList).focus()

    def _draw(self) -> None:
        rows = [Row(q.old, partial(self._question, q)) for q in self.questions]
        rows += [Row(f"gone {o.id}", partial(self._orphan, o)) for o in self.orphans]
        self.query_one(RowList).set_rows(rows)
        self._explain(self.query_one(RowList).key)

    def _orphan(self, orphan: Orphan, width: int) -> Content:
        told = visible(f"{orphan.text} ({orphan.data})")
        return Content.assemble(("  gone  ", WARN), f"{orphan.id} ", (told, DIM))

    def _question(self, question: Question, width: int) -> Content:
        mark = "[same]" if question.old in self.same else "[new] "
        return Content.assemble(
            (f" {mark} ", STRONG), f"{question.old:<7} ", visible(question.new_text)
        )

    def _explain(self, key: str) -> None:
        question = next((q for q in self.questions if q.old == key), None)
        if question is None:
            text = Content("Kept in the state file and listed at the end of an export.")
        else:
            numbers = question.numbers
            text = Content.assemble(
                ("was  ", DIM), f"{visible(question.old_text)}\n",
                ("now  ", DIM), f"{visible(question.new_text)}\n",
                (f"numbers {numbers[0]} > {numbers[1]}: confirm what the check expects"
                 if numbers else "the tick stays, the check's result counts as old", WARN),
            )  # fmt: skip
        self.query_one("#pair", Static).update(text)

    @on(RowList.Moved, "#pairs")
    def _moved(self, event: RowList.Moved) -> None:
        self._explain(event.key)

    def action_same(self) -> None:
        """The box under the cursor is the same one, or another."""
        key = self.query_one(RowList).key
        if any(q.old == key for q in self.questions):
            self.same ^= {key}
            self._draw()

    def action_all(self) -> None:
        """All are the same."""
        self.same = {question.old for question in self.questions}
        self._draw()

    @on(RowList.Chosen, "#pairs")
    @on(Input.Submitted, "#sure")
    def action_apply(self) -> None:
        """Close with the answer; many missing boxes want a typed yes."""
        if self.gone and self.query_one("#sure", Input).value.strip().casefold() != "yes":
            self.query_one("#error", Label).update("Type yes, or esc and put the old text back.")
            self.query_one("#sure", Input).focus()
            return
        self.dismiss(frozenset(self.same))

    def action_later(self) -> None:
        """Nothing is changed; what is asked waits."""
        self.dismiss(None)
