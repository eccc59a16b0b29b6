"""The command `gonogo curve`: the chart of the Live screen in the terminal or in a file."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui import cli_complete
from tui.cli_common import USAGE, Finite, Run, common
from tui.curves import CURVES, TITLES, find_runs, lines_of

if TYPE_CHECKING:
    from tui.fleet import Fleet
    from tui.roadmap.workspace import Workspace
    from tui.run_view import RunView

NOT_FOUND = 1
AXES = ("step", "relative", "wall", "samples", "tokens")


@click.command()
@click.argument("names", metavar="[RUN]...", nargs=-1, shell_complete=cli_complete.runs)
@click.option("--metric", type=click.Choice(CURVES), default="loss", show_default=True)
@click.option("--x", "axis", type=click.Choice(AXES), default="step", show_default=True)
@click.option("--log", "log_y", is_flag=True, help="Logarithmic y axis.")
@click.option("--robust", is_flag=True, help="Fit y to the middle 98 %, marks for the rest.")
@click.option("--difference", is_flag=True, help="Experiment minus control below.")
@click.option("--at", type=Finite(), help="Read all curves at this place of the x axis.")
@click.option(
    "--smooth", type=Finite(0, 1, max_open=True), default=0.8, show_default=True,
    help="TensorBoard's smoothing weight; 0 shows raw values only.",
)  # fmt: skip
@click.option(
    "--mlflow", "tracked", metavar="RUN_ID", multiple=True,
    help="Also this run of the tracking server, whoever started it; can be given again.",
)  # fmt: skip
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Save the picture.")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Save by matplotlib.")
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Save every point.")
@click.option("--width", type=click.IntRange(20, 1000), help="Columns; default: the terminal's.")
@click.option(
    "--height", type=click.IntRange(6, 300), help="Lines; default: the terminal's, at most 30."
)
@common
def curve(
    run: Run, names: tuple[str, ...], metric: str, axis: str, log_y: bool, robust: bool,
    difference: bool, at: float | None, smooth: float, svg: Path | None, png: Path | None,
    csv: Path | None, width: int | None, height: int | None, tracked: tuple[str, ...],
) -> None:  # fmt: skip
    """Draw the curves of RUN (a job id, a run's name or an arm); without one, the newest pair."""
    from rich.console import Console

    from tui import vocabulary
    from tui.chart.paint import Pen, picture
    from tui.chart.save import SaveError, plain, rich_text, save
    from tui.chart.view import View
    from tui.live import LiveStore

    workspace = run.open(read_only=True)
    store = LiveStore()
    store.load_mirrors(workspace.runs_dir)
    try:
        runs = find_runs(store, names) if names else [] if tracked else store.pair()
    except KeyError as missing:
        known = ", ".join(sorted(r.job_id for r in store.runs.values())) or "none yet"
        run.fail(f"There is no run {missing.args[0]}; known: {known}.", "UnknownRun", NOT_FOUND)
    if tracked:
        runs = [*runs, *_tracked(run, workspace, tracked, metric)]
    lines = lines_of(runs, metric)
    for line in lines:
        line.series.resmooth(smooth)
    view = View(axis, log_y, smooth, robust, difference, cross=at)
    size = shutil.get_terminal_size((100, 30))
    columns = width or size.columns
    console = Console(highlight=False, width=columns)
    pen = Pen(vocabulary.wants_ascii(), console.no_color or not console.is_terminal)
    rows = picture(
        lines, view, columns, height or min(30, size.lines - 1), title=TITLES[metric], pen=pen
    )
    saved: dict[str, int] = {}
    for kind, path in (("svg", svg), ("png", png), ("csv", csv)):
        if path is None:
            continue
        if path.suffix.lower() != f".{kind}":
            run.fail(f"{path}: the name of a {kind.upper()} ends in .{kind}.", "BadName", USAGE)
        try:
            saved[str(path)] = save(path, lines, view, rows, TITLES[metric], workspace.root)
        except SaveError as problem:
            run.fail(str(problem), "NotSaved", NOT_FOUND)
    if run.as_json:
        curves = [_summary(line.series, line.name, line.arm) for line in lines]
        run.answer({"metric": metric, "curves": curves, "saved": saved}, "")
        return
    if console.is_terminal:
        console.print(rich_text(rows))
    else:
        click.echo(plain(rows))
    for name, count in saved.items():
        click.echo(f"saved {name} ({count:,} bytes)", file=sys.stderr)


def _tracked(run: Run, workspace: Workspace, ids: tuple[str, ...], metric: str) -> list[RunView]:
    """Those runs of the tracking server with the points of one metric."""
    import asyncio
    import time

    from tui.cli_jobs import UNREACHABLE, with_fleet
    from tui.mlflow_rest import MlflowError
    from tui.mlflow_runs import run_by_id
    from tui.tracked import TrackedRun, connected, fetch

    def load(base: str) -> list[RunView]:
        found: list[RunView] = []
        for run_id in ids:
            one = TrackedRun(run_by_id(base, run_id))
            points = fetch(base, one, metric, time.monotonic())
            if points is not None:
                one.take(metric, points)
            found.append(one)
        return found

    async def work(fleet: Fleet) -> list[RunView]:
        return await asyncio.to_thread(load, await connected(fleet))

    try:
        return with_fleet(run, workspace, work, passing=(MlflowError,))
    except MlflowError as problem:
        code = UNREACHABLE if problem.status in (0, 503) else NOT_FOUND
        run.fail(str(problem), "MlflowError", code)


def _summary(series: Any, name: str, arm: str) -> dict[str, Any]:
    def told(value: float) -> float | str:
        return value if math.isfinite(value) else str(value)

    last: dict[str, float | str | None] = {"last": None, "smoothed": None, "step": None}
    if len(series):
        last = {"last": told(float(series.y[-1])), "smoothed": told(float(series.smooth[-1])),
                "step": float(series.x[-1])}  # fmt: skip
    return {"name": name, "arm": arm, "points": len(series), "not_finite": series.bad,
            "attempts": series.rewinds + 1, **last}  # fmt: skip
