"""The roadmap as panes: folding, views and attention below the stages, one item whole, empty plans."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Static

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace
from tui.screens.item import ItemScreen
from tui.screens.roadmap import RoadmapScreen
from tui.widgets.row_list import RowList


def keys(app: GonogoApp, name: str = "boxes") -> list[str]:
    return [row.key for row in app.screen.query_one(f"#{name}", RowList).rows]


async def test_groups_and_inner_boxes_fold(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        boxes = app.screen.query_one("#boxes", RowList)
        group = workspace.document.boxes["S0.T1"].group_id
        await pilot.press("j", "h")
        assert boxes.key == f"group:{group}"
        assert "S0.T1" not in keys(app)
        assert "folded" in str(app.screen.query_one("#said", Static).content)
        await pilot.press("space")
        assert not workspace.state.ticks, "a folded group is nothing to tick"
        await pilot.press("j", "k", "l")
        assert boxes.key == "S0.T1"
        await pilot.press("left", "enter")
        assert boxes.key == "S0.T1"
        app.screen.go_to("P3.E1.3")  # type: ignore[attr-defined]
        await pilot.press("h")
        assert boxes.key == "P3.E1"
        assert not [key for key in keys(app) if key.startswith("P3.E1.")]
        assert any("+10" in row.draw(80).plain for row in boxes.rows if row.key == "P3.E1")
        await pilot.press("right")
        assert "P3.E1.10" in keys(app)
        await pilot.press("h", "h")
        app.screen.go_to("P3.E1.3")  # type: ignore[attr-defined]
        assert boxes.key == "P3.E1.3", "what is gone to is unfolded"


async def test_tab_goes_round_the_panes_and_they_scroll(workspace: Workspace) -> None:
    workspace.record_verdicts(
        [Verdict("S0.T2", "FAIL", "a", "b\n" * 60, 0.1, at=1, by="probe:tower")], "probe:tower"
    )
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("j")
        order = []
        for _ in range(3):
            await pilot.press("tab")
            assert app.focused is not None
            order.append(app.focused.id)
        assert order == ["detail-pane", "sections", "boxes"]
        await pilot.press("shift+tab", "shift+tab")
        pane = app.screen.query_one("#detail-pane")
        assert app.focused is pane
        await pilot.press("j", "j")
        await until(pilot, lambda: pane.scroll_y == 2, 5, "the detail scrolls")
        await pilot.press("escape")
        assert app.focused is not None
        assert app.focused.id == "boxes"
        await pilot.press("shift+tab")
        nav = app.screen.query_one("#sections", RowList)
        found = [row.draw(30).plain.rstrip() for row in nav.rows]
        assert any("ATTENTION (1)" in line for line in found)
        nav.select("attn:0")
        await pilot.press("[", "]")
        nav.select("attn:0")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.current_key() == "S0.T2", 5, "gone there")  # type: ignore[attr-defined]
        nav.focus()
        nav.select("room:budget")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "budget", 5, "the budget")


async def test_the_item_over_the_screen_takes_the_keys_of_the_list(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ItemScreen), 5, "the item")

        def shown() -> str:
            return str(app.screen.query_one("#item", Static).content)

        assert "Docker Desktop installed" in shown()
        await pilot.press("space")
        await until(pilot, lambda: "[x] done" in shown(), 5, "ticked and shown")
        await pilot.press("u")
        await until(pilot, lambda: "[ ] open" in shown(), 5, "undone and shown")
        await pilot.press("j")
        assert "NVIDIA drivers" in shown()
        await pilot.press("k", "k")
        assert "Docker Desktop" in shown()
        await pilot.press("y")
        assert app.clipboard.startswith("S0.T1 ")
        await pilot.resize_terminal(70, 20)
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RoadmapScreen), 5, "the list")
        assert app.screen.current_key() == "S0.T1"  # type: ignore[attr-defined]


async def test_the_line_below_the_list_says_what_a_check_found(workspace: Workspace) -> None:
    workspace.record_verdicts(
        [Verdict("S0.T2", "FAIL", ">= 535", "530.30", 0.1, at=1, by="probe:tower")], "probe:tower"
    )
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("j")
        said = app.screen.query_one("#said", Static)
        assert "T2 FAIL" in str(said.content)
        assert "expect >= 535, found 530.30" in str(said.content)
        assert app.screen.query_one("#boxes").size.height >= 14


async def test_a_filter_counts_here_and_everywhere(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"docker")
        line = app.screen.query_one(".filter--count", Static)
        await until(pilot, lambda: "6 here" in str(line.content), 5, "the count")
        assert "with stage:all" in str(line.content)


async def test_a_plan_without_boxes_names_the_next_step(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "ws", settings_text='title = "T"\n', roadmap_text="# Empty\n")
    app = GonogoApp(ws)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        text = app.screen.query_one("#boxes", RowList).rows[0].draw(78).plain
        assert "- [ ] a task" in text
        await pilot.press(*"jkgGhlvVenwxoy", "space", "enter", "left_square_bracket", "dollar_sign")
        for key in "2345678":
            await pilot.press(key, "j", "enter", "escape", "escape")
        assert app.is_running
