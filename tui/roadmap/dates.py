"""Completion dates: proposed when the last required box of a stage is done, stored by the person.

A date stays when the stage is opened again; once it is finished anew on a later day that day is proposed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tui.roadmap.document import Document, Field
from tui.roadmap.progress import completion_ready
from tui.roadmap.state import State
from tui.roadmap.writer import local_day

_DONE = re.compile(r"\b(date completed|completion date|completed on|finished on)\b", re.I)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A date that a finished stage suggests for its blank; `before` is what stands there now."""

    section_id: str
    field_id: str
    title: str
    label: str
    date: str
    before: str = ""

    @property
    def question(self) -> str:
        """As it is asked."""
        return f"{self.title} complete. {self.label} {self.date}?"


def date_field(document: Document, section_id: str) -> Field | None:
    """The blank of a section that takes its completion date."""
    section = document.section(section_id)
    if section is None:
        return None
    return next((f for f in section.fields if f.type == "date" and _DONE.search(f.label)), None)


def proposal(document: Document, state: State, section_id: str) -> Proposal | None:
    """The date to propose for one section, None while it is unfinished or has its date."""
    section, item = document.section(section_id), date_field(document, section_id)
    if section is None or item is None:
        return None
    at = completion_ready(document, state, section_id)
    if not at:
        return None
    day, known = local_day(at).isoformat(), state.fields.get(item.id)
    touch = state.last_touch("field", item.id)
    if known is not None and (day <= known.value or (touch is not None and touch.at >= at)):
        return None
    title = section.short.split(":")[0].strip()
    label = item.label.removeprefix(title).strip() or item.label
    return Proposal(section_id, item.id, title, label, day, known.value if known else "")


def proposals(document: Document, state: State) -> tuple[Proposal, ...]:
    """All dates that wait to be stored, in document order."""
    found = (proposal(document, state, section.id) for section in document.sections)
    return tuple(p for p in found if p is not None)
