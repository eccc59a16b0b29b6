"""A start whose agent or supervisor is killed at any moment: one run at most, none denied while it lives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def killed(folder: Path, who: str) -> list[dict[str, object]]:
    argv = [sys.executable, "-m", "tests.unit.start_killer", str(folder), who, "1", "400"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=170, check=False)
    points = [json.loads(line) for line in done.stdout.splitlines()]
    if points and points[0]["calls"] < 0:
        pytest.skip("nothing may be traced here")
    assert points, done.stderr
    assert points[-1]["ended"], done.stderr
    return points


def test_an_agent_that_dies_while_it_starts_a_job_changes_nothing(tmp_path):
    """Whoever asks again gets the one job, run once, with its exit code."""
    points = killed(tmp_path, "agent")
    assert len(points) > 50
    told = {(p["jobs"], p["runs"], p["state"], p["denied"], *p["left"]) for p in points}
    assert told == {(1, 1, "succeeded", False)}


def test_a_supervisor_that_dies_costs_the_exit_code_at_most(tmp_path):
    points = killed(tmp_path, "supervisor")
    assert len(points) > 100
    assert {p["jobs"] for p in points} == {1}
    assert not any(p["denied"] for p in points)
    assert {(p["runs"], p["state"]) for p in points} <= {
        (1, "succeeded"), (0, "lost"), (1, "lost"),
    }  # fmt: skip
    # Until its processes are written down, the start is simply taken over.
    named = next(i for i, p in enumerate(points) if p["state"] == "lost")
    assert named > 80
    # A supervisor that is not killed writes the code, although nobody hears its first word.
    assert (points[-1]["runs"], points[-1]["state"], points[-1]["left"]) == (1, "succeeded", [])
