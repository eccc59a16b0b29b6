"""What kind of box each one is: a task, an estimate, a roll-up of a stage, or half of the GO/NO-GO radio."""

from __future__ import annotations

import re
from dataclasses import replace

from tui.roadmap.parts import Box, BoxKind, Section

_ESTIMATE = re.compile(r"^(?:expected|estimated) (?:time|duration)\b", re.I)
_COST = re.compile(r"^(?:expected |estimated )?cost:?\s*~?\s*[$€£]", re.I)
_LEAD = re.compile(r"^\*\*([^*:]+):\*\*")
_GO = re.compile(r"^(NO-GO|GO)\b")


def mark_kinds(boxes: list[Box], sections: tuple[Section, ...]) -> list[Box]:
    """Marks trackers, the gate's radio pair and the informational boxes."""
    starts = {s.short.split(":")[0].casefold(): s.id for s in sections if ":" in s.short}
    gates = {
        group
        for group in {b.group_id for b in boxes}
        if sorted(
            m.group(1) if (m := _GO.match(b.label)) else "" for b in boxes if b.group_id == group
        )
        == ["GO", "NO-GO"]
    }
    out = []
    for box in boxes:
        kind: BoxKind = "task"
        target = ""
        lead = _LEAD.match(box.raw)
        if box.group_id in gates:
            kind, target = "radio", box.label.split()[0].rstrip("*")
        elif lead and lead.group(1).casefold() in starts:
            kind, target = "tracker", starts[lead.group(1).casefold()]
        elif lead and gates and lead.group(1).upper().startswith("GO/NO-GO"):
            kind, target = "tracker", "GATE"
        elif _ESTIMATE.match(box.label):
            kind = "estimate"
        elif _COST.match(box.label):
            kind = "cost"
        if target == box.section_id:
            kind, target = "task", ""
        out.append(replace(box, kind=kind, target=target))
    return out
