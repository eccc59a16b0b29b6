"""What stays shut until the gate says GO: everything that the plan prints behind its gate.

The production trainings cost days and money, so no key, command or story starts one before. What stands
before the gate, and a plan without a gate, is never locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.roadmap.document import Document, Section
from tui.roadmap.errors import WorkspaceError

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes

PRODUCTION = "production"
"""A stage name that is behind every gate, whatever the plan calls its phases."""


class GateLocked(WorkspaceError):
    """The gate has not said GO; the message says what it does say."""


def _gate_line(document: Document) -> int:
    """Line of the gate's last box, 0 for a plan without a gate."""
    return max((box.line for box in document.boxes.values() if box.kind == "radio"), default=0)


def _section(document: Document, stage: str) -> Section | None:
    """The section that a stage label means: its id, an id inside it (P2.TC), or "Phase 2"."""
    wanted = stage.strip().casefold()
    for section in document.all_sections:
        short = section.short.casefold()
        if wanted.split(".")[0] == section.id.casefold() or wanted == short.split(":")[0]:
            return section
    return None


def behind_gate(document: Document, stage: str) -> bool:
    """True for a stage, phase, group or box that the plan prints behind its gate."""
    line = _gate_line(document)
    if not line:
        return False
    if stage.strip().casefold() == PRODUCTION:
        return True
    section = _section(document, stage)
    return section is not None and section.line > line


def gate_lock(ws: Changes, stage: str) -> str:
    """Why nothing of `stage` may start now, as one sentence with the next step; "" where it may.

    `stage` is what a job carries in its label `stage`: a section id such as P2, an id inside it, a
    heading such as "Phase 2", or "production".
    """
    decision = ws.state.decision
    if not behind_gate(ws.document, stage) or (decision and decision.outcome == "GO"):
        return ""
    says = f"says {decision.outcome}" if decision else "is not decided"
    return f"{stage} is locked until the gate says GO; it {says}. Decide at the gate (2) first."


def require_gate(ws: Changes, stage: str) -> None:
    """Raises GateLocked where `gate_lock` has a reason."""
    reason = gate_lock(ws, stage)
    if reason:
        raise GateLocked(reason)


def reason_wanted(ws: Changes, box_id: str) -> str:
    """Why ticking this box asks for a reason, "" where it does not.

    That is the work of a phase behind the gate before GO; what a plan only looks back on (success
    criteria, next steps) is not.
    """
    box = ws.document.boxes.get(box_id)
    phases = {b.target for b in ws.document.boxes.values() if b.kind == "tracker"}
    if box is None or (phases and box.section_id not in phases):
        return ""
    return gate_lock(ws, box.section_id).partition(";")[0]
