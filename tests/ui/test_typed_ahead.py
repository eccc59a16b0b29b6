"""Keys that arrive in one go reach what the keys before them opened, in order; escape never ends the app."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.widgets import Input

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import ConfirmScreen, FormScreen
from tui.screens.roadmap import RoadmapScreen
from tui.widgets.filter_line import FilterLine

NAMES = {" ": "space", "\n": "enter", ":": "colon", "/": "slash", "$": "dollar_sign"}


def burst(app: GonogoApp, *parts: str) -> None:
    """All keys at once, as a terminal hands over a line that was typed before it was looked at."""
    for part in parts:
        for char in part if part not in ("escape", "down") else [part]:
            key = NAMES.get(char, char)
            app.post_message(events.Key(key, char if len(char) == 1 else None))


def idle(app: GonogoApp) -> bool:
    """All keys of the last burst have come in and are done with."""
    done = app._typist is not None and app._typist.done() and not app.writing
    return done and app.message_queue_size == 0


async def test_a_command_in_one_burst_loses_no_letter(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        burst(app, ":stage 3\n")
        await until(pilot, lambda: idle(app), 10, "the keys")
        assert isinstance(app.screen, RoadmapScreen)
        assert app.screen.section_id == "S3"
        burst(app, ":field S0.date 2026-01-05\n", ":tick S0.T2\n", ":note S1 one two\n")
        await until(pilot, lambda: "S1" in workspace.state.notes, 10, "three commands")
        assert workspace.state.fields["S0.date"].value == "2026-01-05"
        assert set(workspace.state.ticks) == {"S0.T2"}
        assert workspace.state.notes["S1"] == "one two"


async def test_letters_of_a_filter_run_no_keys_of_the_list(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        before = len(workspace.state.records)
        burst(app, "/docker run x v\n")
        await until(pilot, lambda: idle(app), 10, "the keys")
        assert app.screen.query_one("#filter", Input).value == "docker run x v"
        assert len(workspace.state.records) == before
        assert app.focused is not None
        assert app.focused.id == "boxes"


async def test_a_form_is_filled_in_one_burst(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        burst(app, "$", "\n", "1", ".", "10\n", "what for\n", "\n", "\n")
        await until(pilot, lambda: workspace.state.costs, 10, "the cost")
        cost = workspace.state.costs[0]
        assert (str(cost.amount), cost.row, cost.note) == ("1.10", "Stage 0", "what for")


async def test_a_tick_and_its_undo_in_one_burst_come_in_order(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        burst(app, " ", "down", " ", "u", " ", " ")
        await until(pilot, lambda: idle(app), 10, "the keys")
        done = [(r.do, r.item) for r in workspace.state.records][1:]
        assert done == [
            ("tick", "S0.T1"), ("tick", "S0.T2"), ("undo", "S0.T2"), ("tick", "S0.T2"),
            ("tick", "S0.T2"),
        ]  # fmt: skip
        ticks = workspace.state.ticks.items()
        assert [item for item, tick in ticks if tick.state == "done"] == ["S0.T1"]


@pytest.mark.parametrize("key", "12345678")
async def test_escape_goes_back_and_never_ends_the_app(workspace: Workspace, key: str) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        burst(app, key, "escape", "escape", "escape")
        await until(pilot, lambda: idle(app), 10, "the keys")
        assert app.is_running
        assert app.current_mode == "roadmap"
        assert any("q" in n.message for n in app._notifications)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running, 5, "the end")


async def test_escape_ends_a_filter_first(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        for room, line, rows in (
            ("1", "filter", "boxes"), ("4", "field-filter", "fields"), ("6", "journal-filter", "records"),
        ):  # fmt: skip
            await pilot.press(room, "slash", *"zzz")
            await pilot.pause()
            filter_line = app.screen.query_one(f"#{line}", Input)
            assert filter_line.value == "zzz"
            assert app.focused is filter_line
            await pilot.press("escape")
            await pilot.pause()
            assert not filter_line.value
            assert not app.screen.query_one(FilterLine).display
            assert app.focused is not None
            assert app.focused.id == rows
            await pilot.press("slash", *"zzz", "enter", "escape")
            await pilot.pause()
            assert not filter_line.value, "escape on the list clears a filter that still holds"
            mode = {"1": "roadmap", "4": "metrics", "6": "journal"}[room]
            assert app.current_mode == mode


async def test_a_pasted_command_opens_the_line_and_waits_for_enter(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        app.post_message(events.Paste(":tick S0.T3\n"))
        await until(pilot, lambda: app.screen.query("#command-line"), 5, "the line")
        line = app.screen.query_one("#command-line", Input)
        await until(pilot, lambda: line.value == "tick S0.T3", 5, "its text")
        assert not workspace.state.ticks
        await pilot.press("enter")
        await until(pilot, lambda: "S0.T3" in workspace.state.ticks, 5, "the tick")


async def test_a_dialog_shows_what_it_was_asked_for(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        burst(app, "ab")
        await until(pilot, lambda: idle(app), 5, "keys that mean nothing")
        app.screen.query_one("#boxes").select("field:S0.date")  # type: ignore[attr-defined]
        burst(app, "esoon")
        await until(pilot, lambda: idle(app), 5, "the keys")
        assert isinstance(app.screen, FormScreen)
        assert app.screen.query_one(Input).value == "soon"


async def test_q_asks_while_checks_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = GonogoApp(workspace)
    held = asyncio.Event()

    async def slow(*_args: object) -> list[object]:
        await held.wait()
        return []

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        monkeypatch.setattr(app.fleet, "verify", slow)
        await pilot.press("v", "q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), 5, "the question")
        await pilot.press("n")
        await until(pilot, lambda: app.room is not None, 5, "stays")
        held.set()
        await until(
            pilot, lambda: not [w for w in app.workers if w.group == "verify"], 5, "the checks"
        )
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running, 5, "the end")
