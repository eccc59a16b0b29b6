"""What the gate keeps shut, and that no way to start a job leads around it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from agents import JobSpec
from tests.unit.test_state_guards import gonogo
from tui.fleet import Fleet
from tui.roadmap.errors import UnknownId
from tui.roadmap.gate_lock import GateLocked, behind_gate, gate_lock, require_gate, stage_id
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


@pytest.mark.parametrize(
    ("stage", "means"),
    [("p2", "P2"), (" P2 ", "P2"), ("P 2", "P2"), ("phase2", "P2"), ("PHASE-2", "P2"), ("Phase  2", "P2"),
     ("phase_2", "P2"), ("Phase 2: Training", "P2"), ("Phase 2 training", "P2"),
     ("Phase 2: Training (Weeks 3-4)", "P2"), ("\uff30\uff12", "P2"), ("P\u200b2", "P2"), ("p2.tc", "P2.TC"),
     ("P2.nothing", "P2"), ("P2:TC", "P2.TC"), ("p2.tc6", "P2.TC6"), ("P2/x", "P2"), ("stage3", "S3"),
     ("s3.tc4", "S3.TC4"), ("production", "production")],
)  # fmt: skip
def test_however_a_stage_is_written_the_lock_holds(ws: Workspace, stage: str, means: str) -> None:
    assert stage_id(ws.document, stage) == means
    assert behind_gate(ws.document, stage) is not means.startswith("S3")


@pytest.mark.parametrize(
    "stage",
    ["phase2x", "P22", "2", "stage", "", " ", ".", "\u04202", "S9", "prod", "demo", "P2x.TC"],
)
def test_a_stage_that_the_plan_does_not_have_starts_nothing(ws: Workspace, stage: str) -> None:
    with pytest.raises(UnknownId, match="The plan has no stage"):
        stage_id(ws.document, stage)
    done = gonogo(ws.root, "gate", "--lock", stage, "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "UnknownId")
    ws.decide("GO", "a dry run of the whole plan", ANA, override="OVERRIDE")
    with pytest.raises(UnknownId):
        stage_id(ws.document, stage)


def test_train_names_the_stages_that_there_are(ws: Workspace) -> None:
    (ws.root / "gonogo.toml").write_text("[hosts.tower]\nlocal = true\n")
    for words in (("--stage", "phase2x"), ("--stage", ""), ("--pair", "--stage", "demo")):
        done = gonogo(ws.root, "train", *words, "--dry-run", "--json")
        assert done.returncode == 2
        assert "It has S0, S1, S2, S3, P1" in json.loads(done.stdout)["error"]["message"]


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
    queue = JobSpec("pair", (), labels={"kind": "queue", "stage": "S1"}, steps=(job,))
    with pytest.raises(GateLocked):
        await Fleet(ws).start_job("tower", queue)


@pytest.mark.parametrize(
    ("labels", "error"),
    [({"kind": "train", "stage": "phase2x"}, UnknownId), ({"kind": "train"}, UnknownId),
     ({"kind": "generate", "stage": " "}, UnknownId), ({"kind": "queue", "stage": "P 2"}, GateLocked),
     ({"stage": "P2"}, GateLocked), ({"kind": "service"}, None), ({}, None), ({"kind": "model"}, None),
     ({"kind": "train", "stage": "demo"}, None), ({"kind": "train", "stage": "S1"}, None)],
)  # fmt: skip
def test_servers_and_the_demo_belong_to_no_stage(
    ws: Workspace, labels: dict[str, str], error: type[Exception] | None
) -> None:
    with pytest.raises(error) if error else nullcontext():
        require_gate(ws, labels)
