"""What the program asks of a host over its link: calls, jobs, probes, files, tunnels."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from agents.errors import LinkDown, RemoteError
from agents.fetch import Fetched, fetch
from agents.jobs import JobSpec, JobStatus, parse_status
from agents.jobsync import JobSync
from agents.session import Session
from agents.transfer import Progress, persist, put_file
from agents.transport import ByteReader, ByteWriter
from agents.tunnel import Tunnel

STOP_MARGIN = 15.0


class HostRequests:
    """The asking half of a HostLink; the other half sets `_session` while it is live."""

    name: str
    detail: str

    def __init__(self, jobs: JobSync) -> None:
        self._jobs = jobs
        self._session: Session | None = None
        self._tunnels: list[Tunnel] = []
        self._runner: asyncio.Task[None] | None = None

    async def wait_live(self, timeout: float) -> None:
        """Return once live. Raises LinkDown after `timeout` s or when a person is needed."""
        raise NotImplementedError

    def _live_session(self) -> Session:
        if self._session is None:
            raise LinkDown(f"{self.name} is not connected: {self.detail}")
        return self._session

    def drop(self) -> None:
        """Cut the connection without a goodbye, as a lost network does; it comes back by itself."""
        self._live_session().transport.abort()

    async def call(self, op: str, *, timeout: float = 10, **params: Any) -> dict[str, Any]:
        """One request to the agent. Raises LinkDown, RemoteError, TimeoutError."""
        return await self._live_session().call(op, params, timeout=timeout)

    async def call_with_bytes(
        self, op: str, blob: bytes, *, timeout: float = 30, **params: Any
    ) -> dict[str, Any]:
        """A request that carries at most 512 KiB of raw bytes."""
        return await self._live_session().call(op, params, blob, timeout=timeout)

    async def start_job(self, job: JobSpec, *, timeout: float = 30) -> JobStatus:
        """Start a job and wait until its program runs or could not.

        A drop on the way is waited out and asked again: the op_id makes it one job.
        """
        params = job.params()
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                answer = await self.call("start_job", timeout=max(0.1, left), **params)
                break
            except LinkDown:
                if time.monotonic() >= deadline or self._runner is None:
                    raise
                await self.wait_live(max(0.0, deadline - time.monotonic()))
        status = self._status(answer)
        self._jobs.note(status)
        return status

    async def stop_job(self, job_id: str, grace: float = 30) -> JobStatus:
        """SIGTERM to the job's group, SIGKILL after `grace` s; returns how it ended."""
        status = self._status(await self.call("stop_job", job_id=job_id, grace=grace))
        self._jobs.note(status)
        limit = grace + STOP_MARGIN
        try:
            async with asyncio.timeout(limit):
                return await self._jobs.until_terminal(job_id)
        except TimeoutError:
            raise TimeoutError(f"{job_id} did not end within {limit:g} s") from None

    async def jobs(self) -> list[JobStatus]:
        """All jobs, oldest first: as the host says now, or as last known while it is away."""
        if self._session is None:
            return sorted(self._jobs.known.values(), key=lambda job: job.job_id[-20:])
        answer = await self.call("jobs")
        return [self._status(entry) for entry in answer.get("jobs", [])]

    def _status(self, answer: dict[str, Any]) -> JobStatus:
        try:
            return parse_status(answer)
        except (ValueError, TypeError, AttributeError) as error:
            raise RemoteError("malformed", f"{self.name} sent no valid job: {error}") from error

    async def probe(self, name: str, *, timeout: float = 10, **params: Any) -> dict[str, Any]:
        """Run one of the agent's fixed probes. Raises LinkDown, RemoteError, TimeoutError."""
        inner = {"timeout": timeout, **params}
        return await self.call("probe", timeout=timeout + 2, name=name, params=inner)

    async def put_file(
        self,
        local: Path,
        remote: str,
        progress: Progress | None = None,
        *,
        patience: float = 0,
    ) -> str:
        """Copy a file to the host; returns its SHA-256. See :mod:`agents.transfer`.

        After a drop it goes on where it was, if the link is back within `patience` s.
        """
        return await persist(
            lambda: put_file(self.call, self.call_with_bytes, local, remote, progress),
            self.wait_live,
            patience,
        )

    async def fetch(
        self,
        remote: str,
        target: Path,
        progress: Progress | None = None,
        *,
        replace: bool = False,
        patience: float = 0,
    ) -> Fetched:
        """Copy a file or folder from the host. See :mod:`agents.fetch`; `patience` as above."""
        return await persist(
            lambda: fetch(self.call, remote, target, progress, replace), self.wait_live, patience
        )

    async def open_connection(self, port: int) -> tuple[ByteReader, ByteWriter]:
        """A byte stream to 127.0.0.1:port of the host. Raises LinkDown."""
        return await self._live_session().transport.connect(port)

    async def open_tunnel(self, remote_port: int, local_port: int = 0) -> Tunnel:
        """A listener on this machine's 127.0.0.1 that leads to the host's `remote_port`."""
        tunnel = await Tunnel.open(self.name, self.open_connection, remote_port, local_port)
        self._tunnels.append(tunnel)
        return tunnel
