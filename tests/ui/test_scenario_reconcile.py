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
from tui.screens.dialogs import ChoiceScreen, LinesScreen
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

        def row(key: str) -> str:
            return next(r for r in rows.rows if r.key == key).draw(80).plain

        assert "[same]" in row("S0.S4")
        await pilot.press("space")
        assert "[new]" in row("S0.S4")
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
    code, said = run()
    assert (code, said["ok"]) == (0, True)
    assert not any(said[key] for key in ("questions", "lost", "new", "new_blanks", "orphans"))


async def test_what_lost_its_place_is_matched_by_hand(workspace: Workspace) -> None:
    workspace.tick("S0.S4", "user:ana")
    workspace.set_field("KM.f1.control", "0.58", "user:ana")
    edit(workspace, "300+ GB storage available: `df -h`", "A disk of half a terabyte")
    edit(workspace, "| F1 Score", "| Harmonic mean of both")
    edit(workspace, "Verify loss decreases", "Confirm loss decreases")
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        if not asked(app):
            await pilot.press("equals_sign")
        await until(pilot, lambda: asked(app), 5, "the question")
        screen = app.screen
        assert isinstance(screen, ReconcileScreen)
        rows = screen.query_one(RowList)
        title = screen._title()
        assert "1 new, 1 lost" in title
        drawn = [row.draw(70).plain for row in rows.rows]
        assert any("A disk of half a terabyte" in line for line in drawn), "what is new is listed"
        assert any("aside KM.f1.control (0.58)" in line for line in drawn)
        await pilot.press("r")
        assert any("[new]" in row.draw(70).plain for row in rows.rows)
        await pilot.press("a")
        assert any("[same]" in row.draw(70).plain for row in rows.rows)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, LinesScreen), 5, "the two texts")
        assert isinstance(app.screen, LinesScreen)
        shown = [row.draw(80).plain for row in app.screen.query_one(RowList).rows]
        assert any("+- [ ] A disk of half a terabyte" in line for line in shown)
        await pilot.press("escape")
        for old in ("S0.S4", "KM.f1.control"):
            assert rows.select(f"gone {old}")
            await pilot.press("m")
            await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 5, "the new places")
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is screen, 5, "back")
        assert screen.matched == {
            "S0.S4": "S0.S.a_disk_of_half_a_terabyte",
            "KM.f1.control": "KM.harmonic_mean_of_both.control",
        }
        rows.focus()
        await pilot.press("enter")
        await until(pilot, lambda: not workspace.orphans, 5, "settled")
    again = Workspace.open(workspace.root)
    assert again.document.boxes["S0.S4"].label == "A disk of half a terabyte"
    assert again.state.ticks["S0.S4"].done
    assert again.document.fields["KM.f1.control"].line
    assert not again.needs_reconcile


async def test_many_gone_want_a_typed_yes_and_another_edit_wants_another_look(
    workspace: Workspace,
) -> None:
    workspace.tick("S1.K1", "user:ana")
    path = workspace.root / "ROADMAP.md"
    whole = path.read_text("utf-8")
    path.write_text(whole[: len(whole) // 2], "utf-8")
    app = GonogoApp(workspace)
    before = (workspace.root / "state.jsonl").read_bytes()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        if not asked(app):
            await pilot.press("equals_sign")
        await until(pilot, lambda: asked(app), 5, "the question")
        screen = app.screen
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is screen, "not without a yes"
        path.write_text(whole, "utf-8")
        await until(pilot, lambda: not workspace.reading.many_lost, 5, "the old text is seen")
        await pilot.press("y", "e", "s", "enter")
        await until(pilot, lambda: app.screen is not screen, 5, "closed")
        await pilot.pause(0.2)
    assert (workspace.root / "state.jsonl").read_bytes() == before
    assert len(workspace.document.boxes) == 288
