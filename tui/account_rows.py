"""How criteria, decisions, money and metrics look as one-line rows: pure functions of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tui.detail import clock
from tui.roadmap.budget import BudgetRow, BudgetSummary
from tui.roadmap.document import Field
from tui.roadmap.gate import Criterion
from tui.roadmap.state import Cost, Decision, FieldValue
from tui.rows import line_of
from tui.vocabulary import DIM, FAIL, HEAD, OUTCOMES, PASS, STRONG, WARN, age, clip
from tui.widgets.row_list import Row
from tui.words import counted

if TYPE_CHECKING:
    from tui.roadmap.comparison import MetricResult

FRESH_DAYS = 7
"""Evidence older than this is called old."""

AGAINST = "against the rule"


def criterion_row(criterion: Criterion, now_ms: int) -> Row:
    """One criterion of the gate: verdict, value, threshold, evidence and its age."""

    def draw(width: int) -> Content:
        style = OUTCOMES.get(criterion.verdict, DIM)
        left = Content.assemble(" ", (f"{criterion.id:<3}", DIM), criterion.label)
        proof = criterion.evidence.removeprefix("sha256:")[:4] or "none"
        when, tone = "", DIM
        if criterion.at and criterion.evidence:
            seconds = (now_ms - criterion.at) / 1000
            old = seconds > FRESH_DAYS * 86_400
            when, tone = f"{age(seconds)} old" if old else age(seconds), WARN if old else DIM
        right = Content.assemble(
            (f"{criterion.verdict:<8}", style),
            f"{clip(criterion.value, 10):<10} ",
            (f"{clip(criterion.threshold, 10):<11}", DIM),
            (f"{proof:<5}", DIM),
            (f"{when:>7}", tone),
        )
        return line_of(left, right, width)

    return Row(criterion.id, draw)


def decision_row(decision: Decision) -> Row:
    """One line of the history: outcome, hash, whom it supersedes, when, against the rule, why."""

    def draw(width: int) -> Content:
        parts: list[str | Content | tuple[str, str]] = [
            (f" {decision.outcome:<7}", OUTCOMES.get(decision.outcome, DIM)),
            (f"{clock(decision.at)[:16]} ", DIM),
            f"{decision.digest[:8]} ",
        ]
        if decision.override:
            parts.append((f"{AGAINST}  ", FAIL))
        parts.append(f"{' '.join(decision.reason.split())}  ")
        tail = f"{decision.by}"
        if decision.supersedes:
            tail = f"supersedes {decision.supersedes[-6:]}  {tail}"
        return line_of(Content.assemble(*parts), Content.styled(tail, DIM), width)

    return Row(f"decision:{decision.id}", draw)


def money_cell(amount: object) -> str:
    """A decimal with two places, or the word unknown."""
    return "unknown" if amount is None else f"{amount:.2f}"


def budget_head() -> Row:
    """Column names of the budget table."""

    def draw(width: int) -> Content:
        return Content.styled(
            _budget_text("Item", "Budget", "Actual", "Left", "Used", "#", "Notes"), HEAD
        )

    return Row("head", draw, selectable=False)


def _budget_text(
    name: str, planned: str, actual: str, left: str, used: str, entries: str, notes: str
) -> str:
    return f" {name:<10}{planned:>9}{actual:>10}{left:>10}{used:>6}{entries:>4}  {notes}"


def budget_row(row: BudgetRow) -> Row:
    """One row of the budget."""

    def draw(width: int) -> Content:
        known = "?" if row.actual is None else "--"
        used = known if row.used is None else f"{row.used:.0f}%"
        left = "?" if row.left is None else money_cell(row.left)
        text = _budget_text(
            clip(row.name, 10),
            "?" if row.unplanned else money_cell(row.planned),
            money_cell(row.actual),
            left,
            used,
            str(row.entries),
            row.notes,
        )
        word, style = ("  OVER", FAIL) if row.over else ("  80%", WARN) if row.near else ("", DIM)
        left_part = Content.styled(text, "" if row.actual is not None else DIM)
        return line_of(left_part, Content.styled(word, style), width)

    return Row(f"row:{row.name}", draw)


def budget_total(summary: BudgetSummary) -> Row:
    """The total line."""

    def draw(width: int) -> Content:
        used = (
            f"{100 * summary.spent / summary.planned_total:.0f}%" if summary.planned_total else ""
        )
        note = f"{counted(summary.unknown_rows, 'row')} unknown" if summary.unknown_rows else ""
        return Content.styled(
            _budget_text(
                "Total",
                money_cell(summary.planned_total),
                money_cell(summary.spent),
                money_cell(summary.left),
                used,
                "",
                note,
            ),
            STRONG,
        )

    return Row("total", draw, selectable=False)


def cost_row(cost: Cost) -> Row:
    """One ledger entry."""

    def draw(width: int) -> Content:
        style = f"{DIM} strike" if cost.voided else ""
        kind = f" {cost.kind}" if cost.kind else ""
        text = f"   {cost.date}  {clip(cost.row, 10):<10}{money_cell(cost.amount):>9}{kind}  {cost.note}"
        return line_of(
            Content.styled(text, style),
            Content.styled(f"void: {clip(cost.void_why, 24)}" if cost.voided else cost.by, DIM),
            width,
        )

    return Row(f"cost:{cost.id}", draw)


def short_source(source: str, width: int) -> str:
    """A source in `width` characters: a file's hash by its first digits, cmp for the comparison."""
    name, _, digest = source.partition(".json ")
    text = f"{'cmp' if name == 'comparison' else name} {digest[:4]}" if digest else source
    return clip(text, width)


