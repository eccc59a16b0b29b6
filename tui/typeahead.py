"""Keys one after another: each meets the screen that the one before it has made.

Textual puts a key into the queue of what has the focus when the key arrives. A line that arrives in one
go (`:stage 3`, a filter, a terminal that was away) would so run keys of a list that is about to lose
the focus to an input. Here a key waits until the one before it is done with: bindings run, dialogs
that it opens mounted, the focus set, its record written.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from textual import events
from textual.app import ScreenStackError
from textual.message import Message
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from textual.app import App

    Base = App[None]
else:
    Base = object

HELD = 2.0
"""Seconds after which the next key goes on whatever the one before it still does."""
OPENING = 0.3
"""Seconds that a dialog which a key asked for may take to appear."""


class Passed(Message):
    """Follows a key through the queues of a widget and of all that it stands in, up to the app."""

    verbose = True

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()


class TypeAhead(Base):
    """Mixed into the app, before everything that looks at events."""

    _ahead: deque[events.Key | events.Paste]
    _typist: asyncio.Task[None] | None = None

    @property
    def writing(self) -> bool:
        """True while a record is on its way to the disk; the app's own."""
        return False

    async def on_event(self, event: events.Event) -> None:
        """Keys and pasted text wait for their turn; everything else goes on at once."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        if self._typist is not None and not self._typist.done():
            self._ahead.append(event)
            return
        self._ahead = deque([event])
        self._typist = asyncio.create_task(self._type(), name="keys")

    async def _type(self) -> None:
        try:
            while self._ahead and self.is_running:
                event = self._ahead.popleft()
                before, asked = self.screen, self._asked()
                await super().on_event(event)
                await self._settle(before, asked)
        except ScreenStackError:
            pass  # the app ends
        except Exception as problem:  # shown as any error of a key is
            self.call_later(_raise, problem)

    def on_passed(self, message: Passed) -> None:
        """All that stood before it is done."""
        message.arrived.set()

    async def _follow(self, until: float) -> None:
        """Until what stands in the queues from the focus up to the app is done."""
        passed = Passed()
        target: MessagePump = self.focused or self.screen
        if target.post_message(passed):
            try:
                async with asyncio.timeout(max(0.0, until - time.monotonic())):
                    await passed.arrived.wait()
            except TimeoutError:
                pass

    def _asked(self) -> set[int]:
        """Workers that write, or ask something in a dialog."""
        groups = ("dialog", "commit")
        return {id(w) for w in self.workers if w.group in groups and not w.is_finished}

    async def _settle(self, before: object, asked: set[int]) -> None:
        began = time.monotonic()
        calm, last = 0, None
        while calm < 2 and time.monotonic() - began < HELD:
            await self._follow(began + HELD)
            now = (self.screen, self.focused)
            opening = self.screen is before and bool(self._asked() - asked)
            if time.monotonic() - began > OPENING:
                opening = False
            busy = opening or self.writing or not self.screen.is_mounted
            calm = calm + 1 if now == last and not busy else 0
            last = now
            if busy:
                await asyncio.sleep(0.002)


def _raise(problem: Exception) -> None:
    raise problem
