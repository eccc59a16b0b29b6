"""Live right after the start: the old runs' curve comes before the rest of the program."""

from __future__ import annotations

import json

import pytest

from agents import LinkChanged, LinkState
from tests.ui.conftest import until
from tui import pace
from tui.app import GonogoApp
from tui.messages import LinkMoved
from tui.roadmap.workspace import Workspace
from tui.widgets.curve import Curve


async def test_the_rest_is_imported_once_the_first_curve_is_drawn(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = workspace.runs_dir / "tower" / "job" / "run.jsonl"
    path.parent.mkdir(parents=True)
    rows = [{"v": 1, "kind": "point", "t": n, "step": n, "loss": n % 7} for n in range(5000)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    app = GonogoApp(workspace, mode="live")
    points: list[int] = []
    whole = pace.load_all

    def load_all() -> None:
        curve = app.screen.query_one(Curve)
        points.append(len(curve.lines[0].series) if curve.lines and curve._strips else 0)
        whole()

    monkeypatch.setattr(pace, "load_all", load_all)
    monkeypatch.setattr(pace, "CURVE_SECONDS", 60.0)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.arrived, 60, "everything is imported")
        assert points[0] > 0
        run = app.fleet.store.runs["tower", "job"]
        assert len(run.series["loss"]) == 5000


async def test_a_pings_time_draws_no_frame_of_its_own(workspace: Workspace) -> None:
    """Two hosts answer a ping every 5 s: the chart would be drawn nearly half as often again."""
    asked: list[bool] = []

    class Watched(GonogoApp):
        def frame(self, at_once: bool = False) -> None:
            asked.append(at_once)
            super().frame(at_once)

    app = Watched(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 30, "all is imported")
        asked.clear()
        for state, ms in ((LinkState.live, 1.0), (LinkState.live, 2.0), (LinkState.backoff, None)):
            app.post_message(LinkMoved(LinkChanged("tower", state, "", 1, 0, None, ms)))
            await pilot.pause()
        told = app._links_told
        await until(pilot, lambda: told.get("tower", ("",))[0] == LinkState.backoff, 5, "all heard")
        assert asked.count(True) == 2
