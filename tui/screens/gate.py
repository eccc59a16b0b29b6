"""GO or NO-GO: the criteria with their numbers, what the rule says, and every decision ever made."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui import rows
from tui.detail import clock
from tui.roadmap.gate import GateReport, evaluate
from tui.roadmap.state import Decision
from tui.screens.room import Room
from tui.vocabulary import DIM, FAIL, HEAD, OUTCOMES, STRONG, WARN
from tui.widgets.key_bar import Key
from tui.widgets.row_list import Row, RowList


class GateScreen(Room):
    """W2 and W5 of the plan."""

    PLACE = "Gate: Stage 3 GO/NO-GO"
    KEYS = (
        Key("d", "decide", "screen.decide"),
        Key("o", "evidence", "screen.evidence"),
        Key("u", "undo", "app.undo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "decide", "Decide", id="gate.decide"),
        Binding("o", "evidence", "Evidence", id="gate.evidence"),
    ]

    def body(self) -> list[Widget]:
        """Criteria and, beside or below them, what follows from them."""
        return [
            Horizontal(
                RowList(id="criteria"),
                VerticalScroll(
                    Static(id="gate-text", markup=False), id="gate-pane", can_focus=False
                ),
                id="gate-panes",
            )
        ]

    def update_state(self) -> None:
        """Evaluate and show."""
        ws = self.gonogo.ws
        report = evaluate(ws)
        table: list[Row] = [
            rows.heading("criteria", "Criteria: all must be GO", f"rule says {report.rule}")
        ]
        table += [rows.criterion_row(c) for c in report.criteria]
        strict = f"a reviewer would say {report.strict.rule}"
        table.append(
            rows.heading("strict", "Strict gate: beside the rule, never instead of it", strict)
        )
        table += [rows.criterion_row(c) for c in report.strict.criteria]
        if ws.state.decisions:
            table.append(rows.heading("history", "Decisions", str(len(ws.state.decisions))))
            table += [decision_row(d) for d in reversed(ws.state.decisions)]
        self.query_one("#criteria", RowList).set_rows(table)
        self.query_one("#gate-text", Static).update(self._text(report))

    def _text(self, report: GateReport) -> Content:
        go = sum(c.verdict == "GO" for c in report.criteria)
        no = sum(c.verdict == "NO-GO" for c in report.criteria)
        none = len(report.criteria) - go - no
        decision = report.decision
        outcome = decision.outcome if decision else "no decision recorded"
        parts: list[str | Content | tuple[str, str]] = [
            ("DECISION  ", HEAD),
            (outcome, OUTCOMES.get(outcome, DIM)),
            "\n",
        ]
        if decision is not None:
            parts += [f"{decision.reason}\n", (f"{decision.by}  {clock(decision.at)}\n", DIM)]
            if decision.override:
                parts.append(("AGAINST THE RULE (override)\n", FAIL))
            if report.changed:
                parts.append(("the evidence has changed since\n", WARN))
        parts += [
            "\n",
            ("RULE SAYS  ", HEAD),
            (report.rule, OUTCOMES.get(report.rule, DIM)),
            "\n",
            f"{go} GO, {no} NO-GO, {none} without data\n",
            ("NO-GO at a small n does not prove that there is no effect.\n", DIM),
            "\n",
            ("d ", STRONG),
            "records GO, NO-GO or HOLD with its reason.\n",
            ("A decision is never edited, only superseded.\n", DIM),
        ]
        return Content.assemble(*parts)

    def action_decide(self) -> None:
        """Record a decision."""
        self.gonogo.decide()

    def action_evidence(self) -> None:
        """What the criterion under the cursor stands on."""
        key = self.query_one("#criteria", RowList).key
        report = evaluate(self.gonogo.ws)
        for criterion in (*report.criteria, *report.strict.criteria):
            if criterion.id == key:
                text = criterion.evidence or "no evidence yet"
                self.notify(f"{criterion.label}: {criterion.detail or text}", markup=False)

    @on(RowList.Chosen, "#criteria")
    def _chosen(self) -> None:
        self.action_evidence()


def decision_row(decision: Decision) -> Row:
    """One line of the history."""

    def draw(width: int) -> Content:
        mark = "  OVERRIDE" if decision.override else ""
        return Content.assemble(
            (f" {decision.outcome:<7}", OUTCOMES.get(decision.outcome, DIM)),
            (f"{clock(decision.at)[:16]} ", DIM),
            decision.reason,
            (mark, FAIL),
            (f"  {decision.by}", DIM),
        )

    return Row(f"decision:{decision.id}", draw)
