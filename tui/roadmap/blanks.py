"""Finds what a document leaves to fill in and says of which type each blank is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tui.roadmap.labels import plain, slug
from tui.roadmap.lines import Scan
from tui.roadmap.parts import FieldKind, FieldType

RUN = re.compile(r"(?<![\w\\])_{4,}(?![^\W_])")
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
_TARGET = re.compile(r"\]\([^()\s]*\)|<[a-z][^<>]*>", re.I)
"""Where a link leads to, and a tag: what is in them is no text."""
_LEAD = re.compile(
    r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?(?:\[[ xX]\][ \t]+)?(?:\*\*([^*]+?):?\*\*)?"
)
_NOTES = re.compile(r"[ \t]*\*\*(?:[^*]*\s)?Notes:?\*\*:?[ \t]*$", re.I)
_DATE = re.compile(
    r"\b(?:date|datum|fecha)\b|\bdue (?:on|by)$"
    r"|\b(?:completed|finished|done|started|closed|signed|paid|sent|booked|delivered) on$",
    re.I,
)
_BULLET = re.compile(r"[ \t]*[-*+][ \t]*$")
_CHOICE = re.compile(r"\*\*[^*]+\*\*\s+(Yes / No)\s*$")
_BALANCE = re.compile(r"under/over")
_WORD = re.compile(r"\*\*(?:Status:\*\*\s*(\S.*?)|[^*]*Date:\*\*\s*(TBD))\s*$")


@dataclass(frozen=True, slots=True)
class Blank:
    """A blank before it has an id: zero-based line, columns, label, wanted id ending."""

    line: int
    start: int
    end: int
    label: str
    tail: str
    type: FieldType
    kind: FieldKind = "blank"
    in_table: bool = False
    column: int = -1


def _clean(text: str) -> str:
    text = RUN.sub(" ", _TARGET.sub(" ", text))
    return plain(re.sub(r"[|/→:$+%()\[\]~<>*]", " ", text)).strip(" ,;.-")


def _type(before: str, after: str, label: str, length: int) -> FieldType:
    if before.rstrip("*").endswith("$"):
        return "money"
    if after.startswith("%"):
        return "percent"
    if re.match(r"\s*hours?\b", after):
        return "hours"
    if re.match(r"\s*GB\b", after):
        return "gb"
    if re.match(r"\s*under/over", after):
        return "money"
    if _DATE.search(label):
        return "date"
    if re.search(r"\burls?\b", label, re.I):
        return "url"
    return "text" if length >= 9 else "float"


def _runs(line: str) -> list[tuple[int, int]]:
    """Underscore runs of four and more outside code spans, tags and the targets of links."""
    runs = [m.span() for m in RUN.finditer(line)]
    if not runs:
        return []
    hidden = [m.span() for pattern in (_CODE, _TARGET) for m in pattern.finditer(line)]
    return [run for run in runs if not any(a <= run[0] < b for a, b in hidden)]


def _line_blanks(number: int, line: str) -> Iterator[Blank]:
    lead = _LEAD.match(line)
    bold = _clean(lead.group(1)) if lead and lead.group(1) else ""
    position = lead.end() if lead else 0
    first = ""
    for start, end in _runs(line):
        between = re.sub(r"^\s*\([^)]*\)", "", line[position:start])
        segment = _clean(between) or first
        first = first or segment
        suffix = re.match(r"\s*\((\w+)\)", line[end:])
        label = " ".join(p for p in (bold, segment, suffix.group(1) if suffix else "") if p)
        label = label or "blank"
        signed = start > 0 and line[start - 1] == "+"
        kind = _type(line[:start], line[end:], label, end - start)
        yield Blank(number, start - signed, end, label, slug(label), kind)
        position = end
    balance = _BALANCE.search(line)
    if balance and RUN.search(line):
        yield Blank(
            number, balance.start(), balance.end(), f"{bold} word".strip(),
            f"{slug(bold)}_word", "text", "choice",
        )  # fmt: skip


def _implicit(number: int, line: str, previous: str, opening: bool) -> Blank | None:
    if _NOTES.match(line):
        end = len(line)
        return Blank(number, end, end, "Notes", "notes", "text", "notes")
    if _BULLET.match(line) and (_BULLET.match(previous) or previous.lstrip().startswith("#")):
        end = len(line.rstrip())
        return Blank(number, end, len(line), "Bullet", "bullet", "text", "bullet")
    choice = _CHOICE.search(line)
    if choice:
        label = _clean(line[: choice.start(1)]).rstrip("?")
        return Blank(number, *choice.span(1), label, slug(label), "text", "choice")
    word = _WORD.match(line) if opening else None
    if word:
        span = word.span(1) if word.group(1) else word.span(2)
        label = _clean(line[: span[0]])
        kind: FieldType = "text" if word.group(1) else "date"
        return Blank(number, *span, label, slug(label), kind, "word")
    return None


def _table_blanks(scan: Scan) -> Iterator[Blank]:
    for table in scan.tables:
        titles = [plain(cell.text) for cell in table.header]
        if not any(_runs(scan.lines[number]) for number, _ in table.rows):
            continue
        for number, cells in table.rows:
            row = plain(cells[0].text) if cells else ""
            line = scan.lines[number]
            for column, cell in enumerate(cells[1 : len(titles)], start=1):
                label = f"{row} {titles[column]}".strip()
                tail = f"{slug(row)}.{slug(titles[column])}"
                runs = [r for r in _runs(line) if cell.start <= r[0] < cell.end]
                for start, end in runs[:1]:
                    signed = line[start - 1] == "+"
                    kind = _type(line[:start], line[end:], label, end - start)
                    yield Blank(
                        number, start - signed, end, label, tail, kind, "blank", True, column
                    )
                if not cell.text and titles[column]:
                    yield Blank(
                        number, cell.start, cell.end, label, tail, "text", "cell", True, column
                    )


def find_blanks(scan: Scan) -> list[Blank]:
    """All blanks of a scanned document in the order of lines and columns."""
    in_tables = {n for t in scan.tables for n in (t.line, t.line + 1, *(r for r, _ in t.rows))}
    found = list(_table_blanks(scan))
    first_section = next((h.line for h in scan.headings if h.level in (2, 3)), len(scan.lines))
    previous = ""
    for number, line in enumerate(scan.lines):
        if number not in in_tables and number not in scan.code and number not in scan.rules:
            found.extend(_line_blanks(number, line))
            implicit = _implicit(number, line, previous, number < first_section)
            if implicit:
                found.append(implicit)
        previous = line
    return sorted(found, key=lambda blank: (blank.line, blank.start))
