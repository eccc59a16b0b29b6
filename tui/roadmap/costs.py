"""Changes of the ledger: add an entry, take in many at once, void one. Nothing is ever deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tui.roadmap.budget import find_row
from tui.roadmap.entries import Cost
from tui.roadmap.errors import Conflict, InvalidValue, UnknownId
from tui.roadmap.records import Record, chunks, seal
from tui.roadmap.state import State
from tui.roadmap.values import clean_text, money, money_text
from tui.roadmap.writer import Fields, Writer, past_day

MIN_ID = 6
"""Characters that a part of an id has at least: fewer are a slip."""
KINDS = ("API", "power", "cloud", "other", "refund")


@dataclass(frozen=True, slots=True)
class CostEntry:
    """One entry before it is stored: amounts as text, `date` YYYY-MM-DD or "" for today.

    `origin` is the id that the entry had where it comes from, "" for none; `void_why` takes it in as
    already voided.
    """

    row: str
    amount: str
    note: str = ""
    date: str = ""
    kind: str = ""
    origin: str = ""
    void_why: str = ""


def cost_kind(kind: str, amount: Decimal) -> str:
    """The kind of an entry in its written form; a negative amount is a refund. Raises InvalidValue."""
    found = next((known for known in KINDS if known.casefold() == kind.strip().casefold()), "")
    if kind.strip() and not found:
        raise InvalidValue(f"The kind must be {', '.join(KINDS)}, not “{kind[:20]}”.")
    if amount < 0 and found not in ("", "refund"):
        raise InvalidValue("A negative amount is a refund; leave the kind out or write refund.")
    if amount >= 0 and found == "refund":
        raise InvalidValue("A refund has a negative amount, as in -2.50.")
    return "refund" if amount < 0 else found


def find_cost(state: State, name: str) -> Cost:
    """A ledger entry by its id, or by a beginning or an end of it that fits only one.

    Raises UnknownId, naming the candidates, for anything that could mean another entry than was meant.
    """
    wanted = name.strip().casefold()
    whole = [cost for cost in state.costs if cost.id.casefold() == wanted]
    if whole:
        return whole[0]
    found = [c for c in state.costs if c.id.casefold().startswith(wanted) or c.id.endswith(wanted)]
    if len(found) == 1 and len(wanted) >= MIN_ID:
        return found[0]
    if not found or not wanted:
        raise UnknownId(f"There is no ledger entry {name[:60]}; `gonogo cost` lists them.")
    shown = ", ".join(f"{c.id[-8:]} ({c.row} {money_text(c.amount)})" for c in found[:4])
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    short = f"“{name[:60]}” is shorter than {MIN_ID} characters and"
    said = short if len(wanted) < MIN_ID else f"“{name[:60]}”"
    raise UnknownId(f"{said} could be {shown}{more}; name the whole id or more of it.")


class CostChanges(Writer):
    """What a person can do with money."""

    def cost_fields(self, entry: CostEntry) -> dict[str, Any]:
        """An entry in the form of a record. Raises InvalidValue or UnknownId with one sentence."""
        value = money(entry.amount)
        fields: dict[str, Any] = {
            "row": find_row(self.document, entry.row),
            "amount": money_text(value),
            "currency": self.settings.budget.currency,
            "date": past_day(entry.date),
            "note": clean_text(entry.note, "The note"),
        }
        more = {
            "kind": cost_kind(entry.kind, value),
            "origin": clean_text(entry.origin, "The id"),
            "void_why": clean_text(entry.void_why, "The reason"),
        }
        return fields | {key: text for key, text in more.items() if text}

    def add_cost(
        self,
        row: str,
        amount: str,
        by: str,
        note: str = "",
        date: str | None = None,
        kind: str = "",
        origin: str = "",
    ) -> Record:
        """Adds a ledger entry to a budget row (its name, or the id of its stage). Zero must be typed."""
        new = self.cost_fields(CostEntry(row, amount, note, date or "", kind, origin))
        name = new.pop("row")

        def make() -> Fields:
            if origin and any(c.origin == origin and not c.voided for c in self.state.costs):
                raise Conflict(f"{origin} is in the ledger already; void that entry first.")
            return {"by": by, "do": "cost", "item": name, "new": new}

        return self._commit(make)

    def add_costs(self, entries: Sequence[CostEntry], by: str, source: str) -> Record:
        """Takes in many entries as one record (more only past 64 KiB); all are checked before one is
        written. `source` says where they come from."""
        if not entries:
            raise InvalidValue("There is nothing to take in.")
        checked = [self.cost_fields(entry) for entry in entries]
        record: Record | None = None
        for chunk in chunks(checked, lambda entry: len(seal(entry))):
            made: Fields = {"by": by, "do": "costs", "item": source[:200], "new": chunk}
            record = self._commit(lambda made=made: made)  # type: ignore[misc]
        assert record is not None  # noqa: S101 - chunks of a non-empty list
        return record

    def void_cost(self, cost_id: str, by: str, why: str) -> Record:
        """Takes an entry out of the sums; it stays in the ledger, struck through."""
        reason = clean_text(why, "The reason")
        if not reason:
            raise InvalidValue("Voiding an entry needs a reason.")

        def make() -> Fields:
            cost = find_cost(self.state, cost_id)
            if cost.voided:
                raise Conflict(f"That entry was voided by {cost.void_by} already.")
            return {"by": by, "do": "cost_void", "item": cost.id, "why": reason}

        return self._commit(make)
