"""Rules over mirrored run journals: what a training or generation job wrote on its host."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.journal import number
from tui.roadmap.rules.base import Context, Finding, Need, Positive, Rule, judge, skip, warn
from tui.roadmap.rules.journals import (
    RunParams,
    clean_exit,
    exit_text,
    of_run,
    run_hours,
    the_run,
    unfinished,
)
from tui.settings import Settings

GIB = 2**30
LOG_LIMIT = 64 * 1024 * 1024
NEEDS_GPU = "needs a GPU: "
OOM_WORDS = b"CUDA out of memory"
DAY_MS = 86_400_000


class CompletedParams(RunParams):
    """A finished training of exactly `steps` optimizer steps (0: as many as it set out to do).

    Outside `hours` it is a WARN; `max_age_days` says how long it counts, 0 for ever.
    """

    steps: Annotated[int, Field(ge=0)] = 0
    hours: tuple[float, float] | None = None
    max_age_days: Annotated[float, Field(ge=0)] = 0.0

    def expects(self, settings: Settings) -> str:
        del settings
        parts = [f"exit 0 at step {self.steps}" if self.steps else "exit 0 at its last step"]
        parts += [f"usually {self.hours[0]:g} to {self.hours[1]:g} h"] if self.hours else []
        parts += [f"at most {self.max_age_days:g} days ago"] if self.max_age_days else []
        return ", ".join(parts)


class FourBitParams(RunParams):
    """GPU memory after loading, in GiB, both ends included."""

    min_gib: Annotated[float, Field(gt=0)] = 4.0
    max_gib: Annotated[float, Field(gt=0)] = 6.5

    def expects(self, settings: Settings) -> str:
        del settings
        return f"4-bit, {self.min_gib:g} to {self.max_gib:g} GiB of GPU memory after loading"


class LossParams(RunParams):
    """At least `points` finite losses; the means of the first and last `window` are compared."""

    points: Positive = 10
    window: Positive = 3
    fill_start: str = ""
    fill_end: str = ""

    def expects(self, settings: Settings) -> str:
        del settings
        w = self.window
        return f">= {self.points} finite losses, mean of the last {w} < mean of the first {w}"


class PeakParams(RunParams):
    """Reserved GPU memory stays below this; 0 asks only for a measured peak, which `fill` takes in GB."""

    below_mib: Annotated[int, Field(ge=0)] = 0
    fill: str = ""

    def expects(self, settings: Settings) -> str:
        del settings
        return (
            f"reserved peak < {self.below_mib} MiB"
            if self.below_mib
            else "a measured peak of GPU memory"
        )


class CrashParams(RunParams):
    """No crash in the newest runs of `arms`, or in the newest run of the stage without any."""

    arms: tuple[str, ...] = ()

    def expects(self, settings: Settings) -> str:
        del settings
        of = f" of {' and '.join(self.arms)}" if self.arms else ""
        return f"exit 0, no OOM kill, no Traceback in log.txt{of}"


class GeneratedParams(RunParams):
    """A generation with at least one token."""

    def expects(self, settings: Settings) -> str:
        del settings
        return "exit 0, at least one token that is not white space"


async def completed(ctx: Context, params: CompletedParams) -> Finding:
    """The training ended by itself with exit code 0 at the wanted step."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    waiting = unfinished(run, expected)
    if waiting:
        return waiting
    step, status = run.record.end.get("step"), run.record.end.get("status", "no end in the journal")
    wanted = params.steps or run.record.start.get("max_steps")
    passed = clean_exit(run) and status == "succeeded" and step == wanted
    hours = run_hours(run)
    found = f"{exit_text(run)} at step {step}, {status}"
    why = f"{run.job_id}: {found}"
    ended = run.record.end.get("t", 0)
    if params.max_age_days and time.time() * 1000 - ended > params.max_age_days * DAY_MS:
        passed, why = False, f"{run.job_id} ended more than {params.max_age_days:g} days ago"
    finding = judge(passed, expected, found, why, hours=hours)
    if passed and params.hours and hours is not None:
        finding = replace(finding, found=f"{found}, {hours:.2f} h")
        low, high = params.hours
        if not low <= hours <= high:
            finding = warn(finding, f"it took {hours:.2f} h, {low:g} to {high:g} h were expected")
    return of_run(run, finding)


