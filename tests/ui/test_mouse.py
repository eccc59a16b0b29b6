"""The mouse reaches what the keys reach: brackets, rows, the wheel, the stages; notices name the way back."""

from __future__ import annotations

from textual import events
from textual.widgets import Static

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import DetailScreen, FormScreen
from tui.screens.item import ItemScreen
from tui.widgets.row_list import RowList


def line_of(table: RowList, key: str) -> int:
    return [row.key for row in table.rows].index(key) - table.scroll_offset.y


async def test_a_click_on_a_bracket_ticks_also_an_inner_one(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        table = app.screen.query_one("#boxes", RowList)
        await pilot.click("#boxes", offset=(3, line_of(table, "S0.T2")))
        await until(pilot, lambda: "S0.T2" in workspace.state.ticks, 5, "ticked")
        app.screen.go_to("P3.E1.1")  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.click("#boxes", offset=(2, line_of(table, "P3.E1.2")))
        await pilot.pause()
        assert (app.room is not None, table.key) == (True, "P3.E1.2"), "beside it it only selects"
        await pilot.click("#boxes", offset=(5, line_of(table, "P3.E1.2")))
        await until(pilot, lambda: isinstance(app.screen, FormScreen), 5, "before GO it asks why")
        await pilot.press("escape")
        await pilot.click("#boxes", offset=(30, line_of(table, "P3.E1.2")))
        await until(pilot, lambda: isinstance(app.screen, ItemScreen), 5, "a second click opens")
        await pilot.press("escape")
        before = table.scroll_offset.y
        x, y = table.region.offset
        app.post_message(events.MouseScrollDown(table, x + 5, y + 5, 0, 1, 0, False, False, False))
        await until(pilot, lambda: table.scroll_offset.y > before, 5, "the wheel scrolls")


async def test_undo_says_what_and_the_way_back(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("space", "u")
        await until(
            pilot,
            lambda: any("undone: tick S0.T1   U does" in n.message for n in app._notifications),
            5,
            "what was undone",
        )
        await pilot.press("U")
        await until(
            pilot,
            lambda: any("done again: " in n.message for n in app._notifications),
            5,
            "what was done again",
        )


async def test_enter_on_a_budget_row_shows_its_entries(workspace: Workspace) -> None:
    workspace.add_cost("Stage 2", "1.10", "user:ana", "azure [/] judge")
    workspace.add_cost("Stage 2", "0.40", "user:ana", "twice")
    workspace.void_cost(workspace.state.costs[1].id, "user:ana", "typed twice")
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await pilot.pause()
        app.screen.query_one("#budget", RowList).select("row:Stage 2")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), 5, "the entries")
        text = "\n".join(str(part.content) for part in app.screen.query(Static))
        for word in ("planned  3.00", "actual   1.10", "azure [/] judge", "0.40 USD twice (void)"):
            assert word in text
