"""What every group of changes stands on: the open workspace and the one way into its state file."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tui.roadmap.document import Document
from tui.roadmap.errors import Conflict, InvalidValue, no_such
from tui.roadmap.records import Record
from tui.roadmap.state import State
from tui.settings import Settings

Fields = dict[str, Any]


class Writer:
    """A workspace as its groups of changes see it."""

    root: Path
    settings: Settings
    document: Document
    state: State

    @property
    @abstractmethod
    def believed(self) -> State:
        """The state that the caller of a change had before the eyes."""

    @abstractmethod
    def _commit(self, make: Callable[[], Fields | Record]) -> Record:
        """Appends what `make` returns under the lock; a Record from it means nothing to write."""

    @abstractmethod
    def _change(
        self, kind: str, item: str, new: str | None, by: str, extra: Fields | None = None
    ) -> Record:
        """One value from what the caller saw to `new`; Conflict where it is another by now."""

    @abstractmethod
    def _conflict(self, kind: str, item: str, mine: str | None = None) -> Conflict:
        """Who changed the item meanwhile, and when."""

    def _tickable(self, box_id: str) -> str:
        """Label of a box that a person may tick. Raises UnknownId or InvalidValue."""
        box = self.document.boxes.get(box_id)
        if box is None:
            raise no_such("box", box_id, self.document.boxes)
        if box.kind == "radio":
            raise InvalidValue(f"{box_id} is decided at the gate, not ticked.")
        if box.children:
            raise InvalidValue(f"{box_id} is computed from {len(box.children)} items.")
        if box.kind == "tracker":
            raise InvalidValue(f"{box_id} is computed from {box.target}.")
        asked = next((old for old, _, new, _ in self.document.asked if new == box_id), None)
        if asked:
            raise InvalidValue(
                f"{box_id} may be {asked} with other words: reconcile the plan first."
            )
        return box.label[:200]


def now_ms() -> int:
    """UTC milliseconds."""
    return int(time.time() * 1000)


def today() -> date:
    """The local calendar day."""
    return date.today()  # noqa: DTZ011 - a calendar day is local


def local_day(at: int) -> date:
    """Local calendar day of a UTC millisecond stamp."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().date()


def past_day(text: str | None) -> str:
    """A date that is not in the future, today for none. Raises InvalidValue."""
    if not text:
        return today().isoformat()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day > today() or len(text) != 10:
        raise InvalidValue("date must be YYYY-MM-DD, not after today.")
    return day.isoformat()
