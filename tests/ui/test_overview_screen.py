"""Key 0: the verdict, the way to what it names and back, and the same at every size."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from agents import LinkChanged, LinkState
from agents.gauges import parse_gauge
from tests.ui.conftest import until
from tui import vocabulary
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.journal import JournalScreen
from tui.screens.overview import OverviewScreen
from tui.screens.roadmap import RoadmapScreen
from tui.widgets.row_list import RowList

GAUGE = {"t_ms": 1, "cpu": {"percent": 50, "count": 8}, "ram": {"used": 2**30, "total": 2**35},
         "gpu_rung": "nvml"}  # fmt: skip


def shown(app: GonogoApp) -> list[str]:
    """The lines of all columns."""
    lists = [column for column in app.screen.query(RowList) if column.display]
    return [row.draw(column.size.width).plain for column in lists for row in column.rows]


def said(app: GonogoApp) -> str:
    return str(app.screen.query_one("#verdict", Static).content)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 36), (200, 60)])
async def test_it_fits_and_leads_to_the_box_and_back(
    workspace: Workspace, size: tuple[int, int]
) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=size) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: app.current_mode == "live" and app.room, 10, "the chart's keys")
        await pilot.press("0")
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen), 5, "key 0")
        await until(pilot, lambda: app.arrived and len(shown(app)) > 7, 30, "filled")
        columns = [column for column in app.screen.query(RowList) if column.display]
        assert len(columns) == (1 if size[0] < 120 else 2 if size[0] < 180 else 3)
        for column in columns:
            assert len(column.rows) <= column.size.height, "nothing has to be scrolled"
            assert all(
                r.draw(column.size.width).cell_length <= column.size.width for r in column.rows
            )
        text = "\n".join(shown(app))
        for word in ("Hosts", "MLflow", "Jobs", "Attention", "Next", "Gate", "Money", "Journal"):
            assert word in text
        assert "gonogo.toml" in text
        column = next(c for c in columns if c.select("box:S0.T1"))
        column.focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RoadmapScreen), 5, "on the roadmap")
        boxes = app.screen.query_one("#boxes", RowList)
        await until(pilot, lambda: boxes.key == "S0.T1", 5, "on the box")
        await pilot.press("space")
        await until(pilot, lambda: "S0.T1" in workspace.state.ticks, 5, "ticked")
        await pilot.press("0")
        await until(pilot, lambda: "S0.T1 done" not in said(app), 5, "back")
        await until(pilot, lambda: any("tick" in line for line in shown(app)), 5, "its record")
        assert not any("[ ] S0.T1 " in line for line in shown(app))
        await pilot.resize_terminal(80, 24)
        await until(
            pilot, lambda: len([c for c in app.screen.query(RowList) if c.display]) == 1, 5, "one"
        )
        next(c for c in app.screen.query(RowList)).action_end(1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, JournalScreen), 5, "the journal")
        await pilot.press("escape")
        await until(pilot, lambda: app.current_mode == "roadmap", 5, "escape")


async def test_a_lost_host_is_named_and_nothing_is_drawn_without_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.bridge.Bridge.start", lambda _self: None)
    settings = 'title = "T"\nuser = "ana"\n[hosts.tower]\nlocal = true\n'
    app = GonogoApp(Workspace.create(tmp_path / "ws", settings_text=settings))
    store, clock = app.fleet.store, [1000.0]
    store.clock = lambda: clock[0]
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 30, "arrived")
        await pilot.press("0")
        await until(pilot, lambda: "fine" not in said(app), 5, "not yet fine")
        store.link_changed(LinkChanged("tower", LinkState.live, "", 1, 0, None, None))
        store.gauge_arrived("tower", parse_gauge(GAUGE))
        app.room.update_live()
        assert said(app) == "everything is fine"
        drawn: list[int] = []
        column = app.screen.query_one("#over-0", RowList)
        render = column.render_line
        monkeypatch.setattr(column, "render_line", lambda y: (drawn.append(y), render(y))[1])
        await pilot.pause()
        drawn.clear()
        store.gauge_arrived("tower", parse_gauge({**GAUGE, "t_ms": 2}))
        app.room.update_live()
        await pilot.pause()
        assert drawn == []
        clock[0] += 30
        app.room.update_live()
        assert said(app) == "1 thing wants you: tower is silent"
        assert "30s old" in shown(app)[0]
        store.link_changed(LinkChanged("tower", LinkState.backoff, "[red]refused", 1, 1, 1.0, None))
        app.room.update_live()
        assert "tower is down" in said(app)
        assert "[red]refused" in "".join(shown(app))
        await pilot.press("1")
        drawn.clear()
        store.gauge_arrived("tower", parse_gauge(GAUGE))
        await pilot.pause()
        assert drawn == [], "covered"


async def test_plain_ascii_read_only_and_a_plan_of_another_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "marks", vocabulary.ASCII)
    root = tmp_path / "ws"
    Workspace.create(root, settings_text='title = "T"\n', roadmap_text="# Plan\n\n- [ ] [b]Größe\n")
    app = GonogoApp(Workspace.open(root, read_only=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 30, "arrived")
        await pilot.press("colon", *"overview", "enter")
        await until(pilot, lambda: isinstance(app.screen, OverviewScreen), 5, ":overview")
        await until(pilot, lambda: "this plan has no gate" in "\n".join(shown(app)), 5, "filled")
        assert "[b]Größe" in "\n".join(shown(app))
        lines = [
            "".join(s.text for s in strip.apply_filter(app._ascii, app.screen.styles.background))
            if hasattr(strip, "apply_filter") else strip.text
            for strip in app.screen._compositor.render_strips()
        ]  # fmt: skip
        assert all(text.isascii() for text in lines), [t for t in lines if not t.isascii()]
