"""HostLink: one host, kept connected for as long as the program runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agents import bootstrap
from agents.dialer import SshDialer
from agents.errors import LinkDown, LinkLost, NeedsUser, OtherShell, SlowStart
from agents.events import Event, GaugeArrived, HostNoise, LinkChanged, LinkState
from agents.gauges import parse_gauge
from agents.jobsync import JobSync
from agents.liveness import Liveness
from agents.questions import LoginQuestions
from agents.requests import HostRequests
from agents.retry import ClockJump, backoff_delay, wait_for_retry
from agents.session import HANDSHAKE_TIMEOUT, Session
from agents.spec import HostSpec
from agents.transport import LocalTransport, Transport

PATIENCE_CAP = 120.0
"""Seconds that the slowest login shell is given; a dead network ends a handshake much sooner."""

logger = logging.getLogger(__name__)


class HostLink(HostRequests, LoginQuestions):
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
        self.host_info: dict[str, Any] = {}
        self._listener = emit
        self._dialer = SshDialer(spec)
        super().__init__(JobSync(spec.name, mirror_root, self._emit))
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._jump = ClockJump()
        self._liveness: Liveness | None = None
        self._windows = False
        self._patience = HANDSHAKE_TIMEOUT
        self._quiet = False
        self._ending: asyncio.Task[None] | None = None
        self._shut = False

    # -- the connect loop ---------------------------------------------------------------

    async def run(self) -> None:
        """Keep the link up until cancelled or closed; a closed link is not run again."""
        self._runner = asyncio.current_task()
        try:
            while not self._shut:
                self._wake.clear()
                try:
                    await self._connect_and_serve()
                except NeedsUser as error:
                    self._jobs.disconnected(str(error))
                    self._set(LinkState.needs_user, str(error))
                    await self._wake.wait()
                    self.attempt = 0
                    self._windows = False  # found out anew: the person may have changed it
                except OtherShell as error:
                    if self._windows or self.spec.shell:
                        await self._back_off(error)
                    self._windows = True
                except LinkLost as error:
                    if isinstance(error, SlowStart):
                        self._patience = min(PATIENCE_CAP, self._patience * 2)
                    await self._back_off(error)
                except Exception as error:
                    # One host's trouble must not end its link for good, nor another host's.
                    logger.exception("link to %s", self.name)
                    text = f"the link to {self.name} failed: {type(error).__name__}: {error}"
                    await self._back_off(LinkLost(text))
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

    def _command(self, nonce: str, server: str) -> tuple[str, bool]:
        """The agent's command line, and whether it is one for a Windows shell."""
        windows = self.spec.shell == "windows" or (
            self.spec.shell == "" and (self._windows or bootstrap.wants_windows(server, b""))
        )
        make = bootstrap.windows_command if windows else bootstrap.command
        return make(nonce, self.spec.python), windows

    async def _open(self, nonce: str) -> Transport:
        if self.spec.local:
            self._set(LinkState.bootstrapping, "starting the agent")
            try:
                return await LocalTransport.open(bootstrap.command(nonce, self.spec.python))
            except OSError as error:
                raise LinkLost(f"no shell on this machine: {error}") from error
        return await self._dialer.open(
            lambda server: self._command(nonce, server),
            lambda: self._set(LinkState.authenticating, "logging in"),
            lambda: self._set(LinkState.bootstrapping, "starting the agent"),
        )

    async def _connect_and_serve(self) -> None:
        self._set(LinkState.connecting, "connecting")
        nonce = bootstrap.new_nonce()
        transport = await self._open(nonce)
        session = Session(self.name, transport, self._receive)
        ending: LinkLost | None = None
        try:
            try:
                await session.handshake(
                    nonce, bootstrap.build_payload(), self._welcome(), self._patience
                )
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
            # A second cancellation must not leave the connection half closed: `close` waits.
            self._ending = asyncio.create_task(session.close(orderly=ending is None))
            await asyncio.shield(self._ending)

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
        if self._quiet:
            session.send({"m": "quiet", "on": True})
        self._jobs.connected(session.send)
        self._set(LinkState.live, "the host rebooted meanwhile" if rebooted else "connected")

    async def _serve(self, session: Session) -> None:
        reader = asyncio.create_task(session.run())
        self._liveness = Liveness(
            session,
            self._jump,
            on_suspect=self._suspect,
            on_steady=self._steady,
            on_pong=self._tell,
        )
        watcher = asyncio.create_task(self._liveness.watch())
        try:
            done, _ = await asyncio.wait({reader, watcher}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reader, watcher):
                task.cancel()
            await asyncio.gather(reader, watcher, return_exceptions=True)
            self._liveness = None

    def _suspect(self, silent: float) -> None:
        if silent:
            self._set(LinkState.suspect, f"no sign of life for {silent:.0f} s")
        else:
            self._set(LinkState.live, "connected")

    def _steady(self) -> None:
        self.attempt = 0

    @property
    def latency_ms(self) -> float | None:
        """Round trip of the last ping, None while not connected."""
        return self._liveness.latency_ms if self._liveness else None

    @property
    def clock_offset_ms(self) -> float | None:
        """Host clock minus this clock, None while unknown."""
        return self._liveness.clock_offset_ms if self._liveness else None

    # -- what comes in ------------------------------------------------------------------

    def _receive(self, message: dict[str, Any], blob: bytes | None) -> None:
        kind = message.get("m")
        try:
            if kind == "gauge":
                self._emit(GaugeArrived(self.name, parse_gauge(message), _now_ms()))
            elif kind == "pong":
                if self._liveness is not None:
                    self._liveness.pong(message)
            else:
                self._jobs.receive(message, blob)
        except LinkDown:
            pass
        except (ValueError, TypeError) as error:
            logger.warning("%s sent a malformed %r message: %s", self.name, kind, error)

    def _set(self, state: LinkState, detail: str) -> None:
        if state is not self.state:
            self.since_ms = _now_ms()
        self.state = state
        self.detail = detail
        self._tell()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _emit(self, event: Event) -> None:
        try:
            self._listener(event)
        except Exception:
            logger.exception("a listener failed on %s", type(event).__name__)

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

    def quiet(self, on: bool) -> None:
        """Nobody looks: a host without running jobs sends its gauge every 5 s only."""
        if on is self._quiet:
            return
        self._quiet = on
        if self._session is not None:
            with suppress(LinkDown):
                self._session.send({"m": "quiet", "on": on})

    @property
    def host_stderr(self) -> str:
        """The last 64 KiB that the agent or the login shell wrote to stderr, printable."""
        return bootstrap.printable(bytes(self._session.stderr)) if self._session else ""

    async def wait_live(self, timeout: float) -> None:
        """Return once live. Raises LinkDown after `timeout` s or when a person is needed."""
        deadline = time.monotonic() + timeout
        while self.state is not LinkState.live or self._session is None:
            answered = self._wake.is_set()
            if self.state is LinkState.closed or (
                self.state is LinkState.needs_user and not answered
            ):
                raise LinkDown(self.detail)
            moved = self._moved
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await moved.wait()
            except TimeoutError:
                raise LinkDown(
                    f"{self.name} is not connected after {timeout:g} s: {self.detail}"
                ) from None

    async def close(self) -> None:
        """End the link and its tunnels; jobs on the host go on."""
        self._shut = True
        for tunnel in self._tunnels:
            await tunnel.close()
        self._tunnels.clear()
        runner = self._runner
        if runner is not None and runner is not asyncio.current_task() and not runner.done():
            while not runner.done():
                # Again and again: a library that loses a cancellation must not keep us.
                runner.cancel()
                await asyncio.wait({runner}, timeout=1)
        elif self.state is not LinkState.closed:
            self._set(LinkState.closed, "closed")
        if self._ending is not None:
            await asyncio.gather(self._ending, return_exceptions=True)
        self._jobs.close()


def _now_ms() -> int:
    return int(time.time() * 1000)
