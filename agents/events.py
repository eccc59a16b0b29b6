"""What a link tells its listener. Emitted on the event loop; a listener must not block."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from agents.gauges import Gauge
from agents.jobs import JobStatus

Stream = Literal["run", "log"]


class LinkState(StrEnum):
    connecting = "connecting"
    authenticating = "authenticating"
    bootstrapping = "bootstrapping"
    live = "live"
    suspect = "suspect"
    backoff = "backoff"
    needs_user = "needs-user"
    closed = "closed"


@dataclass(frozen=True)
class LinkChanged:
    """A new state, or a new latency in the same one. since_ms is UTC ms; times in seconds."""

    host: str
    state: LinkState
    detail: str
    since_ms: int
    attempt: int
    retry_in: float | None
    latency_ms: float | None


@dataclass(frozen=True)
class GaugeArrived:
    host: str
    gauge: Gauge
    received_ms: int


@dataclass(frozen=True)
class JobChanged:
    host: str
    job: JobStatus


@dataclass(frozen=True)
class Mirrored:
    """`path` now holds `size` bytes, `behind` more wait on the host.

    `reset` is True when the host's file turned out to be another one: the earlier copy was
    set aside and this one began at 0.
    """

    host: str
    job_id: str
    stream: Stream
    path: Path
    size: int
    behind: int
    reset: bool


@dataclass(frozen=True)
class MirrorFailed:
    """The copy cannot be written here; it is tried again and nothing is lost on the host."""

    host: str
    job_id: str
    stream: Stream
    reason: str


@dataclass(frozen=True)
class HostNoise:
    """What the host printed before the agent spoke (banner, .bashrc), at most 64 KiB."""

    host: str
    text: str


Event = LinkChanged | GaugeArrived | JobChanged | Mirrored | MirrorFailed | HostNoise
