"""kill -9 at the entry of every system call of three commits: nothing acknowledged is lost, nothing is half.

The tracer is shown to find the faults of a plain open("w") and of a writer that says saved too early.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit import ptrace_killer
from tui.roadmap.journal import Journal

ROOT = Path(__file__).parents[2]


def kill_everywhere(folder: Path, writer: str) -> list[dict[str, int]]:
    """One entry for each kill point; skips where the kernel forbids tracing."""
    argv = [sys.executable, "-m", "tests.unit.ptrace_killer", str(folder), writer, "1", "2000"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)
    if done.returncode or "forbidden" in done.stdout:
        pytest.skip(f"ptrace is not possible here: {done.stderr.strip().splitlines()[-1:]}")
    points = [json.loads(line) for line in done.stdout.splitlines()]
    assert points[-1]["ended"], "the writer was never seen to end"
    assert all(not point["ended"] for point in points[:-1])
    return points


def loss(folder: Path, acknowledged: int) -> str:
    """What is wrong with a journal after a kill, "" for nothing."""
    journal = Journal(folder / "state.jsonl")
    items = [record.item for record in journal.records]
    if journal.problem:
        return f"unreadable: {journal.problem}"
    if (
        items != [f"F{n}" for n in range(len(items))]
        or not acknowledged <= len(items) <= acknowledged + 1
    ):
        return f"{acknowledged} acknowledged, found {items}"
    if any(record.data["new"] != "x" * 50 for record in journal.records):
        return "a half record"
    with journal.exclusive():
        journal.write({"by": "t", "do": "field", "item": "next", "old": None, "new": "y"})
    again = Journal(folder / "state.jsonl")
    if [record.item for record in again.records] != [*items, "next"] or again.torn or again.problem:
        return "cannot go on"
    return (
        "" if again.chain.lines_of_work == 1 and not again.chain.missing else "the chain is broken"
    )


def test_scenario_20_a_kill_at_any_system_call_loses_nothing_acknowledged(tmp_path: Path) -> None:
    points = kill_everywhere(tmp_path, "ours")
    assert len(points) > 60, "three commits are more system calls than that"
    assert {point["acknowledged"] for point in points} == {0, 1, 2, 3}
    wrong = {
        point["point"]: loss(tmp_path / str(point["point"]), point["acknowledged"])
        for point in points
    }
    assert {number: text for number, text in wrong.items() if text} == {}


def test_the_same_kills_catch_a_writer_that_says_saved_too_early(tmp_path: Path) -> None:
    points = kill_everywhere(tmp_path, "early")
    assert any(loss(tmp_path / str(p["point"]), p["acknowledged"]) for p in points)


def test_the_same_kills_catch_a_plain_open_for_writing(tmp_path: Path) -> None:
    unreadable = 0
    for point in kill_everywhere(tmp_path, "naive"):
        path = tmp_path / str(point["point"]) / "state.json"
        try:
            kept = len(json.loads(path.read_text())) if path.exists() else 0
        except ValueError:
            kept = -1
        unreadable += kept < point["acknowledged"]
    assert unreadable >= 3


def test_without_a_kill_all_writers_finish(tmp_path: Path) -> None:
    for name, writer in ptrace_killer.WRITERS.items():
        folder = tmp_path / name
        folder.mkdir()
        with (tmp_path / f"{name}.out").open("wb") as out:
            writer(folder, out.fileno())
        assert (tmp_path / f"{name}.out").read_bytes() == b"..."
