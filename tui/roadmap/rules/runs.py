"""Rules over mirrored run journals: what a training or generation job wrote on its host."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.journal import FILE_NAME, RunRecord, number, parse_line, read_run
from tui.roadmap.rules.base import Context, Finding, Need, Params, Positive, Rule, judge, skip

GIB = 2**30
HEAD_BYTES = 256 * 1024
LOG_LIMIT = 64 * 1024 * 1024
NEEDS_GPU = "needs a GPU: "

Kind = Literal["train", "generate"]


class RunParams(Params):
    """The newest run of a stage."""

    stage: str


class CompletedParams(RunParams):
    """A finished training of exactly `steps` optimizer steps."""

    steps: Positive


class FourBitParams(RunParams):
    """GPU memory after loading, in GiB, both ends included."""

    min_gib: Annotated[float, Field(gt=0)] = 4.0
    max_gib: Annotated[float, Field(gt=0)] = 6.5


class LossParams(RunParams):
    """At least `points` finite losses; the means of the first and last `window` are compared."""

    points: Positive = 10
    window: Positive = 3
    fill_start: str = ""
    fill_end: str = ""


class PeakParams(RunParams):
    """Reserved GPU memory stays below this."""

    below_mib: Positive


@dataclass(frozen=True, slots=True)
class Run:
    """A mirrored job folder: who ran it, its journal, its exit and what identifies the bytes."""

    host: str
    job_id: str
    folder: Path
    record: RunRecord
    exit: dict[str, Any] | None
    sha256: str

    @property
    def source(self) -> dict[str, Any]:
        """What the evidence says of the run."""
        return {
            "host": self.host, "job": self.job_id, "run_jsonl_sha256": self.sha256,
            "bad_lines": self.record.bad_lines, "start": self.record.start, "end": self.record.end,
            "exit": self.exit,
        }  # fmt: skip

    @property
    def by(self) -> str:
        """The actor of the verdict."""
        return f"pipeline:{self.record.start.get('name') or self.job_id}"[:80]


def _json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_bytes()[:HEAD_BYTES])
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _first(path: Path) -> dict[str, Any]:
    """The start event of a journal, {} where its first lines hold none."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return {}
    for line in head.split(b"\n")[:5]:
        event = parse_line(line)
        if event is not None and event["kind"] == "start":
            return event
    return {}


def find_run(runs: Path, stage: str, kind: Kind) -> Run | None:
    """The newest mirrored run of a stage, or None. Runs that are still going on count too."""
    best: tuple[int, Path] | None = None
    for path in runs.glob(f"*/*/{FILE_NAME}"):
        start = _first(path)
        labels = (_json(path.parent / "job.json") or {}).get("labels")
        labels = labels if isinstance(labels, dict) else {}
        if not start or stage not in (start.get("stage"), labels.get("stage")):
            continue
        trains = "max_steps" in start or "arm" in start or labels.get("kind") == "train"
        if trains == (kind == "train") and (best is None or start["t"] > best[0]):
            best = (start["t"], path)
    if best is None:
        return None
    path = best[1]
    folder = path.parent
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    ended = _json(folder / "exit.json")
    return Run(folder.parent.name, folder.name, folder, read_run(path), ended, digest)


async def _run(ctx: Context, params: RunParams, kind: Kind = "train") -> Run | Finding:
    run = await asyncio.to_thread(find_run, ctx.ws.runs_dir, params.stage, kind)
    word = "training" if kind == "train" else "generation"
    return run or skip(f"no {word} of {params.stage} has been mirrored yet")


def _of(run: Run, finding: Finding) -> Finding:
    return replace(finding, by=run.by, data={**run.source, **finding.data})


def _unfinished(run: Run, expected: str) -> Finding | None:
    """A SKIP while the run goes on or its exit is not here yet."""
    last = run.record.points[-1].get("step") if run.record.points else 0
    if not run.record.end and run.exit is None:
        return _of(run, skip(f"{run.job_id} is still running at step {last}", expected))
    if run.exit is None:
        return _of(run, skip(f"the exit code of {run.job_id} has not arrived yet", expected))
    return None


def _exit_text(run: Run) -> str:
    code, signal = (run.exit or {}).get("code"), (run.exit or {}).get("signal")
    return f"signal {signal}" if signal else f"exit {code}"


def _clean_exit(run: Run) -> bool:
    ended = run.exit or {}
    return ended.get("code") == 0 and not ended.get("signal") and not ended.get("oom")


async def completed(ctx: Context, params: CompletedParams) -> Finding:
    """The training ended by itself with exit code 0 at the wanted step."""
    expected = f"exit 0 at step {params.steps}"
    run = await _run(ctx, params)
    if isinstance(run, Finding):
        return run
    waiting = _unfinished(run, expected)
    if waiting:
        return waiting
    step, status = run.record.end.get("step"), run.record.end.get("status", "no end in the journal")
    passed = _clean_exit(run) and status == "succeeded" and step == params.steps
    found = f"{_exit_text(run)} at step {step}, {status}"
    return _of(run, judge(passed, expected, found, f"{run.job_id}: {found}"))


