"""Rules that follow from other boxes and from the gate: nothing is measured twice."""

from __future__ import annotations

from dataclasses import replace

from tui.roadmap.gate import evaluate
from tui.roadmap.progress import CLOSED, box_status
from tui.roadmap.rules.base import Context, Finding, Params, judge, skip


class SameAsParams(Params):
    """Another box whose check proves this one too."""

    item: str


class AllDoneParams(Params):
    """Boxes, groups or sections that must all be done or waived."""

    items: tuple[str, ...]


class GateParams(Params):
    """A criterion of the gate, C1 to C6."""

    criterion: str


async def same_as(ctx: Context, params: SameAsParams) -> Finding:
    """The other box's check, run now; its last verdict where it has no check of its own."""
    finding = await ctx.evaluate(params.item)
    if finding is not None:
        return replace(finding, fills={}, data={"same_as": params.item, **finding.data})
    verdict = ctx.ws.state.verdicts.get(params.item)
    if verdict is None:
        return skip(f"waits for {params.item}")
    data = {"same_as": params.item, "evidence": verdict.evidence}
    return Finding(
        verdict.verdict, verdict.expected, verdict.found, verdict.reason, verdict.by, {}, data
    )


async def all_done(ctx: Context, params: AllDoneParams) -> Finding:
    """Every box that is not an estimate is done or waived; what is missing is waited for."""
    document, state = ctx.ws.document, ctx.ws.state
    ids = [i for part in params.items for i in document.select(part)]
    ids = [i for i in dict.fromkeys(ids) if not document.boxes[i].informational]
    states = {i: box_status(document, state, i).tick for i in ids}
    done = [i for i, tick in states.items() if tick in CLOSED]
    expected, found = f"{len(ids)} of {len(ids)} done or waived", f"{len(done)} of {len(ids)}"
    if not ids:
        return skip("the roadmap has none of these boxes", expected)
    if len(done) < len(ids):
        missing = [i for i in ids if i not in done]
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        waiting = skip(f"waits for {', '.join(missing[:3])}{more}", expected, states=states)
        return replace(waiting, found=found, by="derived:roadmap")
    return replace(judge(True, expected, found, states=states), by="derived:roadmap")


async def criterion(ctx: Context, params: GateParams) -> Finding:
    """GO is a PASS, NO-GO a FAIL; without data there is nothing to judge."""
    for line in evaluate(ctx.ws).criteria:
        if line.id == params.criterion:
            data = {"criterion": line.id, "evidence": line.evidence, "detail": line.detail}
            if line.verdict == "NO DATA":
                return skip(f"no data: {line.detail}", line.threshold, **data)
            passed = line.verdict == "GO"
            reason = f"{line.threshold} required, {line.value} found"
            return replace(
                judge(passed, line.threshold, line.value, reason, **data), by="derived:gate"
            )
    return skip("the roadmap has no gate")
