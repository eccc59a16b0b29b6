"""The roadmap screen by keys: what a person does and what then stands on the screen and in the file."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from textual.widgets import Input, Label, Static

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import ConfirmScreen, FormScreen, LinesScreen
from tui.screens.item import ItemScreen
from tui.screens.roadmap import RoadmapScreen
from tui.widgets.row_list import RowList


def text_of(rows: RowList) -> str:
    return "\n".join(row.draw(100).plain for row in rows.rows)


def boxes(app: GonogoApp) -> RowList:
    return app.screen.query_one("#boxes", RowList)


async def test_a_tick_is_on_the_disk_before_the_screen_says_saved(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        assert "[ ] T1" in text_of(boxes(app))
        await pilot.press("space")
        await until(pilot, lambda: app.saved.startswith("saved"), 5, "saved")
        last = json.loads((workspace.root / "state.jsonl").read_bytes().splitlines()[-1])
        assert (last["do"], last["item"], last["by"]) == ("tick", "S0.T1", "user:ana")
        assert "[x] T1" in text_of(boxes(app))
        await pilot.press("u")
        await until(pilot, lambda: "[ ] T1" in text_of(boxes(app)), 5, "undone")
        await pilot.press("U")
        await until(pilot, lambda: "[x] T1" in text_of(boxes(app)), 5, "redone")


async def test_changing_the_stage_settles(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    original = RoadmapScreen.update_state

    def counted(self: RoadmapScreen) -> None:
        drawn.append(self.section_id)
        original(self)

    monkeypatch.setattr(RoadmapScreen, "update_state", counted)
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        for _ in range(3):
            await pilot.press("right_square_bracket")
        await pilot.pause()
        settled = len(drawn)
        await asyncio.sleep(0.4)
        await pilot.pause()
        assert drawn[-1] == "S3"
        assert len(drawn) == settled, "the screen redraws itself for ever"
        nav = app.screen.query_one("#sections", RowList)
        nav.focus()
        await pilot.press("down")
        await pilot.pause()
        assert app.screen.section_id == "P1"


async def test_a_field_refuses_nonsense_and_keeps_what_was_typed(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.pause()
        boxes(app).select("field:S0.date")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, FormScreen), 5, "the form")
        await pilot.press(*"soon", "enter")
        error = app.screen.query_one("#error", Label)
        await until(pilot, lambda: "YYYY-MM-DD" in str(error.content), 5, "the reason")
        assert isinstance(app.screen, FormScreen)
        field = app.screen.query_one(Input)
        assert field.value == "soon"
        field.value = "2026-01-05"
        await pilot.press("enter")
        await until(pilot, lambda: "S0.date" in workspace.state.fields, 5, "the date")
        assert "2026-01-05" in text_of(boxes(app))


async def test_a_passed_box_asks_before_it_is_unticked(workspace: Workspace) -> None:
    evidence = workspace.put_evidence({"seen": "[/] not markup"})
    verdict = Verdict("S0.T1", "PASS", "a", "b [x]", 0.1, evidence=evidence, at=1, by="probe:tower")
    workspace.record_verdicts([verdict], "probe:tower")
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "[x] T1" in text_of(boxes(app))
        await pilot.press("space")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), 5, "the question")
        await pilot.press("n")
        await pilot.pause()
        assert "S0.T1" in workspace.state.ticks
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, LinesScreen), 5, "the evidence")
        assert "[/] not markup" in text_of(app.screen.query_one("#lines", RowList))
        await pilot.press("escape")
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen), 5, "the detail")
        assert "b [x]" in str(app.screen.query_one("#item", Static).content)


async def test_a_command_line_change_appears_and_keeps_the_cursor(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("down", "down")
        other = Workspace.open(workspace.root)
        other.tick("S0.S4", "cli:ana")
        await until(
            pilot, lambda: "[x] S4" in text_of(boxes(app)), 2, "the tick of another program"
        )
        assert boxes(app).key == "S0.T3"
        await pilot.press("u")
        await until(
            pilot,
            lambda: any("nothing of yours" in n.message for n in app._notifications),
            5,
            "refused",
        )
        assert "[x] S4" in text_of(boxes(app))


async def test_the_filter_narrows_and_go_boxes_lead_to_the_gate(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("slash", *"docker", "enter")
        await pilot.pause()
        shown = [
            row.key
            for row in boxes(app).rows
            if row.selectable and not row.key.startswith("field:")
        ]
        assert shown == ["S0.T1", "S0.T5", "S0.T6", "S0.S1", "S0.S2", "S0.C3"]
        app.screen.filter_text = ""
        app.screen.go_to("S3.G1")
        await pilot.press("space")
        await pilot.pause()
        assert app.current_mode == "gate"
        assert not workspace.state.ticks


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 36), (200, 60), (60, 16), (40, 12)])
async def test_every_screen_draws_at_every_size(
    workspace: Workspace, size: tuple[int, int]
) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=size) as pilot:
        for key in "12345":
            await pilot.press(key)
            await pilot.pause()
        await pilot.press("1")
        await pilot.resize_terminal(120, 36)
        await pilot.pause()
        if size == (80, 24):
            await pilot.resize_terminal(80, 24)
            await pilot.pause()
            assert boxes(app).size.height >= 14


async def test_read_only_says_so_and_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    before = (workspace.root / "state.jsonl").read_bytes()
    app = GonogoApp(Workspace.open(workspace.root, read_only=True))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.press("space")
        await until(
            pilot,
            lambda: any("read-only" in n.message for n in app._notifications),
            5,
            "the reason",
        )
    assert (workspace.root / "state.jsonl").read_bytes() == before
