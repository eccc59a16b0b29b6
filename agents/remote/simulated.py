"""A card that does not exist, for hosts declared with simulate_gpu; always marked so.

It follows the host: utilization from CPU load while jobs run, memory from the jobs'
resident memory, power from utilization, temperature behind power by about 20 s.
"""

from __future__ import annotations

import os
import time

from agents.remote.host import session_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

GIB = 1024**3
MEMORY = 12282 * 1024 * 1024
IDLE_MEMORY = 610 * 1024 * 1024
IDLE_W, LIMIT_W = 12.0, 285.0
AMBIENT_C = 34.0
RESIDENT_EVERY = 3.0
PAGE = os.sysconf("SC_PAGE_SIZE")


class SimulatedCard:
    def __init__(self) -> None:
        self._temperature = AMBIENT_C
        self._energy = 0.0
        self._util = 0.0
        self._resident = 0
        self._measured = 0.0

    def read(self, cpu: float | None, jobs: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
        sessions = {job["pid"] for job in jobs if isinstance(job.get("pid"), int)}
        if not sessions:
            self._resident, self._measured = 0, 0.0
        elif time.monotonic() - self._measured > RESIDENT_EVERY:
            # Looking through all of /proc is the dearest thing this agent does.
            members = session_members(sessions)
            self._resident = sum(stat.rss_pages for _, stat in members) * PAGE
            self._measured = time.monotonic()
        target = min(99.0, 35.0 + 0.65 * (cpu or 0.0)) if sessions else 0.0
        self._util += (target - self._util) * min(1.0, seconds / 1.5)
        power = IDLE_W + (LIMIT_W * 0.92 - IDLE_W) * self._util / 100
        goal = AMBIENT_C + 38.0 * power / LIMIT_W
        self._temperature += (goal - self._temperature) * min(1.0, seconds / 20)
        self._energy += power * seconds
        return {
            "index": 0,
            "uuid": "GPU-simulated-0",
            "name": "Simulated RTX 4070 Ti",
            "util": round(self._util),
            "mem_used": min(MEMORY, IDLE_MEMORY + int(self._resident * 1.6)),
            "mem_total": MEMORY,
            "power_w": round(power, 1),
            "power_limit_w": LIMIT_W,
            "temp_c": round(self._temperature),
            "clock_mhz": 2610 if self._util > 5 else 210,
            "clock_mem_mhz": 10501 if self._util > 5 else 405,
            "energy_j": round(self._energy, 1),
            "throttle": [],
            "processes": None,
            "simulated": True,
            "reasons": {},
        }
