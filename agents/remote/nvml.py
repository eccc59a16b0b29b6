"""Runs in a child process of the agent: NVML readings as JSON lines on stdout.

A process of its own, because some driver and WSL pairs crash inside libnvidia-ml. Ends when
its stdin ends. A field the card does not give is null with a reason, and asked again a
minute later. A card that is lost costs no other one, and is looked for again every minute.
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
CARDS = 16
# Dear on some cards (MangoHud#2104 measured 4.5 ms for the processes), so asked for less often.
SELDOM = {"throttle": 5.0, "processes": 3.0}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class NoCard(Exception):
    pass


class Card:
    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._index = index
        self._missing: dict[str, tuple[float, str]] = {}
        self._kept: dict[str, tuple[float, Any]] = {}
        self._second_memory: bool | None = None
        self._handle: Any = None
        self._name = "GPU %d" % index
        self._uuid = self.broken = ""
        try:
            self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
            self._name = _text(nvml.nvmlDeviceGetName(self._handle))
            self._uuid = _text(nvml.nvmlDeviceGetUUID(self._handle))
        except (nvml.NVMLError, UnicodeDecodeError) as error:
            self.broken = str(error)
        self.lost = bool(self.broken)

    def _memory(self) -> Any:
        """What is allocated, as nvidia-smi counts it: older drivers add what they keep for themselves."""
        nvml = self._nvml
        if self._second_memory is not False:
            try:
                info = nvml.nvmlDeviceGetMemoryInfo(self._handle, nvml.nvmlMemory_v2)
                self._second_memory = True
                return info
            except (nvml.NVMLError, AttributeError, TypeError):
                if self._second_memory:
                    raise
        # One way or the other for good: between the two lie some hundred MB.
        info = nvml.nvmlDeviceGetMemoryInfo(self._handle)
        self._second_memory = False
        return info

    def _ask(self, field: str, question: Callable[[], Any], reading: dict[str, Any]) -> Any:
        now = time.monotonic()
        if field in self._missing and now - self._missing[field][0] < RETRY:
            reading["reasons"][field] = self._missing[field][1]
            return None
        if field in self._kept and now - self._kept[field][0] < SELDOM[field]:
            return self._kept[field][1]
        try:
            if self.broken:
                raise AttributeError(self.broken)
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

        questions = {
            "util": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            "power_w": lambda: nvml.nvmlDeviceGetPowerUsage(handle) * 0.001,
            "power_limit_w": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) * 0.001,
            "temp_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
            "clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            "clock_mem_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
            "energy_j": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 0.001,
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
        memory = self._ask("mem_used", self._memory, reading)
        reading["mem_used"] = memory.used if memory is not None else None
        reading["mem_total"] = memory.total if memory is not None else None
        if memory is None:
            reading["reasons"]["mem_total"] = reading["reasons"]["mem_used"]
        self.lost = memory is None and reading["temp_c"] is None
        return reading


def say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def cards_of(nvml: Any) -> list[Card]:
    """Every card of the driver. Raises NVMLError, NoCard when none of them answers."""
    nvml.nvmlInit()
    cards = [Card(nvml, index) for index in range(min(nvml.nvmlDeviceGetCount(), CARDS))]
    if not cards:
        raise NoCard("the driver lists no device")
    if all(card.broken for card in cards):
        raise NoCard(cards[0].broken)
    return cards


def main(argv: list[str], extra: dict[str, Any]) -> None:
    interval = float(argv[0])
    try:
        import pynvml as nvml
    except Exception as error:
        say({"error": "NVML bindings cannot be loaded: %s" % error})
        return
    try:
        cards, looked = cards_of(nvml), time.monotonic()
        due = looked
        while True:
            say({"gpus": [card.read() for card in cards]})
            if any(card.lost for card in cards) and time.monotonic() - looked > RETRY:
                # A card that was reset, or plugged in again, is there for a new start only.
                nvml.nvmlShutdown()
                cards, looked = cards_of(nvml), time.monotonic()
            due = max(due + interval, time.monotonic())
            if select.select([0], [], [], max(0.0, due - time.monotonic()))[0]:
                # The agent asks for another interval, or is gone.
                asked = os.read(0, 256).split()
                if not asked:
                    return
                interval = float(asked[-1])
                due = time.monotonic()
    except (nvml.NVMLError, NoCard) as error:
        say({"error": str(error)})
    except BrokenPipeError:
        return
