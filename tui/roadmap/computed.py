"""Values that the document asks for and that follow from other facts: budget cells, the gate's verdict."""

from __future__ import annotations

from decimal import Decimal

from tui.roadmap.budget import budget_table, summarize
from tui.roadmap.derived import add_derived
from tui.roadmap.document import Document
from tui.roadmap.state import FieldValue, State
from tui.roadmap.values import money_text
from tui.settings import Settings
from tui.words import counted


def _ledger(value: str, at: int = 0) -> FieldValue:
    return FieldValue(value, "ledger", "derived:ledger", at, value)


def _budget(document: Document, state: State, settings: Settings) -> dict[str, FieldValue]:
    found = budget_table(document)
    if found is None or not state.costs:
        return {}
    summary = summarize(settings, document, state)
    if all(c.voided or c.currency != summary.currency for c in state.costs):
        return {}
    at = max(cost.at for cost in state.costs)
    out: dict[str, FieldValue] = {}
    for row in summary.rows:
        if row.actual is not None and row.field_id:
            fact = document.fields[row.field_id].fact
            for item in document.fields.values():
                if item.id == row.field_id or (fact and item.fact == fact):
                    out[item.id] = _ledger(money_text(row.actual), at)
    table, _, actual = found
    known = {row.field_id for row in summary.rows}
    for line in table.rows:
        total = line.fields.get(actual, "")
        if total and total not in known:
            out[total] = _ledger(money_text(summary.spent), at)
            notes = [i for column, i in line.fields.items() if column > actual]
            if notes and summary.unknown_rows:
                text = f"{counted(summary.unknown_rows, 'row')} unknown"
                out[notes[0]] = _ledger(text, at)
    if "BT.status" in document.fields:
        word = "over" if summary.left < Decimal(0) else "under"
        out["BT.status"] = _ledger(money_text(abs(summary.left)), at)
        out["BT.status_word"] = _ledger(word, at)
    return out


def _notes(document: Document, state: State) -> dict[str, FieldValue]:
    """The note of a section, in its first notes line."""
    out: dict[str, FieldValue] = {}
    seen: set[str] = set()
    for item in document.fields.values():
        text = state.notes.get(item.section_id, "") if item.kind == "notes" else ""
        if text and item.section_id not in seen:
            touch = state.last_touch("note", item.section_id)
            by, at = (touch.by, touch.at) if touch else ("", 0)
            out[item.id] = FieldValue(text, "note", by, at)
            seen.add(item.section_id)
    return out


def effective_fields(document: Document, state: State, settings: Settings) -> dict[str, FieldValue]:
    """Every field that has a value: what was set or measured, and what follows from the ledger.

    A hand-set value wins over a derived one, which then stands beside it as the measured one; in the
    cells that are sums of the ledger the sum wins.
    """
    out = {i: v for i, v in state.fields.items() if i in document.fields}
    add_derived(document, out, settings)
    out.update(_budget(document, state, settings))
    return out


def shown_fields(document: Document, state: State, settings: Settings) -> dict[str, FieldValue]:
    """`effective_fields`, and the notes of the sections in their first notes line."""
    return {**effective_fields(document, state, settings), **_notes(document, state)}
