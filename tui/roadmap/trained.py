"""The gate's first criterion: both models are trained, as their boxes' checks or a person say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tui.roadmap.freshness import stale_because
from tui.roadmap.pins import TRAINED
from tui.roadmap.poll import Criterion, judge

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes


def _box_verdict(ws: Changes, box_id: str) -> bool | None:
    """True for passed or ticked, False for failed, None while nothing is known.

    A waived box, or one that does not apply, is none that was done. A check that is old proves nothing,
    nor does the tick that it set.
    """
    verdict, tick = ws.state.verdicts.get(box_id), ws.state.ticks.get(box_id)
    if verdict is not None and verdict.verdict == "FAIL":
        return False
    if verdict is not None and verdict.verdict == "PASS":
        if not _old(ws, box_id):
            return True
        if tick is not None and tick.why == "verified":
            return None
    return True if ws.state.value("tick", box_id) == "done" else None


def _old(ws: Changes, box_id: str) -> str:
    """Why the verdict of a box is old by now, "" where it is not."""
    verdict, box = ws.state.verdicts.get(box_id), ws.document.boxes.get(box_id)
    if verdict is None or box is None:
        return ""
    basis = ws.state.bases.get(box_id, "")
    return stale_because(verdict, box.label, basis, time.time_ns() // 1_000_000)


def both_trained(ws: Changes) -> Criterion:
    """The criterion of the boxes in `TRAINED`."""
    boxes = TRAINED
    results = [_box_verdict(ws, box) for box in boxes]
    passed = False if False in results else True if all(results) else None
    done = sum(result is True for result in results)
    known = [v for b in boxes if (v := ws.state.verdicts.get(b))]
    proofs = [v.evidence for v in known if v.evidence]
    detail = f"boxes {' and '.join(boxes)}"
    old = next(
        (box for box, ok in zip(boxes, results, strict=True) if ok is None and _old(ws, box)), ""
    )
    if old:
        detail = f"verify {old} again: {_old(ws, old)}"
    return Criterion(
        "C1", "Both models trained", f"{done} of 2", "2 of 2", judge(passed),
        proofs[-1] if proofs else "", detail, "S3.C1",
        max((v.at for v in known), default=0),
    )  # fmt: skip
