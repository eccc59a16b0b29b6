"""What a person does about a state file that is damaged or has lost records."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tui.roadmap.errors import ReadOnly
from tui.roadmap.journal import Journal
from tui.roadmap.records import Record
from tui.roadmap.state import State

T = TypeVar("T")


class Mending:
    """The part of a workspace that settles what its journal cannot settle by itself."""

    journal: Journal
    state: State
    _read_only: bool
    _mutex: threading.RLock
    _fold: Callable[[Record | None], None]

    def accept_bad_line(self, by: str) -> Record:
        """Takes the bad line of the state file over as a hand edit. Raises ReadOnly where it cannot be."""
        return self._mend(lambda: self.journal.accept(by))

    @property
    def settled_copies(self) -> frozenset[str]:
        """Names of kept copies of the state file about which a person has decided."""
        return frozenset(r.item for r in self.state.records if r.do == "hand_edit")

    def keep_lost(self) -> str:
        """Writes records that were read and are gone from the state file to a copy beside it.

        Returns its name, "" where nothing is lost. Raises NotSaved.
        """
        return self.journal.keep() if self.journal.lost else ""

    def put_back(self, by: str) -> Record:
        """Appends records that were read and are gone from the state file. Raises ReadOnly, NotSaved."""
        return self._mend(lambda: self.journal.put_back(by))

    def go_on_without(self, by: str) -> Record:
        """Takes the changed state file for the truth; what it lacks stays in the copy beside it."""
        return self._mend(lambda: self.journal.go_on_without(by))

    def take_back(self, path: Path, by: str) -> tuple[Record | None, int]:
        """Appends what a kept copy holds and the state file lacks: the record that says so, how many."""
        count = 0

        def bring() -> Record | None:
            nonlocal count
            record, count = self.journal.take_back(by, path)
            return record

        return self._mend(bring), count

    def _mend(self, change: Callable[[], T]) -> T:
        if self._read_only:
            raise ReadOnly("This workspace is open read-only.")
        with self._mutex:
            made: T | None = None
            try:
                made = change()
                return made
            finally:
                self._fold(made if isinstance(made, Record) else None)
