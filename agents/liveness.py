"""Is the host still there? Pings, silence, and this machine's own sleep."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from agents.errors import LinkDown, LinkLost
from agents.retry import ClockJump
from agents.session import Session

PING_EVERY = 5.0
SUSPECT_AFTER = 7.0
DROP_AFTER = 14.0
STEADY_AFTER = 5.0
TICK = 0.5


class Liveness:
    """Watches one session. `on_suspect(seconds)` when silence begins to be long, 0 when over;
    `on_steady()` once the session proved itself; `on_pong()` after each answered ping."""

    def __init__(
        self,
        session: Session,
        jump: ClockJump,
        *,
        on_suspect: Callable[[float], None],
        on_steady: Callable[[], None],
        on_pong: Callable[[], None],
    ) -> None:
        self.latency_ms: float | None = None
        self.clock_offset_ms: float | None = None
        self._session = session
        self._jump = jump
        self._on_suspect = on_suspect
        self._on_steady = on_steady
        self._on_pong = on_pong
        self._pings: dict[int, tuple[float, float]] = {}

    async def watch(self) -> None:
        """Never returns; raises LinkLost when the host fell silent or this machine slept."""
        session = self._session
        number, suspect = 0, False
        began = next_ping = last_tick = time.monotonic()
        while True:
            now = time.monotonic()
            if self._jump.happened():
                raise LinkLost("this machine slept or its clock was set")
            if now - last_tick > PING_EVERY:
                # We ourselves stood still; give the answers that wait a chance to be read.
                session.last_heard = max(session.last_heard, now - SUSPECT_AFTER)
            last_tick = now
            if now - began > STEADY_AFTER:
                self._on_steady()
            silent = now - session.last_heard
            if silent > DROP_AFTER:
                raise LinkLost(f"nothing was heard of {session.host} for {silent:.0f} s")
            if suspect != (silent > SUSPECT_AFTER):
                suspect = not suspect
                self._on_suspect(silent if suspect else 0.0)
            if now >= next_ping:
                next_ping = now + PING_EVERY
                number += 1
                self._ping(number)
            await asyncio.sleep(TICK)

    def _ping(self, number: int) -> None:
        self._pings[number] = (time.monotonic(), time.time() * 1000)
        self._pings.pop(number - 8, None)
        try:
            self._session.send({"m": "ping", "n": number})
        except LinkDown as error:
            raise LinkLost(str(error)) from error

    def pong(self, message: dict[str, Any]) -> None:
        """Take the answer to a ping: round trip and the host clock's offset, in ms."""
        number, t_ms = message.get("n"), message.get("t_ms")
        sent = self._pings.pop(number, None) if isinstance(number, int) else None
        if sent is None:
            return
        self.latency_ms = (time.monotonic() - sent[0]) * 1000
        if isinstance(t_ms, int | float):
            self.clock_offset_ms = t_ms - sent[1] - self.latency_ms / 2
        self._on_pong()
