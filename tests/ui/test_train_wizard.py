"""The start wizard: choices, the exact plan with its checks, and a start that a person confirmed."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Label, Select, Static

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.train import PlanScreen, TrainScreen

SETTINGS = """\
title = "Plan"
[hosts.tower]
local = true
simulate_gpu = true
python = "{python}"
[training]
dataset = "datasets/small.jsonl"
model = "~/model"
max_steps = 7
disk_gb = 0.001
"""


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """This machine as the tower, with a stand-in for the interpreter of the trainings."""
    home = tmp_path / "home"
    (home / "model").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    python = home / "python"
    python.write_text("#!/bin/sh\nseq 30\necho $0 loss 4.5\nseq 50\n")
    python.chmod(0o755)
    ws = Workspace.create(tmp_path / "ws", settings_text=SETTINGS.format(python=python))
    (ws.root / "datasets").mkdir(exist_ok=True)
    (ws.root / "datasets/small.jsonl").write_text("{}\n")
    return ws


def text(app: GonogoApp) -> str:
    """The plan as it is drawn."""
    return str(app.screen.query_one("VerticalScroll Static", Static).content)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_a_pair_from_the_keys(ws: Workspace, size: tuple[int, int], tmp_path: Path) -> None:
    app = GonogoApp(ws)
    async with app.run_test(size=size) as pilot:
        store = app.fleet.store
        await until(pilot, lambda: store.hosts["tower"].gauge is not None, 20, "a gauge")
        await pilot.press("5", "t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen), 5, "the wizard")
        for line in app.screen.query(".form-line"):
            assert app.screen.region.contains_region(line.region), line
        app.screen.query_one("#in-arm", Select).value = "pair"
        app.screen.query_one("#in-stage", Input).value = "production"
        app.screen.query_one("#in-steps", Input).value = "none"
        await pilot.press("ctrl+s")
        assert "Steps" in str(app.screen.query_one("#error", Label).content)
        app.screen.query_one("#in-steps", Input).value = "9"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen), 10, "the plan")
        assert "locked until the gate says GO" in text(app)
        await pilot.press("y")
        assert isinstance(app.screen, PlanScreen)  # a check failed: nothing starts
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen), 5, "the choices again")
        assert app.screen.query_one("#in-steps", Input).value == "9"
        app.screen.query_one("#in-stage", Input).value = "S1"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen), 10, "the plan")
        shown = text(app)
        assert f"{tmp_path}/home/python -m pipeline.training.train --model {tmp_path}" in shown
        assert "--arm experiment --seed 0 --max-steps 9" in shown
        assert "is sent to" in shown
        assert not any(job.state for job in store.jobs.values())
        await pilot.press("y")
        jobs = tmp_path / "home/.gonogo/jobs"
        await until(pilot, lambda: list(jobs.glob("pair-s0-*/exit.json")), 20, "the pair has run")
        assert len(list(jobs.glob("experiment-s0-*/exit.json"))) == 1
        assert (tmp_path / "home/gonogo/datasets/small.jsonl").read_text() == "{}\n"
