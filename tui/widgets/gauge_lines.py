"""The gauges of one host as lines of text: what is drawn of a GaugeModel, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from tui.vocabulary import (
    DIM,
    FAIL,
    LINKS,
    PASS,
    STALE,
    STRONG,
    WARN,
    age,
    bar,
    clip,
    gib,
    marks,
    sparkline,
    split_bar,
)
from tui.widgets.status_header import lights

if TYPE_CHECKING:
    from tui.lights import TunnelView

Part = str | Content | tuple[str, str]
HISTORY_LEAST = 8
"""A sparkline shorter than this says nothing."""


@dataclass(frozen=True)
class GpuModel:
    """One card, already rounded to what is drawn. None where the driver does not say."""

    index: int
    name: str
    util: int | None
    mem_used: int | None
    mem_total: int | None
    mem_peak: int | None
    temp_c: int | None
    power_w: int | None
    power_limit_w: int | None
    simulated: bool
    reason: str = ""
    clock_mhz: int | None = None
    clock_mem_mhz: int | None = None
    throttle: tuple[str, ...] | None = None
    mem_job: int | None = None
    mem_job_told: bool = False
    """The job said itself what it holds; else it is the card's use beyond that before the job."""
    history: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class GaugeModel:
    """Everything one panel shows; equal models are not drawn again."""

    host: str
    role: str
    link: str
    detail: str
    age_s: int | None
    stale: bool
    link_age: str = ""
    rung: str = ""
    gpu_reason: str = ""
    gpus: tuple[GpuModel, ...] = ()
    cpu: int | None = None
    cores: int | None = None
    ram_used: int | None = None
    ram_total: int | None = None
    disk_free: int | None = None
    disk_total: int | None = None
    net: tuple[str, str] | None = None
    """Received and sent, in words."""
    latency_ms: int | None = None
    history: tuple[float | None, ...] = ()
    health: tuple[tuple[str, str], ...] = ()
    tunnel: TunnelView | None = None
    vram_limit: int | None = None


def load_style(percent: int | None) -> str:
    """Bars change their colour only where a person should look."""
    if percent is None:
        return DIM
    return WARN if percent >= 90 else PASS


def panel_height(model: GaugeModel, brief: bool = False) -> int:
    """Lines of the panel."""
    return 1 if brief else 2 + 2 * len(model.gpus)


def panel_lines(model: GaugeModel, width: int, brief: bool = False) -> list[Content]:
    """The panel as lines of at most `width` cells; the `brief` one is a single line."""
    inner = max(20, width)
    tone = STALE if model.stale else ""
    if brief:
        return [brief_line(model, tone).truncate(inner, ellipsis=True)]
    lines = [head_line(model)]
    for gpu in model.gpus:
        lines += gpu_lines(gpu, model, tone, inner)
    lines.append(machine_line(model, tone, inner))
    return [line.truncate(inner, ellipsis=True) for line in lines]


def brief_line(model: GaugeModel, tone: str) -> Content:
    """Link, age of what is old, and of the first card, the processor and the disk one figure each."""
    word, link_style = LINKS.get(model.link, (model.link, DIM))
    parts: list[Part] = [(model.host, STRONG), " ", (word, link_style)]
    if model.age_s is None:
        parts.append(("  no gauge yet", DIM))
    elif model.stale:
        parts.append((f"  {age(model.age_s)} old:", WARN))
    for gpu in model.gpus[:1]:
        util = "—" if gpu.util is None else f"{gpu.util}%"
        parts += ["  ", ("SIM " if gpu.simulated else "GPU ", tone or DIM), (util, tone)]
        parts.append((f" {gib(gpu.mem_used)}/{gib(gpu.mem_total)} GiB", tone))
        if gpu.temp_c is not None:
            parts.append((f" {gpu.temp_c}C", tone or (WARN if gpu.temp_c >= 84 else DIM)))
    if len(model.gpus) > 1:
        parts.append((f" +{len(model.gpus) - 1}", tone or DIM))
    if model.cpu is not None:
        parts.append((f"  CPU {model.cpu}%", tone))
    if model.disk_free is not None:
        parts.append((f"  {model.disk_free / 1e9:.0f} GB free", tone))
    if model.detail and model.link != "live":
        parts.append((f"  {model.detail}", WARN))
    return Content.assemble(*parts)


def head_line(model: GaugeModel) -> Content:
    """Host, link, age of the data, what answers for the GPU, services."""
    word, link_style = LINKS.get(model.link, (model.link, DIM))
    head: list[Part] = [(model.host, STRONG), " ", (word, link_style)]
    if model.link_age:
        head.append((f" {model.link_age}", DIM))
    if model.latency_ms is not None and not model.stale:
        head.append((f"  ping {model.latency_ms} ms", DIM))
    if model.age_s is None:
        head.append(("  no gauge yet", DIM))
    elif model.stale:
        head.append((f"  data is {age(model.age_s)} old", WARN))
    if model.rung:
        head.append((f"  [{model.rung}]", DIM))
    for name, health in model.health:
        head += ["  ", (f"{name} {health}", PASS if health == "ok" else FAIL)]
    if model.tunnel is not None and model.link == "live":
        head += ["  ", *lights(model.tunnel), (f" {model.tunnel.url}", DIM)]
        trouble = model.tunnel.trouble
        if trouble.startswith("nothing answers"):
            trouble += "   M starts it"
        head.append((f"  {trouble}" if trouble else "", WARN))
    if model.detail and model.link != "live":
        head.append((f"  {model.detail}", WARN))
    elif not model.gpus and model.age_s is not None:
        head.append((f"  {model.gpu_reason or 'no NVIDIA GPU'}", STALE))
    return Content.assemble(*head)


