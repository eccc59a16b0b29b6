"""Two lines on top of every screen: where the project stands, how the hosts are, what is saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from tui.vocabulary import DIM, FAIL, LINKS, OUTCOMES, PASS, STALE, STRONG, WARN, age, gib
from tui.widgets.lines import changed_lines

if TYPE_CHECKING:
    from tui.lights import TunnelView


@dataclass(frozen=True)
class HostChip:
    """What the header says of one host. Ages in seconds; None where nothing is known."""

    name: str
    state: str
    silent_for: float | None = None
    temp_c: float | None = None
    vram_used: int | None = None
    vram_total: int | None = None
    disk_free: int | None = None
    simulated: bool = False
    stale: bool = False
    health: tuple[tuple[str, str], ...] = ()
    tunnel: TunnelView | None = None


@dataclass(frozen=True)
class HeaderModel:
    """Everything the header shows; equal models draw nothing new."""

    title: str
    place: str
    done: int
    total: int
    gate: str
    spent: str
    budget: str
    over: bool
    hosts: tuple[HostChip, ...] = ()
    saved: str = ""
    records: int = 0
    mode: str = "rw"


EMPTY = HeaderModel("gonogo", "", 0, 0, "", "", "", False)


def lights(tunnel: TunnelView) -> list[str | Content | tuple[str, str]]:
    """`mlflow ●●○`: socket, /health, API; lit and dark differ in shape as well as in colour."""
    marks = [(light.mark, PASS if light.ok else DIM if light.ok is None else FAIL)
             for light in tunnel.lights]  # fmt: skip
    return [("mlflow ", STRONG), *(marks or [("···", DIM)])]


def host_chip(chip: HostChip, wide: bool) -> Content:
    """`tower up 41C 1.1/12.0G`, `tower DOWN 14s`, with the gauge part grey when it is old."""
    word, style = LINKS.get(chip.state, (chip.state, DIM))
    parts: list[str | Content | tuple[str, str]] = [(chip.name, STRONG), " ", (word, style)]
    if chip.state not in ("live", "connecting") and chip.silent_for is not None:
        parts += [" ", (age(chip.silent_for), style)]
    tone = STALE if chip.stale else ""
    if wide and chip.state in ("live", "suspect"):
        if chip.temp_c is not None:
            parts.append((f" {chip.temp_c:.0f}C", tone))
        if chip.vram_total:
            mark = " SIM" if chip.simulated else ""
            parts.append((f" {gib(chip.vram_used)}/{gib(chip.vram_total)}G{mark}", tone))
        elif chip.disk_free is not None:
            parts.append((f" {chip.disk_free / 1e9:.0f}G free", tone))
    for name, health in chip.health:
        ok = health == "ok"
        parts += ["  ", (name, STRONG), " ", ("up", PASS) if ok else ("DOWN", FAIL)]
    if chip.tunnel is not None:
        parts += ["  ", *lights(chip.tunnel)]
        if wide:
            parts.append((f" :{chip.tunnel.url.rpartition(':')[2]}", DIM))
    return Content.assemble(*parts)


def _percent(model: HeaderModel) -> str:
    return f" {100 * model.done // model.total}%" if model.total else ""


def first_line(model: HeaderModel) -> tuple[str, str]:
    """Both ends of the first line as plain text for a wide terminal."""
    right = (f"{model.done}/{model.total} done{_percent(model)}", f"Gate: {model.gate}",
             f"Spent {model.spent} of {model.budget}")  # fmt: skip
    return model.title, "   ".join(right)


def header_lines(model: HeaderModel, width: int) -> Content:
    """Both lines for a width in cells."""
    wide = width >= 100
    percent = _percent(model)
    gate_style = OUTCOMES.get(model.gate, DIM)
    money = Content.assemble(
        ("Spent " if wide else "", ""),
        (model.spent, FAIL if model.over else ""),
        (f" of {model.budget}" if wide else f"/{model.budget.split()[-1].lstrip('$')}", DIM),
    )
    right = Content("   " if wide else "  ").join(
        [
            Content.assemble(
                f"{model.done}/{model.total}", (" done" if wide else "", DIM), percent
            ),
            Content.assemble(("Gate: " if wide else "gate ", DIM), (model.gate, gate_style)),
            money,
        ]
    )
    room = max(0, width - right.cell_length - 1)
    title = f"{model.title}  {model.place}" if model.place else model.title
    if len(title) > room and model.place:  # where one is matters more than whose plan it is
        title = model.place
    left = Content.styled(title, STRONG).truncate(room, ellipsis=True)
    first = left.pad_right(max(0, width - right.cell_length - left.cell_length)) + right
    chips = Content("   ").join([host_chip(chip, wide) for chip in model.hosts])
    tail_parts: list[str | Content | tuple[str, str]] = []
    if model.saved:
        tail_parts.append((model.saved, PASS if model.saved.startswith("saved") else WARN))
    if wide:
        tail_parts.append((f"  journal #{model.records}", DIM))
    tail_parts.append((f"  {model.mode}", DIM if model.mode == "rw" else WARN))
    tail = Content.assemble(*tail_parts)
    gap = width - chips.cell_length - tail.cell_length
    if gap < 1:
        chips = chips.truncate(max(0, width - tail.cell_length - 1), ellipsis=True)
        gap = width - chips.cell_length - tail.cell_length
    second = chips.pad_right(max(0, gap)) + tail
    return Content("\n").join([first, second])


class StatusHeader(Widget):
    """The header of a screen."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    StatusHeader { dock: top; height: 2; padding: 0 1; background: $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.model = EMPTY
        self._lines: list[Content] = []

    def show(self, model: HeaderModel) -> None:
        """Show another model; equal ones cost nothing."""
        if model == self.model:
            return
        self.model = model
        before, self._lines = self._lines, self._draw()
        parts = changed_lines(before, self._lines, self.outer_size.width)
        if parts is None:
            self.refresh()
        elif parts:
            self.refresh(*parts)

    def _draw(self) -> list[Content]:
        return header_lines(self.model, self.size.width).split("\n", allow_blank=True)

    def render(self) -> Content:
        """The two lines."""
        self._lines = self._draw()
        return Content("\n").join(self._lines)
