"""The whole loop through the app: real SSH servers, a real 4-bit training, a lost host, a lost MLflow."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from textual.pilot import Pilot

from agents.loopback import loopback_status, start_loopback
from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.demo import missing_packages
from tui.demo_hosts import prepare, stop_jobs
from tui.launch import MLFLOW_JOB, mlflow_job
from tui.roadmap.workspace import Workspace
from tui.run_view import RunView
from tui.screens.live import LiveScreen
from tui.story import SERVER, TOWER, Outcome, Story
from tui.widgets.gauges import GaugePanel
from tui.widgets.status_header import StatusHeader

pytestmark = [
    pytest.mark.train,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(missing_packages()), reason=f"not installed: {missing_packages()}"),
]
STEPS = 800


class Told:
    """What the story reported, and its outcome when it is through."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.outcome: Outcome | None = None
        self.problem = ""

    async def __call__(self, app: GonogoApp) -> None:
        def report(kind: str, text: str) -> None:
            self.lines.append(f"{kind} {text}")

        try:
            self.outcome = await Story(app.fleet, app.commit, report, STEPS, "test").run()
        except Exception as problem:
            self.problem = f"{type(problem).__name__}: {problem}"
            raise


def run_named(app: GonogoApp, name: str) -> RunView | None:
    return next((run for run in app.fleet.store.runs.values() if run.name == name), None)


def steps_of(app: GonogoApp, name: str) -> list[int]:
    run = run_named(app, name)
    loss = run.series.get("loss") if run else None
    return [] if loss is None else [int(x) for x in loss.x]


async def all_points(pilot: Pilot[None], app: GonogoApp, name: str) -> None:
    """Wait for the run's last point; a slow machine may take its time, a minute without a point fails."""
    deadline, seen = time.monotonic() + 60, 0
    while (steps := steps_of(app, name)) != list(range(1, STEPS + 1)):
        assert len(steps) == len(set(steps)) <= STEPS
        if len(steps) > seen:
            deadline, seen = time.monotonic() + 60, len(steps)
        assert time.monotonic() < deadline, f"{name} stands at {seen} points"
        await pilot.pause()
        await asyncio.sleep(0.1)


def header_text(app: GonogoApp) -> str:
    return app.screen.query_one(StatusHeader).render().plain


