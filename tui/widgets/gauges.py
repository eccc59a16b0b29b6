"""Gauges of one host: GPU and VRAM bars, temperature, power, CPU, RAM, disk, each with its age."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui.lights import TunnelView
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
)
from tui.widgets.status_header import lights

Part = str | Content | tuple[str, str]


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
    mem_jobs: int | None = None
    clock_mhz: int | None = None
    throttle: str = ""
    reason: str = ""


@dataclass(frozen=True)
class GaugeModel:
    """Everything one panel shows; equal models are not drawn again."""

    host: str
    role: str
    link: str
    detail: str
    age_s: int | None
    stale: bool
    rung: str = ""
    gpu_reason: str = ""
    gpus: tuple[GpuModel, ...] = ()
    cpu: int | None = None
    cores: int | None = None
    ram_used: int | None = None
    ram_total: int | None = None
    disk_free: int | None = None
    disk_total: int | None = None
    net: tuple[float, float] | None = None
    latency_ms: int | None = None
    history: tuple[float | None, ...] = ()
    history_of: str = "cpu"
    health: tuple[tuple[str, str], ...] = ()
    tunnel: TunnelView | None = None
    vram_limit: int | None = None


def load_style(percent: int | None) -> str:
    """Bars change their colour only where a person should look."""
    if percent is None:
        return DIM
    return WARN if percent >= 90 else PASS


def panel_lines(model: GaugeModel, width: int) -> list[Content]:
    """The panel as lines of at most `width` cells."""
    inner = max(20, width)
    bar_width = max(8, min(28, inner - 60))
    tone = STALE if model.stale else ""
    lines = [head_line(model)]
    for gpu in model.gpus:
        lines += gpu_lines(gpu, model, bar_width, tone, inner < 100)
    lines.append(machine_line(model, tone, inner))
    return [line.truncate(inner, ellipsis=True) for line in lines]


def head_line(model: GaugeModel) -> Content:
    """Host, link, age of the data, what answers for the GPU, services."""
    word, link_style = LINKS.get(model.link, (model.link, DIM))
    head: list[Part] = [(model.host, STRONG), " ", (word, link_style)]
    if model.latency_ms is not None and not model.stale:
        head.append((f" {model.latency_ms} ms", DIM))
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
        head.append((f"  {model.tunnel.trouble}" if model.tunnel.trouble else "", WARN))
    if model.detail and model.link != "live":
        head.append((f"  {model.detail}", WARN))
    elif not model.gpus and model.age_s is not None:
        head.append((f"  {model.gpu_reason or 'no NVIDIA GPU'}", STALE))
    return Content.assemble(*head)


def gpu_lines(
    gpu: GpuModel, model: GaugeModel, bar_width: int, tone: str, narrow: bool
) -> list[Content]:
    """Utilisation line and VRAM line of one card."""
    name = gpu.name.removeprefix("Simulated ").removeprefix("NVIDIA ").removeprefix("GeForce ")
    label_width = 12 if narrow else 18
    mark = "SIMULATED " if gpu.simulated else ""
    util = "  —" if gpu.util is None else f"{gpu.util:>3}"
    fraction = None if gpu.util is None else gpu.util / 100
    facts = []
    if gpu.temp_c is not None:
        facts.append(f"{gpu.temp_c}C")
    if gpu.power_w is not None:
        limit = f"/{gpu.power_limit_w}" if gpu.power_limit_w else ""
        facts.append(f"{gpu.power_w}{limit} W")
    if gpu.clock_mhz is not None and not narrow:
        facts.append(f"{gpu.clock_mhz} MHz")
    first = Content.assemble(
        (f"{clip(name, label_width):<{label_width}} ", tone),
        (mark, "bold $warning"),
        (f"util {util}% ", tone),
        (bar(fraction, bar_width), tone or load_style(gpu.util)),
        (f" {'  '.join(facts) or gpu.reason}", tone or DIM),
        (f"  {gpu.throttle}" if gpu.throttle else "", tone or WARN),
    )
    part = gpu.mem_used / gpu.mem_total if gpu.mem_used is not None and gpu.mem_total else None
    second: list[Part] = [
        (f"{'VRAM GiB':<{label_width}} ", tone or DIM),
        (" " * len(mark), ""),
        (f"{gib(gpu.mem_used):>4}/{gib(gpu.mem_total):<4} ", tone),
        (bar(part, bar_width), tone or load_style(None if part is None else round(100 * part))),
    ]
    if gpu.mem_jobs:
        second.append((f" jobs {gib(gpu.mem_jobs)}", tone or DIM))
    if gpu.mem_peak is not None:
        second.append((f" peak {gib(gpu.mem_peak)}", tone or DIM))
        if model.vram_limit:
            ok = gpu.mem_peak < model.vram_limit
            style = tone or (PASS if ok else FAIL)
            second.append((f"  limit {gib(model.vram_limit)} {'ok' if ok else 'OVER'}", style))
    return [first, Content.assemble(*second)]


def machine_line(model: GaugeModel, tone: str, inner: int) -> Content:
    """CPU, RAM, disk, and as much history as fits."""
    cpu = "—" if model.cpu is None else f"{model.cpu}%"
    cores = f" of {model.cores}" if model.cores else ""
    text = (
        f"CPU {cpu:>4}{cores}  RAM {gib(model.ram_used)}/{gib(model.ram_total)} GiB"
        f"  disk {'—' if model.disk_free is None else f'{model.disk_free / 1e9:.0f}'} GB free"
    )
    if model.net is not None and inner >= 100:
        text += f"  net {model.net[0]:.1f} in {model.net[1]:.1f} out MB/s"
    room = inner - len(text) - len(model.history_of) - 4
    parts: list[Part] = [(text, tone)]
    if room >= 8:
        spark = sparkline(list(model.history), min(room, 60), 100)
        parts += [(f"  {model.history_of} ", DIM), (spark, tone or "$accent")]
    return Content.assemble(*parts)


class GaugePanel(Widget):
    """Gauges of one host. `show` redraws only when a visible figure changed."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    GaugePanel { height: auto; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.model: GaugeModel | None = None

    def show(self, model: GaugeModel) -> None:
        """Show other figures; a changed number of lines asks for a new layout."""
        if model == self.model:
            return
        layout = self.model is None or self._height(self.model) != self._height(model)
        self.model = model
        self.refresh(layout=layout)

    @staticmethod
    def _height(model: GaugeModel) -> int:
        return 2 + 2 * len(model.gpus)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One row a line: lines are cut to the width, never wrapped."""
        return 1 if self.model is None else self._height(self.model)

    def render(self) -> Content:
        """All lines."""
        if self.model is None:
            return Content(f"{marks.bullet} waiting for the first gauge")
        return Content("\n").join(panel_lines(self.model, self.size.width))
