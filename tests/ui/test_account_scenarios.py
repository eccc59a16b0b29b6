"""Gate, blanks, money and waivers as a person drives them: by keys, and by the command as a process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, Label

from tests.ui.conftest import until
from tests.unit.test_gate import comparison, put
from tui.app import GonogoApp
from tui.roadmap.attention import attention
from tui.roadmap.progress import section_progress
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace
from tui.screens.decide import DecideScreen
from tui.screens.dialogs import FormScreen
from tui.screens.gate import GateScreen
from tui.screens.roadmap import RoadmapScreen
from tui.widgets.row_list import RowList

TODAY = date.today().isoformat()  # noqa: DTZ011 - a local calendar day
BY = "user:ana"


def gonogo(root: Path, *arguments: str, code: int = 0) -> Any:
    """The command as a process of its own, with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", "-C", str(root), *arguments, "--json"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def exported(root: Path) -> list[str]:
    """Lines of the export; the first is line 1 of the plan."""
    return ["", *gonogo(root, "export")["markdown"].split("\n")]


def records(root: Path) -> int:
    return len((root / "state.jsonl").read_bytes().splitlines())


def text_of(app: GonogoApp, name: str, width: int = 100) -> str:
    return "\n".join(row.draw(width).plain for row in app.screen.query_one(name, RowList).rows)


def row_of(app: GonogoApp, name: str, key: str, width: int = 100) -> Any:
    rows = app.screen.query_one(name, RowList).rows
    return next(row for row in rows if row.key == key).draw(width)


async def open_box(app: GonogoApp, pilot: Pilot[None], box_id: str) -> None:
    """The roadmap with the cursor on a box."""
    await pilot.pause()
    assert isinstance(app.screen, RoadmapScreen)
    app.screen.go_to(box_id)
    await pilot.pause()
    assert app.screen.current_key() == box_id


async def shown(app: GonogoApp, pilot: Pilot[None], kind: type, what: str) -> None:
    await until(pilot, lambda: isinstance(app.screen, kind), 5, what)
    await pilot.pause()


def trained(ws: Workspace) -> None:
    """Both models of Stage 3 were trained."""
    passed = [Verdict(i, "PASS", evidence=f"sha256:{'a' * 64}") for i in ("S3.TC4", "S3.TE4")]
    ws.record_verdicts(passed, "probe:tower")


async def test_scenario_08_a_parent_counts_its_ten_metrics(workspace: Workspace) -> None:
    workspace.decide("GO", "a dry run of the whole plan", BY, override="OVERRIDE")
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await open_box(app, pilot, "P3.E1.1")
        for number in range(1, 11):
            await pilot.press("space")
            box = f"P3.E1.{number}"
            await until(pilot, lambda box=box: box in workspace.state.ticks, 5, f"{box} ticked")
            await pilot.pause()
            line = row_of(app, "#boxes", "P3.E1").plain
            assert ("[x]" if number == 10 else f"[-] {number}/10") in line
            await pilot.press("down")
        app.screen.query_one("#boxes", RowList).select("P3.E1")
        before = records(workspace.root)
        await pilot.press("space")
        await until(
            pilot,
            lambda: any("computed from 10 items" in n.message for n in app._notifications),
            5,
            "the reason",
        )
        assert records(workspace.root) == before


async def test_scenario_09_the_last_box_of_a_stage_proposes_its_date(workspace: Workspace) -> None:
    boxes = [b.id for b in workspace.document.section("S0").boxes]  # type: ignore[union-attr]
    for box in boxes[:-1]:
        workspace.tick(box, BY)
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_box(app, pilot, boxes[-1])
        await pilot.press("space")
        await shown(app, pilot, FormScreen, "the question")
        assert app.screen.form_title == f"Stage 0 complete. Date Completed {TODAY}?"
        await pilot.press("enter")
        await until(pilot, lambda: "S0.date" in workspace.state.fields, 5, "the date")
    assert exported(workspace.root)[71] == f"**Date Completed:** {TODAY}"
    gonogo(workspace.root, "untick", "S0.T1")
    assert exported(workspace.root)[71] == f"**Date Completed:** {TODAY}", (
        "reopening keeps the date"
    )


@pytest.mark.parametrize("typed", ["2031-01-01", "soon", "2026-13-01"])
async def test_scenario_10_a_bad_date_is_refused_and_the_old_one_stays(
    workspace: Workspace, typed: str
) -> None:
    workspace.set_field("S0.date", "2026-01-05", BY)
    before = records(workspace.root)
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.screen.query_one("#boxes", RowList).select("field:S0.date")
        await pilot.press("e")
        await shown(app, pilot, FormScreen, "the form")
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        error = app.screen.query_one("#error", Label)
        sentence = "date must be YYYY-MM-DD, not after today"
        await until(pilot, lambda: sentence in str(error.content), 5, "the sentence")
        assert app.screen.query_one(Input).value == typed
        await pilot.press("escape")
        await pilot.pause()
        assert "2026-01-05" in row_of(app, "#boxes", "field:S0.date").plain
    assert (workspace.state.fields["S0.date"].value, records(workspace.root)) == (
        "2026-01-05",
        before,
    )
    answer = gonogo(workspace.root, "field", "S0.date", typed, code=2)
    assert sentence in answer["error"]["message"]


