"""Ids when the plan's text is edited: what a new text keeps by itself, and what a person is asked.

The state file names the text that the ids belong to (records `import` and `reanchor`); the text itself
with its ids lies in the evidence folder under its hash. Another text on the disk is matched against it
(see `naming.match`): the same words keep their id wherever they stand; changed words inside the same
container are a question; what is found nowhere keeps its data aside. Nothing is attached silently.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.roadmap import evidence
from tui.roadmap.builder import items_of, prefixes_of
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
    """A box of the old text and one of the new that may be the same. `new` is its id until then."""

    old: str
    old_text: str
    new: str
    new_text: str

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
        }


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something recorded for a box or blank that the plan no longer has."""

    id: str
    text: str
    data: str


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
    document = Document.parse(text, reference)
    questions = tuple(Question(*asked) for asked in document.asked)
    if reference is None:
        return Reading(document, None, (), (), (), current=False, warning=warning)
    asked_old, asked_new = {q.old for q in questions}, {q.new for q in questions}
    known = set(reference.ids)
    return Reading(
        document,
        reference,
        questions,
        tuple(i for i in reference.ids if i not in document.boxes and i not in asked_old),
        tuple(i for i in document.boxes if i not in known and i not in asked_new),
        current=sha256(text) == baseline["sha256"],
    )


def agree(reading: Reading, accepted: Mapping[str, str]) -> Document:
    """The document with the ids of the accepted questions, new id to old id."""
    if reading.reference is None:
        return reading.document
    return Document.parse(reading.document.text, replace(reading.reference, agreed=dict(accepted)))


def _reference(folder: Path, baseline: Mapping[str, Any]) -> tuple[Reference | None, str]:
    name = baseline["baseline"]
    if not name:
        text = shipped_text()
        if sha256(text) != baseline["sha256"]:
            return None, ""
        shipped = Document.parse(text)
        prefixes, _ = prefixes_of(shipped, None)
        return Reference(tuple(shipped.boxes), items_of(text), prefixes, adopt=False), ""
    try:
        data = json.loads(evidence.read(folder, name))
        text, ids = data["text"], tuple(str(i) for i in data["boxes"])
        prefixes = {tuple(k.split(_SEP)) if k else (): str(v) for k, v in data["prefixes"].items()}
        items = items_of(text)
        if len(items) != len(ids):
            raise ValueError("another number of boxes")
    except (WorkspaceError, ValueError, KeyError, TypeError, AttributeError) as problem:
        return None, f"The text that the plan's ids come from cannot be read ({problem})."
    return Reference(ids, items, prefixes, shipped=bool(data.get("shipped")), adopt=False), ""


def keep(folder: Path, document: Document, reference: Reference | None) -> dict[str, Any]:
    """Stores a text with its ids; what an `import` or `reanchor` record says of it. Raises NotSaved."""
    new = evidence.fingerprint(document)
    if document.text == shipped_text() and reference is None:
        return new
    prefixes, shipped = prefixes_of(document, reference)
    body = {
        "text": document.text,
        "boxes": list(document.boxes),
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
            yield Orphan(item, "", value.value)
