"""The chart of Live under keys, wheel, drags, resizes and appends in any order, with any points."""

from __future__ import annotations

import csv
import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual import events
from textual.pilot import Pilot

from tests.ui.conftest import until
from tests.unit.test_chart_proofs import some_line, some_values
from tui.app import GonogoApp
from tui.chart.view import CurveLine
from tui.curves import lines_of
from tui.roadmap.workspace import Workspace
from tui.screens import chart_actions
from tui.widgets.curve import CHART_KEYS, Curve

KEYS = [key for key, *_ in CHART_KEYS]
T0 = 1_767_225_600_000


def write_run(ws: Workspace, job: str, name: str, values: list[Any]) -> None:
    path = ws.runs_dir / "tower" / job / "run.jsonl"
    path.parent.mkdir(parents=True)
    rows: list[dict[str, Any]] = [{"v": 1, "kind": "start", "t": T0, "name": name}]
    rows += [{"v": 1, "kind": "point", "t": T0 + 1000 * n, "step": n, "loss": value}
             for n, value in enumerate(values)]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


async def shown(pilot: Pilot[None], app: GonogoApp) -> Curve:
    await until(pilot, lambda: app.arrived, 60, "everything is imported")
    await until(pilot, lambda: app.screen.query_one(Curve).lines, 30, "the curve is there")
    return app.screen.query_one(Curve)


async def test_a_drag_is_no_click(workspace: Workspace) -> None:
    write_run(workspace, "a", "a", [1.0, 2.0] * 50)
    app = GonogoApp(workspace, mode="live")
    async with app.run_test(size=(120, 36)) as pilot:
        curve = await shown(pilot, app)
        curve.action_zoom(0.5)
        await pilot.pause()
        low, _ = curve.view.zoom or (0.0, 0.0)
        await pilot.mouse_down(curve, offset=(40, 5))
        await pilot.hover(curve, offset=(60, 5))
        await pilot.mouse_up(curve, offset=(60, 5))
        # A terminal's button that goes up over the same widget makes a click; the pilot makes none.
        curve.post_message(events.Click(curve, 60, 5, 0, 0, 1, False, False, False, 60, 5))
        await pilot.pause()
        assert curve.view.zoom is not None
        assert curve.view.zoom[0] < low
        assert curve.view.cross is None
        await pilot.click(curve, offset=(60, 5))
        assert curve.view.cross is not None


async def test_what_is_saved_does_not_grow_under_the_saving_thread(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(workspace, "a", "run \ud800 名", [float(n) for n in range(50)])
    app = GonogoApp(workspace, mode="live")
    save = chart_actions.save

    def grows(path: Path, lines: tuple[CurveLine, ...], *rest: Any) -> int:
        live = app.fleet.store.runs["tower", "a"].series["loss"]
        live.append(20.0, 7.0)  # a restart, too
        assert lines[0].series.y.tolist() == [float(n) for n in range(50)]
        return save(path, lines, *rest)

    monkeypatch.setattr(chart_actions, "save", grows)
    async with app.run_test(size=(120, 36)) as pilot:
        curve = await shown(pilot, app)
        await pilot.press("C")
        assert "名" in app.clipboard
        await pilot.press("s")
        await until(pilot, lambda: app.screen.query("Input"), 30, "the form is open")
        app.screen.query("Input").first().value = "x.csv"  # type: ignore[attr-defined]
        await pilot.press("enter")
        path = workspace.root / "exports" / "x.csv"
        await until(pilot, path.exists, 30, "it is saved")
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [float(row["value"]) for row in rows] == [float(n) for n in range(50)]
        assert curve.lines[0].series.rewinds == 1


async def poke(pilot: Pilot[None], curve: Curve, rng: random.Random) -> str:
    """One random thing that a person or a run does; its name."""
    what = rng.choice(("key",) * 6 + ("append", "append", "wheel", "drag", "size"))
    x, y = rng.randrange(curve.size.width or 1), rng.randrange(curve.size.height or 1)
    if what == "key":
        what = rng.choice(KEYS)
        await pilot.press(what)
    elif what == "append":
        for line in curve.lines:
            s = line.series
            last, t = (float(s.x[-1]), float(s.t[-1])) if len(s) else (0.0, 0.0)
            s.append(max(0.0, last + rng.choice((1, 1, 5, -3))), some_values(rng, 1)[0],
                     t + rng.choice((1, 0.1, -50)), 5.0 * last)  # fmt: skip
        curve.show(curve.lines)
    elif what == "wheel":
        kind = rng.choice((events.MouseScrollUp, events.MouseScrollDown, events.MouseMove))
        for _ in range(rng.choice((1, 40))):
            curve.post_message(kind(curve, x, y, 0, 0, 0, False, False, False, x, y))
    elif what == "drag":
        for kind, at in (
            (events.MouseDown, x),
            (events.MouseMove, x // 2),
            (events.MouseUp, x // 2),
        ):
            curve.post_message(kind(curve, at, y, 0, 0, 1, False, False, False, at, y))
    else:
        await pilot.resize_terminal(rng.randint(20, 160), rng.randint(8, 50))
    await pilot.pause()
    return what


@pytest.mark.parametrize("part", range(3))
async def test_whatever_is_done_to_it_the_chart_stays_in_its_cells(
    workspace: Workspace, part: int
) -> None:
    write_run(workspace, "a", "a", [1.0])
    app = GonogoApp(workspace, mode="live")
    async with app.run_test(size=(120, 36)) as pilot:
        curve = await shown(pilot, app)
        app.screen.update_chart = lambda: None  # type: ignore[attr-defined]  # the test gives the curves
        curve.focus()
        for seed in range(part * 6, part * 6 + 6):
            rng, done = random.Random(seed), []
            count = rng.choice((0, 1, 2, 2, 3, 12))
            curve.show(tuple(some_line(rng, n) for n in range(count)))
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                for _ in range(20):
                    done.append(await poke(pilot, curve, rng))
                    for y in range(curve.size.height):
                        width = curve.render_line(y).cell_length
                        assert width == curve.size.width, (seed, done)
                    for row in curve.rows():
                        width = cell_len("".join(text for text, _ in row))
                        assert width <= max(curve.size.width, 20), (seed, done, row)
    assert app.return_code in (None, 0)


def test_lines_of_twelve_runs_have_colours_of_their_own(workspace: Workspace) -> None:
    from tui.live import LiveStore

    for number in range(12):
        write_run(workspace, f"j{number:02}", f"r{number}", [1.0, 2.0])
    store = LiveStore()
    store.load_mirrors(workspace.runs_dir)
    lines = lines_of(store.runs.values(), "loss")
    assert len({line.color for line in lines}) == 12
