"""A workspace: one folder with settings, roadmap, state file, runs and evidence, and what can be done.

Every change is one record, stored on disk before the method returns. The value that the caller saw is
the precondition: where somebody else changed it meanwhile a Conflict names who and when.
"""

from __future__ import annotations

import contextlib
import getpass
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from tui.roadmap import evidence, folder, lost, reanchor
from tui.roadmap.bases import Bases
from tui.roadmap.changes import Changes
from tui.roadmap.errors import (
    Conflict,
    InvalidValue,
    Locked,
    NotSaved,
    ReadOnly,
    UnknownId,
    WorkspaceError,
)
from tui.roadmap.journal import Journal, Syscalls
from tui.roadmap.mending import Mending
from tui.roadmap.records import Record
from tui.roadmap.replan import PlanChanges, new_state
from tui.roadmap.state import State
from tui.roadmap.writer import Fields
from tui.settings import Settings, load_settings
from tui.settings_values import FILE_NAME
from tui.words import counted

if TYPE_CHECKING:
    from tui.roadmap.bindings import Bindings

__all__ = [
    "Conflict", "InvalidValue", "Locked", "NotSaved", "ReadOnly", "Record", "UnknownId", "Workspace",
    "WorkspaceError",
]  # fmt: skip


class Workspace(Changes, PlanChanges, Mending):
    """Open one with `Workspace.open`, make one with `Workspace.create`."""

    checks_wanted = True
    """False while an app starts: until the rules are imported verdicts are not compared with their checks."""

    def __init__(
        self, root: Path, settings: Settings, text: str, journal: Journal, read_only: bool
    ) -> None:
        self.root, self.settings, self.journal = root, settings, journal
        self.reading = reanchor.read(
            root / "evidence", text, reanchor.newest_baseline(journal.records)
        )
        self.document = self.reading.document
        self._plan_stamp = self._stamp()
        self._settling = False
        self.runs_dir = root / "runs"
        self._read_only = read_only
        self._mutex = threading.RLock()
        self._generation = journal.generation
        self.state = new_state(self.document)
        self._folded = 0
        self._bound: tuple[object, Bindings] | None = None
        self.state.bases = Bases(self)
        self.unsaved = ""
        self._news: list[Record] = []
        self._seen: State | None = None
        self._fold()
        self._news.clear()
        self._read_with = self.state.baseline
        self._adopt_blanks()

    @classmethod
    def create(
        cls,
        root: Path,
        *,
        title: str = "",
        roadmap_text: str | None = None,
        settings_text: str | None = None,
        by: str = "",
    ) -> Workspace:
        """Makes the folder with its files and opens it. Never overwrites a file that is there."""
        folder.create(root, title or root.resolve().name, roadmap_text, settings_text)
        workspace = cls.open(root)
        if not workspace.state.records:
            workspace.record_import(by or f"cli:{workspace.settings.user}")
        return workspace

    @classmethod
    def open(
        cls, root: Path, read_only: bool = False, *, syscalls: Syscalls | None = None
    ) -> Workspace:
        """Opens a folder. Raises SettingsError for bad settings, WorkspaceError for the rest."""
        settings = load_settings(root / FILE_NAME)
        if not settings.user:
            with contextlib.suppress(OSError, KeyError):  # no login name: a container's bare uid
                settings = structs.replace(settings, user=getpass.getuser())
        text = folder.read_text(root / settings.roadmap)
        try:
            journal = Journal(root / "state.jsonl", syscalls=syscalls)
        except OSError as error:
            raise ReadOnly(f"state.jsonl: {error.strerror}.") from None
        return cls(root, settings, text, journal, read_only)

    @property
    def read_only(self) -> bool:
        """True where nothing may be written."""
        return self._read_only or bool(self.journal.problem or self.unsaved)

    @property
    def bindings(self) -> Bindings:
        """Which check proves which box; read again when the file or the document changes."""
        from tui.roadmap.bindings import own_file, read_bindings

        key = (own_file(self.root), id(self.document))
        if self._bound is None or self._bound[0] != key:
            self._bound = (key, read_bindings(self.root, self.document))
        return self._bound[1]

    @property
    def warnings(self) -> list[str]:
        """Sentences about what is unusual in the folder."""
        out = [self.journal.problem] if self.journal.problem else []
        if self.journal.torn:
            out.append(
                f"state.jsonl ends in an unfinished record ({self.journal.torn} bytes);"
                " the next change sets it aside."
            )
        if self.journal.chain.lines_of_work > 1:
            out.append(f"state.jsonl: merged {self.journal.chain.lines_of_work} lines of work.")
        for line in list(self.journal.chain.missing.values())[:3]:
            out.append(f"state.jsonl: a line that line {line} follows was taken out of the file.")
        if self.journal.skipped:
            numbers = ", ".join(map(str, self.journal.skipped[:5]))
            out.append(f"state.jsonl: kept without effect: line {numbers}.")
        hand = [str(record.line) for record in self.state.records if record.hand]
        if hand:
            out.append(f"state.jsonl: accepted without checksum: line {', '.join(hand[:5])}.")
        for name, count in lost.copies(self.root, self.journal.lines, self.settled_copies):
            out.append(
                f"{name} holds {counted(count, 'record')} that state.jsonl lacks:"
                f" `gonogo recover {name}` takes back what is missing."
            )
        for record in self.state.bad[:3]:
            out.append(f"state.jsonl line {record.line}: “{record.do}” makes no sense; left out.")
        for record in self.state.clashes[:3]:
            out.append(
                f"{record.item} was changed twice from the same start; {record.by} came last."
            )
        if self.reading.warning:
            out.append(self.reading.warning)
        if self.needs_reconcile:
            out.append(f"{self.settings.roadmap} was edited: `gonogo reconcile` (or =) settles it.")
        for item, old, new in self.document.reworded[:5]:
            out.append(f"{item} kept its id although “{old}” now reads “{new}”.")
        if (self.root / "bindings.toml").exists():
            out += [str(problem) for problem in self.bindings.problems[:5]]
        return out + folder.warnings(self.root)

    def refresh(self) -> tuple[Record, ...]:
        """Records that others appended since the last call; takes no lock and writes nothing.

        While another thread writes they are left to the next call, so that nobody waits here.
        """
        if not self._mutex.acquire(blocking=False):
            return ()
        try:
            self.journal.refresh()
            self._fold()
            news, self._news = tuple(self._news), []
            return news
        finally:
            self._mutex.release()

    def _restate(self) -> None:
        """The same records folded for another document."""
        with self._mutex:
            state = new_state(self.document)
            state.bases = self.state.bases
            state.fold(self.journal.records)
            self.state = state

    def _fold(self, own: Record | None = None) -> None:
        """Makes a new state of the present one and what the journal has read since.

        `state` is replaced, never changed: whoever draws from one while another thread writes sees a
        whole state, the one before or the one after.
        """
        state = self.state.copy()
        known: set[str] = set()
        if self.journal.generation != self._generation:
            known = {record.id for record in state.records}
            self._generation, self._folded = self.journal.generation, 0
            state.clear()
        fresh = self.journal.records[self._folded :]
        self._folded = len(self.journal.records)
        if not fresh and not known:
            return
        state.fold(fresh)
        self.state = state
        self._news += [r for r in fresh if r.id not in known and (own is None or r.id != own.id)]

    # --- evidence -----------------------------------------------------------------------------

    def put_evidence(self, content: Any) -> str:
        """Stores a JSON value as a file named by its hash; returns "sha256:<hex>"."""
        if self.read_only:
            raise ReadOnly("This workspace is open read-only.")
        return evidence.put(self.root / "evidence", content)

    def evidence_path(self, name: str) -> Path:
        """File of an evidence name as it stands in a verdict."""
        return evidence.path(self.root / "evidence", name)

    def read_evidence(self, name: str) -> str:
        """The text of an evidence file, bounded. Raises WorkspaceError where it is gone or changed."""
        return evidence.read(self.root / "evidence", name)

    # --- changes ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def believing(self, seen: State) -> Iterator[None]:
        """Changes inside stand on what `seen` showed: where it has changed since they are conflicts."""
        with self._mutex:
            before, self._seen = self._seen, seen
            try:
                yield
            finally:
                self._seen = before

    @property
    def believed(self) -> State:
        """The state that the caller of a change had before the eyes."""
        return self._seen or self.state

    @property
    def closed(self) -> bool:
        """True where a person wants nothing written, whatever the file allows."""
        return self._read_only

    def set_read_only(self, read_only: bool) -> None:
        """Lets changes through or not, until it is said otherwise."""
        self._read_only = read_only

    def retry(self) -> None:
        """After a full or failing disk: reads the file again and asks for room.

        Raises NotSaved while the disk still refuses, ReadOnly where the file itself is not in order.
        """
        with self._mutex:
            self.journal.reopen()
            self._fold()
            if self.journal.problem:
                raise ReadOnly(self.journal.problem)
            self.journal.disk.make_sure_of_space()
            self.unsaved = ""

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        if self._read_only:
            raise ReadOnly("This workspace is open read-only.")
        if self.unsaved:
            raise ReadOnly(f"{self.unsaved} Nothing more is written until the disk takes it again.")
        with self._mutex, self.journal.exclusive():
            self._fold()
            yield

    def _commit(self, make: Callable[[], Fields | Record]) -> Record:
        """`make` sees the newest state under the lock; a Record from it means nothing to write."""
        if not self._settling and not self.reading.current:
            self._settling = True
            try:
                self.settle_plan(f"user:{self.settings.user}")
            finally:
                self._settling = False
        try:
            with self._writing():
                made = make()
                if isinstance(made, Record):
                    return made
                record = self.journal.write(made)
                self._fold(record)
                return record
        except NotSaved as problem:
            self.unsaved = str(problem)
            raise
