"""The state file lost records that were read before: how many, where they are kept, and what to do."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from tui.screens.unasked import Unasked
from tui.vocabulary import DIM
from tui.widgets.hint import Hint


class LostScreen(Unasked[str]):
    """Closes with "back", "without" or "later"; nothing is written before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "choose('later')", "Decide later", id="lost.later"),
        Binding("p", "choose('back')", "Put them back", id="lost.back"),
        Binding("g", "choose('without')", "Go on without", id="lost.without"),
    ]

    def __init__(self, problem: str, kept: str) -> None:
        super().__init__()
        self.problem, self.kept = problem, kept

    def compose(self) -> ComposeResult:
        """What happened, where the copy is, three answers."""
        text = Content.assemble(f"{self.problem}\n", (self.kept, DIM))
        with Vertical(classes="dialog"):
            yield Label("The state file lost records", classes="dialog--title", markup=False)
            yield Static(text, markup=False, id="lost")
            yield OptionList(
                Option(Content("p  put them back behind what the file holds now"), id="back"),
                Option(Content("g  go on without them; the copy stays"), id="without"),
                Option(Content("esc  decide later; the app is read-only until then"), id="later"),
            )
            yield Hint("nothing has been written yet")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        if self.fresh:
            return
        self.dismiss(event.option_id or "later")

    def action_choose(self, choice: str) -> None:
        """Close with the answer."""
        self.dismiss(choice)
