"""Rules over files in the workspace."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from tui.roadmap.rules.base import Context, Finding, InsidePath, Params, Positive, Rule, judge, skip

MAX_BYTES = 256 * 1024 * 1024


class SamplesParams(Params):
    """A JSONL file (a glob that must fit exactly one) with a number of lines and keys in each."""

    path: InsidePath
    lines: Positive
    keys: tuple[str, ...] = ()
    unique: str = ""


def _read(path: Path, params: SamplesParams) -> dict[str, Any]:
    digest = hashlib.sha256()
    count, broken, missing = 0, [], []
    seen: set[str] = set()
    repeated = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            digest.update(raw)
            count += 1
            try:
                sample = json.loads(raw)
            except (ValueError, RecursionError):
                sample = None
            if not isinstance(sample, dict):
                broken.append(number)
                continue
            lacks = [key for key in params.keys if sample.get(key) in (None, "")]
            if lacks:
                missing.append(f"line {number}: {', '.join(lacks)}")
            key = str(sample.get(params.unique))
            repeated += bool(params.unique) and key in seen
            seen.add(key)
    return {
        "lines": count,
        "broken": broken[:20],
        "missing": missing[:20],
        "repeated": repeated,
        "sha256": digest.hexdigest(),
        "bytes": path.stat().st_size,
    }


async def samples(ctx: Context, params: SamplesParams) -> Finding:
    """Exactly so many lines, each a JSON object with all keys filled in."""
    keys = f" with {', '.join(params.keys)}" if params.keys else ""
    expected = f"{params.lines} samples{keys}"
    paths = sorted(p for p in ctx.ws.root.glob(params.path) if p.is_file())
    if not paths:
        return skip(f"{params.path} does not exist yet", expected, path=params.path)
    if len(paths) > 1:
        return judge(
            False, expected, f"{len(paths)} files", f"more than one file fits {params.path}"
        )
    path = paths[0]
    if path.stat().st_size > MAX_BYTES:
        return judge(False, expected, "over 256 MiB", "the file is too large to be this dataset")
    info = await asyncio.to_thread(_read, path, params)
    name = path.relative_to(ctx.ws.root).as_posix()
    problems = []
    if info["broken"]:
        problems.append(f"line {info['broken'][0]} is no JSON object")
    if info["missing"]:
        problems.append(f"{info['missing'][0]} missing")
    if info["repeated"]:
        problems.append(f"{info['repeated']} repeated {params.unique}")
    if info["lines"] != params.lines:
        problems.append(f"{info['lines']} lines")
    found = f"{info['lines']} samples in {name}, sha256 {info['sha256'][:12]}"
    result = judge(not problems, expected, found, "; ".join(problems), path=name, **info)
    return Finding(
        result.verdict,
        result.expected,
        result.found,
        result.reason,
        "pipeline:dataset",
        {},
        result.data,
    )


RULES = {"samples": Rule(SamplesParams, samples)}
