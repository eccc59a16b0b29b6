"""Notices reach the person: on the screen, as a bell, and on the desktop where that was asked for."""

from __future__ import annotations

import pytest

from agents import JobState, JobStatus
from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.messages import JobMoved
from tui.roadmap.workspace import Workspace

ID = "control-s0-20260101-000000-abcd"


@pytest.mark.parametrize("kind", ["off", "osc9"])
async def test_a_failed_run_is_told(
    kind: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    root = tmp_path_factory.mktemp("notices") / "ws"
    app = GonogoApp(Workspace.create(root, settings_text=f'[notices]\ndesktop = "{kind}"\n'))
    written: list[str] = []
    async with app.run_test() as pilot:
        assert app._driver is not None
        monkeypatch.setattr(app._driver, "write", written.append)
        # Without a terminal Textual's own bell is silent.
        monkeypatch.setattr(app, "bell", lambda: written.append("bell"))
        before = JobStatus(ID, "control-s0", JobState.unknown)
        after = JobStatus(ID, "control-s0", JobState.failed, code=7, detail="exit code 7")
        app.post_message(JobMoved("tower", after, before))
        await until(pilot, lambda: "bell" in written, 5, "the bell")
        told = [n.message for n in app._notifications]
        assert told == ["control-s0 on tower: failed exit code 7"]
        desktop = [text for text in written if text.startswith("\x1b]9;")]
        wanted = "\x1b]9;gonogo: control-s0 on tower: failed exit code 7\x1b\\"
        assert desktop == ([] if kind == "off" else [wanted])
