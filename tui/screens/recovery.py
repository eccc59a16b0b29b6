"""A damaged line of the state file: what it says, what is wrong with it, and what can be done."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Label, Static

from tui.roadmap.chain import BadText
from tui.roadmap.describe import visible
from tui.screens.unasked import Unasked
from tui.vocabulary import DIM, FAIL, HEAD
from tui.widgets.hint import Hint
from tui.words import counted

_SHOWN = 4000


class RecoveryScreen(Unasked[bool]):
    """Closes with True when the line is to be taken over as a hand edit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "accept", "Accept as hand edit", id="recovery.accept"),
        Binding("escape,q,enter", "leave", "Stay read-only", id="recovery.leave"),
    ]

    def __init__(self, name: str, bad: BadText, good: int) -> None:
        super().__init__()
        self.file_name, self.bad, self.good = name, bad, good

    def compose(self) -> ComposeResult:
        """The line with its number, and the keys."""
        bad = self.bad
        text = visible(bad.raw[:_SHOWN].decode("utf-8", "replace"))
        cut = f" ... {len(bad.raw) - _SHOWN} bytes more" if len(bad.raw) > _SHOWN else ""
        if bad.newer:
            what = "Only a newer gonogo can read it. This one stays read-only and changes nothing."
        else:
            what = (
                "Accepted, it counts as a hand edit where it makes sense, and a record at the end of the"
                " file says who accepted it. Nothing is deleted. Or mend the file with an editor."
            )
        with Vertical(classes="dialog -tall"):
            yield Label("Recovery: the app is read-only", classes="dialog--title", markup=False)
            with VerticalScroll(can_focus=False):
                yield Static(
                    Content.assemble(
                        (f"{self.file_name} line {bad.number}: ", HEAD), (f"{bad.reason}\n\n", FAIL),
                        f"{text}{cut}\n\n",
                        (f"Shown: {counted(self.good, 'record')} before it. {what}\n", DIM),
                    ),
                    id="bad-line", markup=False,
                )  # fmt: skip
            keys = (
                "esc stay read-only" if bad.newer else "a accept as hand edit   esc stay read-only"
            )
            yield Hint(keys)

    def action_accept(self) -> None:
        """Take the line over."""
        if not self.bad.newer:
            self.dismiss(True)

    def action_leave(self) -> None:
        """Stay read-only."""
        self.dismiss(False)
