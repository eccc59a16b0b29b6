"""From a host's newest gauge to the rounded figures that are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tui.host_view import HostView, card_key
from tui.later import later
from tui.vocabulary import age as age_words
from tui.vocabulary import rate
from tui.widgets.status_header import HostChip

if TYPE_CHECKING:
    from agents import Gauge, Gpu
    from tui.widgets.gauges import GaugeModel, GpuModel
else:
    GaugeModel, GpuModel = later("tui.widgets.gauges", "GaugeModel", "GpuModel")

TRYING = ("connecting", "authenticating", "bootstrapping")

MEMORY_QUANTUM = 2**26
"""VRAM and RAM in use are drawn with one decimal of a GiB; 64 MiB is finer than that shows."""


def _int(value: float | None) -> int | None:
    return None if value is None else round(value)


def _memory(value: int | None) -> int | None:
    return None if value is None else round(value / MEMORY_QUANTUM) * MEMORY_QUANTUM


CLOCK_QUANTUM = 15
"""MHz; NVIDIA's boost clock moves in such steps."""


def _clock(value: float | None) -> int | None:
    return None if value is None else round(value / CLOCK_QUANTUM) * CLOCK_QUANTUM


def _history(values: Iterable[float | None]) -> tuple[float | None, ...]:
    return tuple(None if v is None else round(v / 5) * 5.0 for v in values)


DRAWN = {
    "util": "util", "mem_used": "VRAM", "temp_c": "temperature", "power_w": "power", "clock_mhz": "clock",
}  # fmt: skip
"""What a missing value is called on the panel."""


def _reason(gpu: Gpu) -> str:
    """Why values are missing, each reason once with the values that it is of; two of them at most."""
    names: dict[str, list[str]] = {}
    for field, name in DRAWN.items():
        if field in gpu.reasons:
            names.setdefault(gpu.reasons[field].strip("[] "), []).append(name)
    whole = len(names) == 1 and len(next(iter(names.values()))) == len(DRAWN)
    said = [text if whole else f"{', '.join(of)}: {text}" for text, of in names.items()]
    return "; ".join(said[:2])


def gpu_model(
    gpu: Gpu, host: HostView, job: tuple[int, bool] | None = None, peak: int | None = None
) -> GpuModel:
    """One card, rounded so that nothing repaints without a visible change."""
    history = host.utils.get(card_key(gpu), ())
    return GpuModel(
        index=gpu.index,
        name=gpu.name,
        util=_int(gpu.util),
        mem_used=_memory(gpu.mem_used),
        mem_total=gpu.mem_total,
        mem_peak=_memory(peak),
        temp_c=_int(gpu.temp_c),
        power_w=_int(gpu.power_w),
        power_limit_w=_int(gpu.power_limit_w),
        simulated=gpu.simulated,
        reason=_reason(gpu),
        clock_mhz=_clock(gpu.clock_mhz),
        clock_mem_mhz=_int(gpu.clock_mem_mhz),
        throttle=gpu.throttle,
        mem_job=None if job is None else _memory(job[0]),
        mem_job_told=job is not None and job[1],
        history=_history(history) if any(value is not None for value in history) else (),
    )


def gauge_model(
    host: HostView,
    now: float,
    vram_limit: int | None = None,
    *,
    now_ms: int | None = None,
    job: tuple[int, bool] | None = None,
) -> GaugeModel:
    """What the panel of a host shows at `now` (the store's monotonic seconds).

    `now_ms` (UTC) gives the link its age; `job` is what LiveStore.job_memory says of the first card.
    """
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
        link_age=_link_age(host, now_ms),
    )
    if gauge is None:
        return base
    return GaugeModel(
        **{
            **vars(base),
            "rung": gauge.gpu_rung if gauge.gpu_rung != "none" else "",
            "gpu_reason": gauge.gpu_reason,
            "gpus": tuple(
                gpu_model(gpu, host, job, host.vram_peak) if index == 0 else gpu_model(gpu, host)
                for index, gpu in enumerate(gauge.gpus)
            ),
            "cpu": _int(gauge.cpu.percent),
            "cores": gauge.cpu.count,
            "ram_used": _memory(gauge.ram.used),
            "ram_total": _memory(gauge.ram.total),
            "disk_free": None if gauge.disk.free is None else gauge.disk.free // 10**9 * 10**9,
            "disk_total": gauge.disk.total,
            "net": _net(gauge),
            "history": _history(host.cpu),
            "health": () if host.tunnel else tuple(gauge.health.items()),
            "tunnel": host.tunnel,
        }
    )


def _link_age(host: HostView, now_ms: int | None) -> str:
    """How long the link has been in its state; nothing in its first minute, which would only flicker."""
    if host.link is None or now_ms is None:
        return ""
    since = host.link.since_ms if host.live else host.lost_since_ms or host.link.since_ms
    seconds = (now_ms - since) / 1000
    return age_words(seconds) if seconds >= 60 else ""


def _net(gauge: Gauge) -> tuple[str, str] | None:
    rx, tx = gauge.net.rx_bps, gauge.net.tx_bps
    return None if rx is None and tx is None else (rate(rx), rate(tx))


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
        vram_total=gpu.mem_total if gpu else None,
        disk_free=gauge.disk.free // 10**9 * 10**9 if gauge and gauge.disk.free else None,
        simulated=bool(gpu and gpu.simulated),
        stale=not host.fresh(now),
        health=tuple(gauge.health.items()) if gauge and host.live and not host.tunnel else (),
        tunnel=host.tunnel if host.live else None,
    )
