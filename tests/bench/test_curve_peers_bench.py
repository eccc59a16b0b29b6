"""The loss chart beside textual-plot (redraw) and wandb leet (time to the curve, appending, memory).

Both come with the extra `bench`. wandb runs offline on a run of its own format with the same values;
both programs are watched in a pseudo-terminal of 120 x 36 until the curve is on the screen.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from textual.app import App, ComposeResult

from agents import HostLink, HostSpec, JobSpec, Mirrored
from tests.bench.terminal import Terminal
from tests.bench.test_curve_bench import Alone, series
from tui.roadmap.workspace import Workspace
from tui.widgets.curve import Curve, CurveLine

POINTS = 100_000
FASTER = 100
SIZES = (15_000, 200_000)
WATCHED = float(os.environ.get("GONOGO_BENCH_WATCH", "8"))
RATE = 10


def loss(step: int, whole: int) -> float:
    return 3 * math.exp(-step / whole * 3) + 0.1 * math.sin(step)


@pytest.mark.slow
async def test_redraw_beside_textual_plot() -> None:
    plot = pytest.importorskip("textual_plot", reason="the bench extra is not installed")
    data = [series(name, POINTS, k) for k, name in enumerate(("control", "experiment"))]

    class Peer(App[None]):
        def compose(self) -> ComposeResult:
            yield plot.PlotWidget()

    peer = Peer()
    theirs = []
    async with peer.run_test(size=(120, 30)) as pilot:
        widget = peer.query_one(plot.PlotWidget)
        for one in data:
            widget.plot(one.x, one.y, hires_mode=plot.HiResMode.BRAILLE)
        await pilot.pause()
        for _ in range(3):
            start = time.perf_counter()
            widget._render_plot()
            theirs.append((time.perf_counter() - start) * 1000)
    ours = []
    app = Alone()
    async with app.run_test(size=(120, 30)) as pilot:
        curve = app.query_one(Curve)
        curve.show(tuple(CurveLine(one, f"{k}", k) for k, one in enumerate(data)))
        await pilot.pause()
        for _ in range(30):
            start = time.perf_counter()
            curve._draw()
            ours.append((time.perf_counter() - start) * 1000)
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(
        f"\nredraw 2 x {POINTS:,} points at 120x30: {mine:.2f} ms, textual-plot {other:.0f} ms:"
        f" {other / mine:.0f} x (wanted {FASTER} x)"
    )
    assert other / mine >= FASTER


WANDB_RUN = """
import math, os, sys, time, wandb
n, rate = int(sys.argv[1]), float(sys.argv[2])
quiet = wandb.Settings(x_disable_stats=True, console="off")
run = wandb.init(project="p", dir=".", mode="offline", settings=quiet)
loss = lambda s: 3 * math.exp(-s / n * 3) + 0.1 * math.sin(s)
for step in range(n):
    run.log({"loss": loss(step)})
print("ready", flush=True)
step = n
while True:
    run.log({"loss": loss(step)}); step += 1
    time.sleep(1 / rate)
"""
GONOGO_RUN = """
import json, math, os, sys, time
n, rate, path = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
loss = lambda s: 3 * math.exp(-s / n * 3) + 0.1 * math.sin(s)
t = 1767225600000
start = {"v": 1, "kind": "start", "t": t, "name": "c", "arm": "control", "seed": 1}
def line(s):
    return json.dumps({"v": 1, "kind": "point", "t": t + s, "step": s, "loss": loss(s)}) + chr(10)
with open(path, "a", buffering=1 << 20) as file:
    file.write(json.dumps(start) + chr(10))
    for step in range(n):
        file.write(line(step))
    file.flush()
    while True:
        file.write(line(step)); file.flush(); step += 1
        time.sleep(1 / rate)
