"""Lines of a Markdown text and what a scan finds on them; joined again, the lines are the text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"([^\r\n]*)(\r\n|\n|\r|\Z)")
_PIPE = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading or a bold-only line; `level` 1..6, bold lines are 7."""

    line: int
    level: int
    title: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A checkbox: zero-based `line`, `column` of the character inside the brackets, raw text after it."""

    line: int
    column: int
    checked: bool
    raw: str
    text_column: int
    parent: int | None
    depth: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell: its trimmed text and the columns [start, end) between its pipes."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TableLines:
    """A pipe table: header cells and body rows as (zero-based line, cells)."""

    line: int
    header: tuple[Cell, ...]
    rows: tuple[tuple[int, tuple[Cell, ...]], ...]


@dataclass(slots=True)
class Scan:
    """All that was found; `code` holds the lines inside code or HTML blocks, `rules` thematic breaks."""

    lines: list[str]
    endings: list[str]
    headings: list[Heading] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    tables: list[TableLines] = field(default_factory=list)
    code: set[int] = field(default_factory=set)
    rules: set[int] = field(default_factory=set)


def split_lines(text: str) -> tuple[list[str], list[str]]:
    """Lines and their endings (LF, CRLF, CR or none); joined again they are `text`."""
    lines: list[str] = []
    endings: list[str] = []
    for match in _LINE.finditer(text):
        if match.group(0) or not lines:
            lines.append(match.group(1))
            endings.append(match.group(2))
    return lines, endings


def indent(line: str) -> tuple[int, int]:
    """Width of the leading white space with tab stops of 4, and its length in characters."""
    width = 0
    for count, char in enumerate(line):
        if char == " ":
            width += 1
        elif char == "\t":
            width += 4 - width % 4
        else:
            return width, count
    return width, len(line)


def _cell_text(text: str) -> str:
    return text.strip().replace("\\|", "|")


def split_cells(line: str, begin: int = 0) -> tuple[Cell, ...]:
    r"""Cells of a pipe-table line that begins at `begin`; `\|` does not split."""
    pipes = [m.start() for m in _PIPE.finditer(line, begin)]
    lead = bool(pipes) and not line[begin : pipes[0]].strip()
    starts = [pipes[0] + 1] if lead else [begin]
    rest = pipes[1:] if lead else pipes
    cells = []
    for pipe in rest:
        cells.append(Cell(_cell_text(line[starts[-1] : pipe]), starts[-1], pipe))
        starts.append(pipe + 1)
    if line[starts[-1] :].strip():
        cells.append(Cell(_cell_text(line[starts[-1] :]), starts[-1], len(line)))
    return tuple(cells)
