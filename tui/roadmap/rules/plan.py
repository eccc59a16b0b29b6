"""Rules that follow from other boxes, from the gate and from the ledger: nothing is measured twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from tui.roadmap.gate import evaluate
from tui.roadmap.progress import CLOSED, box_status, countable
from tui.roadmap.rules.base import Context, Finding, Name, Params, Rule, judge, skip

if TYPE_CHECKING:
    from tui.roadmap.document import Document
    from tui.settings import Settings


class SameAsParams(Params):
    """Another box whose check proves this one too."""

    item: str

    def expects(self, settings: Settings) -> str:
        del settings
        return f"the check of {self.item} passes"

    def boxes(self, document: Document) -> tuple[str, ...]:
        del document
        return (self.item,)


class AllDoneParams(Params):
    """Boxes, groups or sections that must all be done or waived."""

    items: tuple[str, ...]

    def expects(self, settings: Settings) -> str:
        del settings
        return f"all of {', '.join(self.items)} done or waived"

    def boxes(self, document: Document) -> tuple[str, ...]:
        return tuple(i for part in self.items for i in document.select(part))


class AllPassParams(AllDoneParams):
    """Boxes whose newest checks must all have passed, none of them old."""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"the newest checks of {', '.join(self.items)} all pass"


class NoErrorsParams(AllDoneParams):
    """Boxes none of whose newest checks failed, broke or took too long."""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"no FAIL, ERROR or TIMEOUT in {', '.join(self.items)}"


class StageParams(Params):
    """A stage that is complete: its required boxes are done or waived, its criteria judged."""

    section: Name

    def expects(self, settings: Settings) -> str:
        del settings
        return f"every required box of {self.section} done or waived"

    def boxes(self, document: Document) -> tuple[str, ...]:
        section = document.section(self.section)
        return tuple(box.id for box in section.boxes) if section else ()


class GateParams(Params):
    """A criterion of the gate, C1 to C6, judged on what is measured now."""

    criterion: Literal["C1", "C2", "C3", "C4", "C5", "C6"]

    def expects(self, settings: Settings) -> str:
        gate = settings.gate
        return {
            "C1": "both models trained",
            "C2": f"average improvement > {gate.min_improvement:g} %",
            "C3": f"p < {gate.alpha:g}, {gate.sided} {gate.test}",
            "C4": "vulnerability of the experiment below the control's",
            "C5": "no failed check of the stage, no error in the evaluation",
            "C6": f"{gate.metrics} of {gate.metrics} metrics in both arms, none missing",
        }[self.criterion]

    def boxes(self, document: Document) -> tuple[str, ...]:
        gate = next((b for b in document.boxes.values() if b.kind == "radio"), None)
        if gate is None or self.criterion not in ("C1", "C5"):
            return ()
        section = document.section(gate.section_id)
        found = section.boxes if section else ()
        return tuple(b.id for b in found if not b.computed and not b.group_id.endswith(".C"))


async def same_as(ctx: Context, params: SameAsParams) -> Finding:
    """The other box's check, run now; its last verdict where it has no check of its own."""
    finding = await ctx.evaluate(params.item)
    if finding is not None:
        return replace(finding, fills={}, data={"same_as": params.item, **finding.data})
    verdict = ctx.state.verdicts.get(params.item)
    if verdict is None:
        return skip(f"waits for {params.item}", params.expects(ctx.ws.settings))
    data = {"same_as": params.item, "evidence": verdict.evidence}
    return Finding(
        verdict.verdict, verdict.expected, verdict.found, verdict.reason, verdict.by, {}, data
    )


async def all_done(ctx: Context, params: AllDoneParams) -> Finding:
    """Every box that is not an estimate is done or waived; what is missing is waited for."""
    document, state = ctx.ws.document, ctx.state
    ids = [i for i in dict.fromkeys(params.boxes(document)) if not document.boxes[i].informational]
    states = {i: box_status(document, state, i).tick for i in ids}
    done = [i for i, tick in states.items() if tick in CLOSED]
    expected, found = f"{len(ids)} of {len(ids)} done or waived", f"{len(done)} of {len(ids)}"
    if not ids:
        return skip("the roadmap has none of these boxes", expected)
    if len(done) < len(ids):
        waiting = skip(waits_for([i for i in ids if i not in done]), expected, states=states)
        return replace(waiting, found=found, by="derived:roadmap")
    return replace(judge(True, expected, found, states=states), by="derived:roadmap")


def waits_for(missing: list[str]) -> str:
    """The first few of what is missing, and how many more."""
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return f"waits for {', '.join(missing[:3])}{more}"


