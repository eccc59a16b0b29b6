"""MLflow on the server, started and ended through the agent: Docker Compose, or a virtual environment.

Every step is a job on the server, so a laptop that goes to sleep in the middle interrupts nothing,
and what a step printed is its log like any other job's.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from agents import AgentError, HostLink, JobSpec, JobStatus
from tui.fleet import Fleet
from tui.launch import MLFLOW_JOB, mlflow_hosts, mlflow_job
from tui.settings import Settings
from tui.tail import clean, tail_lines

COMPOSE_JOB = "mlflow-compose"
SETUP_JOB = "mlflow-setup"
ALIVE = ("requested", "starting", "running")
PACKAGE = "mlflow>=3.17,<3.19"
ANSWER_SECONDS = 180.0
STEP_SECONDS = 1800.0
HAS_MLFLOW = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mlflow') is None)"

COMPOSE = (
    'cd "$1" || exit 1; shift; '
    'if docker compose version >/dev/null 2>&1; then exec docker compose "$@"; fi; '
    'if command -v docker-compose >/dev/null 2>&1; then exec docker-compose "$@"; fi; '
    'echo "there is no Docker Compose on this host: install docker-compose-plugin '
    '(docker-compose on Debian)"; exit 127'
)
"""Version 2 is a plugin, version 1 a program of its own; nothing but fixed words follows."""

Report = Callable[[str], None]


class KitError(Exception):
    """MLflow was not started or ended; the text is one sentence with the next step."""


def compose_files(settings: Settings, user: int) -> dict[str, str]:
    """Name → text of the files in MLflow's folder; `user` is the numeric owner of the data."""
    chosen = settings.mlflow
    kit = resources.files("tui.kit")
    values = {
        "COMPOSE_PROJECT_NAME": f"gonogo-mlflow-{chosen.port}",
        "MLFLOW_IMAGE": chosen.image,
        "POSTGRES_IMAGE": chosen.postgres_image,
        "MLFLOW_USER": f"{user}:{user}",
        "MLFLOW_BIND": chosen.bind,
        "MLFLOW_PORT": str(chosen.port),
        "MLFLOW_HOSTS": mlflow_hosts(settings),
    }
    files = {
        "docker-compose.yml": kit.joinpath(f"{chosen.store}.yml").read_text("utf-8"),
        ".env": "".join(f"{name}={value}\n" for name, value in values.items()),
    }
    if chosen.store == "postgresql":
        files["Dockerfile"] = kit.joinpath("Dockerfile").read_text("utf-8")
        files[".dockerignore"] = "*\n!Dockerfile\n"
    return files


def compose_job(folder: str, *words: str) -> JobSpec:
    """Docker Compose in `folder` on the host, as a job whose log is what it says."""
    argv = ("/bin/sh", "-c", COMPOSE, "compose", folder, *words)
    return JobSpec(COMPOSE_JOB, argv, labels={"kind": "service"})


