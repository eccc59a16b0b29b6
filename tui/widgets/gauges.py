"""Gauges of one host: GPU and VRAM bars, temperature, power, CPU, RAM, disk, each with its age."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.widget import Widget

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
    latency_ms: int | None = None
    history: tuple[float | None, ...] = ()
    history_of: str = "cpu"
    health: tuple[tuple[str, str], ...] = ()
    vram_limit: int | None = None


def load_style(percent: int | None) -> str:
    """Bars change their colour only where a person should look."""
    if percent is None:
        return DIM
    return WARN if percent >= 90 else PASS


def panel_lines(model: GaugeModel, width: int) -> list[Content]:
    """The panel as lines of at most `width` cells."""
    inner = max(20, width)
    bar_width = max(8, min(28, inner - 52))
    word, link_style = LINKS.get(model.link, (model.link, DIM))
    tone = STALE if model.stale else ""
    head: list[str | Content | tuple[str, str]] = [
        (model.host, STRONG),
        " ",
        (word, link_style),
    ]
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
    if model.detail and model.link != "live":
        head.append((f"  {model.detail}", WARN))
    lines = [Content.assemble(*head)]
    for gpu in model.gpus:
        lines += gpu_lines(gpu, model, bar_width, tone)
    if not model.gpus and model.age_s is not None:
        lines.append(Content.assemble((model.gpu_reason or "no NVIDIA GPU", STALE)))
    lines.append(machine_line(model, bar_width, tone, inner))
    return lines


def gpu_lines(gpu: GpuModel, model: GaugeModel, bar_width: int, tone: str) -> list[Content]:
    """Utilisation line and VRAM line of one card."""
    name = clip(gpu.name, 18)
    label = Content.assemble(
        (f"{name:<18} ", tone), ("SIMULATED " if gpu.simulated else "", "bold $warning")
    )
    util = "  —" if gpu.util is None else f"{gpu.util:>3}"
    fraction = None if gpu.util is None else gpu.util / 100
    facts = []
    if gpu.temp_c is not None:
        facts.append(f"{gpu.temp_c}C")
    if gpu.power_w is not None:
        limit = f"/{gpu.power_limit_w}" if gpu.power_limit_w else ""
        facts.append(f"{gpu.power_w}{limit} W")
    first = Content.assemble(
        label,
        (f"util {util}% ", tone),
        (bar(fraction, bar_width), tone or load_style(gpu.util)),
        (f" {'  '.join(facts) or gpu.reason}", tone or DIM),
    )
    part = gpu.mem_used / gpu.mem_total if gpu.mem_used is not None and gpu.mem_total else None
    second: list[str | Content | tuple[str, str]] = [
        (f"{'VRAM':<18} ", tone or DIM),
        (" " * 10 if gpu.simulated else "", ""),
        (f"{gib(gpu.mem_used):>4}/{gib(gpu.mem_total):<4}", tone),
        (" ", ""),
        (bar(part, bar_width), tone or load_style(None if part is None else round(100 * part))),
        (" GiB", DIM),
    ]
    if gpu.mem_peak is not None:
        second.append((f"  peak {gib(gpu.mem_peak)}", tone or DIM))
        if model.vram_limit:
            ok = gpu.mem_peak < model.vram_limit
            second.append(
                (
                    f"  limit {gib(model.vram_limit)} {'ok' if ok else 'OVER'}",
                    tone or (PASS if ok else FAIL),
                )
            )
    return [first, Content.assemble(*second)]


def machine_line(model: GaugeModel, bar_width: int, tone: str, inner: int) -> Content:
    """CPU, RAM, disk, and as much history as fits."""
    cpu = "—" if model.cpu is None else f"{model.cpu}%"
    cores = f" of {model.cores}" if model.cores else ""
    text = (
        f"CPU {cpu:>4}{cores}  RAM {gib(model.ram_used)}/{gib(model.ram_total)} GiB"
        f"  disk {'—' if model.disk_free is None else f'{model.disk_free / 1e9:.0f}'} GB free"
    )
    room = inner - len(text) - len(model.history_of) - 4
    parts: list[str | Content | tuple[str, str]] = [(text, tone)]
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
        return 2 + (2 * len(model.gpus) if model.gpus else int(model.age_s is not None))

    def render(self) -> Content:
        """All lines."""
        if self.model is None:
            return Content(f"{marks.bullet} waiting for the first gauge")
        lines = panel_lines(self.model, self.size.width)
        return Content("\n").join([line.truncate(self.size.width) for line in lines])
