"""Reads an exported roadmap back: which boxes are ticked and what stands in the blanks.

Each line of the unfilled document is a pattern for one line of the export, so nothing is guessed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from tui.roadmap.appendix import without_appendix
from tui.roadmap.document import Box, Document, Field
from tui.roadmap.errors import InvalidValue
from tui.roadmap.escapes import begins_block, unguard, unguard_box
from tui.roadmap.lines import split_lines

_NUMBER = r"-?\d+(?:\.\d+)?"


@dataclass(slots=True)
class Filled:
    """Ticks of all boxes, values of the filled fields, notes by the id of their notes line."""

    ticks: dict[str, bool] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def _pattern(item: Field, line: str) -> tuple[int, int, str]:
    """Columns that a field takes up in its line and the pattern of what may stand there."""
    start, end = item.start, item.end
    blank = re.escape(line[start:end])
    if item.type == "money":
        if start > 0 and line[start - 1] == "$":
            start -= 1
        return start, end, rf"(?:\$?{blank}|(?P<f>-?\$\d+(?:\.\d+)?))"
    if item.kind == "bullet":
        return start, end, rf"(?: (?P<f>\S.*)|{blank})"
    if item.kind == "notes":
        return start, end, r"(?: (?P<f>\S.*))?"
    if item.kind == "cell":
        return start, end, rf"(?:{blank}| (?P<f>\S.*?) )"
    if item.type in ("percent", "float", "hours", "gb"):
        return start, end, rf"(?:{blank}|(?P<f>[+]?{_NUMBER}))"
    return start, end, rf"(?:{blank}|(?P<f>\S.*?))"


def _value(item: Field, text: str, line: str) -> str:
    if item.type == "money":
        return text.replace("$", "")
    if item.type == "percent":
        return text.removeprefix("+")
    if item.in_table:
        return re.sub(r"\\([\\|])", r"\1", text)
    if item.kind == "bullet":
        return unguard(text)
    if item.kind == "blank" and item.type == "text" and begins_block(line[: item.start]):
        return unguard(text)
    return text


def _compile(line: str, boxes: list[Box], fields: list[Field]) -> re.Pattern[str]:
    parts = [(box.column, box.column + 1, r"(?P<b>[ xX])") for box in boxes]
    parts += [
        (start, end, pattern.replace("(?P<f>", f"(?P<f{n}>"))
        for n, (start, end, pattern) in enumerate(_pattern(item, line) for item in fields)
    ]
    out, position = "", 0
    for start, end, pattern in sorted(parts):
        out += re.escape(line[position:start]) + pattern
        position = end
    return re.compile(out + re.escape(line[position:]))


def read_filled(document: Document, text: str) -> Filled:
    """Reads a filled copy of `document`. Raises InvalidValue naming the first line that does not fit."""
    lines, _ = split_lines(without_appendix(document, text))
    boxes: defaultdict[int, list[Box]] = defaultdict(list)
    fields: defaultdict[int, list[Field]] = defaultdict(list)
    for box in document.boxes.values():
        boxes[box.line].append(box)
    for item in document.fields.values():
        fields[item.line].append(item)
    filled, at = Filled(), 0
    for number, line in enumerate(document.lines, start=1):
        found = (
            _compile(line, boxes[number], fields[number]).fullmatch(lines[at])
            if at < len(lines)
            else None
        )
        if found is None:
            raise InvalidValue(f"line {at + 1} is not line {number} of the roadmap filled in.")
        at += 1
        for box in boxes[number]:
            filled.ticks[box.id] = found.group("b") != " "
        for n, item in enumerate(fields[number]):
            value = found.group(f"f{n}")
            if item.kind == "notes":
                below = document.lines[number : number + 1]
                after = _compile(below[0], boxes[number + 1], fields[number + 1]) if below else None
                at = _note(filled, item, value, lines, at, after)
            elif value is not None:
                filled.fields[item.id] = _value(item, value, line)
    if at != len(lines):
        raise InvalidValue(f"line {at + 1} is not in the roadmap.")
    return filled


def _note(
    filled: Filled,
    item: Field,
    value: str | None,
    lines: list[str],
    at: int,
    after: re.Pattern[str] | None,
) -> int:
    """Reads the note of a notes line, which ends at line `at`; `after` is what the plan has below it.

    Returns the line where that is. A quote below may be the plan's own: a note is set off from it.
    """
    if value is not None:
        filled.notes[item.id] = value
        return at
    end = at
    while end < len(lines) and lines[end].startswith(">"):
        end += 1
    quoted = [unguard_box(line.removeprefix(">").removeprefix(" ")) for line in lines[at:end]]
    if after is not None and not after.fullmatch(""):
        if lines[end : end + 1] != [""] or not after.fullmatch("".join(lines[end + 1 : end + 2])):
            return at
        end += 1
    if quoted:
        filled.notes[item.id] = "\n".join(quoted)
        return end
    return at
