"""An hour of watching in seconds: nothing grows, and what is covered is not drawn.

`make bench` plays six hours, and 21 hours of two runs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from tests.soak import Census, Leak, Player, soak_app
from tests.ui.conftest import until
from tui.screens.room import Room


async def hours(folder: Path, rounds: int, seconds: float) -> tuple[Census, Census]:
    """Census after the first round, in which everything was done once, and at the end."""
    app = soak_app(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.arrived, 60, "everything is imported")
        player = Player(app, pilot)
        await player.begin()
        await player.round(seconds)
        await player.round(seconds)
        before = Census.take(app)
        for _ in range(rounds):
            await player.round(seconds)
        after = Census.take(app)
        assert player.covered_renders == 0
        return before, after


@pytest.mark.slow
async def test_nothing_grows_in_an_hour(tmp_path: Path) -> None:
    before, after = await hours(tmp_path, 3, 600)
    before.grown_to(after)


@pytest.mark.parametrize("kind", ["widgets", "timers", "tasks"])
async def test_the_soak_sees_a_leak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The negative control: a room that leaves one thing behind each time it is shown."""
    resume = Room.on_screen_resume

    def leaking(room: Room) -> None:
        resume(room)
        if room.ready and kind == "widgets":
            room.mount(Static(classes="left-behind"))
        elif room.ready and kind == "timers":
            room.set_interval(3600, room.update_all)
        elif room.ready:
            import asyncio

            room.app._left = getattr(room.app, "_left", [])  # type: ignore[attr-defined]
            room.app._left.append(asyncio.ensure_future(asyncio.sleep(3600)))  # type: ignore[attr-defined]

    monkeypatch.setattr(Room, "on_screen_resume", leaking)
    before, after = await hours(tmp_path, 1, 30)
    with pytest.raises(Leak, match=kind):
        before.grown_to(after)


@pytest.mark.parametrize(("name", "part"), [("roadmap", "#boxes"), ("overview", "#over-0")])
async def test_the_soak_sees_a_covered_screen_that_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, part: str
) -> None:
    app = soak_app(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.arrived, 60, "everything is imported")
        player = Player(app, pilot)
        await player.begin()
        app.action_room(name)
        await pilot.pause()
        room = app.screen
        assert isinstance(room, Room)
        assert room is app.room
        await player.dialog("question_mark")
        assert player.covered_renders == 0
        monkeypatch.setattr(app, "watch_runs", lambda: room.query_one(part).refresh())
        with pytest.raises(Leak, match="covered screens were drawn"):
            await player.dialog("question_mark")
