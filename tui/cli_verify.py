"""`gonogo verify`: runs the checks bound to boxes, over its own links to the hosts."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import click

from tui import cli_complete
from tui.cli_common import Run, common
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace

if TYPE_CHECKING:
    from agents import Event, HostLink, Tunnel

CONNECT_SECONDS = 8.0  # below the time limit of a check: a dead host is out of reach, not slow
FIRST_SECONDS = 4.0  # a host that could not be connected to by then is away
MIRROR_SECONDS = 20.0
FOLLOWED = ("train", "generate")


class Links:
    """Links to the hosts of a workspace, opened when a check first asks for one."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._links: dict[str, HostLink] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._behind: dict[tuple[str, str, str], int] = {}
        self._moved = asyncio.Event()

    def _emit(self, event: Event) -> None:
        from agents import Mirrored

        if isinstance(event, Mirrored):
            self._behind[event.host, event.job_id, event.stream] = event.behind
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()

    def open(self, host: str) -> asyncio.Task[None]:
        """A task that ends when the link is up, or with LinkDown; the same one for every asker."""
        from agents import HostLink
        from tui.fleet import host_spec

        if host not in self._waiting:
            link = HostLink(
                host_spec(host, self.ws.settings.hosts[host], {}), self.ws.runs_dir, self._emit
            )
            self._links[host] = link
            self._tasks.append(asyncio.create_task(link.run()))
            self._waiting[host] = asyncio.create_task(self._live(link))
        return self._waiting[host]

    @staticmethod
    async def _live(link: HostLink) -> None:
        """Waits for a slow login; not for a host to which one attempt has failed already."""
        from agents import LinkDown

        try:
            await link.wait_live(FIRST_SECONDS)
        except LinkDown:
            if link.attempt > 0:
                raise
            await link.wait_live(CONNECT_SECONDS - FIRST_SECONDS)

    async def probe(self, host: str, name: str, **params: Any) -> dict[str, Any]:
        """One probe of a host; raises LinkDown, RemoteError, or KeyError for an unknown host."""
        await asyncio.shield(self.open(host))
        return await self._links[host].probe(name, **params)

    async def forward(self, host: str, port: int) -> Tunnel:
        """A tunnel on a free local port; raises LinkDown, or KeyError for an unknown host."""
        await asyncio.shield(self.open(host))
        return await self._links[host].open_tunnel(port)

    async def catch_up(self) -> None:
        """Waits until the runs of all hosts that can be reached are mirrored, at most for a while."""
        from agents import AgentError

        async def one(host: str) -> None:
            try:
                await asyncio.shield(self.open(host))
                jobs = await self._links[host].jobs()
            except AgentError:
                return  # the checks that need this host will say so themselves
            wanted = [j.job_id for j in jobs if j.labels.get("kind") in FOLLOWED]
            while not all(self._here(host, job) for job in wanted):
                await self._moved.wait()

        waiting = asyncio.gather(*(one(host) for host in self.ws.settings.hosts))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS + MIRROR_SECONDS):
                await waiting

    def _here(self, host: str, job: str) -> bool:
        folder = self.ws.runs_dir / host / job
        behind = [n for (h, j, _), n in self._behind.items() if (h, j) == (host, job)]
        return (folder / "run.jsonl").exists() and not any(behind)

    async def close(self) -> None:
        """Ends the links; jobs on the hosts go on."""
        for link in self._links.values():
            await link.close()
        for task in [*self._waiting.values(), *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._waiting.values(), *self._tasks, return_exceptions=True)


async def check(ws: Workspace, names: list[str], offline: bool, show: Any) -> list[Verdict]:
    """Verdicts of the boxes that `names` mean; links are opened only where a check needs one."""
    from tui.roadmap.verify import needs_hosts, needs_runs, verify

    links = Links(ws)
    try:
        if not offline and needs_runs(ws, names):
            await links.catch_up()
        reach = links if not offline and needs_hosts(ws, names) else None
        return await verify(ws, names, reach, show, offline=offline)
    finally:
        await links.close()


@click.command()
@click.argument("names", metavar="ID...", nargs=-1, shell_complete=cli_complete.names)
@click.option("--offline", is_flag=True, help="Ask no host and no public service.")
@click.option("--dry-run", is_flag=True, help="Record nothing.")
@click.option("--changes", is_flag=True, help="For timers: record what changed, the rest hourly.")
@click.option("--list", "listing", is_flag=True, help="Only list the checks, as `gonogo bindings`.")
@common
def verify(
    run: Run, names: tuple[str, ...], offline: bool, dry_run: bool, changes: bool, listing: bool
) -> None:
    """Check boxes, groups or sections (S1, S1.K, S1.K5) and record what was found.

    Ends with 0 when nothing failed, 1 when a check failed or broke, 5 when a host is out of reach.
    """
    from tui.cli_bindings import print_bindings
    from tui.roadmap.verify import exit_code, select

    ws = run.open(read_only=dry_run or listing)
    if listing:
        raise SystemExit(print_bindings(run, ws, names))
    if not names:
        raise click.UsageError("Name boxes, groups or sections, for example S1.")
    items = select(ws, names)
    done = 0

    def show(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        if not run.as_json:
            text = verdict.reason if verdict.verdict != "PASS" else verdict.found
            word = f"{verdict.verdict} (hint)" if verdict.hint else verdict.verdict
            click.echo(
                f"{word:<11} {verdict.item:<8} {text}  ({verdict.seconds:.2f} s,"
                f" {done} of {len(items)})"
            )

    verdicts = asyncio.run(check(ws, items, offline, show))
    record = None
    if not dry_run:
        store = ws.record_changes if changes else ws.record_verdicts
        record = store(verdicts, run.actor(ws))
    code = exit_code(verdicts)
    if run.as_json:
        data = {"verdicts": [v.as_json() for v in verdicts], "exit_code": code}
        run.answer({**data, "record": record.id if record else None}, "")
    raise SystemExit(code)
