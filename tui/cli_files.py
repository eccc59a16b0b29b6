"""Commands on files and the tunnel: send a file, fetch what a job left, keep the tunnel open."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from agents import AgentError, Fetched, RemoteError
from tui import cli_complete
from tui.cli_common import USAGE, Run, common
from tui.cli_jobs import CONNECT_SECONDS, FAILED, with_fleet
from tui.files import check_folder
from tui.fleet import Fleet
from tui.lights import Light, look, stable_port
from tui.vocabulary import size

PATIENCE = 600.0
"""Seconds for which a copy waits for a lost link before it gives up; what arrived stays."""


class Meter:
    """One line of progress on a terminal, nothing elsewhere."""

    def __init__(self, what: str, quiet: bool) -> None:
        self.what, self.quiet = what, quiet or not sys.stderr.isatty()
        self.began, self.shown, self.first = time.monotonic(), 0.0, -1

    def __call__(self, done: int, total: int) -> None:
        """Show how far it is; at most ten times a second, and at the end."""
        now = time.monotonic()
        if self.first < 0:
            self.first = done
        if self.quiet or (done < total and now - self.shown < 0.1):
            return
        self.shown = now
        pace = (done - self.first) / max(0.001, now - self.began)
        percent = 100 * done // total if total else 100
        line = f"\r{self.what}  {percent:3d} %  {size(done)} of {size(total)}  {size(pace)}/s\x1b[K"
        click.echo(line, nl=done >= total, err=True)


def refusal(work: Callable[[], object], run: Run) -> None:
    """Run it; a local or remote refusal is one sentence and exit code 1."""
    try:
        work()
    except RemoteError as problem:
        run.fail(str(problem), "RemoteError", FAILED)
    except FileExistsError as problem:
        run.fail(str(problem), "FileExistsError", FAILED)
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        run.fail(f"{where}{problem.strerror or problem}", "OSError", FAILED)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("target", metavar="HOST:PATH")
@common
def send(run: Run, file: Path, target: str) -> None:
    """Send a file to a host: whole, checked, going on after a drop."""
    workspace = run.open(read_only=True)
    host, _, path = target.partition(":")
    if host not in workspace.settings.hosts or not path:
        names = ", ".join(workspace.settings.hosts) or "none"
        run.fail(f"“{target}” is no HOST:PATH; hosts: {names}", "NoHost", USAGE)
    if path.endswith("/"):
        path += file.name
    if not path.startswith(("/", "~/")):
        path = "~/" + path

    async def work(fleet: Fleet) -> str:
        link = fleet.links[host]
        await link.wait_live(CONNECT_SECONDS)
        return await link.put_file(file, path, Meter(file.name, run.as_json), patience=PATIENCE)

    def go() -> None:
        began = time.monotonic()
        digest = with_fleet(run, workspace, work, passing=(RemoteError,))
        count = file.stat().st_size
        run.answer(
            {"host": host, "path": path, "sha256": digest, "size": count},
            f"{host}:{path}  {size(count)} in {time.monotonic() - began:.1f} s  sha256 {digest}",
        )

    refusal(go, run)


@click.command()
@click.argument("job", shell_complete=cli_complete.runs)
@click.argument("dest", required=False, type=click.Path(path_type=Path))
@click.option("--what", default="adapter", show_default=True, help="Path in the job's folder.")
@click.option("--replace", is_flag=True, help="Replace what is at DEST.")
@common
def fetch(run: Run, job: str, dest: Path | None, what: str, replace: bool) -> None:
    """Fetch the adapter of a job (its id, or a name: the newest): whole, checked, resumable."""
    workspace = run.open(read_only=True)
    if dest is not None and (replace or not dest.exists()):
        check_folder(dest, workspace.root)

    async def work(fleet: Fleet) -> Fetched | str:
        found = []
        for name, link in fleet.links.items():
            try:
                await link.wait_live(CONNECT_SECONDS)
            except (AgentError, TimeoutError):
                continue  # the job may be on the other host
            found += [(j.created_ms or 0, name, j) for j in await link.jobs()]
        hits = [entry for entry in found if job in (entry[2].job_id, entry[2].name)]
        if not hits:
            return f"no reachable host has a job “{job}”; `gonogo jobs` lists them"
        _, host, status = max(hits, key=lambda entry: entry[:2])
        target = dest or workspace.root / "models" / "adapters" / status.job_id
        remote = f"~/.gonogo/jobs/{status.job_id}/{what}"
        meter = Meter(f"{host} {what}", run.as_json)
        link = fleet.links[host]
        return await link.fetch(remote, target, meter, replace=replace, patience=PATIENCE)

    def go() -> None:
        result = with_fleet(run, workspace, work, passing=(RemoteError,))
        if isinstance(result, str):
            run.fail(result, "NoSuchJob", FAILED)
        left = f", {result.skipped} links left out" if result.skipped else ""
        run.answer(
            {"path": str(result.path), "files": result.sums, "size": result.size},
            f"{result.path}  {len(result.sums)} files, {size(result.size)}, checked{left}",
        )

    refusal(go, run)


def lights_line(url: str, lights: tuple[Light, ...]) -> str:
    """The URL and its three lights as one line."""
    parts = []
    for light in lights:
        tail = f" {light.ms:.0f} ms" if light.ms is not None else f" {light.text}".rstrip()
        parts.append(f"{light.mark} {light.name}{tail}")
    return f"{url}  " + "   ".join(parts)


@click.command()
@click.argument("name", default="mlflow")
@click.option("--once", is_flag=True, help="Look once and end: 0 when every light is lit, else 1.")
@common
def tunnel(run: Run, name: str, once: bool) -> None:
    """Keep a tunnel open in this shell: `mlflow`, or HOST:PORT. Ctrl-C ends it."""
    workspace = run.open(read_only=True)
    settings = workspace.settings
    host, _, digits = name.partition(":")
    if name == "mlflow":
        host, digits = settings.mlflow.host, str(settings.mlflow.port)
    if host not in settings.hosts or not digits.isdigit() or not 0 < int(digits) < 65536:
        run.fail(f"“{name}” is neither mlflow nor HOST:PORT", "NoTunnel", USAGE)

    async def work(fleet: Fleet) -> tuple[str, tuple[Light, ...]]:
        link = fleet.links[host]
        await link.wait_live(CONNECT_SECONDS)
        wanted = settings.mlflow.local_port or stable_port(workspace.root, f"{host}:{digits}")
        if name == "mlflow":
            opened = await fleet.tunnel()
        else:
            opened = await link.open_tunnel(int(digits), wanted)
        shown: list[bool | None] = []
        while True:
            lights = (await look(link, opened))[: 3 if name == "mlflow" else 1]
            if once:
                return opened.url, lights
            line = lights_line(opened.url, lights)
            if sys.stdout.isatty():
                click.echo(f"\r{line}\x1b[K", nl=False)
            elif [light.ok for light in lights] != shown:
                click.echo(line)
            shown = [light.ok for light in lights]
            await asyncio.sleep(2.0)

    try:
        url, lights = with_fleet(run, workspace, work)
    except KeyboardInterrupt:
        click.echo()
        return
    lit = all(light.ok for light in lights)
    told = [{"name": x.name, "ok": x.ok, "text": x.text, "ms": x.ms} for x in lights]
    run.answer({"url": url, "ok": lit, "lights": told}, lights_line(url, lights))
    sys.exit(0 if lit else FAILED)
