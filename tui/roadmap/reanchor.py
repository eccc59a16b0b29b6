"""Ids when the plan's text is edited: what a new text keeps by itself, and what a person is asked.

The state file names the text that the ids belong to (records `import` and `reanchor`); the text itself
with its ids lies in the evidence folder under its hash. Another text on the disk is matched against it
(see `naming.match`): the same words keep their id wherever they stand; changed words inside the same
container are a question; what is found nowhere keeps its data aside. Nothing is attached silently.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tui.roadmap import evidence
from tui.roadmap.builder import places_of, prefixes_of
from tui.roadmap.document import Document
from tui.roadmap.errors import WorkspaceError
from tui.roadmap.freshness import numbers
from tui.roadmap.naming import TEMPLATE, Reference
from tui.roadmap.records import Record

if TYPE_CHECKING:
    from tui.roadmap.state import State

MANY_LOST = 0.05
"""Share of the boxes that may go missing before a typed yes is asked for."""
_SEP = "\x1f"


@dataclass(frozen=True, slots=True)
class Question:
    """A box or blank of the old text and one of the new that may be the same.

    `new` is its id until then, `likeness` how alike the words are, from 0 to 1.
    """

    old: str
    old_text: str
    new: str
    new_text: str
    blank: bool = False

    @property
    def likeness(self) -> float:
        """Share of the words' characters that are the same (difflib ratio)."""
        return difflib.SequenceMatcher(None, self.new_text, self.old_text).ratio()

    @property
    def numbers(self) -> tuple[str, str] | None:
        """The numbers before and after where they differ."""
        before, after = numbers(self.old_text), numbers(self.new_text)
        return (
            (", ".join(before) or "none", ", ".join(after) or "none") if before != after else None
        )

    def as_json(self) -> dict[str, Any]:
        """For the command line."""
        return {
            "old": self.old,
            "old_text": self.old_text,
            "new": self.new,
            "new_text": self.new_text,
            "kind": "blank" if self.blank else "box",
            "likeness": round(self.likeness, 2),
        }


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something recorded for a box, a blank or a section that the plan no longer has."""

    id: str
    text: str
    data: str
    kind: Literal["box", "blank", "note"] = "box"


@dataclass(frozen=True, slots=True)
class Reading:
    """A plan's text read against the text its ids come from. `lost` are ids of boxes found nowhere."""

    document: Document
    reference: Reference | None
    questions: tuple[Question, ...]
    lost: tuple[str, ...]
    added: tuple[str, ...]
    current: bool
    """True where the text is the one that the state file names."""
    warning: str = ""
    lost_places: frozenset[str] = frozenset()
    """Ids of blanks and sections that are found nowhere."""
    following: frozenset[str] = frozenset()
    """Ids of the blanks in boxes that are asked about: they go where their box goes."""
    added_blanks: tuple[str, ...] = ()
    moved: int = 0
    """Number of boxes that kept their words and stand below another heading."""

    def diff(self) -> list[str]:
        """Lines of the old and the new text that differ, as `diff -u` has them."""
        before = self.reference.text if self.reference else ""
        lines = difflib.unified_diff(
            before.splitlines(), self.document.text.splitlines(), n=1, lineterm=""
        )
        return list(lines)[2:] or ["The text is the same."]

    def agreed(self, pairs: Mapping[str, str]) -> Reading:
        """The reading with the new boxes and blanks in `pairs` taken for the old ones, new id to old."""
        reference = self.reference
        if reference is None or not pairs:
            return self
        place = {name: number for number, name in enumerate(self.document.fields)}
        boxes = {new: old for new, old in pairs.items() if new in self.document.boxes}
        blanks = {place[new]: old for new, old in pairs.items() if new in place}
        reference = replace(
            reference,
            agreed={**reference.agreed, **boxes},
            agreed_blanks={**reference.agreed_blanks, **blanks},
        )
        return _compare(self.document.text, reference, self.current, self.warning)

    @property
    def many_lost(self) -> bool:
        """True where so much is missing that it may be the wrong file."""
        known = len(self.reference.ids) if self.reference else 0
        return known > 0 and len(self.lost) > MANY_LOST * known


@lru_cache(maxsize=1)
def shipped_text() -> str:
    """The plan that comes with the program."""
    return TEMPLATE.read_bytes().decode("utf-8")


