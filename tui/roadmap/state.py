"""What the journal adds up to: ticks, verdicts, field values, costs, decisions and notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from tui.roadmap.entries import (
    TICK_WORDS,
    Cost,
    Decision,
    FieldValue,
    Tick,
    Verdict,
    digest,
    new_cost,
    next_value,
)
from tui.roadmap.records import Record

__all__ = ["Cost", "Decision", "FieldValue", "Record", "State", "Tick", "Verdict"]

UNDOABLE = frozenset(
    {"tick", "waive", "field", "note", "cost", "costs", "cost_void", "decision", "hand_edit"}
)
"""Actions of a person; the newest one of each is what undo takes back, or says why not."""


@dataclass(slots=True)
class _Own:
    """One actor's actions that can still be undone, and undos that can be redone."""

    done: list[Record] = field(default_factory=list)
    undone: list[Record] = field(default_factory=list)


class State:
    """The fold of all records. `facts` says which fields share one value: id to all ids of its fact.

    `checked` are the boxes that the document itself shows as ticked; they count until a record says
    otherwise.
    """

    def __init__(
        self,
        facts: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        checked: frozenset[str] = frozenset(),
    ) -> None:
        self._facts = facts
        self.checked = checked
        self.bases: Mapping[str, str] = MappingProxyType({})
        """Fingerprints of the checks that are bound now, by box; another one makes a verdict stale."""
        self.clear()

    def clear(self) -> None:
        """Back to nothing, for a new fold into the same object."""
        self.ticks: dict[str, Tick] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.fields: dict[str, FieldValue] = {}
        self.costs: list[Cost] = []
        self.decisions: list[Decision] = []
        self.notes: dict[str, str] = {}
        self.baseline: Mapping[str, Any] | None = None
        self.records: list[Record] = []
        self.clashes: list[Record] = []
        self.bad: list[Record] = []
        self._own: dict[str, _Own] = {}
        self._touched: dict[tuple[str, str], Record] = {}

    def copy(self) -> State:
        """Another state with the same content, that a fold changes without changing this one."""
        twin = object.__new__(State)
        for name, part in vars(self).items():
            setattr(twin, name, part.copy() if isinstance(part, dict | list) else part)
        twin._own = {by: _Own(own.done[:], own.undone[:]) for by, own in self._own.items()}
        return twin

    def fold(self, records: Iterable[Record]) -> None:
        """Applies records in the order of their times; merged branches may arrive out of order."""
        fresh = list(records)
        if not fresh:
            return
        last = self.records[-1].at if self.records else 0
        times = [last, *(record.at for record in fresh)]
        if all(a <= b for a, b in pairwise(times)):
            for record in fresh:
                self._apply(record)
            return
        everything = sorted([*self.records, *fresh], key=lambda r: (r.at, r.id))
        self.clear()
        for record in everything:
            self._apply(record)

    def value(self, kind: str, item: str) -> str | None:
        """The present value of a tick ("open" …), a field or a note, as records keep it."""
        if kind in ("tick", "waive"):
            tick = self.ticks.get(item)
            return tick.state if tick else "done" if item in self.checked else "open"
        if kind == "field":
            found = self.fields.get(item)
            return found.value if found else None
        return self.notes.get(item) or None

    def tickable(self, item: str, now: int) -> bool:
        """True for a box that is open at `now` (UTC ms), be it because its waiver has run out."""
        tick = self.ticks.get(item)
        lapsed = tick is not None and 0 < tick.expires <= now
        return lapsed or self.value("tick", item) == "open"

    def last_touch(self, kind: str, item: str) -> Record | None:
        """The newest record that changed a tick, field or note."""
        kind = _room(kind)
        ids = self._facts.get(item, (item,)) if kind == "field" else (item,)
        found = [record for i in ids if (record := self._touched.get((kind, i)))]
        return max(found, key=lambda record: (record.at, record.id), default=None)

    def last_own(self, by: str) -> Record | None:
        """The newest action of `by` that is not undone."""
        own = self._own.get(by)
        return own.done[-1] if own and own.done else None

    def last_undone(self, by: str) -> Record | None:
        """The newest undo of `by` that can be redone."""
        own = self._own.get(by)
        return own.undone[-1] if own and own.undone else None

    def cost(self, cost_id: str) -> Cost | None:
        """The ledger entry of that id; see `costs.find_cost` for what a person types."""
        return next((cost for cost in self.costs if cost.id == cost_id), None)

    @property
    def decision(self) -> Decision | None:
        """The decision in force."""
        return self.decisions[-1] if self.decisions else None

    # --- one record ---------------------------------------------------------------------------

    def _apply(self, record: Record) -> None:
        self.records.append(record)
        handler = getattr(self, f"_do_{record.do}", None)
        if handler is None:
            return
        try:
            handler(record)
        except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError):
            self.bad.append(record)
            return
        if record.do in UNDOABLE and "accepts" not in record.data:
            own = self._own.setdefault(record.by, _Own())
            own.done.append(record)
            own.undone.clear()

    def _put(self, kind: str, record: Record, new: Any) -> None:
        if new is not None and not isinstance(new, str):
            raise TypeError("a value is text")
        item, data = record.item, record.data
        before = self.value(kind, item)
        if "old" in data and data["old"] != before:
            self.clashes.append(record)
        self._touched[_room(kind), item] = record
        if kind in ("tick", "waive"):
            word = new or "open"
            if word not in TICK_WORDS:
                raise ValueError("no such tick")
            self.ticks[item] = Tick(
                word in ("done", "waived", "na"), record.by, record.at, str(data.get("why", "")), word,
                int(data.get("expires", 0)), str(data.get("label", "")),
            )  # fmt: skip
        elif kind == "field":
            self._put_field(item, new, str(data.get("source", "hand")), record.by, record.at)
        elif kind == "note":
            if new:
                self.notes[item] = new
            else:
                self.notes.pop(item, None)
        else:
            raise ValueError("no such kind")

    def _put_field(self, item: str, new: str | None, source: str, by: str, at: int) -> None:
        for target in self._facts.get(item, (item,)):
            value = next_value(self.fields.get(target), new, source, by, at)
            if value is None:
                self.fields.pop(target, None)
            else:
                self.fields[target] = value

    def _do_import(self, record: Record) -> None:
        """Which text of the plan the ids belong to; see `reanchor`."""
        new = record.data["new"]
        self.baseline = {"sha256": str(new["sha256"]), "baseline": str(new.get("baseline", ""))}

    def _do_reanchor(self, record: Record) -> None:
        self._do_import(record)

    def _do_tick(self, record: Record) -> None:
        self._put("tick", record, record.data.get("new"))

    def _do_waive(self, record: Record) -> None:
        self._put("waive", record, record.data.get("new"))

    def _do_field(self, record: Record) -> None:
        choice = record.data.get("choice")
        self._put("field", record, record.data.get("new"))
        if choice not in ("hand", "measured"):
            return
        for target in self._facts.get(record.item, (record.item,)):
            known = self.fields.get(target)
            if known is not None:
                self.fields[target] = known.chosen(choice, str(record.data["against"]))

    def _do_measured(self, record: Record) -> None:
        for item, value in record.data["new"].items():
            self._put_field(item, str(value), record.data["source"], record.by, record.at)
            self._touched["field", item] = record

    def _do_hand_edit(self, record: Record) -> None:
        if "ops" in record.data:
            from tui.roadmap.handedit import apply_ops

            apply_ops(self, record)

    def _do_note(self, record: Record) -> None:
        self._put("note", record, record.data.get("new"))

    def _do_cost(self, record: Record) -> None:
        self.costs.append(
            new_cost(record.id, record.item, record.by, record.at, record.data["new"])
        )

    def _do_costs(self, record: Record) -> None:
        entries = enumerate(record.data["new"], start=1)
        self.costs += [  # all or none: a bad entry leaves the whole record out
            new_cost(f"{record.id}-{n}", str(entry["row"]), record.by, record.at, entry)
            for n, entry in entries
        ]

    def _do_cost_void(self, record: Record) -> None:
        self._void(record.item, True, record)

    def _void(self, cost_id: str, voided: bool, record: Record) -> None:
        place = next((n for n, cost in enumerate(self.costs) if cost.id == cost_id), None)
        if place is None:
            raise KeyError(cost_id)
        why = str(record.data.get("why", ""))
        self.costs[place] = self.costs[place].with_void(voided, record.by, why)

    def _do_decision(self, record: Record) -> None:
        new = record.data["new"]
        self.decisions.append(
            Decision(
                record.id,
                str(new["outcome"]),
                str(new["rule"]),
                str(new["reason"]),
                bool(new.get("override")),
                record.by,
                record.at,
                str(record.data.get("old") or ""),
                new.get("pinned", {}),
                digest(record.data),
            )
        )
        section = str(new.get("note_on", ""))
        if section:
            before = self.notes.get(section)
            remark = self.decisions[-1].remark
            self.notes[section] = f"{before}\n{remark}" if before else remark
            self._touched["note", section] = record
        for item, value in new.get("fills", {}).items():
            self._put_field(item, str(value), "gate", record.by, record.at)
            self._touched["field", item] = record

    def _do_verdict(self, record: Record) -> None:
        verdicts = [Verdict.from_json(entry) for entry in record.data["verdicts"]]
        ticked = record.data.get("ticked", {})
        for verdict in verdicts:
            self.verdicts[verdict.item] = verdict
            for item, value in verdict.fills.items():
                self._put_field(item, value, verdict.by or record.by, record.by, record.at)
                self._touched["field", item] = record
            if verdict.item in ticked and self.tickable(verdict.item, record.at):
                self.ticks[verdict.item] = Tick(
                    True, verdict.by or record.by, record.at, "verified", label=ticked[verdict.item]
                )
                self._touched["tick", verdict.item] = record

    def _do_undo(self, record: Record) -> None:
        self._invert(record, record.data["undoes"], "done", "undone")

    def _do_redo(self, record: Record) -> None:
        self._invert(record, record.data["redoes"], "undone", "done")

    def _invert(self, record: Record, target: str, source: str, sink: str) -> None:
        own = self._own.setdefault(record.by, _Own())
        stack = getattr(own, source)
        found = next((entry for entry in stack if entry.id == target), None)
        kind = str(record.data["of"])
        if kind in ("cost", "costs", "cost_void"):
            voided = (kind != "cost_void") == (record.do == "undo")
            ids = [c.id for c in self.costs if c.id.startswith(f"{record.item}-")]
            for cost_id in ids if kind == "costs" else [record.item]:
                self._void(cost_id, voided, record)
        elif kind == "hand_edit":
            self._do_hand_edit(record)
        else:
            self._put(kind, record, record.data.get("new"))
        if found is not None:
            stack.remove(found)
            getattr(own, sink).append(found)


def _room(kind: str) -> str:
    return "tick" if kind == "waive" else kind