async def test_scenario_11_ticking_go_opens_the_gate(workspace: Workspace) -> None:
    before = records(workspace.root)
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        for box in ("S3.G1", "S3.G2"):
            await open_box(app, pilot, box)
            await pilot.press("space")
            await shown(app, pilot, GateScreen, "the gate")
            await pilot.press("1")
            await shown(app, pilot, RoadmapScreen, "the roadmap")
            assert "[ ]" in row_of(app, "#boxes", box).plain
    assert records(workspace.root) == before
    assert gonogo(workspace.root, "tick", "S3.G1", code=2)["error"]["kind"] == "InvalidValue"


async def sign(app: GonogoApp, pilot: Pilot[None], outcome: int, reason: str) -> DecideScreen:
    """Open the form at the gate, choose the outcome by its place, type the reason."""
    await pilot.press("2")
    await shown(app, pilot, GateScreen, "the gate")
    await pilot.press("d")
    await shown(app, pilot, DecideScreen, "the form")
    screen = app.screen
    assert isinstance(screen, DecideScreen)
    await pilot.press(*["down"] * outcome, "space", "tab")
    await pilot.press(*reason)
    await pilot.pause()
    return screen


async def test_scenario_12_all_six_go_is_signed(workspace: Workspace) -> None:
    trained(workspace)
    put(workspace, comparison())
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await sign(app, pilot, 0, "clear numbers")
        assert screen.missing() == ""
        await pilot.press("enter", "enter")
        await until(pilot, lambda: workspace.state.decision is not None, 5, "the decision")
        await shown(app, pilot, GateScreen, "the gate again")
        assert "rule says GO" in text_of(app, "#criteria")
    lines = exported(workspace.root)
    assert lines[204].startswith("- [x] ✅ **GO**")
    assert lines[205].startswith("- [ ] ❌ **NO-GO**")
    assert lines[199:202] == [
        "**Experiment Model Improvement:** 12.4%",
        "**Statistical Significance (p-value):** 0.0310",
        "**Effect Size (Cohen's d):** 0.62",
    ]
    assert lines[208] == f"**Decision Date:** {TODAY}"
    assert lines[29].startswith("- [x]")
    assert "clear numbers" in lines[209]


async def test_scenario_13_against_the_rule_only_with_word_and_reason(workspace: Workspace) -> None:
    trained(workspace)
    put(workspace, comparison(p=0.18))
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await sign(app, pilot, 0, "far too short")
        button, override = screen.query_one("#sign", Button), screen.query_one("#override", Input)
        assert button.disabled
        assert override.display
        await pilot.press("tab", *"OVERRIDE")
        await pilot.pause()
        assert button.disabled, "the reason has only 13 characters"
        await pilot.press("shift+tab", "end", *", but we must go on")
        await pilot.pause()
        assert not button.disabled
        override.value = "override"
        await pilot.pause()
        assert button.disabled
        override.value = "OVERRIDE"
        await pilot.pause()
        button.focus()
        await pilot.press("enter")
        await until(pilot, lambda: workspace.state.decision is not None, 5, "the decision")
        await shown(app, pilot, GateScreen, "the gate again")
        decision = workspace.state.decision
        assert decision is not None
        line = row_of(app, "#criteria", f"decision:{decision.id}", 110)
        place = line.plain.index("against the rule")
        assert any(s.start <= place < s.end and "$error" in str(s.style) for s in line.spans), "red"
    last = json.loads((workspace.root / "state.jsonl").read_bytes().splitlines()[-1])
    assert last["new"]["override"] is True
    assert "Against the rule" in exported(workspace.root)[209]


async def test_scenario_14_exactly_ten_percent_is_no_go(workspace: Workspace) -> None:
    trained(workspace)
    put(workspace, comparison(gain=10.0))
    answer = gonogo(workspace.root, "gate")
    found = {c["id"]: c for c in answer["criteria"]}["C2"]
    assert (found["verdict"], found["threshold"], found["value"]) == ("NO-GO", "> 10 %", "+10.0 %")
    assert answer["rule"] == "NO-GO"
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await shown(app, pilot, GateScreen, "the gate")
        line = row_of(app, "#criteria", "C2", 80).plain
        assert "NO-GO   +10.0 %    > 10 %" in line


