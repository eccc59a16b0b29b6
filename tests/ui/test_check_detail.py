"""What the detail pane and the keys v, V and o make of checks: expectations, hints, old verdicts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.rule_kit import write
from tests.ui.conftest import until
from tests.ui.test_roadmap_screen import boxes, text_of
from tui.app import GonogoApp
from tui.detail import box_detail
from tui.roadmap.verify import verify
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import LinesScreen


def told(ws: Workspace, item: str) -> str:
    return box_detail(ws, ws.document.boxes[item], 40).plain


async def checked(ws: Workspace, item: str) -> str:
    verdicts = await verify(ws, [item], None)
    await asyncio.to_thread(ws.record_verdicts, verdicts, "user:ana")
    return told(ws, item)


def test_what_a_check_expects_stands_there_before_it_ran(workspace: Workspace) -> None:
    text = told(workspace, "S3.D2")
    assert "Check    split\n" in text
    assert "expect 70/15/15 in datasets/react, no id twice" in text
    assert "not verified   v checks it" in text
    assert "a hint: you tick it yourself" in told(workspace, "P5.M1")
    assert "ticked by hand, nothing measures it" in told(workspace, "NX2")
    assert "an estimate, never blocks" in told(workspace, "S3.TC2")
    assert "decided at the gate" in told(workspace, "S3.G1")


async def test_found_and_reason_are_data_and_the_next_step_is_named(workspace: Workspace) -> None:
    text = await checked(workspace, "S3.D2")
    assert "Verdict  skip" in text
    assert "reason no datasets/react/control/train.jsonl yet: made by the dataset step" in text
    write(workspace.root / "evaluation" / "checks.json", {"passed": "[red]x[/]", "failed": 1})
    text = await checked(workspace, "P3.S4")
    assert "Verdict  FAIL" in text
    assert "[red]x[/]" in text


async def test_a_hint_says_that_it_is_one(workspace: Workspace) -> None:
    write(workspace.root / "paper" / "a.tex", "\\section{Dataset}\nshort")
    text = await checked(workspace, "P5.M1")
    assert "Verdict  hint WARN" in text
    assert "“Dataset”, 1 words" in text
    write(workspace.root / "paper" / "a.tex", "\\section{Dataset}\n" + "word " * 100)
    assert "Verdict  hint ok" in await checked(workspace, "P5.M1")
    assert workspace.state.ticks == {}


async def test_a_changed_text_is_shown_with_both_wordings(workspace: Workspace) -> None:
    await checked(workspace, "S3.A1")
    folder = workspace.root / "evaluation" / "results" / "S3"
    write(folder / "stats.json", {"p_value": 0.01})
    assert "Verdict  ok" in await checked(workspace, "S3.A1")
    plan = workspace.root / "ROADMAP.md"
    plan.write_text(
        plan.read_text("utf-8").replace("Run significance test", "Run a sign test"), "utf-8"
    )
    again = Workspace.open(workspace.root)
    await asyncio.to_thread(again.reconcile, ["S3.A1"], "user:ana")
    text = told(again, "S3.A1")
    assert "Verdict  old" in text
    assert "was      ok   v checks again" in text
    assert "Run significance test" in text
    assert "now reads “Run a sign test" in text


def test_a_wrong_binding_is_named_in_the_pane(workspace: Workspace) -> None:
    (workspace.root / "bindings.toml").write_text('["S1.K1"]\nrule = "sampels"\n')
    assert "wrong  bindings.toml:1: S1.K1.rule: there is no “sampels”" in told(workspace, "S1.K1")


async def test_the_key_v_shows_progress_and_o_opens_what_was_found(workspace: Workspace) -> None:
    folder = workspace.root / "datasets" / "reports"
    write(folder / "quality.json", {"open": 0, "control": {}, "experiment": {}})
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.pause()
        app.screen.go_to("P1.Q4")  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press("v")
        await until(pilot, lambda: "P1.Q4" in workspace.state.verdicts, 5, "the verdict")
        await until(pilot, lambda: "hint" in text_of(boxes(app)), 5, "the word in the row")
        assert "[ ] Q4" in text_of(boxes(app))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, LinesScreen), 5, "the evidence")
        assert '"rule": "json"' in text_of(app.screen.query_one("#lines"))  # type: ignore[arg-type]
        await pilot.press("escape")
        await pilot.press("V")
        await until(pilot, lambda: len(workspace.state.verdicts) >= 43, 10, "all of the section")
        name = workspace.state.verdicts["P1.Q4"].evidence
        path = workspace.evidence_path(name)
        await asyncio.to_thread(path.write_text, json.dumps({"open": 9}))
        app.screen.go_to("P1.Q4")  # type: ignore[attr-defined]
        await pilot.press("o")
        await until(
            pilot,
            lambda: any("was changed" in n.message for n in app._notifications),
            5,
            "the refusal",
        )


def test_evidence_is_bounded(workspace: Workspace, tmp_path: Path) -> None:
    name = workspace.put_evidence({"x": "y" * 400_000})
    assert len(workspace.read_evidence(name)) <= 256 * 1024
