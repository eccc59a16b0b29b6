"""CPU, memory, disk and network of the host from /proc; unknown is None, never 0."""

from __future__ import annotations

import os
import time

from agents.remote.host import read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What is not there, and what counts bytes again that a card below it has counted.
VIRTUAL = (
    "lo", "veth", "docker", "br-", "virbr", "vnet", "cni", "cali", "flannel", "vxlan", "kube",
    "tun", "tap", "wg", "tailscale", "zt", "dummy", "ifb", "bond", "team", "podman", "lxc",
)  # fmt: skip


def cpu_times(text: str) -> tuple[int, int] | None:
    """(busy, total) jiffies from the first line of /proc/stat."""
    fields = text.split("\n", 1)[0].split()
    if len(fields) < 5 or fields[0] != "cpu":
        return None
    # guest times (fields 9, 10) are already part of user and nice
    values = [int(value) for value in fields[1:9]]
    idle = values[3] + (values[4] if len(values) > 4 else 0)
    return sum(values) - idle, sum(values)


def network_bytes(text: str) -> tuple[int, int] | None:
    """(received, sent) bytes of the physical interfaces in /proc/net/dev."""
    received = sent = 0
    found = False
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields, name = rest.split(), name.strip()
        vlan = "." in name  # eth0.100 is part of eth0
        if len(fields) >= 9 and not vlan and not name.startswith(VIRTUAL):
            received += int(fields[0])
            sent += int(fields[8])
            found = True
    return (received, sent) if found else None


def memory(text: str) -> dict[str, int | None]:
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in ("MemTotal", "MemAvailable"):
            values[name] = int(rest.split()[0]) * 1024
    total, available = values.get("MemTotal"), values.get("MemAvailable")
    used = total - available if total is not None and available is not None else None
    return {"used": used, "total": total}


class Sampler:
    def __init__(self, disk_path: str) -> None:
        self.disk_path = disk_path
        self._cpu: tuple[int, int] | None = None
        self._net: tuple[int, int] | None = None
        self._when = 0.0
        self.cpu_percent: float | None = None

    def sample(self) -> dict[str, Any]:
        """One reading. Percent of all cores, bytes, bytes per second."""
        now = time.monotonic()
        return {
            "cpu": self._sample_cpu(),
            "ram": memory(read_text("/proc/meminfo", 2048)),
            "disk": self._sample_disk(),
            "net": self._sample_net(now),
        }

    def _sample_cpu(self) -> dict[str, Any]:
        times = cpu_times(read_text("/proc/stat", 512))
        percent = None
        if times is not None and self._cpu is not None and times[1] > self._cpu[1]:
            percent = 100.0 * (times[0] - self._cpu[0]) / (times[1] - self._cpu[1])
            percent = min(100.0, max(0.0, percent))
        self._cpu = times
        self.cpu_percent = percent
        try:
            load1: float | None = os.getloadavg()[0]
        except OSError:
            load1 = None
        return {"percent": percent, "count": os.cpu_count(), "load1": load1}

    def _sample_disk(self) -> dict[str, Any]:
        path = os.path.expanduser(self.disk_path)
        try:
            disk = os.statvfs(path)
        except OSError as error:
            return {"path": path, "used": None, "total": None, "free": None, "reason": str(error)}
        return {
            "path": path,
            "used": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
            "total": disk.f_blocks * disk.f_frsize,
            "free": disk.f_bavail * disk.f_frsize,
        }

    def _sample_net(self, now: float) -> dict[str, Any]:
        counters = network_bytes(read_text("/proc/net/dev"))
        rates: tuple[float | None, float | None] = (None, None)
        if counters is not None and self._net is not None and now > self._when:
            grown = [now - then for now, then in zip(counters, self._net)]  # noqa: B905
            if min(grown) >= 0:  # less: a card went, or counts anew
                seconds = now - self._when
                rates = (grown[0] / seconds, grown[1] / seconds)
        self._net, self._when = counters, now
        return {"rx_bps": rates[0], "tx_bps": rates[1]}
