"""More rules over run journals: a start with its dataset, the validation loss, times and adapter sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from pipeline.journal import number
from tui.roadmap.rules.base import Context, Finding, Need, Rule, judge, skip, warn
from tui.roadmap.rules.journals import (
    Run,
    RunParams,
    clean_exit,
    of_run,
    run_hours,
    the_run,
    unfinished,
)
from tui.settings import Settings

MIB = 2**20


class StartedParams(RunParams):
    """A run that began on its own dataset; `samples` is how many it must have been given (0: any)."""

    samples: Annotated[int, Field(ge=0)] = 0

    def expects(self, settings: Settings) -> str:
        del settings
        many = f" of {self.samples} samples" if self.samples else ""
        return f"{self.whose} began with a dataset{many}"


async def started(ctx: Context, params: StartedParams) -> Finding:
    """The journal's start names arm, dataset and its sha256."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    start = run.record.start
    samples, dataset = start.get("samples"), str(start.get("dataset") or "")
    problems = [] if dataset and start.get("dataset_sha256") else ["it does not name its dataset"]
    if params.samples and samples != params.samples:
        problems.append(f"{samples} samples, not {params.samples}")
    found = f"{run.job_id} on {run.host}, {samples} samples of {dataset or 'no dataset'}"
    return of_run(run, judge(not problems, expected, found, "; ".join(problems)))


class EvalLossParams(RunParams):
    """The last `last` validation losses: falling, or changing by less than `flat`; `rise` is a FAIL."""

    last: Annotated[int, Field(ge=2)] = 3
    flat: Annotated[float, Field(gt=0)] = 0.01
    rise: Annotated[float, Field(gt=0)] = 0.05

    def expects(self, settings: Settings) -> str:
        del settings
        return (
            f"the last {self.last} validation losses fall or change by less than {self.flat:.0%};"
            f" a rise above {self.rise:.0%} fails"
        )


def eval_losses(run: Run) -> list[float]:
    """Finite validation losses by step, the newest of a step logged twice."""
    by_step = {}
    for event in run.record.evals:
        loss = number(event.get("eval_loss"))
        if loss is not None and math.isfinite(loss):
            by_step[event["step"]] = loss
    return [by_step[step] for step in sorted(by_step)]


async def eval_loss(ctx: Context, params: EvalLossParams) -> Finding:
    """The validation loss has not turned upwards at the end."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    losses = eval_losses(run)
    tail = losses[-params.last :]
    if len(tail) < params.last:
        text = f"{len(tail)} validation losses so far"
        ended = bool(run.record.end or run.exit)
        few = judge(False, expected, text, f"{run.job_id} ended with {text[:-7]}")
        return of_run(run, few if ended else skip(text, expected))
    middle = (len(tail) - 1) / 2
    slope = math.fsum((i - middle) * loss for i, loss in enumerate(tail))
    change = (tail[-1] - tail[0]) / abs(tail[0]) if tail[0] else math.inf
    found = f"{' -> '.join(f'{loss:.4f}' for loss in tail)} ({change:+.1%})"
    finding = judge(
        change <= params.rise, expected, found, f"it rises: {found}", losses=losses[-200:]
    )
    if finding.verdict == "PASS" and slope > 0 and abs(change) >= params.flat:
        finding = warn(finding, f"it rises a little: {found}")
    return of_run(run, finding)


class FinalLossParams(RunParams):
    """The last training and validation loss, which `fill_train` and `fill_val` take."""

    fill_train: str = ""
    fill_val: str = ""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"{self.whose} ended with a finite training and a finite validation loss"


async def final_loss(ctx: Context, params: FinalLossParams) -> Finding:
    """Both losses are there and finite."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    waiting = unfinished(run, expected)
    if waiting:
        return waiting
    trained, validated = run.record.losses()[-1:], eval_losses(run)[-1:]
    shown = [f"{name} {v[0]:.4f}" for name, v in (("train", trained), ("val", validated)) if v]
    found = ", ".join(shown) or "no finite loss"
    finding = judge(bool(trained and validated), expected, found, f"{run.job_id}: only {found}")
    fills = {params.fill_train: trained, params.fill_val: validated}
    kept = {k: f"{v[0]:.4f}" for k, v in fills.items() if k and v and finding.verdict == "PASS"}
    return of_run(run, replace(finding, fills=kept))


class HoursParams(RunParams):
    """How long the runs of all `arms` took; `fills` takes an arm's hours, or "total", into fields."""

    arms: tuple[str, ...] = ("control", "experiment")
    fills: dict[str, str] = {}

    def expects(self, settings: Settings) -> str:
        del settings
        return f"the runs of {' and '.join(self.arms)} ended, with their hours"


async def hours(ctx: Context, params: HoursParams) -> Finding:
    """Both runs ended cleanly; their hours go into the plan."""
    expected = params.expects(ctx.ws.settings)
    took: dict[str, float] = {}
    for arm in params.arms:
        run = await the_run(ctx, RunParams(stage=params.stage, arm=arm))
        if isinstance(run, Finding):
            return replace(run, expected=expected)
        waiting = unfinished(run, expected)
        if waiting:
            return waiting
        found = run_hours(run)
        if found is None or not clean_exit(run):
            return of_run(
                run, judge(False, expected, "no clean end", f"{run.job_id} did not end well")
            )
        took[arm] = found
    took["total"] = math.fsum(took.values())
    text = ", ".join(f"{name} {value:.2f} h" for name, value in took.items())
    fills = {f: f"{took[name]:.2f}" for f, name in params.fills.items() if name in took}
    return replace(judge(True, expected, text, hours=took), by="pipeline:training", fills=fills)


class AdapterParams(RunParams):
    """Size of the saved adapter in MiB; another size is a WARN, since it follows from the recipe."""

    min_mib: float = 150.0
    max_mib: float = 250.0

    def expects(self, settings: Settings) -> str:
        del settings
        return f"{self.whose} saved an adapter, usually {self.min_mib:g} to {self.max_mib:g} MiB"


async def adapter_size(ctx: Context, params: AdapterParams) -> Finding:
    """The journal lists the adapter's file with its size and hash."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    listed = run.record.saved.get("files")
    files = [f for f in listed if isinstance(f, dict)] if isinstance(listed, list) else []
    file = next((f for f in files if str(f.get("name", "")).endswith(".safetensors")), None)
    size = number(file.get("bytes")) if file else None
    if size is None or not math.isfinite(size):
        ended = bool(run.record.end or run.exit)
        text = f"{run.job_id} has not saved an adapter"
        return of_run(
            run, judge(False, expected, "nothing saved", text) if ended else skip(text, expected)
        )
    found = f"{size / MIB:.1f} MiB"
    finding = judge(size > 0, expected, found, "the adapter is empty", saved=run.record.saved)
    if finding.verdict == "PASS" and not params.min_mib <= size / MIB <= params.max_mib:
        finding = warn(finding, f"{found}: the size follows from rank and layers of the recipe")
    return of_run(run, finding)


_RUNS: frozenset[Need] = frozenset({"runs"})
RULES = {
    "run-started": Rule(StartedParams, started, _RUNS),
    "eval-loss": Rule(EvalLossParams, eval_loss, _RUNS),
    "final-loss": Rule(FinalLossParams, final_loss, _RUNS),
    "run-hours": Rule(HoursParams, hours, _RUNS),
    "adapter-size": Rule(AdapterParams, adapter_size, _RUNS),
}
