"""Keys that [keymap] changes: they work, the bar and the help show them, and what cannot be is said."""

from __future__ import annotations

import pytest

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.keymap import checked, scopes
from tui.roadmap.workspace import Workspace
from tui.widgets.key_bar import Key, KeyBar, packed


def with_keys(workspace: Workspace, keymap: str) -> Workspace:
    path = workspace.root / "gonogo.toml"
    path.write_text(path.read_text("utf-8") + f"\n[keymap]\n{keymap}\n", "utf-8")
    return Workspace.open(workspace.root)


async def test_swapped_keys_work_and_are_shown(workspace: Workspace) -> None:
    ws = with_keys(workspace, '"box.tick" = "t"\n"box.verify" = "space"\n"app.help" = "b"')
    app = GonogoApp(ws)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until(pilot, lambda: app.arrived, 10, "all is imported")
        shown = app.screen.query_one(KeyBar).render().plain
        assert "t tick" in shown
        assert "space verify" in shown
        assert "b help" in shown
        await pilot.press("t")
        await until(pilot, lambda: "S0.T1" in ws.state.ticks, 5, "ticked by t")
        assert not [n for n in app._notifications if "keymap" in n.message]


async def test_what_cannot_be_bound_is_said_and_keeps_its_key(workspace: Workspace) -> None:
    keymap = (
        '"box.tick" = "v"\n"nope.none" = "t"\n"box.waive" = "foo bar"\n'
        '"note.edit" = "ctrl+i"\n"list.filter" = "f"'
    )
    ws = with_keys(workspace, keymap)
    app = GonogoApp(ws)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await until(pilot, lambda: app.arrived, 10, "all is imported")
        said = [n.message for n in app._notifications if "keymap" in n.message]
        assert len(said) == 5
        for part in (
            "box.tick = “v”: box.verify has that key",
            "nope.none: there is no such action",
            "box.waive: there is no key “foo bar”",
            "ctrl+i never arrives; a terminal sends tab",
            "list.filter = “f”: field.filter has that key",
        ):
            assert any(part in text for text in said), (part, said)
        await pilot.press("space")
        await until(pilot, lambda: "S0.T1" in ws.state.ticks, 5, "space still ticks")


def test_no_two_actions_share_a_key() -> None:
    for place, entries in scopes().items():
        keys: dict[str, str] = {}
        for entry in entries:
            for key in entry.key.split(","):
                assert keys.setdefault(key, entry.id) == entry.id, (place, key)
    assert {"box.tick", "list.fold", "stage.next"} <= {e.id for e in scopes()["roadmap"]}
    assert checked({"list.fold": "t"}) == ({"list.fold": "t"}, [])
    assert checked({}) == ({}, [])


@pytest.mark.parametrize("width", [60, 76, 78, 98, 118, 198])
def test_the_key_bar_never_cuts_an_entry(width: int) -> None:
    from tui.screens.roadmap import RoadmapScreen

    keys = RoadmapScreen.all_keys()
    whole = {f"{key.key} {key.label}" for key in keys} | {"0-8 screens"}
    lines = ["  ".join(f"{k.key} {k.label}" for k in line) for line in packed(keys, width)]
    assert len(lines) == 2
    for line in lines:
        assert len(line) <= width
        assert set(line.split("  ")) <= whole
    text = "  ".join(lines)
    for always in (": command", "? help", "q quit", "space tick"):
        assert always in text
    assert "0-8 screens" in text or "8 jobs" in text
    assert packed((Key("a", "b", "c"),), 20) == [[Key("a", "b", "c")], []]


async def test_every_entry_of_the_key_bar_can_be_clicked(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        bar = app.screen.query_one(KeyBar)
        lines = bar.render().plain.split("\n")
        await pilot.click(KeyBar, offset=(lines[0].index("space tick") + 1 + 7, 0))
        await until(
            pilot, lambda: "S0.T1" in workspace.state.ticks, 5, "a click on its label ticks"
        )
        await pilot.click(KeyBar, offset=(lines[1].index(": command") + 1, 1))
        await until(pilot, lambda: app.room is None, 5, "the command line")


async def test_q_says_where_it_leads(workspace: Workspace) -> None:
    """From a room to the roadmap, from the roadmap out."""
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: app.current_mode == "budget", 5, "budget")
        assert "q back" in app.screen.query_one(KeyBar).render().plain
        await pilot.press("q")
        await until(pilot, lambda: app.current_mode == "roadmap", 5, "roadmap")
        assert "q quit" in app.screen.query_one(KeyBar).render().plain
