"""Help that can be searched and shows rebound keys; dialogs in a terminal that becomes too small."""

from __future__ import annotations

import pytest
from textual.widgets import Input, Static

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import FormScreen
from tui.screens.help import HelpScreen
from tui.screens.too_small import TooSmall
from tui.widgets.row_list import RowList


def lines(app: GonogoApp) -> list[str]:
    return [row.draw(90).plain.rstrip() for row in app.screen.query_one("#help", RowList).rows]


@pytest.mark.parametrize("room", "12345678")
async def test_help_names_the_keys_of_every_screen(workspace: Workspace, room: str) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press(room)
        await pilot.pause()
        keys = [key.key for key in app.screen.KEYS]  # type: ignore[attr-defined]
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), 5, "help")
        text = lines(app)
        for key in keys:
            for one in key.replace("/", " ").split() if len(key) > 1 else [key]:
                assert any(one in line[:15].split() for line in text), (room, one)
        assert any("undo your own last action" in line for line in text)
        await pilot.press("slash", *"undo")
        await until(pilot, lambda: len(lines(app)) < 8, 5, "found")
        assert any("undo your own last action" in line for line in lines(app))
        await pilot.press("escape")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("question_mark")
        await until(pilot, lambda: app.room is not None, 5, "the room")


async def test_help_shows_the_keys_as_they_are_bound(workspace: Workspace) -> None:
    path = workspace.root / "gonogo.toml"
    path.write_text(path.read_text("utf-8") + '\n[keymap]\n"box.tick" = "t"\n', "utf-8")
    app = GonogoApp(Workspace.open(workspace.root))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), 5, "help")
        assert any(line.split()[:3] == ["t", "tick", "or"] for line in lines(app))


async def test_a_dialog_gives_way_to_one_sentence_and_keeps_what_was_typed(
    workspace: Workspace,
) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("dollar_sign")
        await until(pilot, lambda: isinstance(app.screen, FormScreen), 5, "the form")
        await pilot.press("enter", *"13.10")
        await pilot.resize_terminal(50, 12)
        await until(pilot, lambda: isinstance(app.screen, TooSmall), 5, "the sentence")
        await pilot.resize_terminal(40, 10)
        said = app.screen.query_one("#too-small", Static)
        await until(pilot, lambda: "have 40x10" in str(said.content), 5, "the other size")
        await pilot.press("x", "escape", "enter")
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: isinstance(app.screen, FormScreen), 5, "the form again")
        assert [field.value for field in app.screen.query(Input)][1] == "13.10"
        await pilot.resize_terminal(80, 24)
        await pilot.press("enter", "enter", "enter", "enter")
        await until(pilot, lambda: workspace.state.costs, 5, "saved")


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
async def test_all_of_a_dialog_is_seen_in_a_small_terminal(
    workspace: Workspace, size: tuple[int, int]
) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        for room, key, more in (
            ("1", "dollar_sign", ()), ("1", "w", ()), ("1", "x", ()), ("1", "n", ()),
            ("2", "d", ("space",)), ("3", "i", ()), ("1", "question_mark", ()), ("1", "enter", ()),
        ):  # fmt: skip
            await pilot.press(room, key, *more)
            await pilot.pause()
            assert app.room is None, key
            inside = app.screen.query_one(".dialog").region.shrink((1, 1, 1, 1))
            for part in app.screen.query(".dialog > *"):
                if part.display and part.region.height:
                    assert inside.contains_region(part.region), (room, key, part, part.region)
            assert app.screen.query(".dialog--hint").first().region.height
            await pilot.press("escape")
            await pilot.pause()
