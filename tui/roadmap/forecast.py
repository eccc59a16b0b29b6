"""What the rest of the plan may cost: from the actual cost of one evaluated sample, and as planned.

Cost of a sample = what an earlier stage spent without power, by its evaluated samples. The plan's own
estimates for a stage grow from one to the next without a reason; actual cost does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate

from tui.roadmap.budget import BudgetSummary
from tui.roadmap.document import Document
from tui.roadmap.state import Cost, State

_SAMPLES = re.compile(r"\b(\d{1,6})(?: \w+)? samples\b", re.I)
_EVALUATION = re.compile(r"evaluat", re.I)
_NO_EVALUATION = re.compile(r"electric|power|storage", re.I)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Forecast:
    """One row that nothing was spent on yet: its plan, and what the samples of `source` cost."""

    row: str
    planned: Decimal
    expected: Decimal
    source: str
    samples: int
    per_sample: Decimal
    sign: str = "$"

    @property
    def sentence(self) -> str:
        """In the form of the budget screen."""
        return (
            f"{self.row} {self.sign}{self.expected}: {self.samples} samples"
            f" at {self.sign}{self.per_sample:.2f} as in {self.source}"
            f" (plan {self.sign}{self.planned:.0f})"
        )


def evaluated_samples(document: Document, section_id: str) -> int:
    """Samples that a section's evaluation asks for, 0 where it names none."""
    section = document.section(section_id)
    texts = [] if section is None else [g.title for g in section.groups]
    texts += [] if section is None else [box.label for box in section.boxes]
    found = [
        int(match.group(1)) for text in texts if _EVALUATION.search(text)
        for match in [_SAMPLES.search(text)] if match
    ]  # fmt: skip
    return max(found, default=0)


def forecasts(document: Document, state: State, summary: BudgetSummary) -> tuple[Forecast, ...]:
    """One forecast for each evaluation row without entries that comes after one with entries."""
    out: list[Forecast] = []
    source: tuple[str, Decimal] | None = None
    for row in summary.rows:
        samples = evaluated_samples(document, row.section_id)
        if not samples or _NO_EVALUATION.search(row.notes):
            continue  # a quick look at ten samples is not what such a row pays for
        spent = sum(
            (c.amount for c in state.costs if _counts(c, row.name, summary.currency)), Decimal(0)
        )
        if row.actual is not None and spent > 0:
            source = (row.name, spent / samples)
        elif row.actual is None and source is not None and _EVALUATION.search(row.notes):
            expected = (source[1] * samples).quantize(CENT, ROUND_HALF_UP)
            out.append(
                Forecast(
                    row.name, row.planned, expected, source[0], samples, source[1], summary.sign
                )
            )
    return tuple(out)


def _counts(cost: Cost, row: str, currency: str) -> bool:
    return (cost.row, cost.currency, cost.voided) == (row, currency, False) and cost.kind != "power"


def expected_total(summary: BudgetSummary, found: Iterable[Forecast]) -> Decimal:
    """Spent so far, and for each row without entries its forecast or else its plan."""
    known = {forecast.row: forecast.expected for forecast in found}
    rest = (known.get(r.name, r.planned) for r in summary.rows if r.actual is None)
    return summary.spent + sum(rest, Decimal(0))


def burn(costs: Iterable[Cost], until: date) -> list[tuple[date, Decimal]]:
    """Money spent in all by the end of each day, from the first entry to `until`; [] without entries."""
    daily: dict[date, Decimal] = {}
    for cost in costs:
        if not cost.voided and cost.date:
            day = date.fromisoformat(cost.date)
            daily[day] = daily.get(day, Decimal(0)) + cost.amount
    if not daily:
        return []
    first = min(daily)
    days = [first + timedelta(n) for n in range((max(until, *daily) - first).days + 1)]
    sums = accumulate(daily.get(day, Decimal(0)) for day in days)
    return list(zip(days, sums, strict=True))


def limit_warnings(summary: BudgetSummary, warn_at: float) -> tuple[str, ...]:
    """A sentence for each limit of which the share `warn_at` is used up: plan, binding limit, goal."""
    out = []
    for name, limit in (
        ("the planned total", summary.planned_total),
        ("the limit", summary.limit),
        ("the goal's limit", summary.goal),
    ):
        if limit > 0 and summary.spent >= limit * Decimal(str(warn_at)):
            percent = 100 * summary.spent / limit
            word = "OVER" if summary.spent > limit else f"{percent:.0f}% of"
            out.append(f"{word} {name} {summary.sign}{limit:.2f}")
    return tuple(out)
