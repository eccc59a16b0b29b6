"""The roadmap document: any Markdown text with task lists, read without changing a byte of it.

`Document.parse` gives sections, groups, boxes, fields and tables with stable ids. The text is data:
nothing in it is ever executed, and its commands are only labels.
"""

from __future__ import annotations

from dataclasses import dataclass

from tui.roadmap.labels import strip_emoji
from tui.roadmap.naming import Reference
from tui.roadmap.parts import Box, Field, Group, Section, Table

__all__ = ["Box", "Document", "Field", "Group", "Section", "Table"]


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed roadmap. `sections` hold boxes; `all_sections` also those with only fields in them."""

    text: str
    all_sections: tuple[Section, ...]
    boxes: dict[str, Box]
    fields: dict[str, Field]
    tables: tuple[Table, ...]
    lines: tuple[str, ...]
    endings: tuple[str, ...]
    reworded: tuple[tuple[str, str, str], ...] = ()
    """(id, old text, new text) of boxes that kept their id although their words changed."""
    asked: tuple[tuple[str, str, str, str], ...] = ()
    """(old id, old text, new id, new text) of boxes that a person has to judge: still the same one?"""
    asked_blanks: tuple[tuple[str, str, str, str], ...] = ()
    """The same of blanks."""

    @property
    def sections(self) -> tuple[Section, ...]:
        """The sections that hold checkboxes, in document order."""
        return tuple(section for section in self.all_sections if section.boxes)

    @property
    def box_count(self) -> int:
        """Number of checkboxes."""
        return len(self.boxes)

    @property
    def blank_count(self) -> int:
        """Number of blanks printed as underscores."""
        return sum(not item.implicit for item in self.fields.values())

    @property
    def title(self) -> str:
        """The first top heading, or an empty text."""
        for line in self.lines:
            heading = line.removeprefix("\ufeff")
            if heading.startswith("# "):
                return strip_emoji(heading[2:])
        return ""

    def section(self, section_id: str) -> Section | None:
        """The section of that id, or None."""
        return next((s for s in self.all_sections if s.id == section_id), None)

    def select(self, prefix: str) -> tuple[str, ...]:
        """Ids of the boxes that `prefix` names: a box with its children, a group or a section."""
        if prefix in self.boxes:
            return (prefix, *self.boxes[prefix].children)
        return tuple(b.id for b in self.boxes.values() if prefix in (b.group_id, b.section_id))

    def names(self) -> list[str]:
        """Every id that `select` knows."""
        groups = {b.group_id: None for b in self.boxes.values()}
        sections = {b.section_id: None for b in self.boxes.values()}
        return list(dict.fromkeys([*sections, *groups, *self.boxes]))

    @classmethod
    def parse(cls, text: str, reference: Reference | None = None) -> Document:
        """Reads a Markdown text. Never fails: a text without task lists gives an empty document.

        Boxes keep the ids that they have in `reference`, the shipped roadmap where there is none.
        """
        from tui.roadmap.builder import build

        return build(text, reference)
