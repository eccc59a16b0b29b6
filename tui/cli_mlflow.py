"""`gonogo mlflow`: the tracking server on its host, up, down, how it is, what it printed."""

from __future__ import annotations

import sys
from typing import Any

import click

from agents import RemoteError
from tui.cli_common import Run, common
from tui.cli_files import lights_line
from tui.cli_jobs import CONNECT_SECONDS, FAILED, with_fleet
from tui.fleet import Fleet
from tui.lights import look
from tui.server_kit import KitError, ServerKit

ACTIONS = {"start": "up", "stop": "down"}


@click.command()
@click.argument("action", type=click.Choice(["up", "down", "status", "logs", "start", "stop"]))
@click.option("--lines", default=200, show_default=True, help="Of the log, at most.")
@common
def mlflow(run: Run, action: str, lines: int) -> None:
    """Start (up), end (down) or look at MLflow on its host, by Docker Compose or as a process."""
    workspace = run.open(read_only=True)
    settings = workspace.settings
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
