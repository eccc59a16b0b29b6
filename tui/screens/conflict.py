"""Two people changed one item: both sides, and who wins."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

from tui.roadmap.describe import visible, when
from tui.roadmap.errors import Theirs
from tui.screens.unasked import Unasked
from tui.vocabulary import DIM, HEAD, STRONG
from tui.widgets.hint import Hint


class ConflictScreen(Unasked[str]):
    """Closes with "theirs", "mine" or "cancel"; nothing has been written before."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c", "choose('cancel')", "Cancel", id="conflict.cancel"),
        Binding("k", "choose('theirs')", "Keep theirs", id="conflict.theirs"),
        Binding("a", "choose('mine')", "Apply mine", id="conflict.mine"),
    ]

    def __init__(self, theirs: Theirs) -> None:
        super().__init__()
        self.theirs = theirs

    def compose(self) -> ComposeResult:
        """Both sides and three answers."""
        side, at = self.theirs, when(self.theirs.at)
        mine = visible(side.mine or "empty", lines=True) if side.mine is not None else "your change"
        text = Content.assemble(
            f"{side.item} was set to ", (visible(side.value), STRONG),
            f" by {visible(side.by)} at {at[11:]}", (f" ({at[:10]})\n\n", DIM),
            ("theirs  ", HEAD), f"{visible(side.value, lines=True)[:600]}\n",
            ("mine    ", HEAD), f"{mine[:600]}\n",
        )  # fmt: skip
        with Vertical(classes="dialog"):
            yield Label("Somebody else changed this", classes="dialog--title", markup=False)
            yield Static(text, markup=False, id="sides")
            yield OptionList(
                Option(Content("k  keep theirs"), id="theirs"),
                Option(Content("a  apply mine"), id="mine"),
                Option(Content("c  cancel, decide later"), id="cancel"),
            )
            yield Hint("nothing has been written yet")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        if self.fresh:
            return
        self.dismiss(event.option_id or "cancel")

    def action_choose(self, choice: str) -> None:
        """Close with the answer."""
        self.dismiss(choice)
