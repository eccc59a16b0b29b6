"""What `y` copies: plain text of a box, a blank, a criterion, a decision, a cost. No Textual."""

from __future__ import annotations

import json

from tui.roadmap.budget import BudgetRow
from tui.roadmap.describe import visible
from tui.roadmap.document import Box, Field
from tui.roadmap.entries import Cost
from tui.roadmap.gate import Criterion
from tui.roadmap.progress import box_status
from tui.roadmap.records import Record
from tui.roadmap.state import Decision
from tui.roadmap.workspace import Workspace


def lines(*pairs: tuple[str, object]) -> str:
    """`name: value` on a line each; what is empty is left out."""
    return "\n".join(f"{name}: {visible(str(value))}" for name, value in pairs if value)


def box_text(ws: Workspace, box: Box) -> str:
    """Id, text, state, verdict with both sides and the hash of its evidence."""
    status, stored = box_status(ws.document, ws.state, box.id), ws.state.verdicts.get(box.id)
    verdict = status.verdict
    told = lines(
        ("state", f"{status.tick}{f' by {status.by}' if status.by else ''}"),
        ("verdict", verdict.verdict if verdict else ""),
        ("expected", stored.expected if stored else ""),
        ("found", stored.found if stored else ""),
        ("reason", stored.reason if stored else ""),
        ("evidence", stored.evidence if stored else ""),
    )
    return f"{box.id} {box.label}\n{told}"


def field_text(field: Field, value: str, source: str) -> str:
    """Id, label, value and where the value comes from."""
    return f"{field.id} {field.label}\n" + lines(("value", value or "empty"), ("source", source))


def criterion_text(criterion: Criterion) -> str:
    """One line of the gate."""
    told = lines(
        ("verdict", criterion.verdict), ("value", criterion.value), ("needs", criterion.threshold),
        ("from", criterion.detail), ("evidence", criterion.evidence),
    )  # fmt: skip
    return f"{criterion.id} {criterion.label}\n{told}"


def decision_text(decision: Decision) -> str:
    """A decision with its hash."""
    told = lines(
        ("rule", decision.rule), ("reason", decision.reason), ("by", decision.by),
        ("record", decision.id), ("sha256", decision.digest),
    )  # fmt: skip
    return f"{decision.outcome}\n{told}"


def budget_text(row: BudgetRow) -> str:
    """One row of the budget; what is not known says so."""
    actual = "unknown" if row.actual is None else f"{row.actual:.2f}"
    left = "unknown" if row.left is None else f"{row.left:.2f}"
    planned = "unknown" if row.unplanned else f"{row.planned:.2f}"
    return f"{row.name}: planned {planned}, actual {actual}, left {left}"


def cost_text(cost: Cost) -> str:
    """One entry of the ledger."""
    void = " (void)" if cost.voided else ""
    return f"{cost.date} {cost.row} {cost.amount} {cost.currency} {visible(cost.note)}{void}"


def record_text(record: Record) -> str:
    """The whole record as JSON."""
    return json.dumps(dict(record.data), ensure_ascii=False, indent=2, default=str)