async def four_bit(ctx: Context, params: FourBitParams) -> Finding:
    """The journal proves a 4-bit load, the GPU's memory after it lies in the range."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    model = run.record.model
    if not model:
        return of_run(run, skip(f"{run.job_id} has not loaded its model yet", expected))
    modules, quant = model.get("linear4bit"), model.get("quant_type")
    data = {"model": model}
    if model.get("load_in_4bit") is not True or not isinstance(modules, int) or modules < 1:
        found = f"load_in_4bit={model.get('load_in_4bit')}, {modules} Linear4bit modules"
        return of_run(
            run, judge(False, expected, found, "the model was not loaded in 4-bit", **data)
        )
    proved = f"4-bit proved ({modules} Linear4bit modules, {quant})"
    used = number(model.get("gpu_bytes_after_load"))
    if used is None:
        why = model.get("reason_no_gpu") or f"it ran on {run.record.start.get('device', 'the CPU')}"
        reason = f"{NEEDS_GPU}{proved}, its GPU memory cannot be measured: {why}"
        return of_run(run, replace(skip(reason, expected, **data), found=proved))
    gib = used / GIB
    found = f"{proved}, {gib:.2f} GiB"
    return of_run(
        run, judge(params.min_gib <= gib <= params.max_gib, expected, found, found, **data)
    )


async def loss_decreases(ctx: Context, params: LossParams) -> Finding:
    """The last losses are lower than the first ones; fills the start and end blanks."""
    w = params.window
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    losses = [loss for loss in run.record.losses() if math.isfinite(loss)]
    logged = len(run.record.points)
    data = {"losses": losses[:1000], "points": logged}
    if len(losses) < params.points:
        text = f"{len(losses)} finite losses of {logged} points"
        if not run.record.end and run.exit is None:
            return of_run(run, skip(f"{run.job_id} is still running: {text}", expected, **data))
        return of_run(run, judge(False, expected, text, text, **data))
    first, last = sum(losses[:w]) / w, sum(losses[-w:]) / w
    passed = last < first
    found = f"{first:.4f} -> {last:.4f} over {len(losses)} points"
    finding = of_run(run, judge(passed, expected, found, f"the loss did not fall: {found}", **data))
    fills = {params.fill_start: f"{losses[0]:.4f}", params.fill_end: f"{losses[-1]:.4f}"}
    return replace(finding, fills={k: v for k, v in fills.items() if k and passed})


async def no_crash(ctx: Context, params: CrashParams) -> Finding:
    """Exit code 0, no out-of-memory kill, no traceback in the mirrored log, for every arm asked for."""
    single = RunParams(stage=params.stage, arm=params.arm)
    each = [RunParams(stage=params.stage, arm=arm) for arm in params.arms] or [single]
    findings = [await _crash_free(ctx, one, params.expects(ctx.ws.settings)) for one in each]
    worst = next((f for word in ("FAIL", "SKIP") for f in findings if f.verdict == word), None)
    found = "; ".join(f.found for f in findings if f.found)
    return replace(
        worst or findings[0], found=found, data={"runs": [dict(f.data) for f in findings]}
    )


async def _crash_free(ctx: Context, params: RunParams, expected: str) -> Finding:
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return replace(run, expected=expected)
    waiting = unfinished(run, expected)
    if waiting:
        return waiting
    log = run.folder / "log.txt"
    if not log.is_file():
        return of_run(run, skip(f"the log of {run.job_id} has not arrived yet", expected))
    traces = await asyncio.to_thread(_count, log, b"Traceback (most recent call last)")
    short = await asyncio.to_thread(_count, log, OOM_WORDS)
    oom = bool((run.exit or {}).get("oom")) or short > 0
    found = f"{exit_text(run)}, {'OOM' if oom else 'no OOM kill'}, {traces} tracebacks"
    passed = clean_exit(run) and traces == 0 and not oom
    return of_run(run, judge(passed, expected, found, f"{run.job_id}: {found}", tracebacks=traces))


def _count(path: Path, word: bytes) -> int:
    total, rest, read = 0, b"", 0
    with path.open("rb") as file:
        while (block := file.read(1 << 20)) and read < LOG_LIMIT:
            read += len(block)
            text = rest + block
            total += text.count(word)
            rest = text[-(len(word) - 1) :]
    return total


async def generated(ctx: Context, params: GeneratedParams) -> Finding:
    """The generation wrote at least one token that is not white space."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params, "generate")
    if isinstance(run, Finding):
        return run
    waiting = unfinished(run, expected)
    if waiting:
        return waiting
    result = run.record.generated
    text, tokens = str(result.get("completion", "")), result.get("new_tokens")
    some = bool(text.strip()) and isinstance(tokens, int) and tokens >= 1
    shown = " ".join(text.split())[:60]
    found = f"{exit_text(run)}, {tokens or 0} tokens: {shown}"
    finding = judge(
        clean_exit(run) and some, expected, found, f"{run.job_id}: {found}", generated=result
    )
    return of_run(run, finding)


async def peak_memory(ctx: Context, params: PeakParams) -> Finding:
    """The allocator's reserved peak; on Windows NVML cannot tell one process from another."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    waiting = unfinished(run, expected)
    if waiting:
        return waiting
    peak = number(run.record.end.get("peak_gpu_reserved_bytes"))
    if peak is None:
        rss = number(run.record.end.get("peak_rss_bytes"))
        told = f"; it took {rss / 2**20:.0f} MiB of main memory" if rss else ""
        device = run.record.start.get("device", "the CPU")
        reason = f"{NEEDS_GPU}{run.job_id} ran on {device}, no GPU memory was reserved{told}"
        return of_run(run, skip(reason, expected))
    mib = peak / 2**20
    found = f"{mib:.0f} MiB"
    below = not params.below_mib or mib < params.below_mib
    finding = judge(below, expected, found, f"{found} reserved")
    fills = {params.fill: f"{peak / 1e9:.2f}"} if params.fill and below else {}
    return of_run(run, replace(finding, fills=fills))


_RUNS: frozenset[Need] = frozenset({"runs"})
RULES = {
    "run-completed": Rule(CompletedParams, completed, _RUNS),
    "four-bit": Rule(FourBitParams, four_bit, _RUNS),
    "loss-decreases": Rule(LossParams, loss_decreases, _RUNS),
    "no-crash": Rule(CrashParams, no_crash, _RUNS),
    "generated": Rule(GeneratedParams, generated, _RUNS),
    "peak-memory": Rule(PeakParams, peak_memory, _RUNS),
}
