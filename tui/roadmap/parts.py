"""The parts of a roadmap document: boxes, fields, tables, groups and sections, all immutable."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BoxKind = Literal["task", "estimate", "tracker", "radio", "cost"]
FieldType = Literal["date", "url", "text", "money", "percent", "float", "hours", "gb"]
FieldKind = Literal["blank", "notes", "bullet", "choice", "cell", "word"]


@dataclass(frozen=True, slots=True)
class Box:
    """One checkbox. Lines are one-based, `column` is the zero-based place of the mark in its line.

    `kind`: tracker boxes are computed from section `target`, radio boxes belong to the gate,
    estimate and cost boxes are informational. `checked` is what the document itself says.
    """

    id: str
    label: str
    raw: str
    line: int
    depth: int = 0
    parent: str = ""
    kind: BoxKind = "task"
    optional: bool = False
    section_id: str = ""
    group_id: str = ""
    column: int = 0
    checked: bool = False
    children: tuple[str, ...] = ()
    target: str = ""

    @property
    def informational(self) -> bool:
        """True for estimates ("~21 hours", "~$242"): shown, never counted."""
        return self.kind in ("estimate", "cost")

    @property
    def computed(self) -> bool:
        """True where no key toggles the box: trackers, the gate's radio, parents of nested boxes."""
        return self.kind in ("tracker", "radio") or bool(self.children)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in. Columns [start, end) of its line are what a value replaces.

    `kind` blank is a run of underscores (with a printed `+` before it where there is one); the other
    kinds are blanks without underscores: notes, empty bullets, "Yes / No", empty cells, "TBD".
    Fields with the same non-empty `fact` always hold the same value.
    """

    id: str
    label: str
    type: FieldType
    line: int
    section_id: str
    fact: str = ""
    group_id: str = ""
    kind: FieldKind = "blank"
    start: int = 0
    end: int = 0
    box: str = ""
    in_table: bool = False

    @property
    def implicit(self) -> bool:
        """True where the document shows no underscores."""
        return self.kind != "blank"


@dataclass(frozen=True, slots=True)
class Row:
    """A table row: one-based line, trimmed cell texts, ids of the fields in it by column."""

    line: int
    cells: tuple[str, ...]
    fields: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """A pipe table with its header texts."""

    line: int
    section_id: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What stands under one sub-heading; nested boxes follow their parent in `boxes`."""

    id: str
    title: str
    line: int
    boxes: tuple[Box, ...] = ()
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A stage, a phase or any other top heading. `short` is the title without emoji."""

    id: str
    title: str
    short: str
    line: int
    goal: str = ""
    groups: tuple[Group, ...] = ()

    @property
    def boxes(self) -> tuple[Box, ...]:
        """All boxes of the section in document order."""
        return tuple(box for group in self.groups for box in group.boxes)

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields of the section in document order."""
        return tuple(item for group in self.groups for item in group.fields)
