"""Reaching the hosts: links, gauges, jobs, mirrors, tunnels. Knows no user interface.

The program that runs on a host is in :mod:`agents.remote`; a local SSH server for the demo
and the tests is in :mod:`agents.loopback`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_WHERE = {
    "errors": "AgentError LinkDown LinkLost NeedsUser RemoteError",
    "events": "Event GaugeArrived HostNoise JobChanged LinkChanged LinkState Mirrored MirrorFailed",
    "fetch": "Fetched",
    "gauges": "Cpu Disk Gauge Gpu Net Ram",
    "jobs": "Container JobSpec JobState JobStatus Mount",
    "link": "HostLink",
    "login": "LoginRequest",
    "spec": "HostSpec",
    "tunnel": "Tunnel",
}

_MODULES = {name: module for module, names in _WHERE.items() for name in names.split()}
"""Where each name stands. It is imported when it is first asked for (PEP 562): the SSH library costs
as much as a first frame, and most of what asks here wants a dataclass."""


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"agents.{module}"), name)
    return found
