"""The state as sorted, readable text (TOML) that a person may change in an editor, and the way back.

Every box, blank and note is one line `"id" = "value"`. A line that is taken out changes nothing, an
empty value empties. Costs and decisions are never edited, so they are not in it.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass

from tui.roadmap.budget import computed_fields
from tui.roadmap.describe import visible
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue
from tui.roadmap.state import State

TABLES = {"boxes": "tick", "fields": "field", "notes": "note"}
_BASE = re.compile(r"^# base: (\S*)$", re.MULTILINE)
MAX_TEXT = 4 * 1024 * 1024
HEAD = """\
# What gonogo knows of this plan. Change what stands in the quotes on the right, save, and leave the editor.
# A box is "open" or "done". "" empties. A line taken out changes nothing. Costs and decisions are not here:
# `gonogo cost` and `gonogo decide` add to them.
# base: {base}
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One changed value: `kind` tick, field or note; `line` of the text, from 1."""

    kind: str
    item: str
    old: str | None
    new: str | None
    line: int


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(item: str, value: str | None, label: str = "") -> str:
    comment = f"  # {visible(label)[:80]}" if label else ""
    return f"{_quoted(item)} = {_quoted(value or '')}{comment}"


def editable_boxes(document: Document) -> list[str]:
    """Boxes that a person may tick: not computed, not decided at the gate."""
    boxes = document.boxes.values()
    return sorted(
        b.id for b in boxes if not b.children and b.kind not in ("radio", "tracker", "estimate")
    )


def _items(document: Document) -> dict[str, list[tuple[str, str]]]:
    """(id, label) of what may be edited, by table, sorted."""
    computed = computed_fields(document)
    fields = sorted(i for i in document.fields if i not in computed)
    return {
        "boxes": [(i, document.boxes[i].label) for i in editable_boxes(document)],
        "fields": [(i, f"{document.fields[i].label} ({document.fields[i].type})") for i in fields],
        "notes": [(s.id, s.short) for s in sorted(document.sections, key=lambda s: s.id)],
    }


def view(document: Document, state: State) -> str:
    """The text of a state."""
    parts = [HEAD.format(base=state.records[-1].id if state.records else "")]
    for table, items in _items(document).items():
        parts.append(f"\n[{table}]\n")
        parts += [
            _line(item, state.value(TABLES[table], item), label) + "\n" for item, label in items
        ]
    return "".join(parts)


def base_of(text: str, state: State) -> State:
    """The state that the text was made from; what has changed since must not be undone by it."""
    found = _BASE.search(text)
    ids = [record.id for record in state.records]
    if found is None or (found.group(1) and found.group(1) not in ids):
        raise InvalidValue(
            "The line “# base: …” does not name a record of this workspace; put it back, or"
            " begin again with `gonogo edit`."
        )
    base = state.copy()
    base.clear()
    base.fold(state.records[: ids.index(found.group(1)) + 1] if found.group(1) else ())
    return base


def line_of_error(sentence: str) -> int:
    """The line (from 1) that a refusal of `read` names, 0 without one."""
    found = re.match(r"Line (\d+):", sentence)
    return int(found.group(1)) if found else 0


def _line_of(text: str, table: str, item: str) -> int:
    """Line number (from 1) of a key, 0 where it is not found."""
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if bare.startswith("["):
            inside = bare.replace(" ", "").startswith(f"[{table}]")
        elif inside and bare.startswith((f'"{item}"', f"'{item}'", f"{item} ", f"{item}=")):
            return number
    return 0


def read(text: str, document: Document, base: State) -> list[Change]:
    """What the text changes. Raises InvalidValue naming the line; the values themselves are not checked."""
    if len(text) > MAX_TEXT:
        raise InvalidValue("The text is larger than 4 MiB.")
    try:
        data = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        number = found.group(1) if found else str(text.count("\n") + 1)
        said = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise InvalidValue(f"Line {number}: {said[:1].lower()}{said[1:]}.") from None
    except (ValueError, RecursionError):
        raise InvalidValue(
            "The text holds a number that is too long, or is nested too deeply."
        ) from None
    changes: list[Change] = []
    for table, values in data.items():
        if table not in TABLES or not isinstance(values, dict):
            raise InvalidValue(
                f"There is no part [{visible(table)[:40]}]; only boxes, fields, notes."
            )
        known = {item for item, _ in _items(document)[table]}
        for item, value in values.items():
            line = _line_of(text, table, item)
            if item not in known:
                raise InvalidValue(
                    f"Line {line}: “{visible(item)[:40]}” is nothing that can be set in [{table}]."
                )
            if not isinstance(value, str):
                raise InvalidValue(f"Line {line}: the value of {item} must stand in quotes.")
            old = base.value(TABLES[table], item)
            new = value or ("open" if table == "boxes" else None)
            if new != old:
                changes.append(Change(TABLES[table], item, old, new, line))
    return changes
