"""What can be done in a workspace: each method is one record, stored on disk before it returns.

The value that the caller saw is the precondition: where somebody else changed it meanwhile a Conflict
names who and when.
"""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tui.roadmap import evidence
from tui.roadmap.budget import computed_fields, find_row
from tui.roadmap.document import Document
from tui.roadmap.errors import Conflict, InvalidValue, UnknownId
from tui.roadmap.records import MAX_LINE, Record, seal
from tui.roadmap.state import State, Verdict
from tui.roadmap.values import check_value, clean_text, money, money_text
from tui.settings import Settings

Fields = dict[str, Any]
MAX_WAIVER_DAYS = 90


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


class Changes:
    """The writing half of a workspace."""

    root: Path
    settings: Settings
    document: Document
    state: State

    @abstractmethod
    def _commit(self, make: Callable[[], Fields | Record]) -> Record:
        """Appends what `make` returns under the lock; a Record from it means nothing to write."""

    def _change(
        self, kind: str, item: str, new: str | None, by: str, extra: Fields | None = None
    ) -> Record:
        believed = self.state.value(kind, item)

        def make() -> Fields | Record:
            current, touch = self.state.value(kind, item), self.state.last_touch(kind, item)
            if current == new:
                if touch is None:
                    raise InvalidValue(f"{item} is {new or 'empty'} already.")
                return touch
            if current != believed:
                raise self._conflict(kind, item)
            return {
                "by": by, "do": kind, "item": item, "old": current, "new": new, **(extra or {})
            }  # fmt: skip

        return self._commit(make)

    def _conflict(self, kind: str, item: str) -> Conflict:
        touch = self.state.last_touch(kind, item)
        value = self.state.value(kind, item) or "empty"
        who = f" by {touch.by} at {_when(touch.at)}" if touch else ""
        return Conflict(f"{item} was set to “{value[:60]}”{who}; nothing was written.")

    def _tickable(self, box_id: str) -> str:
        box = self.document.boxes.get(box_id)
        if box is None:
            raise UnknownId(f"There is no box {box_id}.")
        if box.kind == "radio":
            raise InvalidValue(f"{box_id} is decided at the gate, not ticked.")
        if box.children:
            raise InvalidValue(f"{box_id} is computed from {len(box.children)} items.")
        if box.kind == "tracker":
            raise InvalidValue(f"{box_id} is computed from {box.target}.")
        return box.label[:200]

    def tick(self, box_id: str, by: str, why: str = "") -> Record:
        """Ticks a box."""
        return self._tick(box_id, "tick", "done", by, why)

    def untick(self, box_id: str, by: str, why: str = "") -> Record:
        """Opens a box again."""
        return self._tick(box_id, "tick", "open", by, why)

    def waive(self, box_id: str, by: str, why: str, days: int = MAX_WAIVER_DAYS) -> Record:
        """Lets a box count as done for at most 90 days, with a reason of 10 characters or more."""
        if len(why.strip()) < 10:
            raise InvalidValue("A waiver needs a reason of at least 10 characters.")
        if not 1 <= days <= MAX_WAIVER_DAYS:
            raise InvalidValue(f"A waiver lasts 1 to {MAX_WAIVER_DAYS} days.")
        expires = int(datetime.now(UTC).timestamp() * 1000) + days * 86_400_000
        return self._tick(box_id, "waive", "waived", by, why, {"expires": expires})

    def _tick(
        self, box_id: str, kind: str, new: str, by: str, why: str, extra: Fields | None = None
    ) -> Record:
        fields: Fields = {"label": self._tickable(box_id), **(extra or {})}
        if why:
            fields["why"] = clean_text(why, "The reason")
        return self._change(kind, box_id, new, by, fields)

    def set_field(self, field_id: str, value: str, by: str, source: str = "hand") -> Record:
        """Fills a field, or clears it with an empty value. Fields of one fact change together."""

        item = self.document.fields.get(field_id)
        if item is None:
            raise UnknownId(f"There is no field {field_id}.")
        if field_id in computed_fields(self.document):
            raise InvalidValue(f"{field_id} is computed from the ledger; add a cost instead.")
        return self._change(
            "field", field_id, check_value(item, value) or None, by, {"source": source}
        )

    def note(self, section_id: str, text: str, by: str) -> Record:
        """Writes the note of a section (its whole text); empty clears it."""
        if self.document.section(section_id) is None:
            raise UnknownId(f"There is no section {section_id}.")
        kept = clean_text(text, "The note", lines=True)
        if "____" in kept:
            raise InvalidValue("A note may not contain “____”: it would read as a blank.")
        return self._change("note", section_id, kept or None, by)

    def add_cost(
        self, row: str, amount: str, by: str, note: str = "", date: str | None = None
    ) -> Record:
        """Adds a ledger entry to a budget row (its name, or the id of its stage). Zero must be typed."""

        name = find_row(self.document, row)
        value = money(amount)
        entry = {
            "amount": money_text(value),
            "currency": self.settings.budget.currency,
            "date": _day(date),
            "note": clean_text(note, "The note"),
        }
        return self._commit(lambda: {"by": by, "do": "cost", "item": name, "new": entry})

    def void_cost(self, cost_id: str, by: str, why: str) -> Record:
        """Takes an entry out of the sums; it stays in the ledger, struck through."""
        reason = clean_text(why, "The reason")
        if not reason:
            raise InvalidValue("Voiding an entry needs a reason.")

        def make() -> Fields:
            cost = self.state.cost(cost_id)
            if cost is None:
                raise UnknownId(f"There is no single ledger entry {cost_id}.")
            if cost.voided:
                raise Conflict(f"That entry was voided by {cost.void_by} already.")
            return {"by": by, "do": "cost_void", "item": cost.id, "why": reason}

        return self._commit(make)

    def decide(self, outcome: str, reason: str, by: str, override: str = "") -> Record:
        """Records GO, NO-GO or HOLD with everything it stands on. See `gate.pin` for what is kept."""
        from tui.roadmap.gate import pin

        believed = self.state.decision.id if self.state.decision else None

        def make() -> Fields:
            current = self.state.decision
            if (current.id if current else None) != believed and current is not None:
                raise Conflict(
                    f"{current.by} decided {current.outcome} at {_when(current.at)};"
                    " nothing was written."
                )
            new = pin(self, outcome, reason, override)
            return {"by": by, "do": "decision", "item": "GATE", "old": believed, "new": new}

        return self._commit(make)

    def record_verdicts(self, verdicts: Sequence[Verdict], by: str) -> Record:
        """Stores verdicts in one record (more only past 64 KiB) and ticks what passed."""
        if not verdicts:
            raise InvalidValue("There is nothing to record.")
        record: Record | None = None
        for chunk in _chunks(verdicts):
            record = self._commit(lambda chunk=chunk: self._verdict_fields(chunk, by))  # type: ignore[misc]
        assert record is not None  # noqa: S101 - chunks of a non-empty list
        return record

    def _verdict_fields(self, verdicts: Sequence[Verdict], by: str) -> Fields:
        ticked = {}
        for verdict in verdicts:
            box = self.document.boxes.get(verdict.item)
            passed = verdict.verdict == "PASS" and self.settings.auto_tick
            if box is None or not passed or box.computed or box.informational:
                continue
            if self.state.value("tick", box.id) == "open":
                ticked[box.id] = box.label[:200]
        item = verdicts[0].item if len(verdicts) == 1 else ""
        entries = [replace(v, fills=self._fills(v)).as_json() for v in verdicts]
        return {"by": by, "do": "verdict", "item": item, "verdicts": entries, "ticked": ticked}

    def _fills(self, verdict: Verdict) -> Fields:
        """The fills of a verdict that fit their fields; a measured value is data like any other."""
        kept = {}
        for item, value in verdict.fills.items():
            known = self.document.fields.get(item)
            if known is not None and verdict.verdict == "PASS":
                with contextlib.suppress(InvalidValue):
                    kept[item] = check_value(known, value)
        return kept

    def record_import(self, by: str) -> Record:
        """Notes which text of the roadmap the state file began with."""
        new = evidence.fingerprint(self.document)
        return self._commit(
            lambda: {"by": by, "do": "import", "item": self.settings.roadmap, "new": new}
        )

    # --- undo ---------------------------------------------------------------------------------

    def undo(self, by: str) -> Record:
        """Appends the inverse of the newest action of `by`; other people's actions are left alone."""
        return self._commit(lambda: self._inverse(by, "undo"))

    def redo(self, by: str) -> Record:
        """Appends again what `by` undid last."""
        return self._commit(lambda: self._inverse(by, "redo"))

    def _inverse(self, by: str, do: str) -> Fields:
        back = do == "undo"
        target = self.state.last_own(by) if back else self.state.last_undone(by)
        if target is None:
            raise InvalidValue(f"There is nothing of yours to {do}.")
        if target.do == "decision":
            raise InvalidValue(
                "Your last action is a decision; decide again, it supersedes the old one."
            )
        fields: Fields = {
            "by": by,
            "do": do,
            "item": target.item,
            f"{do}es": target.id,
            "of": target.do,
        }
        if target.do in ("cost", "cost_void"):
            fields["item"] = target.id if target.do == "cost" else target.item
            return fields
        empty = "open" if target.do in ("tick", "waive") else None
        before = target.data.get("old") or empty
        after = target.data.get("new") or empty
        now = self.state.value(target.do, target.item)
        if now != (after if back else before):
            raise self._conflict(target.do, target.item)
        return {**fields, "old": now, "new": before if back else after}


def _day(text: str | None) -> str:
    today = date.today()  # noqa: DTZ011 - a local calendar day
    if not text:
        return today.isoformat()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day > today:
        raise InvalidValue("date must be YYYY-MM-DD, not after today.")
    return day.isoformat()


def _chunks(verdicts: Sequence[Verdict]) -> Iterator[list[Verdict]]:
    chunk: list[Verdict] = []
    size = 0
    for verdict in verdicts:
        length = len(seal(verdict.as_json())) + 260  # its entry in `ticked`
        if chunk and size + length > MAX_LINE - 2048:
            yield chunk
            chunk, size = [], 0
        chunk.append(verdict)
        size += length
    yield chunk
