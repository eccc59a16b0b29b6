"""Gauges: the newest reading of a host. None means unknown and is never drawn as 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agents.checked import boolean_free_int, count, mapping_of_strings, number, short_text

GpuRung = Literal["nvml", "nvidia-smi", "simulated", "none"]
RUNGS: tuple[GpuRung, ...] = ("nvml", "nvidia-smi", "simulated", "none")
MAX_GPUS = 16


@dataclass(frozen=True)
class Cpu:
    """percent of all cores, 0..100; load1 as the kernel gives it."""

    percent: float | None
    count: int | None
    load1: float | None


@dataclass(frozen=True)
class Ram:
    """bytes; used = total - available."""

    used: int | None
    total: int | None


@dataclass(frozen=True)
class Disk:
    """bytes of the file system that holds `path`; free is what an ordinary user may fill."""

    path: str
    used: int | None
    total: int | None
    free: int | None


@dataclass(frozen=True)
class Net:
    """bytes per second over the physical interfaces."""

    rx_bps: float | None
    tx_bps: float | None


@dataclass(frozen=True)
class Gpu:
    """util %, bytes, W, degrees C, MHz, J; `reasons` says why a field is None.

    `mem_jobs` is what our own running jobs hold, `throttle` what keeps the clocks back.
    """

    index: int
    uuid: str
    name: str
    util: float | None
    mem_used: int | None
    mem_total: int | None
    power_w: float | None
    power_limit_w: float | None
    temp_c: float | None
    clock_mhz: float | None
    energy_j: float | None
    simulated: bool = False
    clock_mem_mhz: float | None = None
    mem_jobs: int | None = None
    throttle: tuple[str, ...] | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gauge:
    """One reading; t_ms is UTC ms of the host's clock."""

    t_ms: int
    cpu: Cpu
    ram: Ram
    disk: Disk
    net: Net
    gpus: tuple[Gpu, ...]
    gpu_rung: GpuRung
    gpu_reason: str
    health: Mapping[str, str]


def _part(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = message.get(key)
    return value if isinstance(value, Mapping) else {}


def _words(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(short_text(word, 40) for word in value[:8])


FIELDS: Mapping[str, tuple[float, float]] = {
    "util": (0, 100),
    "mem_used": (0, 2**50),
    "mem_total": (1, 2**50),
    "power_w": (0, 10_000),
    "power_limit_w": (0, 10_000),
    "temp_c": (-50, 200),
    "clock_mhz": (0, 100_000),
    "clock_mem_mhz": (0, 100_000),
    "energy_j": (0, 1e18),
    "mem_jobs": (0, 2**50),
}
"""What a card can tell, with the least and the most that is possible."""


def _gpu(card: Mapping[str, Any], rung: GpuRung) -> Gpu | None:
    index = boolean_free_int(card.get("index"))
    if index is None or not 0 <= index < 1024:
        return None
    told = {name: number(card.get(name), *bounds) for name, bounds in FIELDS.items()}
    reasons = mapping_of_strings(card.get("reasons"), 32)
    used, total = told["mem_used"], told["mem_total"]
    if used is not None and total is not None and used > total:
        told["mem_used"] = None
    for name, value in told.items():
        if value is None and card.get(name) is not None:
            reasons[name] = short_text(f"the driver says {card[name]!r}", 60)
    return Gpu(
        index=index,
        uuid=short_text(card.get("uuid"), 80),
        name=short_text(card.get("name"), 80),
        util=told["util"],
        mem_used=_whole(told["mem_used"]),
        mem_total=_whole(total),
        power_w=told["power_w"],
        power_limit_w=told["power_limit_w"],
        temp_c=told["temp_c"],
        clock_mhz=told["clock_mhz"],
        energy_j=told["energy_j"],
        simulated=rung == "simulated" or card.get("simulated") is True,
        clock_mem_mhz=told["clock_mem_mhz"],
        mem_jobs=_whole(told["mem_jobs"]),
        throttle=_words(card.get("throttle")),
        reasons=reasons,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def parse_gauge(message: Mapping[str, Any]) -> Gauge:
    """Check a gauge message from a host. Raises ValueError when it is not one.

    A field of the wrong type or out of its physical range becomes None.
    """
    t_ms = boolean_free_int(message.get("t_ms"))
    if t_ms is None:
        raise ValueError("a gauge without its time")
    cpu, ram, disk, net = (_part(message, key) for key in ("cpu", "ram", "disk", "net"))
    rung: GpuRung = next((r for r in RUNGS if r == message.get("gpu_rung")), "none")
    cards = message.get("gpus")
    gpus = [
        gpu
        for card in (cards[:MAX_GPUS] if isinstance(cards, list) else [])
        if isinstance(card, Mapping) and (gpu := _gpu(card, rung)) is not None
    ]
    return Gauge(
        t_ms=t_ms,
        cpu=Cpu(
            number(cpu.get("percent"), 0, 100),
            boolean_free_int(cpu.get("count")),
            number(cpu.get("load1")),
        ),
        ram=Ram(count(ram.get("used")), count(ram.get("total"))),
        disk=Disk(
            short_text(disk.get("path"), 500),
            count(disk.get("used")),
            count(disk.get("total")),
            count(disk.get("free")),
        ),
        net=Net(number(net.get("rx_bps")), number(net.get("tx_bps"))),
        gpus=tuple(gpus),
        gpu_rung=rung,
        gpu_reason=short_text(message.get("gpu_reason"), 500),
        health=mapping_of_strings(message.get("health"), 32),
    )
