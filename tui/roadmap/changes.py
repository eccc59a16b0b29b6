"""What can be done in a workspace: each method is one record, stored on disk before it returns.

The value that the caller saw is the precondition: where somebody else changed it meanwhile a Conflict
names who and when.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tui.roadmap import reanchor
from tui.roadmap.costs import CostChanges
from tui.roadmap.errors import Conflict, InvalidValue, Theirs, no_such
from tui.roadmap.fields import FieldChanges
from tui.roadmap.handedit import HandEdits, inverse_ops, sections_note
from tui.roadmap.records import Record
from tui.roadmap.values import clean_text
from tui.roadmap.verdicts import VerdictChanges
from tui.roadmap.waivers import WaiverChanges, waiver_before
from tui.roadmap.writer import Fields

if TYPE_CHECKING:
    from tui.roadmap.gate import GateReport


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


class Changes(CostChanges, WaiverChanges, FieldChanges, VerdictChanges, HandEdits):
    """The writing half of a workspace."""

    def _change(
        self, kind: str, item: str, new: str | None, by: str, extra: Fields | None = None
    ) -> Record:
        believed = self.believed.value(kind, item)

        def make() -> Fields | Record:
            current, touch = self.state.value(kind, item), self.state.last_touch(kind, item)
            if current == new:
                if touch is None:
                    raise InvalidValue(f"{item} is {new or 'empty'} already.")
                return touch
            if current != believed:
                raise self._conflict(kind, item, new or "")
            return {
                "by": by, "do": kind, "item": item, "old": current, "new": new, **(extra or {})
            }  # fmt: skip

        return self._commit(make)

    def _conflict(self, kind: str, item: str, mine: str | None = None) -> Conflict:
        touch = self.state.last_touch(kind, item)
        value = self.state.value(kind, item) or "empty"
        who = f" by {touch.by} at {_when(touch.at)}" if touch else ""
        theirs = Theirs(item, value, touch.by, touch.at, mine) if touch else None
        return Conflict(f"{item} was set to “{value[:60]}”{who}; nothing was written.", theirs)

    def tick(self, box_id: str, by: str, why: str = "") -> Record:
        """Ticks a box."""
        return self._tick(box_id, "tick", "done", by, why)

    def untick(self, box_id: str, by: str, why: str = "") -> Record:
        """Opens a box again."""
        return self._tick(box_id, "tick", "open", by, why)

    def _tick(
        self, box_id: str, kind: str, new: str, by: str, why: str, extra: Fields | None = None
    ) -> Record:
        fields: Fields = {"label": self._tickable(box_id), **(extra or {})}
        if why:
            fields["why"] = clean_text(why, "The reason")
        return self._change(kind, box_id, new, by, fields)

    def note(self, section_id: str, text: str, by: str) -> Record:
        """Writes the note of a section (its whole text); empty clears it."""
        if self.document.section(section_id) is None:
            raise no_such("section", section_id, [s.id for s in self.document.all_sections])
        return self._change("note", section_id, sections_note(text) or None, by)

    def decide(
        self, outcome: str, reason: str, by: str, override: str = "", seen: GateReport | None = None
    ) -> Record:
        """Records GO, NO-GO or HOLD with everything it stands on. See `gate.pin` for what is kept.

        `seen` is what the person had before the eyes; Conflict where anything in it has changed since.
        """
        from tui.roadmap.gate import pin

        known = self.believed.decision
        believed = known.id if known else None

        def make() -> Fields:
            current = self.state.decision
            if (current.id if current else None) != believed and current is not None:
                raise Conflict(
                    f"{current.by} decided {current.outcome} at {_when(current.at)};"
                    " nothing was written."
                )
            new = pin(self, outcome, reason, override, seen)
            return {"by": by, "do": "decision", "item": "GATE", "old": believed, "new": new}

        return self._commit(make)

    def record_import(self, by: str) -> Record:
        """Notes which text of the roadmap the state file began with."""
        new = reanchor.keep(self.root / "evidence", self.document, None)
        return self._commit(
            lambda: {"by": by, "do": "import", "item": self.settings.roadmap, "new": new}
        )

    # --- undo ---------------------------------------------------------------------------------

    def undo(self, by: str) -> Record:
        """Appends the inverse of the newest action of `by`; other people's actions are left alone.

        The command line also takes back the hand edits of its user, since it is where they are made.
        """
        return self._commit(lambda: self._inverse(by, "undo"))

    def redo(self, by: str) -> Record:
        """Appends again what `by` undid last."""
        return self._commit(lambda: self._inverse(by, "redo"))

    def _inverse(self, by: str, do: str) -> Fields:
        back = do == "undo"
        newest = self.state.last_own if back else self.state.last_undone
        actors = (by, by.replace("cli:", "hand:", 1)) if by.startswith("cli:") else (by,)
        found = [record for record in map(newest, actors) if record is not None]
        target = max(found, key=lambda record: record.at, default=None)
        if target is None:
            raise InvalidValue(f"There is nothing of yours to {do}.")
        if target.do == "decision":
            raise InvalidValue(
                "Your last action is a decision; decide again, it supersedes the old one."
            )
        fields: Fields = {
            "by": target.by,
            "do": do,
            "item": target.item,
            f"{do}es": target.id,
            "of": target.do,
        }
        if target.do in ("cost", "costs", "cost_void"):
            fields["item"] = target.item if target.do == "cost_void" else target.id
            return fields
        if target.do == "hand_edit":
            ops = inverse_ops(self.state, target, back)
            if isinstance(ops, str):
                kind = next(op["f"] for op in target.data["ops"] if op["item"] == ops)
                raise self._conflict(kind, ops)
            return {**fields, "ops": ops}
        empty = "open" if target.do in ("tick", "waive") else None
        before = target.data.get("old") or empty
        after = target.data.get("new") or empty
        now = self.state.value(target.do, target.item)
        if now != (after if back else before):
            raise self._conflict(target.do, target.item)
        new = before if back else after
        if new in ("waived", "na"):
            fields |= waiver_before(self.state, target, back)
        return {**fields, "old": now, "new": new}
