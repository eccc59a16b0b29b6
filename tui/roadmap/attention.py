"""What a person should look at: failed checks, run-out waivers, conflicts, money, a changed gate, dates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.roadmap.budget import summarize
from tui.roadmap.computed import effective_fields
from tui.roadmap.dates import proposals
from tui.roadmap.forecast import limit_warnings
from tui.roadmap.gate import evaluate
from tui.roadmap.waivers import waived
from tui.roadmap.writer import local_day, now_ms

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing. `word` is its kind in one word, `item` the id of a box, field, row or section."""

    word: str
    item: str
    text: str


def attention(ws: Changes, now: int | None = None) -> tuple[Attention, ...]:
    """Everything that wants a person, worst first. `now` is UTC ms."""
    at = now_ms() if now is None else now
    return (
        *_plan(ws),
        *_gate(ws),
        *_checks(ws),
        *_waivers(ws, at),
        *_fields(ws),
        *_money(ws),
        *_dates(ws),
    )


def _plan(ws: Changes) -> Iterator[Attention]:
    for old, _, _, text in ws.document.asked:
        yield Attention("reworded", old, f"now reads “{text}”: = reconciles")


def _gate(ws: Changes) -> Iterator[Attention]:
    report = evaluate(ws)
    if report.changes:
        more = f" and {len(report.changes) - 1} more" if len(report.changes) > 1 else ""
        text = f"evidence changed since decision: {report.changes[0]}{more}"
        yield Attention("gate", "GATE", text)


def _checks(ws: Changes) -> Iterator[Attention]:
    for box in ws.document.boxes.values():
        verdict = ws.state.verdicts.get(box.id)
        if verdict is not None and verdict.verdict == "FAIL":
            yield Attention("FAIL", box.id, verdict.reason or verdict.found or box.label)


def _waivers(ws: Changes, at: int) -> Iterator[Attention]:
    for entry in waived(ws.document, ws.state):
        if entry.over(at):
            day = local_day(entry.expires).isoformat()
            yield Attention("waiver", entry.box, f"waiver ran out on {day}: {entry.why}")


def _fields(ws: Changes) -> Iterator[Attention]:
    seen = set()
    for field_id, value in effective_fields(ws.document, ws.state, ws.settings).items():
        fact = ws.document.fields[field_id].fact or field_id
        if value.disputed and fact not in seen:
            seen.add(fact)
            text = f"by hand {value.value}, measured {value.measured}: choose one"
            yield Attention("conflict", field_id, text)


def _money(ws: Changes) -> Iterator[Attention]:
    summary = summarize(ws.settings, ws.document, ws.state)
    sign = summary.sign
    for warning in limit_warnings(summary, ws.settings.budget.warn_at):
        yield Attention("money", "BT", f"{sign}{summary.spent:.2f} spent: {warning}")
    for row in summary.rows:
        if row.over:
            yield Attention(
                "OVER", row.name, f"{sign}{row.actual:.2f} of {sign}{row.planned:.2f} planned"
            )
        elif row.near and row.used is not None:
            yield Attention("money", row.name, f"{row.used:.0f}% of {sign}{row.planned:.2f} used")


def _dates(ws: Changes) -> Iterator[Attention]:
    for found in proposals(ws.document, ws.state):
        yield Attention("date", found.section_id, found.question)
