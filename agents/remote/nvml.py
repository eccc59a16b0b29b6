"""Runs in a child process of the agent: NVML readings as JSON lines on stdout.

A process of its own, because some driver and WSL pairs crash inside libnvidia-ml. Ends when
its stdin ends. A field the card does not give is null with a reason, and asked again a
minute later.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time

from agents.remote import throttle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

RETRY = 60.0
PROCESSES = 64
# Dear on some cards (MangoHud#2104 measured 4.5 ms for the processes), so asked for less often.
SELDOM = {"throttle": 5.0, "processes": 3.0}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class Card:
    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._index = index
        self._missing: dict[str, tuple[float, str]] = {}
        self._kept: dict[str, tuple[float, Any]] = {}
        self._name = _text(nvml.nvmlDeviceGetName(self._handle))
        self._uuid = _text(nvml.nvmlDeviceGetUUID(self._handle))

    def _ask(self, field: str, question: Callable[[], Any], reading: dict[str, Any]) -> Any:
        now = time.monotonic()
        if field in self._missing and now - self._missing[field][0] < RETRY:
            reading["reasons"][field] = self._missing[field][1]
            return None
        if field in self._kept and now - self._kept[field][0] < SELDOM[field]:
            return self._kept[field][1]
        try:
            value = question()
        except (self._nvml.NVMLError, AttributeError) as error:
            self._missing[field] = (now, str(error))
            reading["reasons"][field] = str(error)
            return None
        self._missing.pop(field, None)
        if field in SELDOM:
            self._kept[field] = (now, value)
        return value

    def read(self) -> dict[str, Any]:
        """util %, memory bytes, power and limit W, temperature C, SM clock MHz, energy J.

        `throttle` are words for what holds the clocks back, `processes` pairs of (pid, bytes).
        """
        nvml, handle = self._nvml, self._handle
        reading: dict[str, Any] = {
            "index": self._index,
            "name": self._name,
            "uuid": self._uuid,
            "reasons": {},
        }

        def scaled(call: Callable[..., Any], factor: float) -> Callable[[], float]:
            return lambda: call(handle) * factor

        questions = {
            "util": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "power_w": scaled(nvml.nvmlDeviceGetPowerUsage, 0.001),
            "power_limit_w": scaled(nvml.nvmlDeviceGetEnforcedPowerLimit, 0.001),
            "temp_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "clock_mem_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "energy_j": scaled(nvml.nvmlDeviceGetTotalEnergyConsumption, 0.001),
            "throttle": lambda: throttle.words(
                nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
            ),
            "processes": lambda: [
                (process.pid, process.usedGpuMemory)
                for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle)[:PROCESSES]
            ],
        }
        for field, question in questions.items():
            reading[field] = self._ask(field, question, reading)
        memory = self._ask("mem_used", lambda: nvml.nvmlDeviceGetMemoryInfo(handle), reading)
        reading["mem_used"] = memory.used if memory is not None else None
        reading["mem_total"] = memory.total if memory is not None else None
        if memory is None:
            reading["reasons"]["mem_total"] = reading["reasons"]["mem_used"]
        return reading


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(argv: list[str], extra: dict[str, Any]) -> None:
    interval = float(argv[0])
    try:
        import pynvml as nvml
    except Exception as error:
        say({"error": "NVML bindings cannot be loaded: %s" % error})
        return
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
        cards = [Card(nvml, index) for index in range(min(count, 16))]
    except nvml.NVMLError as error:
        say({"error": str(error)})
        return
    if not cards:
        say({"error": "the driver lists no device"})
        return
    due = time.monotonic()
    while True:
        try:
            say({"gpus": [card.read() for card in cards]})
        except BrokenPipeError:
            return
        due = max(due + interval, time.monotonic())
        if select.select([0], [], [], max(0.0, due - time.monotonic()))[0]:
            # The agent asks for another interval, or is gone.
            asked = os.read(0, 256).split()
            if not asked:
                return
            interval = float(asked[-1])
            due = time.monotonic()
