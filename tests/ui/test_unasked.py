"""A dialog that comes by itself takes no key that was typed for what stood there before."""

from __future__ import annotations

import pytest

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens import unasked
from tui.screens.dialogs import ConfirmScreen
from tui.screens.recovery import RecoveryScreen


async def test_keys_of_the_list_answer_no_dialog_that_just_came(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unasked, "GRACE", 3600.0)
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        answers: list[bool | None] = []
        trust = ConfirmScreen("Trust the host key of tower?", unasked=True)
        app.push_screen(trust, answers.append)
        await pilot.press("y", "n", "escape")
        await pilot.pause()
        assert app.screen is trust
        assert not answers
        monkeypatch.setattr(unasked, "GRACE", 0.0)
        await pilot.press("y")
        await until(pilot, lambda: answers == [True], 5, "a key after that counts")
        monkeypatch.setattr(unasked, "GRACE", 3600.0)
        app.push_screen(ConfirmScreen("Stop it?"), answers.append)
        await pilot.press("y")
        await until(pilot, lambda: answers == [True, True], 5, "what was asked for answers at once")


async def test_a_damaged_line_is_not_accepted_by_a_key_on_its_way(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unasked, "GRACE", 3600.0)
    workspace.tick("S0.T1", "user:ana")
    workspace.tick("S0.T2", "user:ana")
    path = workspace.root / "state.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"S0.T1", b"S0.T9", 1)
    path.write_bytes(b"".join(lines))
    before = path.read_bytes()
    app = GonogoApp(Workspace.open(workspace.root))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen), 5, "the question")
        await pilot.press("a", "enter", "q")
        await pilot.pause()
        assert isinstance(app.screen, RecoveryScreen)
        assert path.read_bytes() == before
