"""Letting a box count as done without doing it: waived for a while with a reason, or not applicable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue
from tui.roadmap.records import Record
from tui.roadmap.state import State
from tui.roadmap.values import clean_text
from tui.roadmap.writer import Fields, Writer, local_day, now_ms, today

MAX_WAIVER_DAYS = 90
MIN_WAIVER_REASON = 10
PERMANENT = "permanent"
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Waived:
    """A box that was waived or is not applicable. `expires` UTC ms, 0 for never."""

    box: str
    label: str
    state: str
    why: str
    by: str
    at: int
    expires: int

    def over(self, now: int) -> bool:
        """True once the waiver has run out."""
        return 0 < self.expires <= now


def waiver_days(text: str) -> int:
    """Days until a waiver ends, 0 for never; from a number of days, a date, or the typed word permanent.

    Raises InvalidValue with one sentence.
    """
    bare = text.strip()
    if bare == PERMANENT:
        return 0
    days = 0
    if bare.isdecimal() and len(bare) < 6:
        days = int(bare)
    else:
        try:
            days = (date.fromisoformat(bare) - today()).days
        except ValueError:
            days = 0
    if not 1 <= days <= MAX_WAIVER_DAYS:
        raise InvalidValue(
            f"A waiver ends within 1 to {MAX_WAIVER_DAYS} days (write days or YYYY-MM-DD),"
            f" or type the word {PERMANENT}."
        )
    return days


def waiver_reason(text: str) -> str:
    """A reason of 10 characters or more. Raises InvalidValue."""
    why = clean_text(text, "The reason")
    if len(why) < MIN_WAIVER_REASON:
        raise InvalidValue(f"A waiver needs a reason of at least {MIN_WAIVER_REASON} characters.")
    return why


class WaiverChanges(Writer):
    """What a person can do with a box that will not be done."""

    def waive(self, box_id: str, by: str, why: str, days: int | str = MAX_WAIVER_DAYS) -> Record:
        """Lets a box count as done for at most 90 days, or for ever with the word "permanent"."""
        label, reason, length = self._tickable(box_id), waiver_reason(why), waiver_days(str(days))
        expires = now_ms() + length * DAY_MS if length else 0
        return self._set_aside(box_id, "waived", by, label, reason, expires)

    def not_applicable(self, box_id: str, by: str, why: str) -> Record:
        """Takes a box out of the plan with a reason; it counts as done and never expires."""
        label, reason = self._tickable(box_id), waiver_reason(why)
        return self._set_aside(box_id, "na", by, label, reason, 0)

    def _set_aside(
        self, box_id: str, new: str, by: str, label: str, why: str, expires: int
    ) -> Record:
        believed = self.believed.value("tick", box_id)

        def make() -> Fields:
            # A waiver is renewed by another one, so an equal state is no reason to write nothing.
            current = self.state.value("tick", box_id)
            if current != believed:
                raise self._conflict("tick", box_id)
            made: Fields = {
                "by": by, "do": "waive", "item": box_id, "old": current, "new": new,
                "label": label, "why": why,
            }  # fmt: skip
            return made | ({"expires": expires} if expires else {})

        return self._commit(make)


def waived(document: Document, state: State) -> Iterator[Waived]:
    """All boxes that are set aside, also those whose waiver has run out, in document order."""
    for box in document.boxes.values():
        tick = state.ticks.get(box.id)
        if tick is not None and tick.state in ("waived", "na"):
            yield Waived(box.id, box.label, tick.state, tick.why, tick.by, tick.at, tick.expires)


def waiver_text(entry: Waived) -> str:
    """What a waiver says of itself, for the detail pane and the appendix."""
    if entry.state == "na":
        return f"not applicable: {entry.why}"
    until = f"until {local_day(entry.expires).isoformat()}" if entry.expires else PERMANENT
    return f"waived: {entry.why}; {until}"


def waiver_before(state: State, target: Record, undo: bool) -> Fields:
    """Reason and end of the waiver that an undo (or redo) of `target` brings back."""
    source: Record | None = None if undo else target
    for record in state.records if undo else ():
        if record.id == target.id:
            break
        same = record.item == target.item and record.data.get("new") in ("waived", "na")
        source = record if same else source
    kept = ("expires", "why", "label")
    return {key: source.data[key] for key in kept if source and key in source.data}
