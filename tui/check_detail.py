"""What the detail pane says of a box's check: what it expects, what it found, what made it old."""

from __future__ import annotations

from datetime import UTC, datetime

from tui.roadmap.document import Box
from tui.roadmap.progress import BoxStatus
from tui.roadmap.workspace import Workspace
from tui.vocabulary import DIM, STRONG, VERDICTS, WARN, marks

Part = str | tuple[str, str]


def clock(at_ms: int) -> str:
    """Local date and time of a UTC millisecond stamp."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def check_parts(ws: Workspace, box: Box, status: BoxStatus, width: int) -> list[Part]:
    """The verdict with both sides of its comparison; before the first check, what it will expect."""
    if not ws.checks_wanted:
        return [("Check    ", DIM), ("…\n", DIM)]
    binding, problem = ws.bindings.bound.get(box.id), ws.bindings.broken.get(box.id)
    verdict = status.verdict
    parts: list[Part] = []
    if problem is not None:
        parts += [("Check    ", DIM), ("wrong  ", WARN), f"{problem}\n"]
    elif binding is not None:
        kind = "  a hint: you tick it yourself" if binding.hint else ""
        parts += [("Check    ", DIM), binding.rule, (f"{kind}\n", DIM)]
    if verdict is None:
        parts.append(("Verdict  ", DIM))
        if status.informational:
            parts.append("an estimate, never blocks\n")
        elif binding is None:
            decided = box.kind == "radio" or box.target == "GATE"
            parts.append(
                "decided at the gate\n" if decided else "ticked by hand, nothing measures it\n"
            )
        else:
            parts.append("not verified   v checks it\n")
            expects = binding.params.expects(ws.settings)
            parts += [_rule(width), ("expect ", DIM), f"{expects}\n"]
        return parts
    return parts + _found(ws, box, status, width)


def _rule(width: int) -> Part:
    return (f"\n{marks.rule * max(4, min(28, width - 2))}\n", DIM)


def _found(ws: Workspace, box: Box, status: BoxStatus, width: int) -> list[Part]:
    verdict, stored = status.verdict, ws.state.verdicts.get(box.id)
    if verdict is None or stored is None:
        return []
    word, style = VERDICTS.get(verdict.verdict, (verdict.verdict, DIM))
    parts: list[Part] = [("Verdict  ", DIM)]
    if verdict.hint:
        parts.append(("hint ", STRONG))
    parts += [(word, style), (f"  {clock(verdict.at)}\n", DIM)]
    if verdict.verdict == "STALE":
        old = VERDICTS.get(stored.verdict, (stored.verdict, DIM))[0]
        parts += [("was      ", DIM), old, ("   v checks again\n", DIM)]
    parts.append(_rule(width))
    for label, text in (
        ("expect", verdict.expected),
        ("found", verdict.found),
        ("reason", verdict.reason),
    ):
        if text:
            parts += [(f"{label:<7}", DIM), f"{text}\n"]
    binding = ws.bindings.bound.get(box.id)
    now = binding.params.expects(ws.settings) if binding else ""
    if verdict.verdict == "STALE" and now and now != verdict.expected:
        parts += [("now    ", DIM), f"{now}\n"]
    parts += [("took   ", DIM), f"{verdict.seconds:.2f} s", (f"  by {verdict.by}\n", DIM)]
    if verdict.evidence:
        parts += [("blob   ", DIM), f"{verdict.evidence[:19]}  ", ("o opens it\n", DIM)]
    if verdict.expires and verdict.verdict != "STALE":
        parts.append((f"old    from {clock(verdict.expires)}\n", DIM))
    return parts