async def test_scenario_15_hold_is_superseded_by_go(workspace: Workspace) -> None:
    root = workspace.root
    first = gonogo(root, "decide", "HOLD", "--reason", "collect more samples")["decision"]
    assert exported(root)[204].startswith("- [ ]")
    trained(workspace)
    put(workspace, comparison())
    second = gonogo(root, "decide", "GO", "--reason", "now it is clear")["decision"]
    assert second["supersedes"] == first["id"]
    assert exported(root)[204].startswith("- [x]")
    history = gonogo(root, "gate")["history"]
    assert [entry["sha256"] for entry in history] == [first["sha256"], second["sha256"]]
    workspace.refresh()
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("2")
        await shown(app, pilot, GateScreen, "the gate")
        text = text_of(app, "#criteria", 120)
        assert first["sha256"][:8] in text
        assert second["sha256"][:8] in text
        assert f"supersedes {first['id'][-6:]}" in text


async def test_scenario_16_a_row_over_its_plan(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3", "j", "j", "j", "dollar_sign")
        await shown(app, pilot, FormScreen, "the form")
        assert app.screen.query_one("#in-row", Input).value == "Stage 3"
        await pilot.press("enter", *"13.10", "enter", "enter", "enter", "enter")
        await until(pilot, lambda: workspace.state.costs, 5, "the cost")
        await pilot.pause()
        line = row_of(app, "#budget", "row:Stage 3", 80).plain
        for word in ("13.10", "-1.10", "109%", "OVER"):
            assert word in line
        assert "13.10" in row_of(app, "#budget", "total", 80).plain
    assert exported(workspace.root)[552] == "**Budget Status:** $255.90 under budget"
    gonogo(workspace.root, "cost", "P2", "0.1")
    gonogo(workspace.root, "cost", "P2", "0.2")
    assert 0.1 + 0.2 != 0.3
    rows = {row["row"]: row for row in gonogo(workspace.root, "budget")["rows"]}
    assert rows["Phase 2"]["actual"] == "0.30"


def test_scenario_17_unknown_rows_stay_unknown(workspace: Workspace) -> None:
    for row, amount in (("S0", "0"), ("S1", "0"), ("S2", "1.10"), ("S3", "13.10")):
        workspace.add_cost(row, amount, BY)
    lines = exported(workspace.root)
    assert [lines[n].split("|")[3].strip() for n in range(545, 550)] == ["$____"] * 5
    assert lines[550].split("|")[3:5] == [" **$14.20** ", " 5 rows unknown "]
    assert lines[541].split("|")[3].strip() == "$0.00", "zero was typed"
    assert not any("$0.00" in lines[n] for n in range(545, 551))


async def test_scenario_18_a_void_is_struck_through_and_kept(workspace: Workspace) -> None:
    workspace.add_cost("S3", "13.10", BY, "azure")
    original = (workspace.root / "state.jsonl").read_bytes().splitlines()[-1]
    before = records(workspace.root)
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3", "G", "x")
        await shown(app, pilot, FormScreen, "why")
        await pilot.press(*"typed twice", "enter")
        await until(pilot, lambda: workspace.state.costs[0].voided, 5, "the void")
        await pilot.pause()
        line = row_of(app, "#budget", f"cost:{workspace.state.costs[0].id}", 80)
        assert any("strike" in str(span.style) for span in line.spans)
        assert "void: typed twice" in line.plain
        assert "0.00" in row_of(app, "#budget", "total", 80).plain
    assert records(workspace.root) == before + 1
    assert original in (workspace.root / "state.jsonl").read_bytes().splitlines()
    assert gonogo(workspace.root, "cost")["spent"] == "0.00"


async def test_scenario_19_a_waiver_counts_until_it_ends(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_box(app, pilot, "S0.L4")
        await pilot.press("w")
        await shown(app, pilot, FormScreen, "the form")
        await pilot.press(*"no VS Code on this laptop", "enter", *"91", "enter")
        error = app.screen.query_one("#error", Label)
        await until(pilot, lambda: "1 to 90 days" in str(error.content), 5, "the refusal")
        app.screen.query_one("#in-until", Input).value = "30"
        await pilot.press("enter")
        await until(pilot, lambda: "S0.L4" in workspace.state.ticks, 5, "the waiver")
        await pilot.pause()
        assert "[w]" in row_of(app, "#boxes", "S0.L4").plain
        assert section_progress(workspace.document, workspace.state, "S0") == (1, 19)
        lines = exported(workspace.root)
        assert lines[63].startswith("- [x]")
        assert "waived" not in "\n".join(lines[:640])
        assert "(waived: no VS Code on this laptop; until " in "\n".join(lines[640:])
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 31 * 86_400)
        app.screen.update_all()
        assert "[ ]" in row_of(app, "#boxes", "S0.L4").plain
        assert section_progress(workspace.document, workspace.state, "S0") == (0, 19)
        found = [entry for entry in attention(workspace) if entry.item == "S0.L4"]
        assert "waiver ran out" in found[0].text
