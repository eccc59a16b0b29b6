"""Ending the app: whatever still arrives while its screens are taken down draws nothing."""

from __future__ import annotations

import pytest

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.room import Room

ROOMS = ("roadmap", "gate", "budget", "metrics", "live", "jobs", "overview")


@pytest.mark.parametrize("name", ROOMS)
async def test_messages_that_arrive_during_the_teardown_draw_nothing(
    workspace: Workspace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, late = GonogoApp(workspace), []

    async def unmounted(room: Room) -> None:  # by now the room's widgets are gone
        late.append(room)
        room.on_screen_resume()
        app.state_changed()
        app._drawn_version, app._drawn_at = -1, -10.0
        app.frame()

    monkeypatch.setattr(Room, "on_unmount", unmounted, raising=False)
    async with app.run_test(size=(80, 24)) as pilot:
        app.action_room(name)
        await until(pilot, lambda: isinstance(app.screen, Room) and app.screen.ready, 5, name)
        assert app.room is app.screen
    assert late
