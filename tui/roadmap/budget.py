"""The budget: planned amounts out of the document's table, actual ones out of the ledger.

All sums are decimal. A row without entries is unknown, which is not zero.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from tui.roadmap.document import Document
from tui.roadmap.errors import UnknownId
from tui.roadmap.labels import plain
from tui.roadmap.parts import Row, Table
from tui.roadmap.state import State
from tui.roadmap.values import money_sign, money_text
from tui.settings import Settings
from tui.words import counted

_AMOUNT = re.compile(
    r"(?P<minus>(?:^|(?<=\s))[-−](?=[$€£¥]?\d))?(?P<bracket>\((?=[$€£¥]?\d))?[$€£¥]?[-−]?"
    r"(?P<digits>\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*)"
    r"\s?(?P<thousands>k\b)?(?P<end>\))?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One row. `actual`, `left` and `used` (percent of planned) are None while unknown."""

    name: str
    planned: Decimal
    actual: Decimal | None
    left: Decimal | None
    used: float | None
    entries: int
    notes: str
    over: bool
    section_id: str = ""
    field_id: str = ""
    near: bool = False
    """True where the share `warn_at` of the row is used up."""
    unplanned: bool = False
    """True where the plan names no amount; `planned` is then 0 and nothing is left or over."""


@dataclass(frozen=True, slots=True)
class BudgetSummary:
    """All rows and their sums in `currency`; `left` is planned minus spent so far."""

    rows: tuple[BudgetRow, ...]
    planned_total: Decimal
    spent: Decimal
    left: Decimal
    limit: Decimal
    goal: Decimal
    unknown_rows: int
    currency: str
    status_sentence: str

    @property
    def sign(self) -> str:
        """What stands before an amount."""
        return money_sign(self.currency)


def _column(table: Table, *names: str) -> int | None:
    return next((i for i, text in enumerate(table.header) if text.casefold() in names), None)


def budget_table(document: Document) -> tuple[Table, int, int] | None:
    """The first table with a planned and an actual column, and the places of both."""
    for table in document.tables:
        planned = _column(table, "budgeted", "budget", "planned", "plan")
        actual = _column(table, "actual", "spent", "actual cost")
        if planned is not None and actual is not None:
            return table, planned, actual
    return None


def _is_total(row: Row) -> bool:
    return plain(row.cells[0]).casefold() in ("total", "sum") if row.cells else True


def _rows(document: Document) -> list[Row]:
    found = budget_table(document)
    return [row for row in found[0].rows if not _is_total(row)] if found else []


def _section_id(document: Document, name: str) -> str:
    low = name.casefold()
    for section in document.all_sections:
        if section.short.casefold() == low or section.short.casefold().startswith(f"{low}:"):
            return section.id
    return ""


def find_row(document: Document, text: str) -> str:
    """The name of the budget row that `text` means: its name or its stage's id, in any case."""
    wanted = text.strip().casefold()
    names = [plain(row.cells[0]) for row in _rows(document)]
    for name in names:
        if wanted in (name.casefold(), _section_id(document, name).casefold()) and wanted:
            return name
    if not names:
        raise UnknownId(
            "The roadmap has no budget table (a table with Budgeted and Actual columns)."
        )
    raise UnknownId(f"There is no budget row “{text}”; the rows are {', '.join(names)}.")


def computed_fields(document: Document) -> frozenset[str]:
    """Fields that the ledger fills: the Actual column, what shares a fact with it, the status line."""
    found = budget_table(document)
    if found is None:
        return frozenset()
    table, _, actual = found
    ids = {row.fields[actual] for row in table.rows if actual in row.fields}
    facts = {document.fields[i].fact for i in ids} - {""}
    ids |= {item.id for item in document.fields.values() if item.fact in facts}
    return frozenset(ids | {i for i in document.fields if i in ("BT.status", "BT.status_word")})


def _planned(row: Row, column: int) -> Decimal | None:
    return amount_in(plain(row.cells[column])) if column < len(row.cells) else None


def amount_in(text: str) -> Decimal | None:
    """The first amount of a text, None without one: $1,000 and 1.234,56 €, 1 234.50, -$5, ($5), ~$2k.

    A comma before one or two last digits is a decimal one, as is the later of two different signs.
    """
    found = _AMOUNT.search(text)
    if found is None:
        return None
    digits = re.sub(r"[^\d.,]", "", found["digits"])
    whole, sign, cents = digits, "", ""
    if ("," in digits and "." in digits) or re.search(r"^\d+(?:\.\d+|,\d{1,2})$", digits):
        place = max(digits.rfind(","), digits.rfind("."))
        whole, sign, cents = digits[:place], ".", digits[place + 1 :]
    amount = Decimal(re.sub(r"\D", "", whole) + sign + cents) * (1000 if found["thousands"] else 1)
    negative = found["minus"] or re.search("[-−]", found[0]) or (found["bracket"] and found["end"])
    return -amount if negative else amount


def summarize(settings: Settings, document: Document, state: State) -> BudgetSummary:
    """Adds up the ledger. Entries of rows that the table no longer has still count in the total.

    Entries in another currency than the budget's are left out, and said to be.
    """
    found = budget_table(document)
    currency = settings.budget.currency
    costs = [c for c in state.costs if not c.voided and c.currency == currency]
    foreign = sum(not c.voided and c.currency != currency for c in state.costs)
    rows = []
    for row in _rows(document):
        assert found is not None  # noqa: S101 - there are rows only where there is a table
        table, planned_at, actual_at = found
        name = plain(row.cells[0])
        entries = [c for c in costs if c.row == name]
        asked = _planned(row, planned_at)
        planned = asked or Decimal(0)
        actual = sum((c.amount for c in entries), Decimal(0)) if entries else None
        used = 100 * actual / planned if actual is not None and planned > 0 else None
        rows.append(
            BudgetRow(
                name=name,
                planned=planned,
                actual=actual,
                left=None if actual is None or asked is None else planned - actual,
                used=None if used is None else float(used),
                entries=len(entries),
                notes=_note(table, row),
                over=actual is not None and asked is not None and actual > planned,
                section_id=_section_id(document, name),
                field_id=row.fields.get(actual_at, ""),
                near=used is not None and used >= 100 * Decimal(str(settings.budget.warn_at)),
                unplanned=asked is None,
            )
        )
    planned_total = sum((r.planned for r in rows), Decimal(0)) or settings.budget.total
    spent = sum((c.amount for c in costs), Decimal(0))
    unknown = sum(row.actual is None for row in rows)
    return BudgetSummary(
        tuple(rows),
        planned_total,
        spent,
        planned_total - spent,
        settings.budget.limit,
        settings.budget.goal,
        unknown,
        currency,
        status_sentence(
            planned_total - spent, settings.budget.limit - spent, unknown, money_sign(currency)
        )
        + (
            f"; {counted(foreign, 'entry', 'entries')} in another currency left out"
            if foreign
            else ""
        ),
    )


def _note(table: Table, row: Row) -> str:
    column = _column(table, "notes", "note")
    return plain(row.cells[column]) if column is not None and column < len(row.cells) else ""


def status_sentence(left: Decimal, headroom: Decimal, unknown: int, sign: str = "$") -> str:
    """How the money stands, with what is not known yet."""
    if left == 0:
        text = "exactly on budget"
    else:
        text = f"{sign}{money_text(abs(left))} {'under' if left > 0 else 'over'} budget"
    if headroom <= 0:
        text += f", {sign}{money_text(-headroom)} past the limit"
    if unknown:
        text += f" so far; {unknown} {'row' if unknown == 1 else 'rows'} unknown"
    return text
