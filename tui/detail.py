"""What the detail pane says of a box or a blank."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from textual.content import Content

from tui.roadmap.computed import effective_fields
from tui.roadmap.document import Box, Field
from tui.roadmap.progress import box_status
from tui.roadmap.workspace import Workspace
from tui.vocabulary import DIM, HEAD, STRONG, TICKS, VERDICTS, WARN, clip, marks

Part = str | Content | tuple[str, str]


def clock(at_ms: int) -> str:
    """Local date and time of a UTC millisecond stamp."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def box_detail(ws: Workspace, box: Box, width: int) -> Content:
    """State, verdict with expected and found, evidence and history of one box."""
    status = box_status(ws.document, ws.state, box.id)
    bracket, style = TICKS.get(status.tick, ("[?]", WARN))
    parts: list[Part] = [
        (box.id, HEAD),
        (f"   line {box.line}\n", DIM),
        (box.label, STRONG),
        "\n\n",
    ]
    parts += [("State    ", DIM), (bracket, style), f" {status.tick}"]
    if status.by:
        parts.append((f"  by {status.by}", DIM))
    if status.at:
        parts.append((f"\n         {clock(status.at)}", DIM))
    if status.computed:
        parts.append(("\n         computed from other boxes", DIM))
    if box.kind == "radio":
        parts.append(("\n         decided at the gate (2)", DIM))
    parts.append("\n")
    verdict = status.verdict
    if verdict is None:
        parts += [
            ("Verdict  ", DIM),
            (
                "not verified   v runs its probe\n"
                if not status.informational
                else "an estimate, never blocks\n"
            ),
        ]
    else:
        word, vstyle = VERDICTS.get(verdict.verdict, (verdict.verdict, DIM))
        parts += [("Verdict  ", DIM), (word, vstyle), (f"  {clock(verdict.at)}\n", DIM)]
        rule = marks.rule * max(4, min(28, width - 2))
        parts.append((f"\n{rule}\n", DIM))
        for label, text in (
            ("expect", verdict.expected),
            ("found", verdict.found),
            ("reason", verdict.reason),
        ):
            if text:
                parts += [(f"{label:<7}", DIM), f"{text}\n"]
        parts += [("took   ", DIM), f"{verdict.seconds:.2f} s", (f"  by {verdict.by}\n", DIM)]
        if verdict.evidence:
            parts += [("blob   ", DIM), f"{verdict.evidence[:19]}  ", ("o opens it\n", DIM)]
    history = [r for r in ws.state.records if _about(r.data, box.id)][-6:]
    if history:
        parts.append(("\nHISTORY\n", HEAD))
        for record in reversed(history):
            parts.append((f"{clock(record.at)[5:16]} ", DIM))
            parts.append(f"{_what(record.data, box.id)} ")
            parts.append((f"{clip(record.by, 18)}\n", DIM))
    return Content.assemble(*parts)


def _about(data: Mapping[str, object], item: str) -> bool:
    if data.get("item") == item:
        return True
    verdicts = data.get("verdicts")
    return isinstance(verdicts, list) and any(
        isinstance(v, dict) and v.get("item") == item for v in verdicts
    )


def _what(data: Mapping[str, object], item: str) -> str:
    verdicts = data.get("verdicts")
    if isinstance(verdicts, list):
        for verdict in verdicts:
            if isinstance(verdict, dict) and verdict.get("item") == item:
                return str(verdict.get("verdict"))
    if data.get("do") == "tick":
        return "ticked" if data.get("new") in (True, "done") else "unticked"
    return str(data.get("do"))


def field_detail(ws: Workspace, field: Field) -> Content:
    """Type, value and source of one blank."""
    parts: list[Part] = [
        (field.id, HEAD),
        (f"   line {field.line}\n", DIM),
        (field.label, STRONG),
        "\n\n",
    ]
    value = effective_fields(ws.document, ws.state, ws.settings).get(field.id)
    parts += [("Type    ", DIM), f"{field.type}\n", ("Value   ", DIM)]
    if value is None:
        parts.append(("empty   e fills it in\n", DIM))
    else:
        parts += [
            (f"{value.value}\n", STRONG),
            ("Source  ", DIM),
            f"{value.source} by {value.by}\n",
        ]
        parts += [("When    ", DIM), f"{clock(value.at)}\n"]
    return Content.assemble(*parts)
