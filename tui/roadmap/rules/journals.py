"""The mirrored run journals behind checks: finding the run of a stage and arm, and how it ended."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipeline.journal import FILE_NAME, RunRecord, number, parse_line, read_run
from tui.roadmap.rules.base import Context, Finding, Name, Params, skip

HEAD_BYTES = 256 * 1024

Kind = Literal["train", "generate"]


class RunParams(Params):
    """The newest run of a stage, of one `arm` where one is named."""

    stage: Name
    arm: str = ""

    @property
    def whose(self) -> str:
        """The run in words."""
        return f"the {self.arm} run of {self.stage}" if self.arm else f"the run of {self.stage}"


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


def find_run(runs: Path, stage: str, kind: Kind, arm: str = "") -> Run | None:
    """The newest mirrored run of a stage and arm, or None. Runs that are still going on count too."""
    best: tuple[int, Path] | None = None
    for path in runs.glob(f"*/*/{FILE_NAME}"):
        start = _first(path)
        labels = (_json(path.parent / "job.json") or {}).get("labels")
        labels = labels if isinstance(labels, dict) else {}
        if not start or stage not in (start.get("stage"), labels.get("stage")):
            continue
        if arm and arm not in (start.get("arm"), labels.get("arm")):
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


async def the_run(ctx: Context, params: RunParams, kind: Kind = "train") -> Run | Finding:
    """The run that a check is about, or a SKIP that says what has not been mirrored."""
    run = await asyncio.to_thread(find_run, ctx.ws.runs_dir, params.stage, kind, params.arm)
    word = "training" if kind == "train" else "generation"
    arm = f" of the {params.arm} arm" if params.arm else ""
    return run or skip(
        f"no {word}{arm} of {params.stage} has been mirrored yet", params.expects(ctx.ws.settings)
    )


def of_run(run: Run, finding: Finding) -> Finding:
    """A finding with what the run says of itself, in its name."""
    return replace(finding, by=run.by, data={**run.source, **finding.data})


def unfinished(run: Run, expected: str) -> Finding | None:
    """A SKIP while the run goes on or its exit is not here yet."""
    last = run.record.points[-1].get("step") if run.record.points else 0
    if not run.record.end and run.exit is None:
        return of_run(run, skip(f"{run.job_id} is still running at step {last}", expected))
    if run.exit is None:
        return of_run(run, skip(f"the exit code of {run.job_id} has not arrived yet", expected))
    return None


def exit_text(run: Run) -> str:
    """How the run ended, in two words."""
    code, signal = (run.exit or {}).get("code"), (run.exit or {}).get("signal")
    return f"signal {signal}" if signal else f"exit {code}"


def clean_exit(run: Run) -> bool:
    """True for an exit code of 0 without a signal or an out-of-memory kill."""
    ended = run.exit or {}
    return ended.get("code") == 0 and not ended.get("signal") and not ended.get("oom")


def run_hours(run: Run) -> float | None:
    """How long the run took: what it says itself, else from its first to its last event."""
    seconds = number(run.record.end.get("seconds"))
    if seconds is None and run.record.end:
        seconds = (run.record.end["t"] - run.record.start["t"]) / 1000
    return None if seconds is None or not math.isfinite(seconds) else seconds / 3600
