"""The links of one workspace, what they tell, and what can be asked of the hosts through them.

Knows no Textual: the app, the command line and the demo without a terminal stand on the same object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tui.later import later
from tui.live import LiveStore

if TYPE_CHECKING:
    from agents import Event, HostLink, HostSpec, JobSpec, JobStatus, Tunnel
    from tui.energy import EnergyMeter
    from tui.lights import TunnelView, look, stable_port
    from tui.roadmap.gate_lock import require_gate
    from tui.roadmap.state import Verdict
    from tui.roadmap.verify import verify
    from tui.roadmap.workspace import Workspace
    from tui.settings import HostSettings
    from tui.tracked import TrackedRuns
else:
    HostLink, HostSpec = later("agents", "HostLink", "HostSpec")
    EnergyMeter = later("tui.energy", "EnergyMeter")
    TunnelView, look, stable_port = later("tui.lights", "TunnelView", "look", "stable_port")
    require_gate = later("tui.roadmap.gate_lock", "require_gate")
    verify = later("tui.roadmap.verify", "verify")
    TrackedRuns = later("tui.tracked", "TrackedRuns")

LIGHTS_SECONDS = 5.0
"""Between two looks at the tunnel's lights."""

ENDED = frozenset({"succeeded", "failed", "oom", "stopped", "lost"})
"""Job states that will not change any more."""


def host_spec(name: str, host: HostSettings, health: dict[str, str]) -> HostSpec:
    """What the transport needs to know of a host, from its settings."""
    return HostSpec(
        name=name,
        ssh=host.ssh,
        port=host.port,
        user=host.user,
        identity_file=host.identity_file,
        known_hosts=host.known_hosts,
        local=host.local,
        shell=host.shell,
        simulate_gpu=host.simulate_gpu,
        health_urls=health,
    )


