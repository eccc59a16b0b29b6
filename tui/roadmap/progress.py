"""How far the plan is: the state of each box, with computed ones rolled up, and the counts.

Countable are all boxes but the tracker's roll-ups and the estimates; the gate's GO and NO-GO boxes count
once, as done when either was decided.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tui.roadmap.document import Box, Document
from tui.roadmap.freshness import as_now
from tui.roadmap.state import State, Verdict

TickWord = Literal["open", "done", "partial", "waived", "na"]
CLOSED = ("done", "waived", "na")


@dataclass(frozen=True, slots=True)
class BoxStatus:
    """What a row shows: tick, last verdict, when and by whom, and whether it is computed."""

    tick: TickWord
    verdict: Verdict | None
    at: int
    by: str
    computed: bool
    informational: bool
    why: str = ""
    expires: int = 0


def _tick(state: State, box_id: str, now: int) -> TickWord:
    tick = state.ticks.get(box_id)
    if tick is None:
        return "done" if box_id in state.checked else "open"
    if tick.expires and tick.expires <= now:
        return "open"
    match tick.state:
        case "done":
            return "done"
        case "waived":
            return "waived"
        case "na":
            return "na"
    return "open"


def _roll_up(ticks: Iterable[TickWord]) -> TickWord:
    words = list(ticks)
    if words and all(word in CLOSED for word in words):
        return "done"
    return "partial" if any(word != "open" for word in words) else "open"


def _word(document: Document, state: State, box: Box, now: int) -> TickWord:
    if box.children:
        return _roll_up(_word(document, state, leaf, now) for leaf in _leaves(document, box))
    if box.kind == "radio":
        decision = state.decision
        return "done" if decision and decision.outcome == box.target else "open"
    if box.kind == "tracker":
        return _tracker(document, state, box, now)
    return _tick(state, box.id, now)


def _leaves(document: Document, box: Box) -> Iterator[Box]:
    """The boxes below one that have none below themselves; lists may be nested hundreds deep."""
    waiting = list(box.children)
    while waiting:
        below = document.boxes[waiting.pop()]
        if below.children:
            waiting += below.children
        else:
            yield below


def _tracker(document: Document, state: State, box: Box, now: int) -> TickWord:
    decision = state.decision
    if box.target == "GATE":
        return "open" if decision is None else "done" if decision.outcome == "GO" else "partial"
    section = document.section(box.target)
    if section is None:
        return "open"
    gate = next((b for b in document.boxes.values() if b.kind == "radio"), None)
    words = []
    for child in section.boxes:
        if child.kind in ("radio", "tracker") or child.informational or child.optional:
            continue
        word = _word(document, state, child, now)
        # The stage with the gate is complete once its criteria are judged; a NO-GO is an outcome.
        if gate is not None and gate.section_id == section.id and _judged(state, child):
            word = "done"
        words.append(word)
    rolled = _roll_up(words)
    after_gate = (
        gate is not None
        and gate.section_id != section.id
        and _follows(document, gate, section.line)
    )
    if rolled == "done" and after_gate and not (decision and decision.outcome == "GO"):
        return "partial"
    return rolled


def _judged(state: State, box: Box) -> bool:
    """True for a pass criterion of the gate's stage that was evaluated or decided upon."""
    if not box.group_id.endswith(".C"):
        return False
    verdict = state.verdicts.get(box.id)
    return state.decision is not None or (
        verdict is not None and verdict.verdict in ("PASS", "WARN", "FAIL")
    )


def _follows(document: Document, gate: Box, line: int) -> bool:
    return line > gate.line


def box_status(document: Document, state: State, box_id: str, now: int | None = None) -> BoxStatus:
    """State of one box; `now` is UTC ms. Raises KeyError for an unknown id."""
    box = document.boxes[box_id]
    at_now = int(time.time() * 1000) if now is None else now
    tick, verdict = state.ticks.get(box_id), state.verdicts.get(box_id)
    if verdict is not None:
        verdict = as_now(verdict, box.label, state.bases.get(box_id, ""), at_now)
    word = _word(document, state, box, at_now)
    if box.kind == "radio" and state.decision is not None and word == "done":
        at, by, why = state.decision.at, state.decision.by, state.decision.reason
    elif tick is not None and not box.computed:
        at, by, why = tick.at, tick.by, tick.why
    else:
        at, by, why = 0, "", ""
    return BoxStatus(
        word, verdict, at, by, box.computed, box.informational, why, tick.expires if tick else 0
    )


def countable(box: Box) -> bool:
    """True for a box that counts by itself (the gate's NO-GO box counts with its GO box)."""
    return box.kind == "task" or (box.kind == "radio" and box.target == "GO")


def _count(document: Document, state: State, boxes: Iterable[Box]) -> tuple[int, int]:
    now = int(time.time() * 1000)
    done = total = 0
    for box in boxes:
        if not countable(box):
            continue
        total += 1
        if box.kind == "radio":
            done += state.decision is not None and state.decision.outcome in ("GO", "NO-GO")
        else:
            done += _word(document, state, box, now) in CLOSED
    return done, total


def section_progress(document: Document, state: State, section_id: str) -> tuple[int, int]:
    """(done, total) of the countable boxes of a section; (0, 0) for an unknown one."""
    section = document.section(section_id)
    return _count(document, state, section.boxes) if section else (0, 0)


def overall(document: Document, state: State) -> tuple[int, int]:
    """(done, total) of the whole plan."""
    return _count(document, state, document.boxes.values())


def completion_ready(document: Document, state: State, section_id: str) -> int:
    """UTC ms of the last required tick of a finished section, 0 while it is not finished.

    The stage with the gate is finished once its criteria are judged, also when the judgement is NO-GO.
    """
    section = document.section(section_id)
    if section is None:
        return 0
    now = int(time.time() * 1000)
    needed = [b for b in section.boxes if countable(b) and not b.optional and b.kind == "task"]
    gate = next((b for b in document.boxes.values() if b.kind == "radio"), None)
    at = 0
    for box in needed:
        tick, verdict = state.ticks.get(box.id), state.verdicts.get(box.id)
        if _word(document, state, box, now) in CLOSED:
            at = max(at, tick.at if tick else 0)
        elif gate is not None and gate.section_id == section_id and _judged(state, box):
            decided = state.decisions[0].at if state.decisions else 0
            at = max(at, verdict.at if verdict else decided)
        else:
            return 0
    return at
