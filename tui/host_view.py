"""What is known of one host: its link, its newest gauge with the moment it came, and short histories."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents import LinkState

if TYPE_CHECKING:
    from agents import Gauge, Gpu, LinkChanged
    from tui.lights import TunnelView

HISTORY = 240
"""Samples of gauge history kept per host (four minutes at 1 Hz)."""

FRESH_SECONDS = 10.0
"""A gauge older than this is drawn grey with its age."""

MOST_CARDS = 64
"""Cards of a host whose history is kept, also of those that left."""

OUTAGES = 100
"""Times without a link that are remembered for a host."""


@dataclass
class HostView:
    """The state of one host as the laptop knows it."""

    name: str
    role: str
    link: LinkChanged | None = None
    gauge: Gauge | None = None
    gauge_at: float = 0.0
    utils: dict[str, deque[float | None]] = field(default_factory=dict)
    """Utilisation by card_key."""
    cpu: deque[float | None] = field(default_factory=lambda: deque(maxlen=HISTORY))
    vram_peak: int | None = None
    """Most bytes in use on the first card, since the newest job began; else since the app did."""
    vram_peak_of: tuple[str, str] = ("", "")
    """The card and the job that the peak is of."""
    vram_idle: dict[str, int] = field(default_factory=dict)
    """Bytes in use by card_key when no job of ours ran: desktop, games, other people."""
    tunnel: TunnelView | None = None
    lost_since_ms: int | None = None
    """When the link went away, through all attempts to get it back; None while it is live."""
    outages: deque[tuple[int, int | None]] = field(default_factory=lambda: deque(maxlen=OUTAGES))
    """From when to when the link was down, UTC ms; the last one is open while it still is."""

    @property
    def state(self) -> str:
        """Link state as a word; `closed` before the first event."""
        return str(self.link.state) if self.link else "closed"

    @property
    def live(self) -> bool:
        """True while the link carries data."""
        return self.link is not None and self.link.state == LinkState.live

    def gauge_age(self, now: float) -> float | None:
        """Seconds since the newest gauge arrived, None before the first."""
        return None if self.gauge is None else max(0.0, now - self.gauge_at)

    def fresh(self, now: float) -> bool:
        """True when the gauge may be drawn as current."""
        age = self.gauge_age(now)
        return age is not None and age < FRESH_SECONDS and self.live

    def gap(self) -> None:
        """Nothing was heard for a while: the histories show a gap and no line across it."""
        for history in (self.cpu, *self.utils.values()):
            if history and history[-1] is not None:
                history.append(None)

    def take(self, gauge: Gauge, now: float, job_id: str) -> None:
        """The newest gauge, with `now` in monotonic seconds and our running job, if any."""
        if self.gauge is not None and now - self.gauge_at >= FRESH_SECONDS:
            self.gap()
        self.gauge, self.gauge_at = gauge, now
        self.cpu.append(gauge.cpu.percent)
        for gpu in gauge.gpus:
            key = card_key(gpu)
            if key not in self.utils and len(self.utils) < MOST_CARDS:
                self.utils[key] = deque(maxlen=HISTORY)
            if gpu.mem_used is not None and not job_id and key in self.utils:
                self.vram_idle[key] = gpu.mem_used
        here = {card_key(gpu): gpu.util for gpu in gauge.gpus}
        for key, history in self.utils.items():
            if key in here:
                history.append(here[key])
            elif history and history[-1] is not None:
                history.append(None)
        self._peak(gauge.gpus[0] if gauge.gpus else None, job_id)

    def _peak(self, first: Gpu | None, job_id: str) -> None:
        if first is None or first.mem_used is None:
            return
        card, job = card_key(first), job_id or self.vram_peak_of[1]
        if (card, job) != self.vram_peak_of:
            self.vram_peak, self.vram_peak_of = None, (card, job)
        if job_id or not job:
            self.vram_peak = max(self.vram_peak or 0, first.mem_used)


def card_key(gpu: Gpu) -> str:
    """What a card is known by: its own id, for its number may become another card's."""
    return gpu.uuid if gpu.uuid and not gpu.uuid.startswith("[") else f"number {gpu.index}"
