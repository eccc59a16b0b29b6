"""What the detail pane says of a box or a blank."""

from __future__ import annotations

from collections.abc import Mapping

from textual.content import Content

from tui.check_detail import check_parts, clock
from tui.roadmap.computed import effective_fields
from tui.roadmap.document import Box
from tui.roadmap.progress import box_status
from tui.roadmap.workspace import Workspace
from tui.roadmap.writer import local_day, now_ms
from tui.vocabulary import DIM, HEAD, STRONG, TICKS, WARN, clip

__all__ = ["box_detail", "clock"]

Part = str | Content | tuple[str, str]


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
    if status.why:
        parts.append((f"\n         {status.why}", DIM))
    parts += _set_aside(ws, box)
    if status.computed:
        parts.append(("\n         computed from other boxes", DIM))
    if box.kind == "radio":
        parts.append(("\n         decided at the gate (2)", DIM))
    parts.append("\n")
    parts += check_parts(ws, box, status, width)
    parts += _blanks(ws, box)
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
    if data.get("do") == "waive":
        return {"waived": "waived", "na": "not applicable"}.get(str(data.get("new")), "reopened")
    if data.get("do") == "tick":
        return "ticked" if data.get("new") in (True, "done") else "unticked"
    return str(data.get("do"))


def _set_aside(ws: Workspace, box: Box) -> list[Part]:
    """When a waiver ends, or that it has."""
    tick = ws.state.ticks.get(box.id)
    if tick is None or tick.state != "waived":
        return []
    if not tick.expires:
        return [("\n         waived permanently", WARN)]
    over = tick.expires <= now_ms()
    word = "waiver ran out on" if over else "waived until"
    return [(f"\n         {word} {local_day(tick.expires).isoformat()}", WARN)]


def _blanks(ws: Workspace, box: Box) -> list[Part]:
    """The blanks that stand inside a checkbox."""
    own = [item for item in ws.document.fields.values() if item.box == box.id]
    values = effective_fields(ws.document, ws.state, ws.settings) if own else {}
    parts: list[Part] = [("\nFIELDS   e fills in\n", HEAD)] if own else []
    for item in own:
        value = values.get(item.id)
        parts += [(f"{item.label}  ", DIM), f"{value.value if value else '_____'}\n"]
    return parts