"""


def gonogo_terminal(root: Path, points: int, env: dict[str, str]) -> Terminal:
    """The app on its Live screen; the run is a job of this machine's own agent, mirrored before."""
    home = root / "home"
    home.mkdir(parents=True)
    ws = Workspace.create(
        root / "ws", settings_text='title = "Bench"\n[hosts.tower]\nlocal = true\n'
    )

    async def start() -> None:
        events: list[object] = []
        link = HostLink(HostSpec("tower", local=True), ws.runs_dir, events.append)
        runner = asyncio.create_task(link.run())
        await link.wait_live(10)
        script = root / "job.py"
        script.write_text(GONOGO_RUN)
        words = f'exec "{sys.executable}" "{script}" {points} {RATE} "$GONOGO_JOB_DIR/run.jsonl"'
        argv = ("sh", "-c", words)
        await link.start_job(JobSpec("train", argv, labels={"stage": "bench"}))
        deadline = time.monotonic() + 60
        while not any(
            isinstance(e, Mirrored) and e.stream == "run" and e.size > points * 60 and not e.behind
            for e in events
        ):
            assert time.monotonic() < deadline, "the run is mirrored"
            await asyncio.sleep(0.1)
        await link.close()
        assert runner.done()

    before = os.environ.get("HOME", "")
    os.environ["HOME"] = str(home)
    try:
        asyncio.run(start())
    finally:
        os.environ["HOME"] = before
    terminal = Terminal(
        [str(Path(sys.executable).with_name("gonogo")), "-C", str(ws.root)], env | {"HOME": str(home)},
        Path(__file__).parents[2],
    )  # fmt: skip
    os.write(terminal.fd, b"5")
    return terminal


def end_jobs(home: Path) -> None:
    for path in home.glob(".gonogo/jobs/*/job.json"):
        try:
            os.killpg(int(json.loads(path.read_text())["pid"]), signal.SIGKILL)
        except (OSError, KeyError, ValueError):
            continue


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("points", SIZES)
def test_beside_wandb_leet(points: int, tmp_path: Path) -> None:
    wandb = shutil.which("wandb", path=os.environ.get("GONOGO_WANDB_BIN", "")) or shutil.which(
        "wandb", path=str(Path(sys.executable).parent)
    )
    if wandb is None:
        pytest.skip("wandb is not installed (the bench extra)")
    env = {
        "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8",
        "COLORTERM": "truecolor", "HOME": str(tmp_path), "WANDB_SILENT": "true",
        "WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false",
    }  # fmt: skip
    figures: dict[str, tuple[float, float, float]] = {}

    def look(name: str, make: Callable[[], Terminal]) -> None:
        terminal = make()
        try:
            first = terminal.curve_seconds()
            terminal.read(2)
            figures[name] = (first, *terminal.cost(WATCHED))
        finally:
            terminal.close()

    python = Path(wandb).with_name("python")
    program = str(python) if python.exists() else sys.executable
    with subprocess.Popen(
        [program, "-c", WANDB_RUN, str(points), str(RATE)], cwd=tmp_path, env=env,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as run:  # fmt: skip
        try:
            assert run.stdout is not None
            assert run.stdout.readline().strip() == b"ready"
            run_dir = next((tmp_path / "wandb").glob("offline-run-*"))
            look("wandb leet", lambda: Terminal([wandb, "leet", str(run_dir)], env, tmp_path))
        finally:
            run.kill()
    try:
        look("gonogo", lambda: gonogo_terminal(tmp_path / "g", points, env))
    finally:
        end_jobs(tmp_path / "g/home")
    mine, other = figures["gonogo"], figures["wandb leet"]
    print(f"\n{points:,} points, then {RATE} a second, 120x36:")
    for name, (first, cpu, rss) in figures.items():
        print(f"  {name:10} first curve {first:.2f} s, {cpu:.1f} % of a core, {rss:.0f} MB")
    ratios = [a / max(b, 1e-9) for a, b in zip(mine, other, strict=True)]
    print(
        "  gonogo / leet: {:.2f} x time to the curve, {:.2f} x CPU, {:.2f} x memory".format(*ratios)
    )
    assert np.isfinite(ratios).all()
