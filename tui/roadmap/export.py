"""Writes the roadmap back: the same Markdown, with only the characters inside boxes and blanks replaced.

Laws, held by tests: an untouched state gives the text byte for byte; every line without a changed item
is byte-equal; exporting is repeatable; reading the export back (see `importer`) gives the same ticks
and values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tui.roadmap.appendix import with_appendix
from tui.roadmap.computed import effective_fields
from tui.roadmap.document import Document, Field
from tui.roadmap.escapes import begins_block, guard, guard_box
from tui.roadmap.progress import CLOSED, box_status
from tui.roadmap.state import FieldValue, State
from tui.settings import Settings

Edit = tuple[int, int, str]
"""Columns [start, end) of a line and the text that takes their place."""


def _cell(text: str, in_table: bool) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|") if in_table else text


def render(item: Field, value: str, line: str) -> Edit:
    """How a value is printed into its blank.

    The `$` and `%` around a blank stay. A printed `+` gives way to the value's own sign, a negative
    amount puts its sign before the `$`, and an amount without a printed `$` brings one.
    """
    start, end = item.start, item.end
    text = _cell(value, item.in_table)
    if item.type == "money":
        negative, digits = text.startswith("-"), text.removeprefix("-")
        if start > 0 and line[start - 1] == "$":
            return (start - 1, end, f"{'-' if negative else ''}${digits}")
        return (start, end, f"{'-' if negative else ''}${digits}")
    if line[start:end].startswith("+"):
        return (start, end, text if text.startswith("-") else f"+{text}")
    if item.kind == "bullet":
        return (start, end, f" {guard(text)}")
    if item.kind == "cell":
        return (start, end, f" {text} ")
    if item.type == "text" and begins_block(line[:start]):
        text = guard(text)
    return (start, end, text)


def _apply(line: str, edits: list[Edit]) -> str:
    for start, end, text in sorted(edits, reverse=True):
        line = line[:start] + text + line[end:]
    return line


def note_lines(text: str) -> list[str]:
    """Lines of a longer note, quoted, so that a `---` in it can be no heading and `- [ ]` no checkbox."""
    return [f"> {guard_box(line)}" if line else ">" for line in text.split("\n")]


def section_notes(document: Document, state: State) -> Mapping[str, str]:
    """Field id of the first notes line of each section that has a note, and the note."""
    out: dict[str, str] = {}
    seen: set[str] = set()
    for item in document.fields.values():
        if item.kind == "notes":
            own = state.fields.get(item.id)
            if item.section_id not in seen and state.notes.get(item.section_id):
                out[item.id] = state.notes[item.section_id]
            elif own is not None:
                out[item.id] = own.value
            seen.add(item.section_id)
    return out


def export_markdown(document: Document, state: State, settings: Settings) -> str:
    """The filled-in roadmap. Line endings, spacing and everything without a value stay as they are."""
    values: Mapping[str, FieldValue] = effective_fields(document, state, settings)
    edits: defaultdict[int, list[Edit]] = defaultdict(list)
    untouched = State(checked=state.checked)
    for box in document.boxes.values():
        tick = box_status(document, state, box.id).tick
        if tick != box_status(document, untouched, box.id).tick:
            edits[box.line].append((box.column, box.column + 1, "x" if tick in CLOSED else " "))
    for item_id, value in values.items():
        item = document.fields[item_id]
        if item.kind != "notes":
            edits[item.line].append(render(item, value.value, document.lines[item.line - 1]))
    quoted: dict[int, list[str]] = {}
    for item_id, text in section_notes(document, state).items():
        item = document.fields[item_id]
        if "\n" in text:
            quoted[item.line] = note_lines(text)
        else:
            edits[item.line].append((item.start, item.end, f" {text}"))
    newline = next((ending for ending in document.endings if ending), "\n")
    out: list[str] = []
    for number, (line, ending) in enumerate(
        zip(document.lines, document.endings, strict=True), start=1
    ):
        out.append(_apply(line, edits[number]) if number in edits else line)
        for extra in quoted.get(number, ()):
            out += [ending or newline, extra]
        out.append(ending)
        if number in quoted and number < len(document.lines) and document.lines[number].strip():
            out.append(newline)  # a line right below a quote would be drawn into it
    return with_appendix(document, state, "".join(out))
