"""The plan of an open workspace when its text changes on the disk: noticed, matched, agreed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tui.roadmap import folder, reanchor
from tui.roadmap.document import Document
from tui.roadmap.errors import Conflict, InvalidValue, UnknownId, WorkspaceError
from tui.roadmap.reanchor import Orphan, Question, Reading
from tui.roadmap.records import Record
from tui.roadmap.state import State
from tui.roadmap.writer import Fields
from tui.settings import Settings
from tui.words import counted

Stamp = tuple[int, int, int]


def new_state(document: Document) -> State:
    """An empty state for a document: which blanks share a fact, which boxes it shows as ticked."""
    sharing: dict[str, list[str]] = {}
    for item in document.fields.values():
        if item.fact:
            sharing.setdefault(item.fact, []).append(item.id)
    checked = frozenset(box.id for box in document.boxes.values() if box.checked)
    return State({i: tuple(ids) for ids in sharing.values() for i in ids}, checked)


class PlanChanges:
    """The half of a workspace that keeps the ids of its plan."""

    root: Path
    settings: Settings
    document: Document
    state: State
    reading: Reading
    _plan_stamp: Stamp | None = None
    _settling: bool = False
    _read_with: Mapping[str, Any] | None = None
    _commit: Callable[[Callable[[], Fields | Record]], Record]
    _restate: Callable[[], None]

    @property
    def questions(self) -> tuple[Question, ...]:
        """Boxes whose words changed, for a person to say whether they are still the same."""
        return self.reading.questions

    @property
    def orphans(self) -> tuple[Orphan, ...]:
        """What is kept for boxes and blanks that the plan no longer has."""
        waiting = {question.old for question in self.questions} | self.reading.following
        return tuple(o for o in reanchor.orphans(self.document, self.state) if o.id not in waiting)

    @property
    def needs_reconcile(self) -> bool:
        """True where something is asked, or data lost its place through the newest edit."""
        if self.reading.questions or self.reading.many_lost:
            return True
        return bool(self.newly_lost)

    @property
    def newly_lost(self) -> tuple[Orphan, ...]:
        """What lost its place through the newest edit of the plan."""
        lost = self.reading.lost_places.union(self.reading.lost)
        return tuple(orphan for orphan in self.orphans if orphan.id in lost)

    def _stamp(self) -> Stamp | None:
        with contextlib.suppress(OSError):
            stat = (self.root / self.settings.roadmap).stat()
            return stat.st_ino, stat.st_size, stat.st_mtime_ns
        return None

    def refresh_plan(self) -> str:
        """Reads the plan again where its file changed; a sentence about it, "" where nothing did.

        An unreadable plan leaves the one in memory and is named once.
        """
        stamp, name = self._stamp(), self.settings.roadmap
        elsewhere = self._read_with != self.state.baseline and not self._settling
        if stamp == self._plan_stamp and not elsewhere:
            return ""
        self._plan_stamp = stamp
        try:
            text = folder.read_text(self.root / name)
        except WorkspaceError as problem:
            return f"{problem} The plan as it was read before is shown."
        if text == self.document.text and not elsewhere:
            return ""
        again, self._read_with = text == self.document.text, self.state.baseline
        self._take(reanchor.read(self.root / "evidence", text, self.state.baseline))
        if again:
            return ""  # somebody else settled it; their record is the news
        asked, lost, added = len(self.questions), len(self.reading.lost), len(self.reading.added)
        parts = [f"{asked} to reconcile"] if asked else []
        parts += [f"{added} new"] if added else []
        parts += [f"{lost} gone"] if lost else []
        values = sum(orphan.kind != "box" for orphan in self.newly_lost)
        parts += [f"{values} filled-in without a place"] if values else []
        return f"{name} changed on the disk: {', '.join(parts) or 'every box kept its place'}."

    def _take(self, reading: Reading) -> None:
        self.reading = reading
        self.document = reading.document
        self._restate()
        self._adopt_blanks()

    def _adopt_blanks(self) -> None:
        """A reworded blank that holds nothing keeps its id unasked: no value changes its place."""
        held = self.state.fields
        free = {
            q.new: q.old
            for q in self.reading.questions
            if q.blank and q.old not in held and q.new not in held
        }
        if free:
            self.reading = self.reading.agreed(free)
            self.document = self.reading.document
            self._restate()

    def _match(self, matched: Mapping[str, str]) -> None:
        """Raises UnknownId or InvalidValue unless each pair, old id to new id, can be one and the same."""
        kinds = {orphan.id: orphan.kind for orphan in self.orphans}
        kinds.update((box, "box") for box in self.reading.lost)
        for old, new in matched.items():
            kind = kinds.get(old)
            if kind not in ("box", "blank"):
                raise UnknownId(f"{old} is not among what was kept aside.")
            there: Collection[str] = self.document.boxes if kind == "box" else self.document.fields
            if new not in there:
                raise UnknownId(f"There is no {kind} {new}.")
            if new in self.state.ticks or new in self.state.fields:
                raise InvalidValue(f"{new} has records of its own; undo those first.")
        if len(set(matched.values())) < len(matched):
            raise InvalidValue("Two cannot go to one place.")

    def reconcile(
        self,
        accepted: Collection[str],
        by: str,
        confirmed: bool = False,
        matched: Mapping[str, str] = MappingProxyType({}),
    ) -> Record:
        """Settles an edited plan: old ids in `accepted` go on under their new words, the others' data
        is kept aside, and the text on the disk becomes the one that ids belong to. `matched` gives what
        has no place, by its old id, the place of a new box or blank.

        Raises InvalidValue where many boxes are lost and it is not `confirmed`, or nothing is open,
        Conflict where somebody else settled it meanwhile.
        """
        reading, name = self.reading, self.settings.roadmap
        pairs = {q.new: q.old for q in reading.questions if q.old in accepted}
        strangers = set(accepted) - set(pairs.values())
        if strangers:
            raise UnknownId(f"Nothing is asked about {sorted(strangers)[0]}.")
        self._match(matched)
        if reading.current and not matched:
            raise InvalidValue(f"{name} is the text that the ids belong to; nothing to reconcile.")
        if reading.many_lost and not confirmed:
            count = len(reading.lost)
            raise InvalidValue(
                f"{counted(count, 'box is', 'boxes are')} gone from {name}:"
                " type yes to go on, or put the old text back."
            )
        agreed = reading.agreed({**pairs, **{made: old for old, made in matched.items()}})
        document, believed = agreed.document, self.state.baseline
        new = reanchor.keep(self.root / "evidence", document, agreed.reference)
        if pairs:
            new["accepted"] = {old: made for made, old in pairs.items()}
        if matched:
            new["matched"] = dict(matched)
        if reading.lost:
            new["lost"] = list(reading.lost)[:500]
        old = believed["sha256"] if believed else None

        def make() -> Fields:
            if self.state.baseline != believed:
                raise Conflict(f"{name} was reconciled by somebody else meanwhile; look again.")
            return {"by": by, "do": "reanchor", "item": name, "old": old, "new": new}

        before, self._settling = self._settling, True
        try:
            record = self._commit(make)
        finally:
            self._settling = before
        self._read_with = self.state.baseline
        self._take(reanchor.read(self.root / "evidence", document.text, self.state.baseline))
        return record

    def settle_plan(self, by: str) -> Record | None:
        """Makes an edited text that asks nothing the one that ids belong to; None where it is that."""
        reading = self.reading
        nothing = not self.document.boxes and self.state.baseline is None
        if reading.current or nothing or self.needs_reconcile or reading.warning:
            return None
        return self.reconcile((), by)
