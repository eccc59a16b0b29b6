"""Commands on the hosts' jobs: list them, stop one, run MLflow on the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click

from agents import AgentError, JobStatus
from tui import cli_complete
from tui.cli_common import Finite, Run, common
from tui.fleet import Fleet
from tui.roadmap.workspace import Workspace

T = TypeVar("T")
CONNECT_SECONDS = 15.0
FAILED, UNREACHABLE = 1, 5


def with_fleet(
    run: Run,
    workspace: Workspace,
    work: Callable[[Fleet], Awaitable[T]],
    passing: tuple[type[Exception], ...] = (),
) -> T:
    """Open the links, do the work, close them. An unreachable host is exit code 5.

    Exceptions of the `passing` kinds are the caller's own.
    """

    async def session() -> T:
        fleet = Fleet(workspace)
        fleet.start()
        try:
            return await work(fleet)
        finally:
            await fleet.close()

    try:
        return asyncio.run(session())
    except passing:
        raise
    except (AgentError, TimeoutError) as problem:
        run.fail(str(problem) or "no answer in time", type(problem).__name__, UNREACHABLE)


def as_json(host: str, job: JobStatus) -> dict[str, Any]:
    """One job for --json."""
    return {
        "host": host,
        "job_id": job.job_id,
        "name": job.name,
        "state": str(job.state),
        "code": job.code,
        "created_ms": job.created_ms,
        "labels": dict(job.labels),
        "detail": job.detail,
        "backend": job.backend,
    }


@click.command()
@common
def jobs(run: Run) -> None:
    """List the jobs of every host."""
    workspace = run.open(read_only=True)

    async def work(fleet: Fleet) -> list[tuple[str, JobStatus]]:
        found = []
        for name, link in fleet.links.items():
            await link.wait_live(CONNECT_SECONDS)
            found += [(name, job) for job in await link.jobs()]
        return found

    found = with_fleet(run, workspace, work)
    lines = [
        f"{host:<8} {job.state!s:<10} {job.job_id:<44} {job.detail}".rstrip() for host, job in found
    ]
    run.answer(
        {"jobs": [as_json(host, job) for host, job in found]}, "\n".join(lines) or "no jobs yet"
    )


@click.command()
@click.argument("job", shell_complete=cli_complete.runs)
@click.option(
    "--grace",
    type=Finite(0, 3600),
    default=30.0,
    show_default=True,
    help="Seconds between SIGTERM and SIGKILL.",
)
@common
def stop(run: Run, job: str, grace: float) -> None:
    """Stop a running job: its id, or its name where only one of that name runs."""
    workspace = run.open(read_only=True)

    async def work(fleet: Fleet) -> tuple[str, JobStatus] | str:
        running = []
        for name, link in fleet.links.items():
            await link.wait_live(CONNECT_SECONDS)
            running += [
                (name, j) for j in await link.jobs() if str(j.state) in ("running", "starting")
            ]
        hits = [(host, j) for host, j in running if job in (j.job_id, j.name)]
        if len(hits) != 1:
            names = ", ".join(j.job_id for _, j in hits or running) or "none"
            return f"{len(hits)} running jobs are called “{job}”; running: {names}"
        host, found = hits[0]
        return host, await fleet.stop_job(host, found.job_id, grace)

    result = with_fleet(run, workspace, work)
    if isinstance(result, str):
        run.fail(result, "NoSuchJob", FAILED)
    host, ended = result
    run.answer(as_json(host, ended), f"{ended.job_id} on {host}: {ended.state}")