class ServerKit:
    """MLflow's server of one workspace. `report(text)` tells what is going on, a line a fact."""

    def __init__(self, fleet: Fleet, report: Report = lambda text: None) -> None:
        self.fleet, self.report = fleet, report
        self.settings = fleet.workspace.settings
        self.host = self.settings.mlflow.host
        if self.host not in fleet.links:
            raise KitError(f"gonogo.toml names no host “{self.host}” for MLflow: set mlflow.host")

    @property
    def link(self) -> HostLink:
        """The link to MLflow's host."""
        return self.fleet.links[self.host]

    @property
    def docker(self) -> bool:
        """True when Docker Compose keeps it, else it is a process in a virtual environment."""
        return self.settings.hosts[self.host].backend == "docker"

    @property
    def folder(self) -> str:
        """Where the store, the artifacts and the kit lie on the host."""
        return f"{self.link.host_info['home']}/mlflow"

    # --- asking -------------------------------------------------------------------------------

    async def answers(self) -> str:
        """`ok`, `free` (nobody listens on the port) or what else is there."""
        url = f"http://127.0.0.1:{self.settings.mlflow.port}/health"
        try:
            answer = await self.link.probe("http", url=url, timeout=5)
        except TimeoutError:
            return "no answer to /health"
        if answer.get("status") == 200 and str(answer.get("body", "")).strip() == "OK":
            return "ok"
        if "refused" in str(answer.get("error", "")):
            return "free"
        return clean(str(answer.get("error") or f"HTTP {answer.get('status')}"))[:100]

    async def server_job(self) -> JobStatus | None:
        """The process job that is MLflow's server, None where Compose keeps it or none runs."""
        for job in reversed(await self.link.jobs()):
            if job.name == MLFLOW_JOB and str(job.state) in ALIVE:
                return job
        return None

    # --- up and down --------------------------------------------------------------------------

    async def up(self) -> str:
        """Start MLflow and wait until it answers; returns how. Raises KitError, AgentError."""
        port = self.settings.mlflow.port
        found = await self.answers()
        if found == "ok":
            return f"MLflow answers already on {self.host} port {port}"
        if await self.server_job() is None:
            if found != "free":
                raise KitError(
                    f"port {port} on {self.host} is taken by something else ({found}): set mlflow.port"
                )
            await (self._up_docker() if self.docker else self._up_process())
        await self._until_it_answers()
        kept = "Docker Compose" if self.docker else "a process"
        return f"MLflow answers on {self.host} port {port}, kept by {kept}"

    async def _up_docker(self) -> None:
        self.report(f"sending the Compose files to {self.host}:{self.folder}")
        files = compose_files(self.settings, int(self.link.host_info.get("uid", 0)))
        with tempfile.TemporaryDirectory() as place:
            for name, text in files.items():
                local = Path(place, name)
                await asyncio.to_thread(local.write_text, text, "utf-8")
                await self.link.put_file(local, f"{self.folder}/{name}", patience=60)
        self.report("docker compose up: the first time it downloads the image")
        await self.step(
            compose_job(self.folder, "up", "-d", "--remove-orphans"), "docker compose up"
        )

    async def _up_process(self) -> None:
        python = await self._python()
        self.report(f"starting the server with {python}")
        # Two that start it at once see the same last job, name the next alike, and get one server.
        jobs = [job for job in await self.link.jobs() if job.name == MLFLOW_JOB]
        if jobs and str(jobs[-1].state) in ALIVE:
            return  # the other was quicker
        op_id = f"mlflow-{self.settings.mlflow.port}-after-{jobs[-1].job_id if jobs else 'none'}"
        spec = mlflow_job(self.settings, folder=self.folder, python=python, op_id=op_id)
        job = await self.fleet.start_job(self.host, spec)
        if str(job.state) not in ("running", "starting", "requested"):
            raise KitError(f"MLflow did not start: {job.detail}")

    async def _python(self) -> str:
        """An interpreter of the host that has MLflow; a virtual environment is made when none has."""
        own = self.settings.hosts[self.host].python
        environment = f"{self.folder}/venv"
        for python in (own, f"{environment}/bin/python"):
            if await self._succeeds((python, "-c", HAS_MLFLOW)):
                return python
        self.report(f"making a virtual environment in {self.host}:{environment}")
        making = JobSpec(SETUP_JOB, (own, "-m", "venv", environment))
        await self.step(making, "python -m venv (Debian: install python3-venv)")
        self.report("installing MLflow into it: about 600 MB")
        pip = (f"{environment}/bin/python", "-m", "pip", "install", "--no-input", PACKAGE)
        await self.step(JobSpec(SETUP_JOB, pip), "pip install mlflow")
        return f"{environment}/bin/python"

    async def _succeeds(self, argv: tuple[str, ...]) -> bool:
        job = await self.fleet.start_job(self.host, JobSpec(SETUP_JOB, argv))
        return str((await self.fleet.wait_job(self.host, job.job_id, 60)).state) == "succeeded"

    async def _until_it_answers(self) -> None:
        self.report("waiting for /health")
        deadline = time.monotonic() + ANSWER_SECONDS
        while await self.answers() != "ok":
            job = None if self.docker else await self.server_job()
            if not self.docker and job is None:
                raise KitError(f"MLflow ended at once: {await self._why()} (gonogo mlflow logs)")
            if time.monotonic() > deadline:
                raise KitError(
                    f"MLflow did not answer within {ANSWER_SECONDS:.0f} s: see gonogo mlflow logs"
                )
            await asyncio.sleep(0.5)

    async def _why(self) -> str:
        jobs = [job for job in await self.link.jobs() if job.name == MLFLOW_JOB]
        lines = self._log(jobs[-1].job_id) if jobs else []
        return lines[-1][:200] if lines else "it printed nothing"

    async def down(self) -> str:
        """End MLflow; its store stays. Raises KitError, AgentError."""
        job = await self.server_job()
        if job is not None:
            ended = await self.fleet.stop_job(self.host, job.job_id, 15)
            return f"MLflow on {self.host}: {ended.state}"
        if self.docker:
            await self.step(compose_job(self.folder, "down"), "docker compose down")
            return f"MLflow on {self.host}: its containers are removed, the data stays"
        return f"no MLflow of ours runs on {self.host}"

    async def logs(self, lines: int = 200) -> list[str]:
        """The newest lines that the server printed."""
        if self.docker:
            spec = compose_job(self.folder, "logs", "--no-color", "--tail", str(lines))
            return await self.step(spec, "docker compose logs")
        jobs = [job for job in await self.link.jobs() if job.name == MLFLOW_JOB]
        if not jobs:
            raise KitError(f"MLflow was never started on {self.host}: gonogo mlflow up")
        await self._mirrored(jobs[-1].job_id)
        return self._log(jobs[-1].job_id)[-lines:]

    # --- steps as jobs ------------------------------------------------------------------------

    def _log(self, job_id: str) -> list[str]:
        path = self.fleet.workspace.runs_dir / self.host / job_id / "log.txt"
        return [line for line in tail_lines(path) if line.strip()]

    async def _mirrored(self, job_id: str) -> None:
        """Wait until the copy of a job's log is as long as the host's."""
        place = f"{self.link.host_info['home']}/.gonogo/jobs/{job_id}/log.txt"
        size = int((await self.link.probe("file", path=place)).get("size") or 0)
        copy = self.fleet.workspace.runs_dir / self.host / job_id / "log.txt"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if await asyncio.to_thread(lambda: copy.exists() and copy.stat().st_size >= size):
                return
            await asyncio.sleep(0.05)

    async def step(self, spec: JobSpec, what: str) -> list[str]:
        """Run one job to its end, reporting its newest line; returns its log. Raises KitError."""
        job = await self.fleet.start_job(self.host, spec)
        waiting = asyncio.create_task(self.fleet.wait_job(self.host, job.job_id, STEP_SECONDS))
        shown = ""
        while not (await asyncio.wait([waiting], timeout=0.5))[0]:
            newest = next(iter(self._log(job.job_id)[-1:]), "")
            if newest != shown:
                shown = newest
                self.report(newest[:120])
        ended = waiting.result()
        try:
            await self._mirrored(job.job_id)
        except (AgentError, TimeoutError):
            pass  # the state is known; the log follows with the link
        lines = self._log(job.job_id)
        if str(ended.state) != "succeeded":
            said = lines[-1][:200] if lines else ended.detail
            raise KitError(f"{what} {ended.state}: {said or ended.detail}")
        return lines
