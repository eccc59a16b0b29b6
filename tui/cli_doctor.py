"""`gonogo doctor`: looks at this machine and the hosts, and says what to do next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tui import cli_complete
from tui.cli_answer import to_json
from tui.cli_common import USAGE, Run, common

if TYPE_CHECKING:
    from tui.doctor_rows import Row
    from tui.roadmap.workspace import Workspace


@click.command()
@click.argument("host", required=False, default="", shell_complete=cli_complete.hosts)
@click.option("--deep", is_flag=True, help="Also start containers on the tower; may pull an image.")
@click.option("--drop", is_flag=True, help="Also cut the link under a small job: does it live on?")
@common
def doctor(run: Run, host: str, deep: bool, drop: bool) -> None:
    """Look at this machine and the hosts; with a HOST only at that one.

    Works without a workspace too. Ends with 1 when something fails, 5 when only hosts are out of reach.
    """
    from tui.doctor_rows import exit_code

    ws = run.open(read_only=True) if run.found() else None
    if host and (ws is None or host not in ws.settings.hosts):
        known = ", ".join(ws.settings.hosts) if ws is not None else ""
        text = f"gonogo.toml names no host {host}" + (f"; it names {known}." if known else ".")
        run.fail(text if ws is not None else "There is no workspace here that names hosts.", "UnknownHost",
                 USAGE)  # fmt: skip
    rows = asyncio.run(_look(ws, host, deep, drop, run.as_json))
    code = exit_code(rows)
    if run.as_json:
        click.echo(to_json([row.as_json() for row in rows]))
    else:
        words: dict[str, int] = {}
        for row in rows:
            words[row.verdict] = words.get(row.verdict, 0) + 1
        click.echo(", ".join(f"{count} {word}" for word, count in words.items()))
        if ws is None:
            click.echo(
                "There is no workspace here, so no host was looked at: `gonogo init` makes one."
            )
        elif not ws.settings.hosts:
            click.echo("gonogo.toml names no hosts yet.")
    raise SystemExit(code)


async def _look(ws: Workspace | None, only: str, deep: bool, drop: bool, quiet: bool) -> list[Row]:
    from tui.doctor_laptop import laptop

    away: set[str] = set()

    def show(row: Row) -> None:
        name = row.id.partition(".")[0]
        if not quiet and name not in away:
            if row.verdict == "UNREACHABLE":
                away.add(name)  # one line says it; --json has them all
            click.echo(f"{row.verdict:<11} {row.id:<22} {row.found}")
            if row.verdict not in ("PASS", "SKIP") and row.expected not in row.found:
                click.echo(f"{'':<34} expected {row.expected}")
            if row.next and row.verdict != "PASS":
                click.echo(f"{'':<34} next: {row.next}")

    rows = [] if only else await laptop(ws.root if ws is not None else Path(), show)
    names = [only] if only else list(ws.settings.hosts) if ws is not None else []
    if ws is None or not names:
        return rows
    from tui.cli_verify import Links
    from tui.doctor import host
    from tui.doctor_rows import row

    links = Links(ws)
    waiting: dict[str, list[Row]] = {name: [] for name in names}
    now = names[0]

    def shower(name: str) -> Callable[[Row], None]:
        # Hosts are looked at beside each other and shown one after the other.
        return lambda row: show(row) if name == now else waiting[name].append(row)

    tasks = {
        name: asyncio.ensure_future(host(ws, links, name, shower(name), deep=deep))
        for name in names
    }
    try:
        for now, task in tasks.items():
            for one in waiting[now]:
                show(one)
            rows += await task
    finally:
        await links.close()
    if drop:
        from tui.fleet import host_spec
        from tui.survival import EXPECTED, survives

        gone = {r.id.partition(".")[0]: r for r in rows if r.verdict == "UNREACHABLE"}
        for name in names:
            if name in gone:  # it was waited for already
                rows.append(replace(gone[name], id=f"{name}.drop", expected=EXPECTED, seconds=0.0))
                continue
            work = survives(host_spec(name, ws.settings.hosts[name], {}))
            rows.append(await row(f"{name}.drop", work, EXPECTED, seconds=120))
            show(rows[-1])
    return rows
