"""Where nothing can be written every writing key says why at once, before anything is typed."""

from __future__ import annotations

import pytest

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace

KEYS = {
    "1": ("space", "n", "w", "x", "dollar_sign", "u", "U", "v", "V", "e"),
    "2": ("d", "v", "dollar_sign"),
    "3": ("dollar_sign", "x", "i", "p"),
    "4": ("e", "v", "c"),
    "5": ("t",),
    "7": ("enter",),
    "8": ("t", "T"),
}


async def test_every_writing_key_says_why(workspace: Workspace) -> None:
    workspace.add_cost("Stage 2", "1.10", "user:ana")
    before = (workspace.root / "state.jsonl").read_bytes()
    app = GonogoApp(Workspace.open(workspace.root, read_only=True))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        for room, keys in KEYS.items():
            await pilot.press(room)
            await pilot.pause()
            if room == "3":
                app.screen.query_one("#budget").select(f"cost:{app.ws.state.costs[0].id}")  # type: ignore[attr-defined]
            for key in keys:
                app.clear_notifications()
                await pilot.pause()
                await pilot.press(key)
                await until(pilot, lambda: app._notifications, 5, f"{room} {key} says why")
                said = [n.message for n in app._notifications]
                assert any("read-only; :ro lifts it" in text for text in said), (room, key, said)
                assert app.room is not None, f"{room} {key} opens nothing"
        await pilot.press("colon", *"ro", "enter")
        await until(pilot, lambda: not app.ws.read_only, 5, "lifted")
        await pilot.press("1")
        app.screen.go_to("S0.T1")  # type: ignore[attr-defined]
        await pilot.press("space")
        await until(pilot, lambda: "S0.T1" in app.ws.state.ticks, 5, "a tick")
    after = (workspace.root / "state.jsonl").read_bytes()
    assert after.startswith(before)
    assert len(after.splitlines()) == len(before.splitlines()) + 1


@pytest.mark.parametrize("key", ["space", "e"])
async def test_a_damaged_line_is_named_with_its_way_out(workspace: Workspace, key: str) -> None:
    workspace.tick("S0.T1", "user:ana")
    workspace.tick("S0.T2", "user:ana")
    path = workspace.root / "state.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"S0.T1", b"S0.T9", 1)
    path.write_bytes(b"".join(lines))
    app = GonogoApp(Workspace.open(workspace.root))
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until(pilot, lambda: app.room is None, 5, "the recovery screen")
        await pilot.press("escape", key)
        await until(
            pilot,
            lambda: any(":recover shows it" in n.message for n in app._notifications),
            5,
            "the way out",
        )
