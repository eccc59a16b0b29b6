"""GO or NO-GO: the criteria with their numbers, what the rule says, and every decision ever made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.account_rows import AGAINST, criterion_row, decision_row
from tui.copying import criterion_text, decision_text
from tui.detail import Part, clock
from tui.roadmap.budget import summarize
from tui.roadmap.dates import date_field
from tui.roadmap.gate import Criterion, GateReport, evaluate, gate_comparison
from tui.roadmap.pins import TRAINED, smallest_effect
from tui.roadmap.state import Decision
from tui.roadmap.workspace import WorkspaceError
from tui.rows import heading
from tui.screens.dialogs import DetailScreen, LinesScreen
from tui.screens.room import Room
from tui.vocabulary import DIM, FAIL, HEAD, OUTCOMES, STRONG, WARN
from tui.widgets.key_bar import Key
from tui.widgets.pane import Pane
from tui.widgets.row_list import Row, RowList

WATCH = (("functional_correctness", 15.0), ("code_vulnerability", 20.0))
"""Improvements that the plan's final check asks for, though its gate does not, in percent."""


class GateScreen(Room):
    """W2 and W5 of the plan."""

    PLACE = "Gate: Stage 3 GO/NO-GO"
    KEYS = (
        Key("d", "decide", "screen.decide"),
        Key("enter", "details", "screen.evidence"),
        Key("o", "evidence", "screen.open_blob"),
        Key("v", "re-check", "screen.recheck"),
        Key("y", "copy", "screen.copy"),
        Key("u", "undo", "app.undo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("d", "decide", "Decide", id="gate.decide"),
        Binding("o", "open_blob", "Evidence", id="gate.evidence"),
        Binding("v", "recheck", "Re-check", id="gate.recheck"),
    ]

    def body(self) -> list[Widget]:
        """Criteria and, beside or below them, what follows from them."""
        return [
            Horizontal(
                RowList(id="criteria"),
                Pane(Static(id="gate-text", markup=False), id="gate-pane"),
                id="gate-panes",
            )
        ]

    def on_mount(self) -> None:
        """The list has the cursor."""
        super().on_mount()
        self.query_one("#criteria", RowList).focus()

    def update_state(self) -> None:
        """Evaluate and show."""
        ws, now = self.gonogo.ws, int(time.time() * 1000)
        report = evaluate(ws)
        table: list[Row] = [
            heading("criteria", "Criteria: all must be GO", f"rule says {report.rule}")
        ]
        table += [criterion_row(c, now) for c in report.criteria]
        strict = f"a reviewer would say {report.strict.rule}"
        table.append(heading("strict", "Strict gate, beside the rule", strict))
        table += [criterion_row(c, now) for c in report.strict.criteria]
        if ws.state.decisions:
            table.append(heading("history", "Decisions", str(len(ws.state.decisions))))
            table += [decision_row(d) for d in reversed(ws.state.decisions)]
        self.query_one("#criteria", RowList).set_rows(table)
        self.query_one("#gate-text", Static).update(self._text(report))

    def _text(self, report: GateReport) -> Content:
        parts = _decided(report)
        go = sum(c.verdict == "GO" for c in report.criteria)
        no = sum(c.verdict == "NO-GO" for c in report.criteria)
        none = len(report.criteria) - go - no
        parts += [
            ("RULE SAYS ", HEAD),
            (report.rule, OUTCOMES.get(report.rule, DIM)),
            f"   poll {go} GO, {no} NO-GO, {none} without data\n",
        ]
        item = date_field(self.gonogo.ws.document, "S3")
        value = self.gonogo.field_value(item)[0] if item else ""
        parts.append((f"run complete {value}\n" if value else "run not complete yet\n", DIM))
        parts += [
            ("\nd ", STRONG), "signs GO, NO-GO or HOLD with its reason.\n",
            ("A decision is never edited, only superseded.\n", DIM),
        ]  # fmt: skip
        parts += self._made(report)
        parts += self._watch(report)
        return Content.assemble(*parts)

    def _made(self, report: GateReport) -> list[Part]:
        gate, found = self.gonogo.ws.settings.gate, report.comparison
        parts: list[Part] = [("\nHOW THE NUMBERS ARE MADE\n", HEAD)]
        parts.append(
            f"improvement: {gate.improvement} %, mean of {gate.metrics} metrics, lower is better inverted\n"
        )
        if found is None:
            return [*parts, (f"test: {gate.sided} {gate.test}; no comparison yet\n", DIM)]
        effect = "unknown" if found.effect_size is None else f"{found.effect_size:.2f}"
        parts.append(f"test: {gate.sided} {gate.test}, n = {found.n}, d_z = {effect}\n")
        least = smallest_effect(found.n, gate.alpha)
        if least is not None:
            text = f"n = {found.n} finds only |d_z| >= {least:.2f}; "
            parts.append((text + "a NO-GO does not prove that there is no effect.\n", DIM))
        return parts

    def _watch(self, report: GateReport) -> list[Part]:
        ws = self.gonogo.ws
        parts: list[Part] = [("\nWATCH (not part of the gate)\n", HEAD)]
        for name, needed in WATCH:
            metric = report.comparison.metric(name) if report.comparison else None
            change = metric.improvement if metric else None
            shown = "no data" if change is None else f"{change:+.1f} %"
            label = name.replace("_", " ")
            style = DIM if change is None else "" if change > needed else WARN
            parts.append((f"{label} {shown}, final check > {needed:.0f} %\n", style))
        money = summarize(ws.settings, ws.document, ws.state)
        parts.append(
            f"spent {money.sign}{money.spent:.2f} of {money.sign}{money.planned_total:.0f},"
            f" limit {money.sign}{money.limit:.0f}\n"
        )
        return parts

    def action_decide(self) -> None:
        """Record a decision."""
        self.gonogo.decide()

    def action_recheck(self) -> None:
        """Run the checks of the gate's stage again."""
        boxes = [*TRAINED, *(c.box for c in evaluate(self.gonogo.ws).criteria)]
        self.gonogo.verify_boxes([box for box in boxes if box in self.gonogo.ws.document.boxes])

    def action_evidence(self) -> None:
        """What the row under the cursor stands on."""
        key = self.query_one("#criteria", RowList).key
        report = evaluate(self.gonogo.ws)
        for criterion in (*report.criteria, *report.strict.criteria):
            if criterion.id == key:
                self.app.push_screen(DetailScreen(criterion_detail(criterion), criterion.label))
        for decision in self.gonogo.ws.state.decisions:
            if f"decision:{decision.id}" == key:
                changes = report.changes if decision is report.decision else ()
                content = decision_detail(decision, changes)
                self.app.push_screen(DetailScreen(content, f"Decision {decision.id[-6:]}"))

    def action_open_blob(self) -> None:
        """The bytes that the criterion under the cursor stands on."""
        key, ws = self.query_one("#criteria", RowList).key, self.gonogo.ws
        report = evaluate(ws)
        lines = (*report.criteria, *report.strict.criteria)
        name = next((c.evidence for c in lines if c.id == key), "")
        if not name:
            self.notify("No evidence yet.", markup=False)
            return
        loaded = gate_comparison(ws)
        if loaded.sha256 and name == f"sha256:{loaded.sha256}":
            title = loaded.path.as_posix()
            text = (ws.root / loaded.path).read_text("utf-8", "replace")
        else:
            try:
                title, text = name[:23], ws.read_evidence(name)
            except WorkspaceError as problem:
                self.notify(str(problem), severity="error", markup=False)
                return
        self.app.push_screen(LinesScreen(title, text.splitlines()))

    def main_list(self) -> RowList:
        """The criteria."""
        return self.query_one("#criteria", RowList)

    def copied(self) -> tuple[str, str]:
        """The criterion or the decision under the cursor."""
        key, report = self.query_one("#criteria", RowList).key, evaluate(self.gonogo.ws)
        for criterion in (*report.criteria, *report.strict.criteria):
            if criterion.id == key:
                return criterion_text(criterion), criterion.id
        for decision in self.gonogo.ws.state.decisions:
            if f"decision:{decision.id}" == key:
                return decision_text(decision), f"the decision {decision.outcome}"
        return "", ""

    @on(RowList.Chosen, "#criteria")
    def _chosen(self) -> None:
        self.action_evidence()


def _decided(report: GateReport) -> list[Part]:
    decision = report.decision
    outcome = decision.outcome if decision else "no decision recorded"
    parts: list[Part] = [("DECISION  ", HEAD), (outcome, OUTCOMES.get(outcome, DIM))]
    if decision is None:
        return [*parts, "\n"]
    if decision.override:
        parts.append((f"   {AGAINST}, which said {decision.rule}", FAIL))
    parts += [f"\n{decision.reason}\n", (f"{decision.by}  {clock(decision.at)}", DIM)]
    parts.append((f"  sha256 {decision.digest[:12]}\n", DIM))
    if report.changes:
        parts.append(("evidence changed since decision\n", WARN))
        parts += [(f"  {change}\n", WARN) for change in report.changes[:6]]
    return parts


def criterion_detail(criterion: Criterion) -> Content:
    """One criterion in full."""
    parts: list[Part] = []
    for label, text in (
        ("verdict", criterion.verdict), ("value", criterion.value), ("needs", criterion.threshold),
        ("from", criterion.detail), ("box", criterion.box),
        ("evidence", criterion.evidence or "none yet"),
        ("of", clock(criterion.at) if criterion.at else ""),
    ):  # fmt: skip
        if text:
            parts += [(f"{label:<9}", DIM), f"{text}\n"]
    return Content.assemble(*parts)


def decision_detail(decision: Decision, changes: tuple[str, ...]) -> Content:
    """A decision with everything that it pinned, and what has changed since."""
    parts: list[Part] = [
        (decision.outcome, OUTCOMES.get(decision.outcome, DIM)),
        f"   the rule said {decision.rule}\n",
    ]
    if decision.override:
        parts.append((f"{AGAINST} (override)\n", FAIL))
    parts += [
        f"{decision.reason}\n",
        (f"{decision.by}  {clock(decision.at)}\n", DIM),
        (f"record {decision.id}\nsha256 {decision.digest}\n", DIM),
    ]
    if decision.supersedes:
        parts.append((f"supersedes {decision.supersedes}\n", DIM))
    if changes:
        parts.append(("\nCHANGED SINCE\n", HEAD))
        parts += [(f"{change}\n", WARN) for change in changes]
    parts.append(("\nPINNED\n", HEAD))
    for line in decision.pinned.get("criteria", ()):
        if isinstance(line, Mapping):
            parts += [f"{line.get('id')} {line.get('label')}  "]
            verdict = str(line.get("verdict"))
            parts += [(verdict, OUTCOMES.get(verdict, DIM))]
            parts.append(f"  {line.get('value')}  ({line.get('threshold')})\n")
    for name in ("files", "evidence", "definitions"):
        found = decision.pinned.get(name)
        if isinstance(found, Mapping):
            parts += [(f"{key} {value}\n", DIM) for key, value in found.items()]
    return Content.assemble(*parts)
