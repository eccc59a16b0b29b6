"""Scenario 26: the plan is edited while the app is open, or between two commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace
from tui.screens.reconcile import ReconcileScreen
from tui.widgets.row_list import RowList


def edit(workspace: Workspace, old: str, new: str) -> None:
    path = workspace.root / "ROADMAP.md"
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")


def asked(app: GonogoApp) -> bool:
    screen = app.screen
    lists = screen.query(RowList) if isinstance(screen, ReconcileScreen) else []
    return any(rows.rows for rows in lists)


async def test_scenario_26_a_changed_number_is_asked_and_makes_the_verdict_old(
    workspace: Workspace,
) -> None:
    label = workspace.document.boxes["S0.S4"].label
    workspace.record_verdicts([Verdict("S0.S4", "PASS", label=label)], "probe:server")
    workspace.tick("S0.T1", "user:ana")
    lines = len((workspace.root / "state.jsonl").read_bytes().splitlines())
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        edit(workspace, "300+ GB storage", "500+ GB storage")
        await until(pilot, lambda: asked(app), 5, "the question")
        screen = app.screen
        assert isinstance(screen, ReconcileScreen)
        assert [q.old for q in screen.questions] == ["S0.S4"]
        rows = screen.query_one(RowList)
        assert "[same]" in rows.rows[0].draw(80).plain
        await pilot.press("space")
        assert "[new]" in rows.rows[0].draw(80).plain
        await pilot.press("escape")
        await pilot.pause()
        assert "S0.S4" not in workspace.document.boxes, "later: nothing was attached"
        await pilot.press("equals_sign")
        await until(pilot, lambda: asked(app), 5, "asked again")
        await pilot.press("enter")
        await until(pilot, lambda: "S0.S4" in workspace.document.boxes, 5, "settled")
    assert len((workspace.root / "state.jsonl").read_bytes().splitlines()) == lines + 1
    again = Workspace.open(workspace.root)
    assert again.state.ticks["S0.S4"].done
    assert "500" in again.document.boxes["S0.S4"].label


def test_scenario_26_from_the_command_line(workspace: Workspace) -> None:
    workspace.tick("S0.S4", "user:ana")
    edit(workspace, "300+ GB storage", "500+ GB storage")

    def run(*words: str) -> tuple[int, dict[str, object]]:
        command = [sys.executable, "-m", "tui.cli", "reconcile", *words, "--json"]
        done = subprocess.run(
            [*command, "-C", str(workspace.root)], capture_output=True, check=False
        )
        return done.returncode, json.loads(done.stdout)

    before = Path(workspace.root / "state.jsonl").read_bytes()
    code, said = run()
    assert code == 1
    assert [q["old"] for q in said["questions"]] == ["S0.S4"]  # type: ignore[attr-defined,index]
    assert Path(workspace.root / "state.jsonl").read_bytes() == before
    assert run("S0.T1")[0] == 2
    code, said = run("--accept-all")
    assert code == 0
    assert run() == (
        0,
        {"ok": True, "questions": [], "lost": [], "new": [], "orphans": [], "many_lost": False},
    )