def gpu_lines(gpu: GpuModel, model: GaugeModel, tone: str, inner: int) -> list[Content]:
    """Utilisation line and VRAM line of one card."""
    name = gpu.name.removeprefix("Simulated ").removeprefix("NVIDIA ").removeprefix("GeForce ")
    label_width = 12 if inner < 100 else 18
    if len(model.gpus) > 1:
        name = f"{gpu.index} {name}"  # two of a kind
        label_width += 1
    bar_width = max(8, min(28, inner - 78))
    mark = "SIMULATED " if gpu.simulated else ""
    util = "  —" if gpu.util is None else f"{gpu.util:>3}"
    fraction = None if gpu.util is None else gpu.util / 100
    first = Content.assemble(
        (f"{clip(name, label_width):<{label_width}} ", tone),
        (mark, "bold $warning"),
        (f"util {util}% ", tone),
        (bar(fraction, bar_width), tone or load_style(gpu.util)),
        *facts(gpu, tone, inner >= 100),
    )
    used, total = gpu.mem_used, gpu.mem_total
    part = used / total if used is not None and total else None
    job = gpu.mem_job / total if gpu.mem_job is not None and total else None
    limit = model.vram_limit / total if model.vram_limit and total else None
    second: list[Part] = [
        (f"{'VRAM GiB':<{label_width}} ", tone or DIM),
        (" " * len(mark), ""),
        (f"{gib(used):>4}/{gib(total):<4} ", tone),
        (
            split_bar(part, job, limit, bar_width),
            tone or load_style(None if part is None else round(100 * part)),
        ),
    ]
    if gpu.mem_job is not None:
        about = "" if gpu.mem_job_told else "~"
        second.append((f" job {about}{gib(gpu.mem_job)}", tone))
    if gpu.mem_peak is not None:
        second.append((f" peak {gib(gpu.mem_peak)}", tone or DIM))
        if model.vram_limit:
            ok = gpu.mem_peak < model.vram_limit
            style = tone or (PASS if ok else FAIL)
            second.append((f"  limit {gib(model.vram_limit)} {'ok' if ok else 'OVER'}", style))
    return [first, _with_history(second, "gpu", gpu.history, tone, inner)]


def facts(gpu: GpuModel, tone: str, wide: bool) -> list[Part]:
    """Temperature, power and limit, why the card is held back, clocks: what matters most comes first."""
    parts: list[Part] = []
    if gpu.temp_c is not None:
        parts.append((f" {gpu.temp_c}C", tone or (WARN if gpu.temp_c >= 84 else DIM)))
    if gpu.power_w is not None:
        limit = f"/{gpu.power_limit_w}" if gpu.power_limit_w else ""
        parts.append((f"  {gpu.power_w}{limit} W", tone or DIM))
    if gpu.throttle:
        parts.append((f"  {', '.join(gpu.throttle)}", tone or WARN))
    if gpu.clock_mhz is not None:
        memory = "" if gpu.clock_mem_mhz is None else f"/{gpu.clock_mem_mhz}"
        parts.append((f"  {gpu.clock_mhz}{memory} MHz", tone or DIM))
    if wide and gpu.throttle == () and gpu.util:
        parts.append(("  not throttled", tone or DIM))
    if gpu.reason:
        parts.append((f"  {gpu.reason}", tone or DIM))
    return parts


def machine_line(model: GaugeModel, tone: str, inner: int) -> Content:
    """CPU, RAM, disk, network, and as much history as fits."""
    cpu = "—" if model.cpu is None else f"{model.cpu}%"
    unit = " cores" if inner >= 100 else ""
    cores = f" of {model.cores}{unit}" if model.cores else ""
    text = (
        f"CPU {cpu:>4}{cores}  RAM {gib(model.ram_used)}/{gib(model.ram_total)} GiB"
        f"  disk {'—' if model.disk_free is None else f'{model.disk_free / 1e9:.0f}'} GB free"
    )
    if model.net is not None:
        text += f"  net in {model.net[0]} out {model.net[1]}"
    return _with_history([(text, tone)], "cpu", model.history, tone, inner)


def _with_history(
    parts: list[Part], name: str, history: tuple[float | None, ...], tone: str, inner: int
) -> Content:
    """The parts and, behind them, as much of the history as there is room for."""
    line = Content.assemble(*parts)
    room = inner - line.cell_length - len(name) - 4
    if room < HISTORY_LEAST or not history:
        return line
    spark = sparkline(list(history), min(room, 60), 100)
    return Content.assemble(line, (f"  {name} ", DIM), (spark, tone or "$accent"))


def waiting() -> Content:
    """Before the first word from a host."""
    return Content(f"{marks.bullet} waiting for the first gauge")
