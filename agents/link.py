"""HostLink: one host, kept connected for as long as the program runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import bootstrap
from agents.dialer import SshDialer
from agents.errors import LinkDown, LinkLost, NeedsUser
from agents.events import Event, GaugeArrived, HostNoise, LinkChanged, LinkState
from agents.gauges import parse_gauge
from agents.jobs import JobSpec, JobStatus, parse_status
from agents.jobsync import JobSync
from agents.retry import ClockJump, backoff_delay, wait_for_retry
from agents.session import Session
from agents.spec import HostSpec
from agents.transfer import put_file
from agents.transport import ByteReader, ByteWriter, LocalTransport, Transport
from agents.tunnel import Tunnel

PING_EVERY = 5.0
SUSPECT_AFTER = 7.0
DROP_AFTER = 14.0
TICK = 0.5
STEADY_AFTER = 5.0

logger = logging.getLogger(__name__)


class HostLink:
    """Connects, watches, reconnects; mirrors the host's jobs below `mirror_root`/<name>.

    `emit` is called on the event loop and must not block. Create it in the loop that runs it.
    """

    def __init__(self, spec: HostSpec, mirror_root: Path, emit: Callable[[Event], None]) -> None:
        self.spec = spec
        self.name = spec.name
        self.state = LinkState.connecting
        self.detail = ""
        self.since_ms = _now_ms()
        self.attempt = 0
        self.retry_in: float | None = None
        self.latency_ms: float | None = None
        self.clock_offset_ms: float | None = None
        self.host_info: dict[str, Any] = {}
        self._emit = emit
        self._dialer = SshDialer(spec)
        self._jobs = JobSync(spec.name, mirror_root, emit)
        self._session: Session | None = None
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._jump = ClockJump()
        self._tunnels: list[Tunnel] = []
        self._runner: asyncio.Task[None] | None = None
        self._pings: dict[int, tuple[float, float]] = {}

    # -- the connect loop ---------------------------------------------------------------

    async def run(self) -> None:
        """Keep the link up until cancelled or closed."""
        self._runner = asyncio.current_task()
        try:
            while True:
                self._wake.clear()
                began = time.monotonic()
                try:
                    await self._connect_and_serve()
                except NeedsUser as error:
                    self._jobs.disconnected(str(error))
                    self._set(LinkState.needs_user, str(error))
                    await self._wake.wait()
                    self.attempt = 0
                except LinkLost as error:
                    if self.state in _UP and time.monotonic() - began > STEADY_AFTER:
                        self.attempt = 0
                    await self._back_off(error)
        finally:
            self._jobs.disconnected("the link was closed")
            self._set(LinkState.closed, "closed")

    async def _back_off(self, error: LinkLost) -> None:
        delay = backoff_delay(self.attempt)
        self.attempt += 1
        self._jobs.disconnected(f"the link is down: {error}")
        self.retry_in = delay
        self._set(LinkState.backoff, str(error))
        probe = self._dialer.address if error.unreachable else None
        await wait_for_retry(delay, self._wake, probe, self._jump)
        self.retry_in = None

    async def _open(self, command: str) -> Transport:
        if self.spec.local:
            self._set(LinkState.bootstrapping, "starting the agent")
            try:
                return await LocalTransport.open(command)
            except OSError as error:
                raise LinkLost(f"no shell on this machine: {error}") from error
        return await self._dialer.open(
            command,
            lambda: self._set(LinkState.authenticating, "logging in"),
            lambda: self._set(LinkState.bootstrapping, "starting the agent"),
        )

    async def _connect_and_serve(self) -> None:
        self._set(LinkState.connecting, "connecting")
        nonce = bootstrap.new_nonce()
        transport = await self._open(bootstrap.command(nonce, self.spec.python))
        session = Session(self.name, transport, self._receive)
        ending: LinkLost | None = None
        try:
            try:
                await session.handshake(nonce, bootstrap.build_payload(), self._welcome())
            finally:
                if session.noise:
                    self._emit(HostNoise(self.name, bootstrap.printable(session.noise)))
            self._now_live(session)
            await self._serve(session)
        except LinkLost as error:
            ending = error
            raise
        finally:
            self._session = None
            session.fail(ending or LinkDown(f"the link to {self.name} was closed"))
            await asyncio.shield(session.close(orderly=ending is None))

    def _welcome(self) -> dict[str, Any]:
        return {
            "gauge_interval": self.spec.gauge_interval,
            "disk_path": self.spec.disk_path,
            "health_urls": dict(self.spec.health_urls),
            "simulate_gpu": self.spec.simulate_gpu,
        }

    def _now_live(self, session: Session) -> None:
        before = self.host_info.get("boot_id")
        self.host_info = session.hello
        rebooted = before is not None and before != session.hello.get("boot_id")
        self._session = session
        self._pings.clear()
        self._jobs.connected(session.send)
        self._set(LinkState.live, "the host rebooted meanwhile" if rebooted else "connected")

    async def _serve(self, session: Session) -> None:
        reader = asyncio.create_task(session.run())
        watcher = asyncio.create_task(self._watch(session))
        try:
            done, _ = await asyncio.wait({reader, watcher}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reader, watcher):
                task.cancel()
            await asyncio.gather(reader, watcher, return_exceptions=True)

    async def _watch(self, session: Session) -> None:
        """Ping, notice silence, notice sleep; raises LinkLost."""
        number = 0
        next_ping = last_tick = time.monotonic()
        while True:
            now = time.monotonic()
            if self._jump.happened():
                raise LinkLost("this machine slept or its clock was set")
            if now - last_tick > PING_EVERY:
                # We ourselves stood still; give the answers that wait a chance to be read.
                session.last_heard = max(session.last_heard, now - SUSPECT_AFTER)
            last_tick = now
            silent = now - session.last_heard
            if silent > DROP_AFTER:
                raise LinkLost(f"nothing was heard of {self.name} for {silent:.0f} s")
            if silent > SUSPECT_AFTER:
                if self.state is LinkState.live:
                    self._set(LinkState.suspect, f"no sign of life for {silent:.0f} s")
            elif self.state is LinkState.suspect:
                self._set(LinkState.live, "connected")
            if now >= next_ping:
                next_ping = now + PING_EVERY
                number += 1
                self._pings[number] = (now, time.time() * 1000)
                self._pings.pop(number - 8, None)
                try:
                    session.send({"m": "ping", "n": number})
                except LinkDown as error:
                    raise LinkLost(str(error)) from error
            await asyncio.sleep(TICK)

    # -- what comes in ------------------------------------------------------------------

    def _receive(self, message: dict[str, Any], blob: bytes | None) -> None:
        kind = message.get("m")
        try:
            if kind == "gauge":
                self._emit(GaugeArrived(self.name, parse_gauge(message), _now_ms()))
            elif kind == "pong":
                self._pong(message)
            else:
                self._jobs.receive(message, blob)
        except LinkDown:
            pass
        except (ValueError, TypeError) as error:
            logger.warning("%s sent a malformed %r message: %s", self.name, kind, error)

    def _pong(self, message: dict[str, Any]) -> None:
        number, t_ms = message.get("n"), message.get("t_ms")
        sent = self._pings.pop(number, None) if isinstance(number, int) else None
        if sent is None:
            return
        self.latency_ms = (time.monotonic() - sent[0]) * 1000
        if isinstance(t_ms, int | float):
            self.clock_offset_ms = t_ms - sent[1] - self.latency_ms / 2
        self._tell()

    def _set(self, state: LinkState, detail: str) -> None:
        if state is not self.state:
            self.since_ms = _now_ms()
        self.state = state
        self.detail = detail
        if state not in _UP:
            self.latency_ms = None
        self._tell()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _tell(self) -> None:
        self._emit(
            LinkChanged(
                self.name,
                self.state,
                self.detail,
                self.since_ms,
                self.attempt,
                self.retry_in,
                self.latency_ms,
            )
        )

    # -- what the program asks for ------------------------------------------------------

    def retry_now(self) -> None:
        """Try at once, also from needs-user; no effect while connected."""
        self._wake.set()

    @property
    def pending_host_key(self) -> str:
        """SHA-256 fingerprint of the unknown host key that waits for an answer, or ""."""
        return self._dialer.pending.fingerprint if self._dialer.pending else ""

    def accept_host_key(self) -> Path | None:
        """Trust the unknown key that was shown, write it to known_hosts and try again.

        Returns the file, None if none could be written (then it holds until the program
        ends). Raises NeedsUser when no key waits; a changed key cannot be accepted here.
        """
        pending = self._dialer.pending
        if pending is None:
            raise NeedsUser(f"no unknown host key of {self.name} waits for an answer")
        self._dialer.pending = None
        path = self._dialer.keys.accept(pending)
        self.retry_now()
        return path

    async def wait_live(self, timeout: float) -> None:
        """Return once live. Raises LinkDown after `timeout` s or when a person is needed."""
        deadline = time.monotonic() + timeout
        while self.state is not LinkState.live:
            if self.state in (LinkState.needs_user, LinkState.closed):
                raise LinkDown(self.detail)
            moved = self._moved
            try:
                await asyncio.wait_for(moved.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise LinkDown(
                    f"{self.name} is not connected after {timeout:g} s: {self.detail}"
                ) from None

    def _live_session(self) -> Session:
        if self._session is None:
            raise LinkDown(f"{self.name} is not connected: {self.detail}")
        return self._session

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
        status = parse_status(answer)
        self._jobs.note(status)
        return status

    async def stop_job(self, job_id: str, grace: float = 30) -> JobStatus:
        """SIGTERM to the job's group, SIGKILL after `grace` s; returns how it ended."""
        status = parse_status(await self.call("stop_job", job_id=job_id, grace=grace))
        self._jobs.note(status)
        return await asyncio.wait_for(self._jobs.until_terminal(job_id), grace + 15)

    async def jobs(self) -> list[JobStatus]:
        """All jobs, oldest first: as the host says now, or as last known while it is away."""
        if self._session is None:
            return sorted(self._jobs.known.values(), key=lambda job: job.job_id[-20:])
        answer = await self.call("jobs")
        return [parse_status(entry) for entry in answer.get("jobs", [])]

    async def probe(self, name: str, *, timeout: float = 10, **params: Any) -> dict[str, Any]:
        """Run one of the agent's fixed probes. Raises LinkDown, RemoteError, TimeoutError."""
        inner = {"timeout": timeout, **params}
        return await self.call("probe", timeout=timeout + 2, name=name, params=inner)

    async def put_file(
        self, local: Path, remote: str, progress: Callable[[int, int], None] | None = None
    ) -> str:
        """Copy a file to the host; returns its SHA-256. See :mod:`agents.transfer`."""
        return await put_file(self.call, self.call_with_bytes, local, remote, progress)

    async def open_connection(self, port: int) -> tuple[ByteReader, ByteWriter]:
        """A byte stream to 127.0.0.1:port of the host. Raises LinkDown."""
        return await self._live_session().transport.connect(port)

    async def open_tunnel(self, remote_port: int, local_port: int = 0) -> Tunnel:
        """A listener on this machine's 127.0.0.1 that leads to the host's `remote_port`."""
        tunnel = await Tunnel.open(self.name, self.open_connection, remote_port, local_port)
        self._tunnels.append(tunnel)
        return tunnel

    async def close(self) -> None:
        """End the link and its tunnels; jobs on the host go on."""
        for tunnel in self._tunnels:
            await tunnel.close()
        self._tunnels.clear()
        runner = self._runner
        if runner is not None and runner is not asyncio.current_task() and not runner.done():
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        elif self.state is not LinkState.closed:
            self._set(LinkState.closed, "closed")
        self._jobs.close()


_UP = (LinkState.live, LinkState.suspect)


def _now_ms() -> int:
    return int(time.time() * 1000)
