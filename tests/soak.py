"""Hours of watching in minutes: the real app and widgets, two played hosts, a clock that is told the time.

What the links would tell goes the way it goes from them (`Fleet`'s own intake, journals on the disk);
rooms are changed, dialogs opened and closed, links lost and found. `Census` counts what may not grow.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widget import Widget

from agents import GaugeArrived, JobChanged, LinkChanged, LinkState, Mirrored
from agents.gauges import parse_gauge
from agents.jobs import parse_status
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.room import Room

GIB = 2**30
ROOMS = ("roadmap", "gate", "budget", "metrics", "live", "journal", "notes", "jobs", "overview")
COVERED = ("live", "roadmap", "overview")
"""The rooms that dialogs are opened over in turn."""

DIALOGS = ("question_mark", "colon", "dollar_sign", "ctrl+p")
SETTINGS = """\
title = "Soak"
user = "ana"
[hosts.tower]
role = "tower"
local = true
[hosts.server]
role = "server"
local = true
"""
ARMS = {"tower": "control", "server": "experiment"}
T0 = 1_767_225_600_000
CARD = {"index": 0, "uuid": "GPU-0", "name": "NVIDIA GeForce RTX 4070 Ti", "mem_total": 12 * GIB,
        "power_limit_w": 285, "mem_jobs": 6 * GIB}  # fmt: skip


class Leak(AssertionError):
    """Something grew that should not."""


@dataclass(frozen=True)
class Census:
    """What a long run may not have more of than a short one. `rss_mb` is resident memory."""

    widgets: int
    timers: int
    tasks: int
    objects: int
    rss_mb: float

    @classmethod
    def take(cls, app: GonogoApp) -> Census:
        """Count now, after a full collection."""
        gc.collect()
        nodes = list(app._registry)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            widgets=sum(isinstance(node, Widget) for node in nodes),
            timers=len(app._timers) + sum(len(node._timers) for node in nodes),
            tasks=len(asyncio.all_tasks()),
            objects=len(gc.get_objects()),
            rss_mb=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        )

    def grown_to(self, later: Census, objects: int = 4_000) -> None:
        """Raises Leak where `later` has more; `objects` Python objects may come and stay."""
        for name in ("widgets", "timers", "tasks"):
            before, after = getattr(self, name), getattr(later, name)
            if after > before:
                raise Leak(f"{name} grew from {before} to {after}")
        if later.objects - self.objects > objects:
            raise Leak(f"Python objects grew from {self.objects:,} to {later.objects:,}")


class Player:
    """Plays the hosts. `now` is the store's clock in seconds since the runs began."""

    def __init__(self, app: GonogoApp, pilot: Pilot[None], every: float = 5.0) -> None:
        self.app, self.pilot, self.every = app, pilot, every
        self.now = 0.0
        self.steps = dict.fromkeys(ARMS, 0)
        self.down: set[str] = set()
        self.room = 0
        self.covered_renders = 0
        app.fleet.store.clock = lambda: self.now

    async def begin(self) -> None:
        """Links live, a run on each host, every room opened once."""
        for host in ARMS:
            self._link(host, LinkState.live)
            self._job(host)
        for room in ROOMS:
            self.app.action_room(room)
            await self.pilot.pause()
        await self.play(60)

    def _tell(self, event: Any) -> None:
        self.app.fleet._emit(event)

    def _link(self, host: str, state: LinkState) -> None:
        since = T0 + int(1000 * self.now)
        self._tell(LinkChanged(host, state, "" if state == LinkState.live else "no answer", since,
                               0, None, 3.0))  # fmt: skip

    def _job(self, host: str) -> None:
        status = {"job_id": f"train-{ARMS[host]}-20260101-000000-abcd", "name": f"train-{ARMS[host]}",
                  "state": "running", "created_ms": T0, "started_ms": T0, "argv": ["python3"],
                  "labels": {"kind": "train", "stage": "S3"}}  # fmt: skip
        self._tell(JobChanged(host, parse_status(status)))

    def _gauge(self, host: str) -> None:
        wave = math.sin(self.now / 30)
        card = {**CARD, "util": 95 + 4 * wave, "mem_used": int((7 + wave / 4) * GIB),
                "temp_c": 70 + 3 * wave, "power_w": 250 + 20 * wave, "clock_mhz": 2600}  # fmt: skip
        told = {
            "t_ms": T0 + int(1000 * self.now), "cpu": {"percent": 30 + 10 * wave, "count": 16},
            "ram": {"used": int((12 + wave) * GIB), "total": 32 * GIB},
            "disk": {"path": "/", "free": 800 * 10**9, "total": 10**12},
            "net": {"rx_bps": 1e6 + 1e5 * wave, "tx_bps": 3e3},
            "gpus": [card] if host == "tower" else [], "gpu_rung": "nvml" if host == "tower" else "none",
        }  # fmt: skip
        self._tell(GaugeArrived(host, parse_gauge(told), int(1000 * self.now)))

    def _point(self, host: str) -> None:
        step = self.steps[host] = self.steps[host] + 1
        job = f"train-{ARMS[host]}-20260101-000000-abcd"
        path = self.app.ws.runs_dir / host / job / "run.jsonl"
        at = T0 + int(1000 * self.now)
        lines = []
        if step == 1:
            path.parent.mkdir(parents=True, exist_ok=True)
            lines.append({"kind": "start", "name": ARMS[host], "arm": ARMS[host], "seed": 1,
                          "max_steps": 15_120, "batch_size": 4, "grad_accum": 2})  # fmt: skip
        lines.append({
            "kind": "point", "step": step, "loss": 3 * math.exp(-step / 5000) + 0.1 * math.sin(step),
            "learning_rate": 2e-4 * (1 - step / 20_000), "grad_norm": 1 + 0.1 * math.cos(step),
            "tokens_per_s": 1200.5 + step % 7, "gpu_reserved_bytes": 6 * GIB, "tokens": 4096 * step,
            "seconds": self.now,
        })  # fmt: skip
        if step % 50 == 0:
            lines.append({"kind": "eval", "step": step, "eval_loss": 3 * math.exp(-step / 5000)})
        with path.open("a") as file:
            file.writelines(json.dumps({"v": 1, "t": at, **line}) + "\n" for line in lines)
        size = path.stat().st_size
        self._tell(Mirrored(host, job, "run", path, size, 0, False))

    async def play(self, seconds: float, frame: float = 1.0) -> None:
        """So many seconds: gauges each second, a point each `every`, a frame each `frame`."""
        end = self.now + seconds
        while self.now < end:
            before, self.now = self.now, self.now + 1.0
            for host in ARMS:
                if host in self.down:
                    continue
                self._gauge(host)
                if before // self.every != self.now // self.every:
                    self._point(host)
            if before // frame != self.now // frame:
                self.app.watch_runs()
                self.app.beat()
                await asyncio.sleep(0)
                await asyncio.sleep(0.001)

    async def drop(self, host: str, seconds: float = 30, frame: float = 1.0) -> None:
        """The link is lost for a while."""
        self.down.add(host)
        self._link(host, LinkState.backoff)
        await self.play(seconds, frame)
        self.down.discard(host)
        self._link(host, LinkState.live)

    async def dialog(self, key: str, seconds: float = 20, frame: float = 1.0) -> None:
        """A dialog over the room; what lies below may not be drawn meanwhile."""
        await self.pilot.press(key)
        await self.pilot.pause()
        below = [s for stack in self.app._screen_stacks.values() for s in stack
                 if s is not self.app.screen]  # fmt: skip
        drawn: list[str] = []
        render = Widget.render_lines

        def watched(widget: Widget, *args: Any, **kwargs: Any) -> Any:
            if any(widget.screen is screen for screen in below):
                drawn.append(f"{widget.screen.__class__.__name__}/{widget}")
            return render(widget, *args, **kwargs)

        Widget.render_lines = watched  # type: ignore[method-assign]
        try:
            await self.play(seconds, frame)
        finally:
            Widget.render_lines = render  # type: ignore[method-assign]
        self.covered_renders += len(drawn)
        if drawn:
            raise Leak(f"covered screens were drawn {len(drawn)} times: {drawn[:3]}")
        for _ in range(3):
            if isinstance(self.app.screen, Room):
                break
            await self.pilot.press("escape")
            await self.pilot.pause()
        assert isinstance(self.app.screen, Room)

    async def round(self, seconds: float = 600, frame: float = 1.0) -> None:
        """Ten minutes of a person: each room, each dialog, a lost link, chart keys."""
        part = seconds / (len(ROOMS) + 1)
        for number, room in enumerate(ROOMS):
            self.app.action_room(room)
            await self.pilot.pause()
            await self.play(part, frame)
            if room == "live":
                for key in ("m", "l", "d", "x", "x", "x", "x", "x", "d", "l"):
                    await self.pilot.press(key)
                self.app.screen.show_metric("loss")  # type: ignore[attr-defined]
            if number % 2 == 0:
                self.app.action_room(COVERED[number // 2 % len(COVERED)])
                await self.pilot.pause()
                await self.dialog(DIALOGS[number // 2 % len(DIALOGS)], min(20, part / 3), frame)
        await self.drop("tower", min(30, part / 2), frame)
        await self.drop("server", min(30, part / 2), frame)


def soak_app(folder: Path) -> GonogoApp:
    """The app on a workspace whose links never begin: a Player tells what they would."""
    app = GonogoApp(Workspace.create(folder, settings_text=SETTINGS))
    app.fleet.start = lambda: None  # type: ignore[method-assign]
    app.fleet.start_tunnel = lambda: None  # type: ignore[method-assign]
    return app
