"""From a host's newest gauge to the rounded figures that are drawn."""

from __future__ import annotations

from agents import Gpu
from tui.live import HostView
from tui.widgets.gauges import GaugeModel, GpuModel
from tui.widgets.status_header import HostChip

TRYING = ("connecting", "authenticating", "bootstrapping")

MEMORY_QUANTUM = 2**26
"""VRAM and RAM are drawn with one decimal of a GiB; 64 MiB is finer than that shows."""


def _int(value: float | None) -> int | None:
    return None if value is None else round(value)


def _memory(value: int | None) -> int | None:
    return None if value is None else value // MEMORY_QUANTUM * MEMORY_QUANTUM


def gpu_model(gpu: Gpu, peak: int | None) -> GpuModel:
    """One card, rounded so that nothing repaints without a visible change."""
    reasons = [f"{name}: {why}" for name, why in gpu.reasons.items()]
    return GpuModel(
        index=gpu.index,
        name=gpu.name,
        util=_int(gpu.util),
        mem_used=_memory(gpu.mem_used),
        mem_total=_memory(gpu.mem_total),
        mem_peak=_memory(peak),
        temp_c=_int(gpu.temp_c),
        power_w=_int(gpu.power_w),
        power_limit_w=_int(gpu.power_limit_w),
        simulated=gpu.simulated,
        mem_jobs=_memory(gpu.mem_jobs),
        clock_mhz=None if gpu.clock_mhz is None else round(gpu.clock_mhz / 10) * 10,
        throttle=", ".join(gpu.throttle or ()),
        reason="; ".join(reasons[:2]),
    )


def gauge_model(host: HostView, now: float, vram_limit: int | None = None) -> GaugeModel:
    """What the panel of a host shows at `now` (the store's monotonic seconds)."""
    age = host.gauge_age(now)
    stale = age is not None and not host.fresh(now)
    gauge = host.gauge
    detail = host.link.detail if host.link else ""
    latency = host.link.latency_ms if host.link else None
    base = GaugeModel(
        host=host.name,
        role=host.role,
        link=host.state,
        detail=detail,
        age_s=None if age is None else (int(age) if stale else 0),
        stale=stale,
        latency_ms=None if latency is None else round(latency),
        vram_limit=vram_limit,
    )
    if gauge is None:
        return base
    with_gpu = any(value is not None for value in host.util)
    values = host.util if with_gpu else host.cpu
    return GaugeModel(
        **{
            **vars(base),
            "rung": gauge.gpu_rung if gauge.gpu_rung != "none" else "",
            "gpu_reason": gauge.gpu_reason,
            "gpus": tuple(
                gpu_model(gpu, host.vram_peak if index == 0 else None)
                for index, gpu in enumerate(gauge.gpus)
            ),
            "cpu": _int(gauge.cpu.percent),
            "cores": gauge.cpu.count,
            "ram_used": _memory(gauge.ram.used),
            "ram_total": _memory(gauge.ram.total),
            "disk_free": gauge.disk.free,
            "disk_total": gauge.disk.total,
            "net": None
            if gauge.net.rx_bps is None or gauge.net.tx_bps is None
            else (round(gauge.net.rx_bps / 1e6, 1), round(gauge.net.tx_bps / 1e6, 1)),
            "history": tuple(None if v is None else round(v / 5) * 5.0 for v in values),
            "history_of": "gpu" if with_gpu else "cpu",
            "health": () if host.tunnel else tuple(gauge.health.items()),
            "tunnel": host.tunnel,
        }
    )


def host_chip_model(host: HostView, now: float, now_ms: int) -> HostChip:
    """What the header says of a host."""
    gauge = host.gauge
    gpu = gauge.gpus[0] if gauge is not None and gauge.gpus else None
    silent = None
    state = host.state
    if host.link is not None and not host.live:
        since = host.lost_since_ms or host.link.since_ms
        silent = float(int(max(0, now_ms - since) / 1000))
        if host.lost_since_ms is not None and state in TRYING:
            state = "backoff"  # an attempt to come back does not make the host any less lost
    return HostChip(
        name=host.name,
        state=state,
        silent_for=silent,
        temp_c=_int(gpu.temp_c) if gpu else None,
        vram_used=_memory(gpu.mem_used) if gpu else None,
        vram_total=_memory(gpu.mem_total) if gpu else None,
        disk_free=gauge.disk.free // 10**9 * 10**9 if gauge and gauge.disk.free else None,
        simulated=bool(gpu and gpu.simulated),
        stale=not host.fresh(now),
        health=tuple(gauge.health.items()) if gauge and host.live and not host.tunnel else (),
        tunnel=host.tunnel if host.live else None,
    )
