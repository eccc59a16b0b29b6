"""`gonogo mlflow`: the tracking server on its host, up, down, how it is, what it printed."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import click

from agents import RemoteError
from tui.cli_common import Run, common
from tui.cli_files import lights_line
from tui.cli_jobs import CONNECT_SECONDS, FAILED, UNREACHABLE, with_fleet
from tui.fleet import Fleet
from tui.lights import look
from tui.mlflow_rest import MlflowError
from tui.mlflow_runs import MOST_RUNS, experiments, runs_page
from tui.roadmap.workspace import Workspace
from tui.server_kit import KitError, ServerKit
from tui.tracked import connected, twin_of
from tui.vocabulary import clip

ACTIONS = {"start": "up", "stop": "down"}


def _list(run: Run, workspace: Workspace, experiment: str, limit: int) -> None:
    """Print the runs of the tracking server."""

    async def work(fleet: Fleet) -> list[dict[str, Any]]:
        base = await connected(fleet)
        return await asyncio.to_thread(_runs, base, fleet, experiment, limit)

    try:
        found = with_fleet(run, workspace, work, passing=(MlflowError,))
    except MlflowError as problem:
        run.fail(str(problem), "MlflowError", UNREACHABLE if problem.status in (0, 503) else FAILED)
    lines = [
        f"{r['run_id']}  {r['state'].lower():<9} {r['started']:<16} {clip(r['name'], 40):<40} "
        f"{clip(r['experiment'], 24)}{'  also on ' + r['also_on'] if r['also_on'] else ''}"
        for r in found
    ]
    run.answer({"runs": found}, "\n".join(lines) or "no runs yet")


def _runs(base: str, fleet: Fleet, experiment: str, limit: int) -> list[dict[str, Any]]:
    known = {item.id: item.name for item in experiments(base)}
    ids = [i for i, name in known.items() if not experiment or experiment in (name, i)]
    if experiment and not ids:
        raise MlflowError(
            f"There is no experiment {experiment!r}; `gonogo mlflow runs` lists all.", 404
        )
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page, following = runs_page(base, ids, token=token)
        for info in page[: limit - len(found)]:
            twin = twin_of(info, fleet.store)
            began = time.localtime((info.start_ms or 0) / 1000)
            found.append({
                "run_id": info.run_id, "name": info.name, "experiment": known.get(info.experiment_id, ""),
                "state": info.state, "start_ms": info.start_ms, "end_ms": info.end_ms,
                "started": time.strftime("%Y-%m-%d %H:%M", began) if info.start_ms else "-",
                "metrics": sorted(info.last), "arm": info.arm,
                "also_on": twin.host if twin is not None else "", "url": info.url(base),
            })  # fmt: skip
        if not following or following == token or len(found) >= limit:
            return found
        token = following


@click.command()
@click.argument(
    "action", type=click.Choice(["up", "down", "status", "logs", "runs", "start", "stop"])
)
@click.option("--lines", default=200, show_default=True, help="Of the log, at most.")
@click.option("--experiment", default="", help="With runs: only those of this experiment.")
@click.option(
    "--limit", type=click.IntRange(1, MOST_RUNS), default=200, show_default=True,
    help="With runs: how many, the newest first.",
)  # fmt: skip
@common
def mlflow(run: Run, action: str, lines: int, experiment: str, limit: int) -> None:
    """Start (up), end (down) or look at MLflow on its host, by Docker Compose or as a process.

    `runs` lists what was logged there, whoever did it.
    """
    workspace = run.open(read_only=True)
    settings = workspace.settings
    if action == "runs":
        _list(run, workspace, experiment, limit)
        return
    action = ACTIONS.get(action, action)

    def report(text: str) -> None:
        if not run.as_json:
            click.echo(f"… {text}", err=True)

    async def work(fleet: Fleet) -> dict[str, Any]:
        kit = ServerKit(fleet, report)
        await kit.link.wait_live(CONNECT_SECONDS)
        if action == "logs":
            found = await kit.logs(lines)
            return {"text": "\n".join(found), "lines": found}
        said = ""
        if action != "status":
            said = await (kit.up() if action == "up" else kit.down())
        tunnel = await fleet.tunnel()
        lights = await look(kit.link, tunnel)
        job = await kit.server_job()
        health = "ok" if all(light.ok for light in lights) else "down"
        if action == "status":
            said = f"MLflow on {kit.host} port {settings.mlflow.port}: {health}"
            said += f"\n{lights_line(tunnel.url, lights)}"
        return {"host": kit.host, "port": settings.mlflow.port, "health": health, "text": said,
                "backend": "docker" if kit.docker else "process",
                "job_id": job.job_id if job else ""}  # fmt: skip

    try:
        answer = with_fleet(run, workspace, work, passing=(RemoteError, KitError))
    except (RemoteError, KitError) as problem:
        run.fail(str(problem), type(problem).__name__, FAILED)
    text = str(answer.pop("text"))
    run.answer(answer, text)
    if action == "status" and answer["health"] != "ok":
        sys.exit(FAILED)
