"""What is known right now about hosts, jobs and runs: one plain object that the screens read.

Gauges are latest-wins and always carry the moment they arrived; points are read from the mirrored
journal by byte offset, so a restart rebuilds exactly the same curves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from agents import LinkState
from tui.host_view import HostView, card_key
from tui.run_view import RunView

if TYPE_CHECKING:
    from agents import Gauge, JobStatus, LinkChanged
    from tui.lights import TunnelView

MLFLOW_JOB = "mlflow"
"""Name of the tracking server's job."""

STEP = 64 * 1024
"""Bytes taken from a run that is read beside the app: a millisecond or two, ten where it is damaged."""

TURN_SECONDS = 0.004
"""Time after which the keyboard is looked at again while old runs are loaded."""


def newest_first(runs_dir: Path) -> list[Path]:
    """The mirrored run journals, the one that grew last at the head."""
    found = [(path.stat().st_mtime, path) for path in runs_dir.glob("*/*/run.jsonl")]
    return [path for _, path in sorted(found, reverse=True)]


JOB_RANK = {"running": 0, "starting": 1, "requested": 2, "unknown": 3}


@dataclass
class LiveStore:
    """All hosts, jobs and runs. `version` changes with every visible change."""

    clock: Callable[[], float] = time.monotonic
    hosts: dict[str, HostView] = field(default_factory=dict)
    jobs: dict[tuple[str, str], JobStatus] = field(default_factory=dict)
    runs: dict[tuple[str, str], RunView] = field(default_factory=dict)
    version: int = 0
    patient: bool = False
    """Journals that grew are read when `read_grown` asks for it, not at each piece that comes."""
    _grown: set[tuple[str, str]] = field(default_factory=set)

    def add_host(self, name: str, role: str) -> HostView:
        """Make room for a host."""
        return self.hosts.setdefault(name, HostView(name, role))

    def link_changed(self, event: LinkChanged) -> None:
        """Take in a new link state; a lost link leaves a gap in the history."""
        host = self.add_host(event.host, "")
        if host.live and event.state != LinkState.live:
            host.gap()
        host.link = event
        if event.state == LinkState.live:
            if host.lost_since_ms is not None and host.outages:
                host.outages[-1] = (host.lost_since_ms, max(host.lost_since_ms, event.since_ms))
            host.lost_since_ms = None
        elif event.state == LinkState.backoff and host.lost_since_ms is None:
            host.lost_since_ms = event.since_ms
            host.outages.append((event.since_ms, None))
        self.version += 1

    def gauge_arrived(self, name: str, gauge: Gauge) -> None:
        """Take in the newest gauge of a host."""
        host = self.add_host(name, "")
        job = self.running_job(name)
        host.take(gauge, self.clock(), job.job_id if job is not None else "")
        self.version += 1

    def running_job(self, host: str) -> JobStatus | None:
        """The training or other job of ours that runs on that host, the newest of several."""
        running = [
            job
            for (name, _), job in self.jobs.items()
            if name == host and str(job.state) in ("running", "starting") and job.name != MLFLOW_JOB
        ]
        return max(running, key=lambda job: job.created_ms or 0, default=None)

    def job_memory(self, host: str) -> tuple[int, bool] | None:
        """Bytes of VRAM that the running job holds on the first card, and whether that was measured.

        The driver's count for the job's processes, else what a job that trains with torch tells to have
        reserved (containers are not followed by the driver's count). Else it is what the card uses
        beyond what it used before the job: under WSL and Windows no memory is told by process.
        """
        job = self.running_job(host)
        if job is None:
            return None
        known = self.hosts.get(host)
        cards = known.gauge.gpus if known is not None and known.gauge is not None else ()
        if cards and cards[0].mem_jobs:
            return cards[0].mem_jobs, True
        run = self.runs.get((host, job.job_id))
        told = run.last.get("gpu_reserved_bytes") if run is not None else None
        if isinstance(told, int) and not isinstance(told, bool) and 0 <= told < 2**50:
            return told, True
        view = self.hosts[host]
        card = view.gauge.gpus[0] if view.gauge is not None and view.gauge.gpus else None
        if card is None or card.mem_used is None or card_key(card) not in view.vram_idle:
            return None
        return max(0, card.mem_used - view.vram_idle[card_key(card)]), False

    def tunnel_seen(self, view: TunnelView) -> None:
        """Take in the lights of the tunnel to a host."""
        host = self.add_host(view.host, "")
        before, host.tunnel = host.tunnel, view
        if before is None or [x.ok for x in before.lights] != [x.ok for x in view.lights]:
            self.version += 1

    def job_changed(self, host: str, job: JobStatus) -> JobStatus | None:
        """Take in a job's state; returns what was known of it before."""
        before = self.jobs.get((host, job.job_id))
        self.jobs[host, job.job_id] = job
        self.version += 1
        return before

    def run_grew(self, host: str, job_id: str, path: Path, behind: int, reset: bool) -> bool:
        """Read what a mirrored run journal gained; True when there was something new."""
        run = self.runs.get((host, job_id))
        if run is None:
            run = self.runs[host, job_id] = RunView(host, job_id, path)
        if reset:
            run.clear()
        run.behind = behind
        if run.loading or self.patient:
            self._grown.add((host, job_id))
            return False
        grew = run.read()
        while grew and run.read():
            pass
        if grew:
            self.version += 1
        return grew

    def load_mirrors(self, runs_dir: Path) -> None:
        """Rebuild every run from the mirrored files, without any host at hand."""
        for path in sorted(runs_dir.glob("*/*/run.jsonl")):
            self.run_grew(path.parent.parent.name, path.parent.name, path, 0, False)

    def read_grown(self) -> bool:
        """Read at most STEP bytes of each run that grew; True while there is more."""
        for key in list(self._grown):
            run = self.runs[key]
            if run.loading:
                continue
            before = run.offset
            if run.read(STEP):
                self.version += 1
            if run.offset - before < STEP:
                self._grown.discard(key)
        return any(not self.runs[key].loading for key in self._grown)

    async def load_beside(self, runs_dir: Path, begun: Callable[[], object]) -> None:
        """`load_mirrors` for an app: newest run first, in steps between which keys are answered.

        `begun` is called when the first step of a run has been read.
        """
        for path in newest_first(runs_dir):
            key = (path.parent.parent.name, path.parent.name)
            if key in self.runs:
                continue
            run = self.runs[key] = RunView(*key, path, loading=True)
            try:
                turn = time.perf_counter()
                while run.read(STEP):
                    self.version += 1
                    if run.offset <= STEP:
                        begun()
                    elif time.perf_counter() - turn < TURN_SECONDS:
                        continue
                    await asyncio.sleep(0)
                    turn = time.perf_counter()
            finally:
                run.loading = False

    def sorted_jobs(self) -> list[tuple[str, JobStatus]]:
        """Running jobs first, then the newest."""
        pairs = [(host, job) for (host, _), job in self.jobs.items()]
        return sorted(
            pairs, key=lambda p: (JOB_RANK.get(str(p[1].state), 9), -(p[1].created_ms or 0))
        )

    def pair(self, chosen: Iterable[tuple[str, str]] = ()) -> list[RunView]:
        """The runs to overlay: those chosen, else the newest control and experiment, else the newest."""
        picked = [self.runs[key] for key in chosen if key in self.runs]
        if picked:
            return picked
        training = [run for run in self.runs.values() if run.series.get("loss")]
        training.sort(key=lambda run: run.first_t or 0)
        latest = {run.arm: run for run in training if run.arm in ("control", "experiment")}
        pair = [latest[arm] for arm in ("control", "experiment") if arm in latest]
        newest = training[-1:]
        if newest and newest[0] not in pair and (not pair or not newest[0].end):
            return newest if not pair else [*pair, *newest]
        return pair or newest