async def four_bit(ctx: Context, params: FourBitParams) -> Finding:
    """The journal proves a 4-bit load, the GPU's memory after it lies in the range."""
    expected = f"4-bit, {params.min_gib:g} to {params.max_gib:g} GiB of GPU memory after loading"
    run = await _run(ctx, params)
    if isinstance(run, Finding):
        return run
    model = run.record.model
    if not model:
        return _of(run, skip(f"{run.job_id} has not loaded its model yet", expected))
    modules, quant = model.get("linear4bit"), model.get("quant_type")
    data = {"model": model}
    if model.get("load_in_4bit") is not True or not isinstance(modules, int) or modules < 1:
        found = f"load_in_4bit={model.get('load_in_4bit')}, {modules} Linear4bit modules"
        return _of(run, judge(False, expected, found, "the model was not loaded in 4-bit", **data))
    proved = f"4-bit proved ({modules} Linear4bit modules, {quant})"
    used = number(model.get("gpu_bytes_after_load"))
    if used is None:
        why = model.get("reason_no_gpu") or f"it ran on {run.record.start.get('device', 'the CPU')}"
        reason = f"{NEEDS_GPU}{proved}, its GPU memory cannot be measured: {why}"
        return _of(run, replace(skip(reason, expected, **data), found=proved))
    gib = used / GIB
    found = f"{proved}, {gib:.2f} GiB"
    return _of(run, judge(params.min_gib <= gib <= params.max_gib, expected, found, found, **data))


async def loss_decreases(ctx: Context, params: LossParams) -> Finding:
    """The last losses are lower than the first ones; fills the start and end blanks."""
    w = params.window
    expected = f">= {params.points} finite losses, mean of the last {w} < mean of the first {w}"
    run = await _run(ctx, params)
    if isinstance(run, Finding):
        return run
    losses = [loss for loss in run.record.losses() if math.isfinite(loss)]
    logged = len(run.record.points)
    data = {"losses": losses[:1000], "points": logged}
    if len(losses) < params.points:
        text = f"{len(losses)} finite losses of {logged} points"
        if not run.record.end and run.exit is None:
            return _of(run, skip(f"{run.job_id} is still running: {text}", expected, **data))
        return _of(run, judge(False, expected, text, text, **data))
    first, last = sum(losses[:w]) / w, sum(losses[-w:]) / w
    passed = last < first
    found = f"{first:.4f} -> {last:.4f} over {len(losses)} points"
    finding = _of(run, judge(passed, expected, found, f"the loss did not fall: {found}", **data))
    fills = {params.fill_start: f"{losses[0]:.4f}", params.fill_end: f"{losses[-1]:.4f}"}
    return replace(finding, fills={k: v for k, v in fills.items() if k and passed})


async def no_crash(ctx: Context, params: RunParams) -> Finding:
    """Exit code 0, no out-of-memory kill, no traceback in the mirrored log."""
    expected = "exit 0, no OOM kill, no Traceback in log.txt"
    run = await _run(ctx, params)
    if isinstance(run, Finding):
        return run
    waiting = _unfinished(run, expected)
    if waiting:
        return waiting
    log = run.folder / "log.txt"
    if not log.is_file():
        return _of(run, skip(f"the log of {run.job_id} has not arrived yet", expected))
    traces = await asyncio.to_thread(_count, log, b"Traceback (most recent call last)")
    oom = bool((run.exit or {}).get("oom"))
    found = f"{_exit_text(run)}, {'OOM kill' if oom else 'no OOM kill'}, {traces} tracebacks"
    passed = _clean_exit(run) and traces == 0
    return _of(run, judge(passed, expected, found, f"{run.job_id}: {found}", tracebacks=traces))


def _count(path: Path, word: bytes) -> int:
    total, rest, read = 0, b"", 0
    with path.open("rb") as file:
        while (block := file.read(1 << 20)) and read < LOG_LIMIT:
            read += len(block)
            text = rest + block
            total += text.count(word)
            rest = text[-(len(word) - 1) :]
    return total


async def generated(ctx: Context, params: RunParams) -> Finding:
    """The generation wrote at least one token that is not white space."""
    expected = "exit 0, at least one token that is not white space"
    run = await _run(ctx, params, "generate")
    if isinstance(run, Finding):
        return run
    waiting = _unfinished(run, expected)
    if waiting:
        return waiting
    result = run.record.generated
    text, tokens = str(result.get("completion", "")), result.get("new_tokens")
    some = bool(text.strip()) and isinstance(tokens, int) and tokens >= 1
    shown = " ".join(text.split())[:60]
    found = f"{_exit_text(run)}, {tokens or 0} tokens: {shown}"
    finding = judge(
        _clean_exit(run) and some, expected, found, f"{run.job_id}: {found}", generated=result
    )
    return _of(run, finding)


async def peak_memory(ctx: Context, params: PeakParams) -> Finding:
    """The allocator's reserved peak; on Windows NVML cannot tell one process from another."""
    expected = f"reserved peak < {params.below_mib} MiB"
    run = await _run(ctx, params)
    if isinstance(run, Finding):
        return run
    waiting = _unfinished(run, expected)
    if waiting:
        return waiting
    peak = number(run.record.end.get("peak_gpu_reserved_bytes"))
    if peak is None:
        rss = number(run.record.end.get("peak_rss_bytes"))
        told = f"; it took {rss / 2**20:.0f} MiB of main memory" if rss else ""
        device = run.record.start.get("device", "the CPU")
        reason = f"{NEEDS_GPU}{run.job_id} ran on {device}, no GPU memory was reserved{told}"
        return _of(run, skip(reason, expected))
    mib = peak / 2**20
    found = f"{mib:.0f} MiB"
    return _of(run, judge(mib < params.below_mib, expected, found, f"{found} reserved"))


_RUNS: frozenset[Need] = frozenset({"runs"})
RULES = {
    "run-completed": Rule(CompletedParams, completed, _RUNS),
    "four-bit": Rule(FourBitParams, four_bit, _RUNS),
    "loss-decreases": Rule(LossParams, loss_decreases, _RUNS),
    "no-crash": Rule(RunParams, no_crash, _RUNS),
    "generated": Rule(RunParams, generated, _RUNS),
    "peak-memory": Rule(PeakParams, peak_memory, _RUNS),
}