def sha256(text: str) -> str:
    """Hash of a text as UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def newest_baseline(records: Sequence[Record]) -> dict[str, Any] | None:
    """Which text the ids belong to, by the newest record that says so."""
    for record in reversed(records):
        new = record.data.get("new")
        if record.do in ("import", "reanchor") and isinstance(new, dict) and "sha256" in new:
            return {"sha256": str(new["sha256"]), "baseline": str(new.get("baseline", ""))}
    return None


def read(folder: Path, text: str, baseline: Mapping[str, Any] | None) -> Reading:
    """Reads `text` with the ids of `baseline`; `folder` holds the evidence files."""
    if baseline is None:
        document = Document.parse(text)
        same = text == shipped_text()
        return Reading(document, None, (), (), (), current=same)
    if not baseline["baseline"] and text == shipped_text():
        return Reading(Document.parse(text), None, (), (), (), current=True)
    reference, warning = _reference(folder, baseline)
    return _compare(text, reference, sha256(text) == baseline["sha256"], warning)


def _compare(text: str, reference: Reference | None, current: bool, warning: str) -> Reading:
    document = Document.parse(text, reference)
    if reference is None:
        return Reading(document, None, (), (), (), current=False, warning=warning)
    questions = [Question(*asked) for asked in document.asked]
    questions += [Question(*asked, blank=True) for asked in document.asked_blanks]
    old, new = {q.old for q in questions}, {q.new for q in questions}
    known, blanks = set(reference.ids), set(reference.blanks)
    following = {
        name
        for name, spot in zip(reference.blanks, reference.spots, strict=True)
        if spot.box >= 0 and reference.ids[spot.box] in old
    }
    places = blanks | {prefix.split(".")[0] for prefix in reference.prefixes.values()}
    there = old | following | set(document.fields) | {s.id for s in document.all_sections}
    return Reading(
        document,
        reference,
        tuple(questions),
        tuple(i for i in reference.ids if i not in document.boxes and i not in old),
        tuple(i for i in document.boxes if i not in known and i not in new),
        current=current,
        warning=warning,
        lost_places=frozenset(places - there),
        following=frozenset(following),
        added_blanks=tuple(i for i in document.fields if i not in blanks and i not in new),
        moved=_moved(document, reference),
    )


def _moved(document: Document, reference: Reference) -> int:
    """Boxes whose container is another one now, not merely one with another name."""
    prefix = {item_id: reference.prefixes.get(item.path, "")
              for item_id, item in zip(reference.ids, reference.items, strict=True)}  # fmt: skip
    return sum(
        prefix.get(box.id, box.group_id) not in ("", box.group_id)
        for box in document.boxes.values()
    )


def _reference(folder: Path, baseline: Mapping[str, Any]) -> tuple[Reference | None, str]:
    name = baseline["baseline"]
    if not name:
        if _shipped_sha() != baseline["sha256"]:
            return None, ""
        return _shipped(), ""
    try:
        data = json.loads(evidence.read(folder, name))
        text, ids = data["text"], tuple(str(i) for i in data["boxes"])
        prefixes = {tuple(k.split(_SEP)) if k else (): str(v) for k, v in data["prefixes"].items()}
        items, spots = places_of(text)
        blanks = tuple(str(i) for i in data.get("blanks", ()))
        if len(items) != len(ids) or len(blanks) not in (0, len(spots)):
            raise ValueError("another number of boxes or blanks")
    except (WorkspaceError, ValueError, KeyError, TypeError, AttributeError) as problem:
        return None, f"The text that the plan's ids come from cannot be read ({problem})."
    old = Reference(ids, items, prefixes, shipped=bool(data.get("shipped")), adopt=False)
    if not blanks:  # an older program kept no ids of blanks; they follow from the boxes' ids
        blanks = tuple(Document.parse(text, old).fields)
    return replace(old, blanks=blanks, spots=spots, text=text), ""


@lru_cache(maxsize=1)
def _shipped_sha() -> str:
    return sha256(shipped_text())


@lru_cache(maxsize=1)
def _shipped() -> Reference:
    text = shipped_text()
    document = Document.parse(text)
    items, spots = places_of(text)
    return Reference(
        tuple(document.boxes), items, prefixes_of(document, None)[0], adopt=False,
        blanks=tuple(document.fields), spots=spots, text=text,
    )  # fmt: skip


def keep(folder: Path, document: Document, reference: Reference | None) -> dict[str, Any]:
    """Stores a text with its ids; what an `import` or `reanchor` record says of it. Raises NotSaved."""
    new = evidence.fingerprint(document)
    if document.text == shipped_text() and reference is None:
        return new
    prefixes, shipped = prefixes_of(document, reference)
    body = {
        "text": document.text,
        "boxes": list(document.boxes),
        "blanks": list(document.fields),
        "prefixes": {_SEP.join(path): prefix for path, prefix in prefixes.items()},
        "shipped": shipped,
    }
    blob = json.dumps(body, ensure_ascii=False, sort_keys=True).encode("utf-8")
    return {**new, "baseline": evidence.keep(folder, blob)}


def orphans(document: Document, state: State) -> tuple[Orphan, ...]:
    """What the state holds for boxes and blanks that the document does not have."""
    return tuple(sorted(_orphans(document, state), key=lambda o: o.id))


def _orphans(document: Document, state: State) -> Iterator[Orphan]:
    boxes, fields = document.boxes, document.fields
    seen = set()
    for item, tick in state.ticks.items():
        if item not in boxes and tick.state != "open":
            seen.add(item)
            yield Orphan(item, tick.label, f"{tick.state} by {tick.by}")
    for item, verdict in state.verdicts.items():
        if item not in boxes and item not in seen:
            yield Orphan(item, verdict.label, verdict.verdict)
    for item, value in state.fields.items():
        if item not in fields:
            yield Orphan(item, "", value.value, "blank")
    sections = {section.id for section in document.all_sections}
    for item, note in state.notes.items():
        if item not in sections:
            yield Orphan(item, "note", note, "note")
