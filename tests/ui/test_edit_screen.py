"""`:edit` opens the text of `gonogo edit` inside the app: same text and checks, one record, nothing lost."""

from __future__ import annotations

from textual.pilot import Pilot
from textual.widgets import Static

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.textview import view
from tui.roadmap.workspace import Workspace
from tui.screens.conflict import ConflictScreen
from tui.screens.dialogs import ChoiceScreen
from tui.screens.edit import EditScreen


async def opened(app: GonogoApp, pilot: Pilot[None]) -> EditScreen:
    await pilot.press("colon", *"edit", "enter")
    await until(pilot, lambda: isinstance(app.screen, EditScreen), 10, "the text")
    assert isinstance(app.screen, EditScreen)
    return app.screen


def replace(screen: EditScreen, old: str, new: str) -> None:
    assert old in screen.area.text, old
    screen.area.text = screen.area.text.replace(old, new, 1)


def complaint(screen: EditScreen) -> str:
    return str(screen.query_one("#error", Static).content)


async def test_an_edit_becomes_one_record(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("down")
        screen = await opened(app, pilot)
        assert screen.area.text == view(workspace.document, workspace.state)
        row, _ = screen.area.cursor_location
        assert screen.area.document.get_line(row).startswith('"S0.T2"'), "begins at the cursor"
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen, 5, "nothing changed, nothing asked")
        screen = await opened(app, pilot)
        await pilot.press("delete", "delete", "delete", "delete", *"done")
        replace(screen, '"S0.date" = ""', '"S0.date" = "2026-01-05"')
        replace(screen, '"S1" = ""', '"S1" = "two words"')
        before = len(workspace.state.records)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 5, "the question")
        assert isinstance(app.screen, ChoiceScreen)
        assert "3 changes" in app.screen.heading
        assert "S0.T2: open > done" in app.screen.heading
        await pilot.press("enter")
        await until(pilot, lambda: app.room is not None, 5, "the room")
        record = workspace.state.records[-1]
        assert (record.do, record.by, len(workspace.state.records)) == (
            "hand_edit",
            "user:ana",
            before + 1,
        )
        assert workspace.state.ticks["S0.T2"].done
        await pilot.press("u")
        await until(pilot, lambda: not workspace.state.ticks["S0.T2"].done, 5, "undone whole")
        assert "S1" not in workspace.state.notes


async def test_a_bad_value_is_named_and_the_text_stays(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(app, pilot)
        replace(screen, '"S0.date" = ""', '"S0.date" = "soon"')
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "YYYY-MM-DD" in complaint(screen), 5, "the reason")
        row, _ = screen.area.cursor_location
        assert screen.area.document.get_line(row).startswith('"S0.date"')
        assert complaint(screen).startswith(f"Line {row + 1}:")
        typed = screen.area.text
        await pilot.press("ctrl+q")
        assert app.is_running, "what was typed is not thrown away by leaving"
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 5, "what of the changes")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen, 5, "escape goes on editing")
        assert screen.area.text == typed
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 5, "asked again")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: app.room is not None, 5, "thrown away")
        assert "S0.date" not in workspace.state.fields


async def test_a_conflict_shows_both_sides(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await opened(app, pilot)
        replace(screen, '"S0.T1" = "open"', '"S0.T1" = "done"')
        replace(screen, '"S1" = ""', '"S1" = "mine"')
        replace(screen, '"S2" = ""', '"S2" = "mine too"')
        other = Workspace.open(workspace.root)
        other.note("S1", "theirs", "cli:bob")
        other.note("S2", "theirs too", "cli:bob")
        for answer in ("k", "a"):
            if answer == "k":
                await pilot.press("ctrl+s")
                await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 5, "the question")
                await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, ConflictScreen), 5, "both sides")
            side = app.screen
            await pilot.press(answer)
            await until(pilot, lambda: app.screen is not side, 5, "the answer")  # noqa: B023
        await until(pilot, lambda: app.room is not None, 5, "written")
        assert workspace.state.notes == {"S1": "theirs", "S2": "mine too"}
        assert workspace.state.ticks["S0.T1"].done
        assert sum(r.do == "hand_edit" for r in workspace.state.records) == 1


async def test_read_only_says_why(workspace: Workspace) -> None:
    app = GonogoApp(Workspace.open(workspace.root, read_only=True))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("colon", *"edit", "enter")
        await until(pilot, lambda: "Read-only" in complaint_line(app), 5, "the reason")


def complaint_line(app: GonogoApp) -> str:
    hints = app.screen.query("#command-hints")
    return str(hints.first(Static).content) if hints else ""
