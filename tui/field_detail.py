"""What the detail pane says of a blank: both its values, where it is printed, how it came about."""

from __future__ import annotations

from textual.content import Content

from tui.detail import Part, clock
from tui.roadmap.budget import computed_fields
from tui.roadmap.computed import shown_fields
from tui.roadmap.document import Document, Field
from tui.roadmap.workspace import Workspace
from tui.vocabulary import DIM, FAIL, HEAD, PASS, STRONG, clip

RULES = {
    "date": "YYYY-MM-DD, not after today",
    "url": "http:// or https:// address",
    "money": "an amount such as 13.10",
    "percent": "a number, without the %",
    "float": "a number",
    "hours": "hours as a number",
    "gb": "gigabytes as a number",
    "text": "one line of text",
}


def places(document: Document, field: Field) -> list[Field]:
    """All blanks that print the same fact, the field itself among them."""
    return [
        f for f in document.fields.values() if f.id == field.id or (f.fact and f.fact == field.fact)
    ]


def field_detail(ws: Workspace, field: Field) -> Content:
    """Type, value, source, the measured value beside a hand-set one, places and history."""
    parts: list[Part] = [
        (field.id, HEAD),
        (f"   line {field.line}\n", DIM),
        (field.label, STRONG),
        "\n\n",
        ("Type    ", DIM),
        f"{field.type}",
        (f"   {RULES[field.type]}\n", DIM),
    ]
    value = shown_fields(ws.document, ws.state, ws.settings).get(field.id)
    if field.id in computed_fields(ws.document):
        parts.append(("Computed from the ledger   $ adds a cost\n", DIM))
    if value is None:
        parts += [("Value   ", DIM), ("empty   e fills it in\n", DIM)]
    else:
        parts += [("Value   ", DIM), (f"{value.value}\n", STRONG), ("Source  ", DIM)]
        parts.append(f"{value.source} by {value.by}\n" if value.by else f"{value.source}\n")
        if value.at:
            parts += [("When    ", DIM), f"{clock(value.at)}\n"]
        if value.source == "hand" and value.measured is not None:
            parts += [("Measured ", DIM), f"{value.measured}  "]
            if value.disputed:
                parts.append(("CONFLICT   c chooses\n", FAIL))
            elif value.differs:
                parts.append(("the hand-set value was chosen\n", DIM))
            else:
                parts.append(("the same\n", PASS))
    printed = places(ws.document, field)
    if len(printed) > 1:
        parts.append(("\nPRINTED AT\n", HEAD))
        parts += [f"line {f.line:<5} {f.label}\n" for f in printed]
    parts += _history(ws, {f.id for f in printed})
    return Content.assemble(*parts)


def _history(ws: Workspace, ids: set[str]) -> list[Part]:
    """Newest first; a date that was replaced after reopening stays to be read here."""
    lines: list[Part] = []
    for record in reversed(ws.state.records):
        new = record.data.get("new")
        if (record.do == "field" and record.item in ids) or (
            record.data.get("of") == "field" and record.item in ids
        ):
            text = str(new or "emptied")
        elif record.do == "measured" and isinstance(new, dict) and ids & set(new):
            text = "measured " + str(next(v for k, v in new.items() if k in ids))
        else:
            continue
        lines += [
            (f"{clock(record.at)[5:16]} ", DIM),
            f"{clip(text, 24)} ",
            (f"{clip(record.by, 18)}\n", DIM),
        ]
        if len(lines) >= 18:
            break
    return [("\nHISTORY\n", HEAD), *lines] if lines else []
