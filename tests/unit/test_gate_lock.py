"""What the gate keeps shut, and that no way to start a job leads around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents import JobSpec
from tui.fleet import Fleet
from tui.roadmap.gate_lock import GateLocked, behind_gate, gate_lock
from tui.roadmap.workspace import Workspace

ANA = "user:ana"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


@pytest.mark.parametrize(
    ("stage", "behind"),
    [("P2", True), ("p2", True), ("P2.TC", True), ("Phase 2", True), ("production", True), ("P5", True),
     ("S0", False), ("S3", False), ("S3.TC4", False), ("Stage 3", False), ("demo", False), ("", False)],
)  # fmt: skip
def test_what_lies_behind_the_gate(ws: Workspace, stage: str, behind: bool) -> None:
    assert behind_gate(ws.document, stage) is behind
    assert bool(gate_lock(ws, stage)) is behind


def test_only_go_opens_and_anything_later_shuts_again(ws: Workspace) -> None:
    assert gate_lock(ws, "P2") == (
        "P2 is locked until the gate says GO; it is not decided. Decide at the gate (2) first."
    )
    ws.decide("HOLD", "too early", ANA)
    assert "it says HOLD" in gate_lock(ws, "P2")
    ws.decide("GO", "a dry run of the whole plan", ANA, override="OVERRIDE")
    assert gate_lock(ws, "P2") == ""
    ws.decide("NO-GO", "the dry run was wrong", ANA)
    assert "it says NO-GO" in gate_lock(ws, "P2")


def test_a_plan_without_a_gate_locks_nothing(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text="## P2\n- [ ] x\n")
    assert gate_lock(ws, "P2") == gate_lock(ws, "production") == ""


async def test_no_job_of_a_locked_stage_reaches_a_link(ws: Workspace) -> None:
    job = JobSpec("production-control", ("true",), labels={"kind": "train", "stage": "P2"})
    with pytest.raises(GateLocked, match="P2 is locked"):
        await Fleet(ws).start_job("tower", job)
