"""Reaching the hosts: links, gauges, jobs, mirrors, tunnels. Knows no user interface.

The program that runs on a host is in :mod:`agents.remote`; a local SSH server for the demo
and the tests is in :mod:`agents.loopback`.
"""

from agents.errors import AgentError, LinkDown, LinkLost, NeedsUser, RemoteError
from agents.events import (
    Event,
    GaugeArrived,
    HostNoise,
    JobChanged,
    LinkChanged,
    LinkState,
    Mirrored,
    MirrorFailed,
)
from agents.fetch import Fetched
from agents.gauges import Cpu, Disk, Gauge, Gpu, Net, Ram
from agents.jobs import Container, JobSpec, JobState, JobStatus, Mount
from agents.link import HostLink
from agents.login import LoginRequest
from agents.spec import HostSpec
from agents.tunnel import Tunnel

__all__ = [
    "AgentError",
    "Container",
    "Cpu",
    "Disk",
    "Event",
    "Fetched",
    "Gauge",
    "GaugeArrived",
    "Gpu",
    "HostLink",
    "HostNoise",
    "HostSpec",
    "JobChanged",
    "JobSpec",
    "JobState",
    "JobStatus",
    "LinkChanged",
    "LinkDown",
    "LinkLost",
    "LinkState",
    "LoginRequest",
    "MirrorFailed",
    "Mirrored",
    "Mount",
    "NeedsUser",
    "Net",
    "Ram",
    "RemoteError",
    "Tunnel",
]
