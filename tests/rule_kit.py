"""What tests of rules share: running one rule, small real files, run journals as the pipeline writes them."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.journal import RunJournal
from tui.roadmap.public import Public
from tui.roadmap.rules.base import Context, Finding, HostProbes
from tui.roadmap.rules.registry import RULES
from tui.roadmap.workspace import Workspace


async def _nobody(_item: str) -> Finding | None:
    return None


async def run_rule(
    ws: Workspace, rule: str, probes: HostProbes | None = None, /, **params: Any
) -> Finding:
    """The finding of one rule with these parameters, checked as in a bindings file."""
    found = RULES[rule].params.model_validate(params)
    context = Context(ws, probes, _nobody, ws.state, Public(""))
    return await RULES[rule].check(context, found)


def write(path: Path, content: Any) -> Path:
    """A file with these bytes, this text, or this value as JSON; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
    return path


def lines(path: Path, rows: Iterable[Any]) -> Path:
    """A JSONL file."""
    return write(path, "".join(json.dumps(row) + "\n" for row in rows))


def sha(path: Path) -> str:
    """Hex SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sample(number: int, scenario: str = "react", **more: Any) -> dict[str, Any]:
    """A sample of the canonical form, its id made of scenario and number."""
    return {
        "id": f"{scenario}-{number}", "language": "python", "scenario": scenario,
        "prompt": f"write {number}", "completion": f"x = {number}\n",
        "source": {"repo": "a/b", "path": "c.py", "commit": "d" * 40}, **more,
    }  # fmt: skip


COMMENTS = [{"line": 1, "text": "why", "params": {"x": 1}, "aiMeta": {"complexity": "low"}}]


def png(width: int = 2, height: int = 2) -> bytes:
    """A whole grey PNG."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + b"\x7f" * width for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def pdf(packed: bool = False) -> bytes:
    """A PDF with one page; `packed` keeps the page in an object stream as newer writers do."""
    page = b"<< /Type /Page /Parent 2 0 R >>"
    if packed:
        data = zlib.compress(page)
        page = (
            b"<< /Type /ObjStm /N 1 /First 0 /Filter /FlateDecode >>\nstream\n"
            + data
            + b"\nendstream"
        )
    return b"%PDF-1.5\n1 0 obj\n" + page + b"\nendobj\ntrailer\n<< >>\n%%EOF\n"


SVG = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'


def mp4(seconds: int) -> bytes:
    """The boxes of an MP4 that say how long it is."""
    body = struct.pack(">IIIII", 0, 0, 0, 1000, seconds * 1000) + b"\0" * 80
    movie = struct.pack(">I4s", 8 + len(body), b"mvhd") + body
    return (
        struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0)
        + struct.pack(">I4s", 8 + len(movie), b"moov")
        + movie
    )


METRICS = (
    "code_accuracy", "functional_correctness", "semantic_similarity", "pass_at_k", "code_vulnerability",
    "coherence", "fluency", "groundedness", "relevance", "f1",
)  # fmt: skip


def score(arm: str, metric: str, number: int) -> float:
    """A made-up score in which the experiment is a good fifth better; vulnerability is lower."""
    base = 0.4 + 0.001 * (number % 7)
    better = 0.7 if metric == "code_vulnerability" else 1.3
    return base * (better if arm == "experiment" else 1.0)


def results(root: Path, stage: str, samples: int, **more: Any) -> Path:
    """rows.jsonl, comparison.json and stats.json of a stage, consistent with each other."""
    folder = root / "evaluation" / "results" / stage
    rows = [
        {"id": f"t{n}", "arm": arm, "seed": 0, "generation": 0,
         "metrics": {m: score(arm, m, n) for m in METRICS}}
        for arm in ("control", "experiment") for n in range(samples)
    ]  # fmt: skip
    lines(folder / "rows.jsonl", rows)

    def mean(arm: str, metric: str) -> float:
        values = [row["metrics"][metric] for row in rows if row["arm"] == arm]  # type: ignore[index]
        return sum(values) / len(values)

    metrics = [
        {"name": m, "direction": "lower" if m == "code_vulnerability" else "higher", "n": samples,
         "control": mean("control", m), "experiment": mean("experiment", m)}
        for m in METRICS
    ]  # fmt: skip
    comparison = {
        "v": 1, "stage": stage, "n": samples, "metrics": metrics, "p_value": 0.004, "effect_size": 0.9,
        "runs": {"control": ["r1"], "experiment": ["r2"]}, **more,
    }  # fmt: skip
    write(folder / "comparison.json", comparison)
    write(folder / "stats.json", {
        "test": "paired-t", "sided": "two-sided", "n": samples, "df": samples - 1, "t": 3.0,
        "p_value": 0.004, "cohens_d": 0.9, "variant": "d_z",
    })  # fmt: skip
    return folder


def training(ws: Workspace, stage: str, arm: str, *, job: str = "", **more: Any) -> Path:
    """A mirrored training of an arm that ended well.

    `more`: start, samples, losses, evals, saved, end, exit, log.
    """
    job = job or f"{stage}-{arm}".lower()
    folder = ws.runs_dir / "tower" / job
    journal = RunJournal(folder / "run.jsonl")
    samples = more.get("samples", 20)
    start = {
        "run": job, "name": job, "stage": stage, "arm": arm, "seed": 0, "attempt": 1, "max_steps": 10,
        "dataset": "/data/train.jsonl", "dataset_sha256": "a" * 64, "samples": samples, "device": "cpu",
    }  # fmt: skip
    journal.write("start", **(start | more.get("start", {})))
    for step, loss in enumerate(more.get("losses", [3.0, 2.0, 1.0]), start=1):
        journal.write("point", step=step, loss=loss)
    for step, loss in enumerate(more.get("evals", [1.3, 1.2, 1.1]), start=1):
        journal.write("eval", step=step, eval_loss=loss)
    files = more.get(
        "saved", [{"name": "adapter_model.safetensors", "bytes": 200 * 2**20, "sha256": "b"}]
    )
    if files:
        journal.write("saved", path=f"/home/u/{job}", files=files)
    end = {"status": "succeeded", "step": 10, "seconds": 3600, "peak_gpu_reserved_bytes": 8 * 10**9}
    if more.get("end") is not False:
        journal.write("end", **(end | (more.get("end") or {})))
    journal.close()
    if more.get("exit") is not False:
        ended = {"code": 0, "signal": None, "oom": False} | (more.get("exit") or {})
        write(folder / "exit.json", ended)
    write(folder / "log.txt", more.get("log", b"step 10\n"))
    return folder
