"""Three lights of a tunnel, each one step further: the socket, /health, a real API call."""

from __future__ import annotations

import asyncio
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from agents import LinkDown
from tui import mlflow_rest

if TYPE_CHECKING:
    from agents import Tunnel

TIMEOUT = 5.0
NAMES = ("socket", "/health", "API")
FIRST_PORT, PORTS = 20000, 20000


class Opens(Protocol):
    """What can open a byte stream to a port of a host: a link."""

    async def open_connection(self, port: int) -> tuple[Any, Any]: ...


@dataclass(frozen=True)
class Light:
    """`ok` is None when an earlier light is out, so that this one was not tried."""

    name: str
    ok: bool | None
    text: str
    ms: float | None = None

    @property
    def mark(self) -> str:
        """● lit, ○ out, · not tried: told apart without colour."""
        return "·" if self.ok is None else "●" if self.ok else "○"


@dataclass(frozen=True)
class TunnelView:
    """What the screens show of a tunnel; `at` is the store's clock when it was looked at."""

    host: str
    url: str
    lights: tuple[Light, ...] = ()
    at: float = 0.0

    @property
    def ok(self) -> bool:
        """True when every light is lit."""
        return bool(self.lights) and all(light.ok for light in self.lights)

    @property
    def marks(self) -> str:
        """The lights as three characters."""
        return "".join(light.mark for light in self.lights) or "···"

    @property
    def trouble(self) -> str:
        """Why the first dark light is dark, or an empty string."""
        return next((light.text for light in self.lights if light.ok is False), "")


def stable_port(workspace: Path, host: str) -> int:
    """A local port that is the same at every start, so that a bookmark of the browser stays good."""
    return FIRST_PORT + zlib.crc32(f"{workspace}\n{host}".encode()) % PORTS


async def _socket(link: Opens, port: int) -> Light:
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await link.open_connection(port)
    except LinkDown as problem:
        # Why nothing answers is always that nobody listens; its number only fills the line.
        return Light(NAMES[0], False, str(problem).partition(": [Errno")[0])
    except TimeoutError:
        return Light(NAMES[0], False, f"port {port} did not answer within {TIMEOUT:g} s")
    writer.close()
    return Light(NAMES[0], True, "open", (time.monotonic() - began) * 1000)


def _health(url: str) -> Light:
    began = time.monotonic()
    status, body = mlflow_rest.get_text(url, "/health", TIMEOUT)
    if status == 200:
        return Light(NAMES[1], True, body[:40].strip(), (time.monotonic() - began) * 1000)
    return Light(NAMES[1], False, f"/health answered {status or body}")


def _api(url: str) -> Light:
    began = time.monotonic()
    try:
        path = "/api/2.0/mlflow/experiments/search"
        answer = mlflow_rest.call(url, path, {"max_results": 1}, timeout=TIMEOUT)
    except mlflow_rest.MlflowError as problem:
        text = str(problem)
        if " 403 " in text and "nvalid Host" in text:
            text = "MLflow refuses this host name: start it with --allowed-hosts (mlflow.allowed_hosts)"
        return Light(NAMES[2], False, text)
    if not isinstance(answer, dict) or not isinstance(answer.get("experiments", []), list):
        return Light(NAMES[2], False, "the API answered something that is not MLflow's")
    return Light(NAMES[2], True, "experiments/search", (time.monotonic() - began) * 1000)


async def look(link: Opens, tunnel: Tunnel) -> tuple[Light, ...]:
    """Try the three in order; what stands on a dark light is not tried."""
    socket = await _socket(link, tunnel.remote_port)
    if not socket.ok:
        return (socket, Light(NAMES[1], None, ""), Light(NAMES[2], None, ""))
    health = await asyncio.to_thread(_health, tunnel.url)
    # A server without /health may still be MLflow's API behind another path: always asked.
    return (socket, health, await asyncio.to_thread(_api, tunnel.url))
