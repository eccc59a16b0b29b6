"""Signing at the gate: an outcome, its reason, and the word OVERRIDE where it goes against the rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from tui.roadmap.gate import MIN_OVERRIDE_REASON, OVERRIDE, GateReport, needs_override
from tui.vocabulary import DIM, FAIL, OUTCOMES, STRONG
from tui.widgets.hint import Hint
from tui.widgets.row_list import Row, RowList

MEANINGS = (
    ("GO", "proceed to the next phase"),
    ("HOLD", "collect more evidence first"),
    ("NO-GO", "stop and investigate"),
)


@dataclass(frozen=True)
class Signed:
    """What was chosen and typed."""

    outcome: str
    reason: str
    override: str


class Outcomes(RowList):
    """One of three; space or enter on a row chooses it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", "Choose", show=False, id="decide.choose"),
    ]


def _outcome_row(rule: str, word: str, meaning: str, chosen: bool) -> Row:
    def draw(width: int) -> Content:
        tail = "   against the rule: needs OVERRIDE" if needs_override(rule, word) else ""
        return Content.assemble(
            (" (*) " if chosen else " ( ) ", STRONG), (f"{word:<7}", OUTCOMES[word]),
            (meaning, DIM), (tail, FAIL),
        )  # fmt: skip

    return Row(word, draw)


class DecideScreen(ModalScreen[Signed | None]):
    """The button stays shut until everything that the outcome needs is there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
        Binding("ctrl+s", "sign", "Sign", id="dialog.save"),
    ]

    def __init__(self, report: GateReport, typed: Signed | None = None) -> None:
        super().__init__()
        self.report = report
        self.typed = typed or Signed("", "", "")
        self.outcome = self.typed.outcome

    def compose(self) -> ComposeResult:
        """Outcomes, reason, override, what is missing, the button."""
        with Vertical(classes="dialog"):
            title = f"Decide: the rule says {self.report.rule}"
            yield Label(title, classes="dialog--title", markup=False)
            yield Outcomes(id="outcome")
            yield Label("Reason (required)", classes="dialog--label", markup=False)
            yield Input(self.typed.reason, id="reason", compact=True)
            yield Label("", id="override-label", classes="dialog--label", markup=False)
            yield Input(self.typed.override, id="override", compact=True)
            yield Label("", id="error", classes="dialog--error", markup=False)
            yield Button("Sign decision", id="sign", disabled=True, compact=True)
            hint = "space chooses   tab next   enter on the button signs   esc cancels"
            yield Hint(hint)

    def on_mount(self) -> None:
        """Say at once what is missing."""
        self._draw_outcomes()
        self.query_one("#outcome", Outcomes).focus()
        self._check()

    def _draw_outcomes(self) -> None:
        rule = self.report.rule
        self.query_one("#outcome", Outcomes).set_rows(
            [_outcome_row(rule, word, text, word == self.outcome) for word, text in MEANINGS]
        )

    @on(RowList.Chosen, "#outcome")
    def _choose(self, event: RowList.Chosen) -> None:
        self.outcome = event.key
        self._draw_outcomes()
        self._check()

    @property
    def values(self) -> Signed:
        """What is chosen and typed now."""
        outcome = self.outcome
        reason = self.query_one("#reason", Input).value.strip()
        override = self.query_one("#override", Input).value.strip()
        return Signed(outcome, reason, override if self._against(outcome) else "")

    def _against(self, outcome: str) -> bool:
        return bool(outcome) and needs_override(self.report.rule, outcome)

    def missing(self) -> str:
        """What keeps the button shut, "" when it is open."""
        now = self.values
        if not now.outcome:
            return "Choose an outcome."
        if not now.reason:
            return "A decision needs a reason."
        if self._against(now.outcome):
            if now.override != OVERRIDE:
                return f"{now.outcome} is against the rule: type the word {OVERRIDE}."
            if len(now.reason) < MIN_OVERRIDE_REASON:
                left = MIN_OVERRIDE_REASON - len(now.reason)
                return f"The reason needs {left} more characters to go against the rule."
        return ""

    @on(Input.Changed)
    def _check(self) -> None:
        against = self._against(self.values.outcome)
        text = f"Type {OVERRIDE} to go against the rule ({self.report.rule})" if against else ""
        self.query_one("#override-label", Label).update(text)
        self.query_one("#override-label", Label).display = against
        self.query_one("#override", Input).display = against
        missing = self.missing()
        self.query_one("#error", Label).update(missing)
        self.query_one("#sign", Button).disabled = bool(missing)

    @on(Input.Submitted)
    def _next(self) -> None:
        if self.missing():
            self.focus_next()
        else:
            self.query_one("#sign", Button).focus()

    @on(Button.Pressed, "#sign")
    def action_sign(self) -> None:
        """Close with the values; nothing while something is missing."""
        if not self.missing():
            self.dismiss(self.values)

    def action_cancel(self) -> None:
        """Close without a decision."""
        self.dismiss(None)