LOWER = frozenset({"code_vulnerability"})
"""Metrics of the plan that are better when they are lower, before anything is measured."""


SOURCED = 76
"""Cells from which on a metric has room for its n and source beside its figures."""


def _label(width: int) -> int:
    return 24 if width >= SOURCED else 20


def metric_head() -> Row:
    """Column names of the metrics table."""

    def draw(width: int) -> Content:
        text = (
            f" {'Metric':<{_label(width)}}{'dir':<5}{'Control':>9}{'Experiment':>12}{'Improve':>10}"
        )
        right = "n  source" if width >= SOURCED else ""
        return line_of(Content.styled(text, HEAD), Content.styled(right, HEAD), width)

    return Row("metrics", draw, selectable=False)


def metric_row(
    name: str, label: str, cells: tuple[str, str, str], result: MetricResult | None, source: str
) -> Row:
    """One metric: control, experiment, improvement (texts, "" where unknown), n and the source."""

    def draw(width: int) -> Content:
        lower = name in LOWER if result is None else result.direction == "lower"
        shown = [cell or "--" for cell in cells]
        tone = DIM if source == "not stored" else ""
        change = cells[2].rstrip("%")
        style = DIM if not change else FAIL if change.startswith("-") else PASS
        left = Content.assemble(
            f" {clip(label, _label(width) - 1):<{_label(width)}}",
            (f"{'down' if lower else 'up':<5}", DIM),
            (f"{shown[0]:>9}{shown[1]:>12}", tone),
            (f"{shown[2]:>10}", style),
        )
        count = str(result.n) if result is not None and result.n else ""
        right = f"{count}  {short_source(source, 11)}" if width >= SOURCED else ""
        return line_of(left, Content.styled(right, DIM), width)

    return Row(f"metric:{name}", draw)


def field_line(field: Field, value: FieldValue | None, shared: int) -> Row:
    """One blank of the fields list: line, id, value, source, and where hand and measurement differ."""

    def draw(width: int) -> Content:
        parts: list[str | Content | tuple[str, str]] = [
            (f" {field.line:>4} ", DIM),
            f"{clip(field.id, 26):<27}",
            (f"{field.type:<8}", DIM),
            (value.value.split("\n")[0], PASS) if value else ("_____", DIM),
        ]
        tail = Content.styled(short_source(value.source, 24) if value else "", DIM)
        if value is not None and value.differs:
            word, style = ("CONFLICT ", FAIL) if value.disputed else ("chosen ", DIM)
            tail = Content.assemble((word, style), (f"measured {value.measured}", DIM))
        elif shared > 1:
            tail = Content.assemble((f"printed {shared}x  ", DIM), tail)
        return line_of(Content.assemble(*parts), tail, width)

    return Row(f"field:{field.id}", draw)
