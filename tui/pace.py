"""When what is done: the first frame, then all that it did without, then a frame a second and no more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from textual import events
from textual.widget import AwaitMount

from tui import first
from tui.later import load_all, load_first, politely
from tui.memory import Collector, give_back
from tui.screens.room import Room
from tui.widgets.status_header import HeaderModel, first_line

if TYPE_CHECKING:
    from textual.app import App

    from tui.fleet import Fleet
    from tui.roadmap.workspace import Workspace

    Base = App[None]
else:
    Base = object

FRAME_SECONDS = 0.5
"""Gauges and curves are redrawn at most this often, and only when something visible changed."""

LIVE_SECONDS = 1.0
"""Points and gauges alone are drawn no oftener than this; a link's or a job's change is drawn at once."""

CURVE_SECONDS = 1.0
"""For so long at most the first curve keeps the import of the rest waiting."""

AWAY_SECONDS = 120.0
"""Without a key or the mouse for so long nobody looks; hosts on which nothing runs grow quiet."""


class Pace(Base):
    """Mixed into the app."""

    ws: Workspace
    fleet: Fleet
    story: Callable[[Any], Coroutine[Any, Any, None]] | None
    arrived = False
    """Everything is imported and loaded that the first frame did without."""
    _opened = False
    _drawn_version = -1
    _drawn_at = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._touched = time.monotonic()
        self._collector = Collector()
        self._begun = asyncio.Event()
        """Something of the newest run is read, or there is none."""

    if TYPE_CHECKING:  # the app's own

        @property
        def room(self) -> Room | None:
            """The room on top; the app's own."""
            return None

        def header_model(self, place: str) -> HeaderModel:
            """Figures of the header; the app's own."""
            raise NotImplementedError

        def state_changed(self) -> None:
            """Redraw what stands on the workspace; the app's own."""

        def check_keymap(self) -> None:
            """Say what of [keymap] cannot be; the app's own."""

        def plan_changed(self) -> None:
            """Ask where an edited plan needs an answer; the app's own."""

        def poll_state(self) -> None:
            """Take over what others wrote; the app's own."""

        def start_notices(self) -> None:
            """Look at the runs; the app's own."""

    # --- the start and the end ----------------------------------------------------------------

    def painted(self) -> None:
        """The first frame is on the screen: now comes what it did not need."""
        self.run_worker(
            self._arrive(), name="start", group="start", exit_on_error=False, exclusive=True
        )
        self.plan_changed()

    async def _arrive(self) -> None:
        with politely():
            await asyncio.to_thread(load_first)
            self.run_worker(
                self._read_old_runs(),
                name="runs",
                group="runs",
                exit_on_error=False,
                exclusive=True,
            )
            await self._first_curve()
            await asyncio.to_thread(load_all)
            self.ws.checks_wanted = True
            await asyncio.to_thread(lambda: self.ws.bindings)
        self.check_keymap()
        self.state_changed()
        self._collector.settle()
        self.start_notices()
        self.fleet.start()
        self.fleet.start_tunnel()
        if self.story is not None:
            self.run_worker(
                self.story(self), name="story", group="story", exit_on_error=False, exclusive=True
            )
        self.arrived = True
        self._remember()

    async def _read_old_runs(self) -> None:
        def draw() -> None:
            self._begun.set()
            self.frame(at_once=True)

        await self.fleet.store.load_beside(self.ws.runs_dir, draw)
        self._begun.set()
        give_back()

    async def _first_curve(self) -> None:
        """Where curves are looked at, the rest of the program waits with its import until one is drawn."""
        if isinstance(self.screen, Room) and type(self.screen).update_live is Room.update_live:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CURVE_SECONDS):
                await self._begun.wait()
                while (room := self.room) is None:  # noqa: ASYNC110 (its widgets are being made)
                    await asyncio.sleep(0.005)
                for _ in range(2):  # Textual holds back the first frame of a new room
                    drawn = asyncio.Event()
                    room.call_after_refresh(drawn.set)
                    await drawn.wait()

    def depart(self) -> None:
        """The app ends: leave the process as it was, and the header for the next start."""
        self._collector.release()
        self._remember()

    def _remember(self) -> None:
        """Keep the header for the next start."""
        if not self.is_headless:
            first.remember(self.ws.root.resolve(), *first_line(self.header_model("")))

    # --- frames -------------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Note when the person last touched the keyboard or the mouse."""
        if isinstance(event, events.InputEvent):
            self._touched = time.monotonic()
        await super().on_event(event)

    def beat(self) -> None:
        """One timer for what is looked at all the time: the store, and the state file for other writers."""
        self.frame()
        self.poll_state()

    def read_runs(self) -> None:
        """Take in what the mirrors gained, in steps between which keys are answered."""
        if self.fleet.store.read_grown():
            self.call_later(self.read_runs)

    def frame(self, at_once: bool = False) -> None:
        """Draw what the store has that is not on the screen."""
        room, store = self.room, self.fleet.store
        untouched = time.monotonic() - self._touched
        away = untouched > AWAY_SECONDS
        self._collector.look(untouched)
        if self.arrived:
            for link in self.fleet.links.values():
                link.quiet(away)
        if room is None or not room.is_active:
            return
        if type(room).update_live is not Room.update_live:
            self.read_runs()
        now = store.clock()
        if not at_once and now - self._drawn_at < LIVE_SECONDS - FRAME_SECONDS / 2:
            return
        if store.version == self._drawn_version and int(now) == int(self._drawn_at):
            return
        self._drawn_version, self._drawn_at = store.version, now
        room.update_live()
        room.update_header()

    def switch_mode(self, mode: str) -> AwaitMount:
        """Go to a room; one that was open before is on the screen with the next frame."""
        self._opened = bool(self._screen_stacks.get(mode))
        return super().switch_mode(mode)

    def delay_update(self, delay: float = 0.05) -> None:
        """Textual holds a switch back for 50 ms to mask a mount; a room that is there mounts nothing."""
        super().delay_update(0.001 if self._opened else delay)
