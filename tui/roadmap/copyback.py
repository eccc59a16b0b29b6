"""A filled-in copy of the plan, as somebody wrote into it: its ticks and values, to be taken over.

Only what the copy adds or has otherwise counts. A box that is open in it and a blank that is empty in
it stay as they are, since the copy may be older than what was recorded meanwhile.
"""

from __future__ import annotations

from tui.roadmap.budget import computed_fields
from tui.roadmap.computed import shown_fields
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue
from tui.roadmap.handedit import sections_note
from tui.roadmap.importer import read_filled
from tui.roadmap.progress import CLOSED, box_status
from tui.roadmap.state import State
from tui.roadmap.textview import Change
from tui.roadmap.values import check_value
from tui.settings import Settings


def copy_changes(document: Document, state: State, settings: Settings, text: str) -> list[Change]:
    """What `text`, a filled copy of `document`, has beyond `state`.

    Raises InvalidValue naming the first line that is not the plan's, or the blank whose value does not
    fit.
    """
    filled = read_filled(document, text)
    out = []
    for item, ticked in filled.ticks.items():
        box = document.boxes[item]
        if ticked and not box.computed and box_status(document, state, item).tick not in CLOSED:
            out.append(Change("tick", item, state.value("tick", item), "done", box.line))
    shown = shown_fields(document, state, settings)
    fixed = computed_fields(document)
    for item, value in {**filled.fields, **filled.notes}.items():
        field = document.fields[item]
        known = shown.get(item)
        if item in fixed or (known is not None and known.value == value):
            continue
        if field.kind == "notes" and _first_notes(document, field.section_id) == item:
            kind, place, new = "note", field.section_id, sections_note(value)
        else:
            kind, place = "field", item
            try:
                new = check_value(field, value)
            except InvalidValue as problem:
                raise InvalidValue(f"Line {field.line}, {item}: {problem}") from None
        if state.value(kind, place) != new:
            out.append(Change(kind, place, state.value(kind, place), new, field.line))
    return _one_of_each_fact(document, out)


def _first_notes(document: Document, section: str) -> str:
    notes = (f.id for f in document.fields.values() if f.kind == "notes")
    return next((i for i in notes if document.fields[i].section_id == section), "")


def _one_of_each_fact(document: Document, changes: list[Change]) -> list[Change]:
    """One change of the blanks that always hold the same value. Raises InvalidValue where they differ."""
    first: dict[str, Change] = {}
    out = []
    for change in changes:
        fact = document.fields[change.item].fact if change.kind == "field" else ""
        other = first.setdefault(fact, change) if fact else change
        if other.new != change.new:
            raise InvalidValue(
                f"{other.item} says {other.new} and {change.item} says {change.new}:"
                " they are the same thing."
            )
        if other is change:
            out.append(change)
    return out
