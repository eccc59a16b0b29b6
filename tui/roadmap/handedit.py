"""Many values at once, as a person typed them into an editor: one record by hand:<user>, or none."""

from __future__ import annotations

from typing import Any

from tui.roadmap.errors import InvalidValue
from tui.roadmap.records import Record
from tui.roadmap.state import State
from tui.roadmap.textview import Change, base_of, read
from tui.roadmap.values import check_value, clean_text
from tui.roadmap.writer import Fields, Writer


def sections_note(text: str) -> str:
    """The kept form of a note. Raises InvalidValue."""
    kept = clean_text(text, "The note", lines=True)
    if "____" in kept:
        raise InvalidValue("A note may not contain “____”: it would read as a blank.")
    return kept


class HandEdits(Writer):
    """What an edited text view does to a workspace."""

    def read_edit(self, text: str) -> list[Change]:
        """Checked changes of a text view; raises InvalidValue naming the line of the first bad one."""
        base = base_of(text, self.state)
        kept = []
        for change in read(text, self.document, base):
            try:
                new = self._checked(change)
            except InvalidValue as problem:
                raise InvalidValue(f"Line {change.line}: {problem}") from None
            if new != change.old:
                kept.append(Change(change.kind, change.item, change.old, new, change.line))
        return kept

    def _checked(self, change: Change) -> str | None:
        if change.kind == "tick":
            self._tickable(change.item)
            if change.new not in ("open", "done"):
                raise InvalidValue(
                    f"{change.item} is “open” or “done” here; `gonogo waive` sets a box aside."
                )
            return change.new
        if change.kind == "field":
            return check_value(self.document.fields[change.item], change.new or "") or None
        return sections_note(change.new or "") or None

    def apply_edit(self, changes: list[Change], by: str, why: str = "") -> Record:
        """Writes the changes as one record. Raises Conflict where one of the values has moved since."""
        if not changes:
            raise InvalidValue("Nothing was changed.")

        def make() -> Fields | Record:
            ops: list[dict[str, Any]] = []
            for change in changes:
                now = self.state.value(change.kind, change.item)
                if now == change.new:
                    continue
                if now != change.old:
                    raise self._conflict(change.kind, change.item)
                op = {"f": change.kind, "item": change.item, "old": now, "new": change.new}
                ops.append(op)
            if not ops:
                return self.state.records[-1]
            return {
                "by": by,
                "do": "hand_edit",
                "item": f"{len(ops)} value{'s' if len(ops) > 1 else ''}",
                "ops": ops,
                **({"why": clean_text(why, "The reason")} if why else {}),
            }

        return self._commit(make)


def apply_ops(state: State, record: Record) -> None:
    """Folds the changes of a hand edit, all or none. Raises ValueError, TypeError or KeyError."""
    ops = record.data["ops"]
    parts = [
        record._replace(item=op["item"], data={**op, "source": "hand"})
        for op in ops
        if op["f"] in ("tick", "field", "note")
    ]
    trial = state.copy()
    for part in parts:
        trial._put(part.data["f"], part, part.data["new"])
    for part in parts:
        state._put(part.data["f"], part, part.data["new"])


def inverse_ops(state: State, target: Record, undo: bool) -> list[dict[str, Any]] | str:
    """The changes that undo (or redo) a hand edit, or the item that has moved since."""
    ops = []
    for op in target.data["ops"]:
        now, then = (op["new"], op["old"]) if undo else (op["old"], op["new"])
        if state.value(op["f"], op["item"]) != now:
            return str(op["item"])
        ops.append({"f": op["f"], "item": op["item"], "old": now, "new": then})
    return ops