BAD = ("FAIL", "ERROR", "TIMEOUT")
JUDGED = ("PASS", "WARN", *BAD)


def _checked(ctx: Context, params: AllDoneParams) -> tuple[dict[str, str], list[str]]:
    """(item to the verdict that judged it, items whose check is old, was not made or could not be).

    Boxes that are waived or do not apply are left out, as are hints and boxes without a check.
    """
    document, state = ctx.ws.document, ctx.state
    bound = ctx.ws.bindings.bound
    words, waiting = {}, []
    for item in dict.fromkeys(params.boxes(document)):
        status = box_status(document, state, item)
        verdict = status.verdict
        if status.tick in ("waived", "na") or (verdict.hint if verdict else item not in bound):
            continue
        if verdict is not None and verdict.verdict in JUDGED:
            words[item] = str(verdict.verdict)
        elif item not in bound or not bound[item].hint:
            waiting.append(item)
    return words, waiting


def _of_checks(
    params: AllDoneParams, expected: str, words: dict[str, str], waiting: list[str]
) -> Finding:
    bad = [f"{item} {word}" for item, word in words.items() if word in BAD]
    found = f"{len(words) - len(bad)} of {len(words) + len(waiting)} without an error"
    if bad:
        result = judge(False, expected, found, ", ".join(bad[:5]), verdicts=words)
    elif waiting or not words:
        missing = waiting or list(params.items)
        result = replace(skip(waits_for(missing), expected, verdicts=words), found=found)
    else:
        result = judge(True, expected, found, verdicts=words)
    return replace(result, by="derived:roadmap")


async def all_pass(ctx: Context, params: AllPassParams) -> Finding:
    """Measured, not ticked: a hand-set tick proves nothing here. A WARN counts as passed."""
    document = ctx.ws.document
    words, waiting = _checked(ctx, params)
    unmeasured = [i for i in params.boxes(document) if i not in words and i not in waiting]
    aside = [i for i in unmeasured if box_status(document, ctx.state, i).tick in ("waived", "na")]
    hints = [i for i, b in ctx.ws.bindings.bound.items() if b.hint]
    waiting += [i for i in unmeasured if i not in aside and i not in hints]
    return _of_checks(params, params.expects(ctx.ws.settings), words, waiting)


async def no_errors(ctx: Context, params: NoErrorsParams) -> Finding:
    """The newest check of each box that has one was made and did not fail; a WARN is let through."""
    words, waiting = _checked(ctx, params)
    return _of_checks(params, params.expects(ctx.ws.settings), words, waiting)


async def stage_complete(ctx: Context, params: StageParams) -> Finding:
    """The same roll-up that the tracker's box shows, with what is still open."""
    document, state = ctx.ws.document, ctx.state
    expected = params.expects(ctx.ws.settings)
    section = document.section(params.section)
    if section is None:
        return skip(f"the roadmap has no section {params.section}", expected)
    tracker = next((b for b in document.boxes.values() if b.target == params.section), None)
    needed = [b for b in section.boxes if countable(b) and not b.optional and b.kind == "task"]
    missing = [b.id for b in needed if box_status(document, state, b.id).tick not in CLOSED]
    rolled = box_status(document, state, tracker.id).tick if tracker else "open"
    done = rolled == "done" if tracker else not missing
    found = f"{len(needed) - len(missing)} of {len(needed)}"
    if not done:
        why = waits_for(missing) if missing else "the gate has not said GO"
        return replace(skip(why, expected), found=found, by="derived:roadmap")
    return replace(judge(True, expected, found, missing=missing), by="derived:roadmap")


async def criterion(ctx: Context, params: GateParams) -> Finding:
    """GO is a PASS, NO-GO a FAIL; without data there is nothing to judge."""
    for line in evaluate(ctx.view()).criteria:
        if line.id == params.criterion:
            data = {"criterion": line.id, "evidence": line.evidence, "detail": line.detail}
            if line.verdict == "NO DATA":
                return skip(f"no data: {line.detail}", line.threshold, **data)
            passed = line.verdict == "GO"
            reason = f"{line.threshold} required, {line.value} found"
            return replace(
                judge(passed, line.threshold, line.value, reason, **data), by="derived:gate"
            )
    return skip("the roadmap has no gate", params.expects(ctx.ws.settings))


RULES = {
    "same-as": Rule(SameAsParams, same_as),
    "all-done": Rule(AllDoneParams, all_done),
    "all-pass": Rule(AllPassParams, all_pass),
    "no-errors": Rule(NoErrorsParams, no_errors),
    "stage-complete": Rule(StageParams, stage_complete),
    "gate": Rule(GateParams, criterion),
}
