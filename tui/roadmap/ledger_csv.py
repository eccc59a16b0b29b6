"""The ledger as CSV: written for spreadsheets, read back without loss, nothing half taken in.

Reading checks every line before anything is stored and names each bad one. An entry that is in the ledger
already is recognised, by its id or by its content, so that reading a file twice adds nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tui.files import read_file
from tui.roadmap.costs import CostChanges, CostEntry
from tui.roadmap.errors import InvalidValue, UnknownId
from tui.roadmap.records import Record
from tui.roadmap.state import Cost
from tui.roadmap.values import money_text

COLUMNS = ("date", "row", "amount", "currency", "kind", "note", "by", "id", "void_why")
ALIASES = {
    "row": ("row", "item", "stage", "budget row"),
    "amount": ("amount", "cost", "costinbillingcurrency", "pretaxcost", "actual"),
    "date": ("date", "usagedate", "day"),
    "note": ("note", "notes", "description", "memo"),
    "currency": ("currency", "billingcurrency"),
    "kind": ("kind", "type"),
    "id": ("id",),
    "void_why": ("void_why", "voided"),
}
MAX_BYTES = 4 * 1024 * 1024
MAX_SHOWN = 10
_FORMULA = re.compile(r"^'?[=+\-@\t\r]")
_QUOTED = re.compile(r"^'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Parsed:
    """Entries that are new, and how many the ledger has already."""

    entries: tuple[CostEntry, ...]
    duplicates: int


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula; `_plain` takes it back."""
    return f"'{text}" if _FORMULA.match(text) else text


def _plain(text: str) -> str:
    return text[1:] if _QUOTED.match(text) else text


def export_csv(costs: Iterable[Cost]) -> str:
    """The whole ledger, voided entries with their reason. Lines end in CR LF as RFC 4180 asks."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for cost in costs:
        writer.writerow(
            (
                cost.date, _safe(cost.row), money_text(cost.amount), cost.currency, cost.kind,
                _safe(cost.note), _safe(cost.by), cost.origin or cost.id, _safe(cost.void_why),
            )
        )  # fmt: skip
    return out.getvalue()


def _columns(header: list[str], row: str) -> dict[str, int]:
    names = [title.strip().casefold() for title in header]
    found = {}
    for key, known in ALIASES.items():
        place = next((names.index(name) for name in known if name in names), None)
        if place is not None:
            found[key] = place
    missing = [key for key in ("amount", "row") if key not in found and not (key == "row" and row)]
    if missing:
        raise InvalidValue(
            f"The first line names no column {' and no column '.join(missing)}; it needs"
            f" amount, and row unless you name one (known: {', '.join(COLUMNS)})."
        )
    return found


def _key(row: str, amount: str, day: str, note: str) -> tuple[str, ...]:
    return (row, amount, day, note)


def parse_csv(ws: CostChanges, text: str, name: str, row: str = "") -> Parsed:
    """Reads entries; `row` is for files without a row column. Raises InvalidValue naming bad lines."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), _dialect(text))
    ids = {i for cost in ws.state.costs for i in (cost.id, cost.origin) if i}
    known = Counter(_key(c.row, money_text(c.amount), c.date, c.note) for c in ws.state.costs)
    entries, bad, duplicates = [], [], 0
    try:
        header = next(reader, [])
        columns = _columns(header, row)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            try:
                entry, fields = _entry(ws, cells, columns, row)
            except (InvalidValue, UnknownId) as problem:
                bad.append(f"line {reader.line_num}: {problem}")
                continue
            key = _key(fields["row"], fields["amount"], fields["date"], fields["note"])
            if entry.origin in ids if entry.origin else known[key] > 0:
                duplicates += 1
                known[key] -= 1
                continue
            if entry.origin:
                ids.add(entry.origin)
            entries.append(entry)
    except csv.Error as problem:
        raise InvalidValue(f"{name} line {reader.line_num}: no CSV: {problem}.") from None
    if bad:
        more = f"\nand {len(bad) - MAX_SHOWN} more" if len(bad) > MAX_SHOWN else ""
        shown = "\n".join(bad[:MAX_SHOWN])
        raise InvalidValue(f"{name} was not taken in, nothing was written:\n{shown}{more}")
    return Parsed(tuple(entries), duplicates)


def _dialect(text: str) -> type[csv.Dialect]:
    first = text.split("\n", 1)[0]

    class Found(csv.excel):
        delimiter = max(",;\t", key=first.count)
        strict = True

    return Found


def _entry(
    ws: CostChanges, cells: list[str], columns: dict[str, int], row: str
) -> tuple[CostEntry, dict[str, str]]:
    def cell(key: str) -> str:
        place = columns.get(key)
        return cells[place].strip() if place is not None and place < len(cells) else ""

    currency, wanted = cell("currency"), ws.settings.budget.currency
    if currency and currency.upper() != wanted:
        raise InvalidValue(f"The currency is {currency[:10]}; this budget is in {wanted}.")
    if not cell("amount"):
        raise InvalidValue("The amount is empty; write 0 for nothing spent.")
    entry = CostEntry(
        _plain(cell("row")) or row, cell("amount"), _plain(cell("note")), re.sub(r"[T ].*", "", cell("date")),
        cell("kind"), cell("id"), _plain(cell("void_why")),
    )  # fmt: skip
    return entry, ws.cost_fields(entry)


def read_csv(path: Path) -> str:
    """Text of a CSV file. Raises InvalidValue for one that is none."""
    try:
        blob = read_file(path, MAX_BYTES)
    except OSError as error:
        raise InvalidValue(f"{path.name}: {error.strerror}.") from None
    try:
        return blob.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{path.name} is not UTF-8 (byte {error.start}).") from None


def import_csv(ws: CostChanges, path: Path, by: str, row: str = "") -> tuple[Record | None, Parsed]:
    """Takes in what is new of a file (a relative path is one in the workspace).

    The record is None where everything is in the ledger already.
    """
    parsed = parse_csv(ws, read_csv(ws.root / path.expanduser()), path.name, row)
    if not parsed.entries:
        return None, parsed
    return ws.add_costs(parsed.entries, by, path.name), parsed
