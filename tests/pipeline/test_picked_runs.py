"""Runs of a real `mlflow server`: listed over pages, picked by keys, drawn, gone with the server."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from textual.widgets import Input, Label, Static

from pipeline.training.quiet import quiet
from pipeline.training.track import quiet_client
from tests.pipeline.test_track import Server
from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.cli import main
from tui.mlflow_runs import experiments, history, interval, run_by_id, runs_page
from tui.roadmap.workspace import Workspace
from tui.screens.runs import RunsScreen
from tui.widgets.curve import Curve
from tui.widgets.row_list import RowList

quiet()
quiet_client()
pytestmark = [pytest.mark.train, pytest.mark.slow]

POINTS = 3000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """60 runs of two experiments; one has 3,000 points with NaN and both infinities."""
    from mlflow.entities import Metric

    server = Server(tmp_path_factory.mktemp("mlflow"))
    server.start()
    client = server.client
    places = [client.create_experiment(name) for name in ("theirs", "[/] others")]
    for number in range(59):
        run = client.create_run(places[number % 2], start_time=1_000_000 + number,
                                run_name=f"run {number}")  # fmt: skip
        client.log_metric(run.info.run_id, "loss", 1.0, 0, number)
    big = client.create_run(
        places[0], start_time=2_000_000, run_name="The Big [red]One"
    ).info.run_id
    odd = {7: math.nan, 8: math.inf, 9: -math.inf}
    made = [Metric("loss", odd.get(n, 1 / n), 2_000_000 + n, n) for n in range(1, POINTS + 1)]
    for first in range(0, POINTS, 1000):
        client.log_batch(big, metrics=made[first : first + 1000])
    yield server, big
    server.kill()


def test_pages_search_and_a_history_as_it_was_logged(filled: tuple[Server, str]) -> None:
    server, big = filled
    known = experiments(server.uri)
    assert {"theirs", "[/] others"} <= {item.name for item in known}
    ids = [item.id for item in known]
    first, token = runs_page(server.uri, ids)
    rest, end = runs_page(server.uri, ids, token=token)
    assert (len(first), len({r.run_id for r in [*first, *rest]}), end) == (50, 60, "")
    assert first[0].run_id == big
    assert first[0].last["loss"][1] == POINTS
    assert [r.run_id for r in runs_page(server.uri, ids, "bIG [red]o")[0]] == [big]
    assert len(runs_page(server.uri, ids, running=True)[0]) == 50
    found = history(server.uri, big, "loss")
    assert found.steps.tolist() == list(range(1, POINTS + 1))
    assert math.isnan(found.values[6])
    assert found.values[7:9].tolist() == [math.inf, -math.inf]
    assert found.values[9:].tolist() == [1 / n for n in range(10, POINTS + 1)]
    newest = interval(server.uri, big, "loss", POINTS - 10)
    assert newest is not None
    assert newest.steps.tolist() == list(range(POINTS - 10, POINTS + 1))
    assert run_by_id(server.uri, big).name == "The Big [red]One"


def test_the_command_line_lists_and_draws_them(
    filled: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, big = filled
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = f'[hosts.server]\nlocal = true\n[mlflow]\nhost = "server"\nport = {server.port}\n'
    root = str(Workspace.create(tmp_path / "ws", settings_text=settings).root)

    def asked(*words: str) -> tuple[int, dict[str, Any]]:
        answer = CliRunner().invoke(main, ["-C", root, *words, "--json"])
        return answer.exit_code, json.loads(answer.stdout)

    code, found = asked("mlflow", "runs", "--experiment", "theirs")
    assert (code, len(found["runs"])) == (0, 31)
    assert found["runs"][0] | {"run_id": big, "state": "RUNNING"} == found["runs"][0]
    assert len(asked("mlflow", "runs")[1]["runs"]) == 60
    assert asked("mlflow", "runs", "--experiment", "none")[0] == 1
    code, found = asked("curve", "--mlflow", big)
    assert (code, found["curves"][0]["points"], found["curves"][0]["not_finite"]) == (0, POINTS, 3)
    assert asked("curve", "--mlflow", "0" * 32)[0] == 1


async def test_a_run_is_picked_by_keys_and_stays_when_the_server_dies(
    filled: tuple[Server, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, big = filled
    monkeypatch.setenv("HOME", str(tmp_path))
    copied: list[str] = []
    opened: list[str] = []
    monkeypatch.setattr("tui.screens.runs.webbrowser.open", opened.append)
    settings = f'[hosts.server]\nlocal = true\n[mlflow]\nhost = "server"\nport = {server.port}\n'
    app: Any = GonogoApp(Workspace.create(tmp_path / "ws", settings_text=settings))
    async with app.run_test(size=(100, 30)) as pilot:
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await until(pilot, lambda: app.arrived, 60, "everything is loaded")
        await pilot.press("5")
        await app.fleet.links["server"].wait_live(60)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen), 20, "the picker")
        screen = app.screen
        rows = screen.query_one("#runs", RowList)
        await until(pilot, lambda: len(rows.rows) == 50, 60, "the first page")
        await pilot.press("G")
        await until(pilot, lambda: len(rows.rows) == 60, 60, "the second page")
        await pilot.press("slash")
        screen.query_one("#search", Input).value = "big"
        await pilot.press("enter")
        await until(pilot, lambda: len(rows.rows) == 1, 60, "the one found")
        assert "The Big [red]One" in rows.rows[0].draw(80).plain
        assert "running" in rows.rows[0].draw(80).plain
        assert f"/runs/{big}" in str(screen.query_one("#run-detail", Static).content)
        await pilot.press("o", "C", "enter", "escape")
        assert opened == copied
        assert opened[0].endswith(f"/runs/{big}")
        run = app.fleet.tracked.runs[big]
        await until(pilot, lambda: len(run.series.get("loss", ())) == POINTS, 60, "its points")
        chart = app.screen.query_one("#curve", Curve)
        await until(pilot, lambda: len(chart.lines) == 1, 20, "it is drawn")
        assert chart.lines[0].series.bad == 3

        server.kill()
        run.seen -= 100.0
        await until(pilot, lambda: run.away, 60, "the server is missed")
        await until(pilot, lambda: chart.lines[0].away, 20, "drawn dim")
        assert "MLflow away" in chart.lines[0].name
        assert len(run.series["loss"]) == POINTS
        await pilot.press("o")
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, RunsScreen)
                and "asks again" in str(app.screen.query_one("#run-detail", Static).content)
            ),
            60,
            "one sentence in the picker",
        )
        assert app.screen.query_one("#runs-title", Label)
        await pilot.press("escape", "O")
        await until(pilot, lambda: not chart.lines, 20, "taken away by its key")
