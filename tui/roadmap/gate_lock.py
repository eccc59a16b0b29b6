"""What stays shut until the gate says GO: everything that the plan prints behind its gate.

The production trainings cost days and money, so no key, command or story starts one before. What stands
before the gate, and a plan without a gate, is never locked. A stage is looked up in the plan: a label that
stands for nothing there is refused, since nobody can say on which side of the gate it lies.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tui.roadmap.document import Document, Section
from tui.roadmap.errors import UnknownId, WorkspaceError

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes

PRODUCTION = "production"
"""A stage name that is behind every gate, whatever the plan calls its phases."""
DEMO = "demo"
"""What the demo's own runs carry: they belong to no stage of the plan."""
STAGED = frozenset({"train", "generate", "queue"})
"""Kinds of jobs that belong to a stage; servers and checks do not."""


class GateLocked(WorkspaceError):
    """The gate has not said GO; the message says what it does say."""


def _gate_line(document: Document) -> int:
    """Line of the gate's last box, 0 for a plan without a gate."""
    return max((box.line for box in document.boxes.values() if box.kind == "radio"), default=0)


def _plain(label: str) -> str:
    """A label without what people write differently: case, spaces, hyphens, wide or hidden letters."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", label).casefold())


def _names(section: Section) -> Iterator[str]:
    yield section.id
    yield section.short
    yield section.short.split(":")[0]
    yield section.short.split("(")[0]


def _sections(document: Document, stage: str) -> list[Section]:
    """The sections that a stage label can mean: an id, an id inside it (P2.TC), or "Phase 2"."""
    wanted, head = _plain(stage), _plain(re.split(r"[.:/]", stage.strip())[0])
    return [
        section
        for section in document.all_sections
        if head == _plain(section.id) or (wanted and wanted in map(_plain, _names(section)))
    ]


def _phases(document: Document) -> list[str]:
    """Sections that the plan's own tracker counts, in its order."""
    targets = (box.target for box in document.boxes.values() if box.kind == "tracker")
    return [target for target in targets if document.section(target)]


def stage_id(document: Document, stage: str) -> str:
    """The label that a job of `stage` carries: the section's id, or an id inside it as the plan has it.

    Raises UnknownId for a label that stands for nothing in a plan with a gate; without a gate any label
    will do.
    """
    if not _gate_line(document) or _plain(stage) == PRODUCTION:
        return stage
    found = _sections(document, stage)
    if not found:
        known = _phases(document) or [section.id for section in document.sections]
        near = difflib.get_close_matches(stage.strip().upper(), known, 1)
        guess = f" Did you mean {near[0]}?" if near else ""
        raise UnknownId(
            f"The plan has no stage “{stage[:40]}”.{guess} It has {', '.join(known[:20])}."
        )
    section, wanted = found[0], _plain(stage)
    inside = (i for g in section.groups for i in (g.id, *(box.id for box in g.boxes)))
    return next((i for i in inside if _plain(i) == wanted), section.id)


def default_stage(document: Document) -> str:
    """The stage of a training that names none: S1 where the plan has one, else the first section
    with boxes before the gate.

    "" in a plan without a gate and without S1: no stage is asked for there. Raises UnknownId where every
    section lies behind the gate.
    """
    if _sections(document, "S1"):
        return stage_id(document, "S1")
    line = _gate_line(document)
    if not line:
        return ""
    gate = {box.section_id for box in document.boxes.values() if box.kind == "radio"}
    filled = {box.section_id for box in document.boxes.values() if box.kind != "tracker"} - gate
    before = [s.id for s in document.sections if s.line <= line and s.id in filled]
    if before:
        return before[0]
    known = [section.id for section in document.sections if section.id not in gate]
    raise UnknownId(
        f"The plan has no stage before its gate; name one with --stage: {', '.join(known[:20])}."
    )


def behind_gate(document: Document, stage: str) -> bool:
    """True for a stage, phase, group or box that the plan prints behind its gate."""
    line = _gate_line(document)
    if not line:
        return False
    if _plain(stage) == PRODUCTION:
        return True
    return any(section.line > line for section in _sections(document, stage))


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


def require_gate(ws: Changes, labels: Mapping[str, str]) -> None:
    """Raises GateLocked where `gate_lock` has a reason for a job with these labels, UnknownId where it
    belongs to a stage that the plan does not have."""
    stage = str(labels.get("stage", ""))
    if stage != DEMO and (stage or labels.get("kind") in STAGED):
        stage_id(ws.document, stage)
    reason = gate_lock(ws, stage)
    if reason:
        raise GateLocked(reason)


def reason_wanted(ws: Changes, box_id: str) -> str:
    """Why ticking this box asks for a reason, "" where it does not.

    That is the work of a phase behind the gate before GO; what a plan only looks back on (success
    criteria, next steps) is not.
    """
    box = ws.document.boxes.get(box_id)
    phases = _phases(ws.document)
    if box is None or (phases and box.section_id not in phases):
        return ""
    return gate_lock(ws, box.section_id).partition(";")[0]