async def test_the_story_with_a_lost_host_and_a_lost_tracking_server(demo_root: Path) -> None:
    workspace = prepare(demo_root, simulate=True)
    told = Told()
    app = GonogoApp(workspace, told, mode="live")
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            tower = app.fleet.store.hosts[TOWER]
            await until(pilot, lambda: tower.gauge, 10, "the first gauge of the tower")
            panel = app.screen.query_one("#gauge-0", GaugePanel)
            await until(
                pilot, lambda: "SIMULATED" in panel.render().plain, 5, "the simulated label"
            )
            ws = app.ws  # its state is replaced with every record

            # By key: tick, a cost, a field, a decision, while the story trains.
            await pilot.press("1")
            await until(pilot, lambda: app.current_mode == "roadmap", 5, "the roadmap")
            await pilot.press("space")
            await until(pilot, lambda: ws.state.ticks.get("S0.T1"), 5, "the tick by key")
            await pilot.press("3", "dollar_sign")
            await pilot.pause()
            await pilot.press("enter", *"13.10", "enter", *"probe", "enter", "enter", "enter")
            await until(pilot, lambda: ws.state.costs, 5, "the cost by key")
            assert str(ws.state.costs[0].amount) == "13.10"
            await pilot.press("2", "d")
            await pilot.pause()
            await pilot.press("down", "down", "space", "tab")
            await pilot.pause()
            await pilot.press(*"no evidence yet", "enter", "enter")
            await until(pilot, lambda: ws.state.decisions, 5, "the decision by key")
            assert ws.state.decisions[0].outcome == "NO-GO"

            # The same by the command line, seen by the running app within a second.
            cli = [sys.executable, "-m", "tui.cli", "-C", str(demo_root)]
            done = await asyncio.to_thread(
                subprocess.run,
                [*cli, "tick", "S0.T2", "--json"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            at = time.monotonic()
            await until(
                pilot, lambda: ws.state.ticks.get("S0.T2"), 2, "the tick of the CLI in the app"
            )
            assert time.monotonic() - at < 1.0 + 0.5

            # Stage 1: boxes ticked by probes with evidence, or the reason why not.
            await until(
                pilot, lambda: "S1.C4" in ws.state.verdicts or told.problem, 180, "Stage 1 verified"
            )
            assert not told.problem
            for box in [f"S1.K{n}" for n in range(1, 8)] + [f"S1.C{n}" for n in range(1, 5)]:
                verdict = ws.state.verdicts[box]
                no_image = box == "S1.K2" and verdict.found == "no such image"
                assert verdict.verdict in ("PASS", "SKIP") or no_image, (box, verdict)
                assert (box in ws.state.ticks) == (verdict.verdict == "PASS"), box
                assert app.ws.evidence_path(verdict.evidence).exists(), box
                if verdict.verdict == "SKIP":
                    assert verdict.reason.startswith(("needs a GPU", "needs Docker")), verdict
            assert ws.state.verdicts["S1.K4"].verdict == "SKIP"
            assert float(ws.state.fields["S1.loss_start"].value) > float(
                ws.state.fields["S1.loss_end"].value
            )

            # kill -9 of the tower's SSH server for 20 s in mid-training.
            await until(
                pilot, lambda: len(steps_of(app, "demo-control")) > 30, 60, "points of control"
            )
            host = loopback_status(demo_root / "hosts", TOWER)
            assert host is not None
            os.kill(host.pid, signal.SIGKILL)
            killed = time.monotonic()
            await pilot.press("5")
            await until(pilot, lambda: "tower DOWN" in header_text(app), 15, "the header says DOWN")
            assert isinstance(app.screen, LiveScreen)
            panel = app.screen.query_one("#gauge-0", GaugePanel)
            await until(pilot, lambda: "old" in panel.render().plain, 15, "the gauge shows its age")
            before = len(steps_of(app, "demo-control"))
            while time.monotonic() - killed < 20:
                metric = app.screen.metric
                await pilot.press("m")
                assert app.screen.metric != metric, "the app does not answer keys"
                await asyncio.sleep(0.5)
            assert len(steps_of(app, "demo-control")) == before
            await asyncio.to_thread(start_loopback, demo_root / "hosts", TOWER)
            await until(pilot, lambda: tower.live, 15, "the tower is back")
            await until(
                pilot, lambda: len(steps_of(app, "demo-control")) > before, 15, "missing points"
            )
            await all_points(pilot, app, "demo-control")

            # MLflow stopped in mid-training; the training neither waits nor stops.
            await until(
                pilot,
                lambda: len(steps_of(app, "demo-experiment")) > 30,
                60,
                "points of experiment",
            )
            server = app.fleet.links[SERVER]
            running = [
                j for j in await server.jobs() if j.name == MLFLOW_JOB and str(j.state) == "running"
            ]
            await server.stop_job(running[0].job_id, 10)
            await all_points(pilot, app, "demo-experiment")
            folder = f"{server.host_info['home']}/mlflow"
            await server.start_job(mlflow_job(app.ws.settings, folder=folder))
            await until(pilot, lambda: told.outcome or told.problem, 150, "the end of the story")
            assert not told.problem
            assert told.outcome is not None
            expected = {"stage1-tiny": 10, "demo-control": STEPS, "demo-experiment": STEPS}
            assert told.outcome.tracked == expected
    finally:
        await stop_jobs(Workspace.open(demo_root))


async def test_a_killed_app_loses_nothing(demo_root: Path) -> None:
    prepare(demo_root, simulate=True)
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.ui.test_story import Told; from tui.app import run_app\n"
        "from tui.roadmap.workspace import Workspace\n"
        "run_app(Workspace.open(Path(sys.argv[1])), Told(), mode='live')"
    )
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "36"}
    app_process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", code, str(demo_root)],
        stdin=follower, stdout=follower, stderr=follower, env=environment, start_new_session=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(follower)
    reader = asyncio.get_running_loop()
    reader.add_reader(leader, lambda: os.read(leader, 65536))  # a full pty would stop the app
    try:
        journal: list[Path] = []
        deadline = time.monotonic() + 120
        while not (journal and journal[0].read_bytes().count(b'"kind":"point"') > 30):
            assert time.monotonic() < deadline, "no points of the control run were mirrored"
            assert app_process.poll() is None
            journal = list((demo_root / "runs" / TOWER).glob("demo-control-*/run.jsonl"))
            await asyncio.sleep(0.2)
        cli = [sys.executable, "-m", "tui.cli", "-C", str(demo_root), "tick", "S0.T1", "--json"]
        done = await asyncio.to_thread(
            subprocess.run, cli, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        acknowledged = json.loads(done.stdout)["record"]["id"]
    finally:
        app_process.kill()
        app_process.wait()
        reader.remove_reader(leader)
        os.close(leader)

    mirrored = journal[0].read_bytes().count(b'"kind":"point"')
    assert mirrored < STEPS, "the run was over before the app was killed"
    app = GonogoApp(Workspace.open(demo_root), mode="live")
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            assert acknowledged in [record.id for record in app.ws.state.records]
            assert app.ws.state.ticks["S0.T1"].done
            assert app.ws.state.verdicts["S1.K3"].verdict == "PASS"
            await all_points(pilot, app, "demo-control")
            job = next(j for j in await app.fleet.links[TOWER].jobs() if j.name == "demo-control")
            run = run_named(app, "demo-control")
            assert run is not None
            folder = demo_root / "hosts" / TOWER / "home" / ".gonogo" / "jobs" / job.job_id
            await until(
                pilot,
                lambda: run.end and run.path.read_bytes() == (folder / "run.jsonl").read_bytes(),
                60,
                "the same bytes on both sides",
            )
    finally:
        await stop_jobs(Workspace.open(demo_root))