class Fleet:
    """Owns one HostLink a host and the LiveStore they fill."""

    def __init__(
        self,
        workspace: Workspace,
        listener: Callable[[Event], None] | None = None,
        *,
        load: bool = True,
    ) -> None:
        self.workspace = workspace
        self.store = LiveStore()
        self._listener = listener
        self._tunnel: Tunnel | None = None
        self._tunnel_lock = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        for name, host in workspace.settings.hosts.items():
            self.store.add_host(name, host.role)
        if load:
            self.store.load_mirrors(workspace.runs_dir)

    @cached_property
    def links(self) -> dict[str, HostLink]:
        """One link a host, made when they are first asked for: a first frame needs none."""
        settings, made = self.workspace.settings, {}
        for name, host in settings.hosts.items():
            health = {}
            if name == settings.mlflow.host:
                health["mlflow"] = f"http://127.0.0.1:{settings.mlflow.port}/health"
            spec = host_spec(name, host, health)
            made[name] = HostLink(spec, self.workspace.runs_dir, self._emit)
        return made

    @cached_property
    def energy(self) -> EnergyMeter:
        """What the jobs' cards use."""
        return EnergyMeter(self.workspace.runs_dir)

    @cached_property
    def tracked(self) -> TrackedRuns:
        """Runs of the tracking server that were picked to be drawn too."""
        return TrackedRuns(self.mlflow_base, self._tracked_changed, self.store.clock)

    def _tracked_changed(self) -> None:
        self.store.version += 1

    def start(self) -> None:
        """Begin to connect to every host; one host's trouble never touches another's."""
        for name, link in self.links.items():
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(link.run(), name=f"link:{name}")

    async def close(self) -> None:
        """Close all links; what runs on the hosts goes on."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        if "links" in vars(self):
            for link in self.links.values():
                await link.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _emit(self, event: Event) -> None:
        from agents import GaugeArrived, JobChanged, LinkChanged, Mirrored

        match event:
            case LinkChanged():
                self.store.link_changed(event)
            case GaugeArrived(host=host, gauge=gauge):
                self.store.gauge_arrived(host, gauge)
                jobs = [job for (name, _), job in self.store.jobs.items() if name == host]
                self.energy.reading(host, gauge, jobs)
            case JobChanged(host=host, job=job):
                self.store.job_changed(host, job)
                if str(job.state) in ENDED:
                    self.energy.ended(host, job)
            case Mirrored(stream="run") as grown:
                self.store.run_grew(grown.host, grown.job_id, grown.path, grown.behind, grown.reset)
        if self._listener is not None:
            self._listener(event)

    # --- asking -------------------------------------------------------------------------------

    async def probe(self, host: str, name: str, **params: Any) -> dict[str, Any]:
        """One probe of the remote program's fixed list; LinkDown when the host is out of reach."""
        return await self.links[host].probe(name, **params)

    async def forward(self, host: str, port: int) -> Tunnel:
        """A tunnel of its own on a free local port; LinkDown when the host is out of reach."""
        await self.links[host].wait_live(0.0)
        return await self.links[host].open_tunnel(port)

    async def verify(
        self, ids: Iterable[str], on_result: Callable[[Verdict], None] | None = None
    ) -> list[Verdict]:
        """Run the probes bound to these boxes; nothing is written here."""
        return await verify(self.workspace, list(ids), self, on_result)

    async def start_job(self, host: str, job: JobSpec) -> JobStatus:
        """Start a detached job (or find the one that the same op_id started before).

        Raises GateLocked for a job whose label `stage` lies behind the gate before it says GO,
        and for a queue that holds such a job; UnknownId where the plan has no such stage.
        """
        for one in (job, *job.steps):
            require_gate(self.workspace, one.labels)
        return await self.links[host].start_job(job)

    async def stop_job(self, host: str, job_id: str, grace: float = 30) -> JobStatus:
        """SIGTERM to the job's group, SIGKILL after `grace` seconds."""
        return await self.links[host].stop_job(job_id, grace)

    async def tunnel(self) -> Tunnel:
        """The local port that leads to MLflow on its host: one a fleet, the same at every start."""
        async with self._tunnel_lock:
            if self._tunnel is None:
                settings = self.workspace.settings.mlflow
                port = settings.local_port or stable_port(self.workspace.root, settings.host)
                self._tunnel = await self.links[settings.host].open_tunnel(settings.port, port)
            return self._tunnel

    async def mlflow_base(self) -> str:
        """The address of MLflow on this machine. Raises MlflowError without a host for it."""
        from tui.mlflow_rest import MlflowError

        host = self.workspace.settings.mlflow.host
        if host not in self.links:
            raise MlflowError(f"There is no host {host!r} for MLflow: name it in gonogo.toml.")
        return (await self.tunnel()).url

    def watch_tracked(self) -> None:
        """Load the picked runs and keep them fresh for as long as the fleet lives."""
        if "tracked" not in self._tasks:
            self._tasks["tracked"] = asyncio.create_task(self.tracked.watch(), name="tracked")

    def start_tunnel(self) -> None:
        """Keep MLflow's tunnel open and its lights known for as long as the fleet lives."""
        if self.workspace.settings.mlflow.host in self.links and "tunnel" not in self._tasks:
            self._tasks["tunnel"] = asyncio.create_task(self._watch_tunnel(), name="tunnel")

    async def _watch_tunnel(self) -> None:
        host = self.workspace.settings.mlflow.host
        tunnel = await self.tunnel()
        while True:
            lights = await look(self.links[host], tunnel)
            self.store.tunnel_seen(TunnelView(host, tunnel.url, lights, self.store.clock()))
            await asyncio.sleep(LIGHTS_SECONDS)

    async def wait_job(
        self, host: str, job_id: str, timeout: float, poll: float = 0.2
    ) -> JobStatus:
        """Wait until the job has ended; TimeoutError after `timeout` seconds."""
        async with asyncio.timeout(timeout):
            while True:
                job = self.store.jobs.get((host, job_id))
                if job is not None and str(job.state) in ENDED:
                    return job
                await asyncio.sleep(poll)
