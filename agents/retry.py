"""When to try again: backoff, probing for the network's return, waking from sleep."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

from agents.tcp import tcp_connect

BASE, CAP, JITTER = 0.5, 30.0, 0.3
PROBE_EVERY = 1.0
PROBE_TIMEOUT = 1.0
JUMP = 5.0


def backoff_delay(attempt: int) -> float:
    """Seconds before attempt number `attempt` (0 for the first): 0.5 * 2^n +-30 %, <= 30."""
    delay = min(CAP, BASE * 2.0 ** min(attempt, 16))
    return min(CAP, delay * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


class ClockJump:
    """Notices that the machine slept: wall time ran on while monotonic time stood still."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def happened(self) -> bool:
        offset = time.time() - time.monotonic()
        jumped = abs(offset - self._offset) > JUMP
        self._offset = offset
        return jumped


async def wait_for_retry(
    delay: float, wake: asyncio.Event, probe: tuple[str, int] | None, jump: ClockJump
) -> None:
    """Wait `delay` seconds, less if `wake` is set, the clock jumped, or TCP gets through.

    A host that was unreachable is tried by TCP once a second, so that the link is back
    within 2 s of the network, however long it was away.
    """
    deadline = time.monotonic() + delay
    while (left := deadline - time.monotonic()) > 0:
        began = time.monotonic()
        if probe is not None and await _answers(*probe, wake=wake):
            return
        pause = max(0.0, min(left, PROBE_EVERY - (time.monotonic() - began)))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await wake.wait()
        if wake.is_set() or jump.happened():
            return


async def _answers(host: str, port: int, wake: asyncio.Event) -> bool:
    attempt = asyncio.create_task(tcp_connect(host, port, PROBE_TIMEOUT))
    waker = asyncio.create_task(wake.wait())
    try:
        await asyncio.wait({attempt, waker}, return_when=asyncio.FIRST_COMPLETED)
        if attempt.done() and attempt.exception() is None:
            attempt.result().close()
            return True
        return False
    finally:
        for task in (attempt, waker):
            task.cancel()
        results = await asyncio.gather(attempt, waker, return_exceptions=True)
        if not isinstance(results[0], BaseException):
            results[0].close()
