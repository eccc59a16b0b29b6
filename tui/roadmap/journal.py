"""`state.jsonl`: the append-only file that is the truth about what was done.

One JSON object a line, one line per action:
`{"v":1,"id":uuid7,"at":UTC ms,"by":…,"do":…,"item":…,"old":…,"new":…,…,"prev":"8 hex","crc":"8 hex"}`
where `crc` is the CRC-32 of the bytes of the line before `,"crc":` and `prev` the `crc` of the record it
follows (of several, where branches were merged). A writer takes the lock, reads what others appended,
writes the whole line with one `write`, calls `fsync`, and only then reports success. Readers take no
lock and change neither a byte nor an mtime. Nothing is ever deleted: an unfinished last line is moved
to `state.torn-<ms>` by the next writer, and where the file was replaced by one that lacks records, they
are copied to `state.kept-<hash>.jsonl` and nothing is written until a person has settled it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tui.files import open_file
from tui.roadmap import lost
from tui.roadmap.disk import Disk, DiskFailed, Moved, Syscalls
from tui.roadmap.errors import Conflict, NotSaved, ReadOnly, disk_words
from tui.roadmap.lock import WriteLock
from tui.roadmap.reading import JournalReader
from tui.roadmap.records import VERSION, Record, line_hash, seal, unseal

__all__ = ["Journal", "Syscalls"]

LOCK_SECONDS = 5.0
_MOST_GONE = 4000
"""Checksums that fit into the line of one record."""


class Journal(JournalReader):
    """The writing side of a journal file."""

    def __init__(
        self, path: Path, *, syscalls: Syscalls | None = None, lock_seconds: float = LOCK_SECONDS
    ) -> None:
        self.disk = Disk(path, syscalls or Syscalls())
        self._lock = WriteLock(path.with_suffix(".lock"), lock_seconds)
        super().__init__(path)

    @contextmanager
    def exclusive(self, *, mending: bool = False) -> Iterator[None]:
        """Holds the write lock with everything read that others wrote.

        Raises Locked after the waiting time, ReadOnly where the file or its folder cannot be written, or
        lacks what was read before. `mending` lets through what settles a bad line or lost records.
        """
        with self._lock:
            try:
                self.refresh()
            except OSError as error:
                raise ReadOnly(f"{self.path.name} {disk_words(error)}.") from None
            settles = self.lost or (self.bad_line and not self.bad_line.newer)
            if self.problem and not (mending and settles):
                raise ReadOnly(f"{self.problem}{self._kept()}")
            yield

    def _kept(self) -> str:
        """Where the lost records are kept from now on, as a sentence; "" where none are lost."""
        if not self.lost:
            return ""
        try:
            name = self.keep()
        except NotSaved as problem:
            return f" {problem}"
        return f" They are in {name}: `gonogo recover {name}` takes them back."

    def keep(self) -> str:
        """Writes what was read and is lost to a file beside; returns its name. Raises NotSaved."""
        return lost.keep(self.path.parent, self._held)

    def put_back(self, by: str) -> Record:
        """Appends the lost records as they were, and one that says who did it."""
        with self.exclusive(mending=True):
            if not self.lost:
                raise ReadOnly(self.problem or f"{self.path.name} lacks nothing.")
            return self._bring(by, self.lost, self.keep())

    def go_on_without(self, by: str) -> Record:
        """Takes the file as it is now for the truth: a record says who did, the copy beside stays."""
        with self.exclusive(mending=True):
            if not self.lost:
                raise ReadOnly(self.problem or f"{self.path.name} lacks nothing.")
            name, held, why = self.keep(), self._held, f"{len(self.lost)} records left out"
            self._held, self.lost, self.problem = {}, {}, ""
            gone = list(self.chain.missing)[:_MOST_GONE]
            fields = {"by": by, "do": "hand_edit", "item": name, "accepts": [], "gone": gone}
            try:
                return self._store({**fields, "why": why})
            except BaseException:
                self._held = held
                self._miss()
                raise

    def take_back(self, by: str, path: Path) -> tuple[Record | None, int]:
        """Appends what a copy holds and the file lacks; the record that says so, and how many."""
        lines = lost.read_copy(path)
        with self.exclusive(mending=True):
            if self.bad_line is not None:
                raise ReadOnly(self.problem)
            wanted = lost.missing(lines, self.lines)
            wanted = {name: raw for name, raw in wanted.items() if name not in self.lines}
            if not wanted:
                return None, 0
            return self._bring(by, wanted, path.name[:200]), len(wanted)

    def _bring(self, by: str, lines: Mapping[str, bytes], source: str) -> Record:
        self._append(lost.block(lines.values()))
        if self.problem:
            raise ReadOnly(self.problem)
        fields = {"by": by, "do": "hand_edit", "item": source, "accepts": []}
        return self._store({**fields, "why": f"{len(lines)} records brought back"})

    def accept(self, by: str) -> Record:
        """Takes the bad line over as a hand edit: a record at the end says so, nothing is deleted.

        Raises ReadOnly where there is nothing to accept, or only a newer program can read the line.
        """
        bad = self.bad_line
        if bad is None:
            raise ReadOnly(self.problem or f"{self.path.name} has no line to accept.")
        with self.exclusive(mending=True):
            if self.bad_line is None or self.bad_line.raw != bad.raw:
                raise ReadOnly(f"{self.path.name} has changed meanwhile; look at it again.")
            fields = {"by": by, "do": "hand_edit", "item": f"line {bad.number}"}
            return self._store({**fields, "accepts": [line_hash(bad.raw)], "why": bad.reason})

    def write(self, fields: Mapping[str, Any]) -> Record:
        """Appends one record; call it inside `exclusive`. `fields` holds by, do, item and the rest.

        Raises NotSaved when the disk refuses; the file is then as it was.
        """
        if self.problem:
            raise ReadOnly(self.problem)
        return self._store(fields)

    def _store(self, fields: Mapping[str, Any]) -> Record:
        # Later than all that it follows: the clock of a merged laptop may have been fast.
        at = max(time.time_ns() // 1_000_000, self.newest + 1)
        from uuid6 import (
            uuid7,  # it asks importlib.metadata for its version: 15 ms that a start need not take
        )

        head: dict[str, Any] = {"v": VERSION, "id": str(uuid7()), "at": at}
        # What stands behind a bad line is not read yet: an acceptance follows whatever is the last line.
        prev = "" if fields.get("accepts") else self.chain.prev
        line = seal({**head, **fields, **({"prev": prev} if prev else {})})
        self._append(line)
        made = next((r for r in reversed(self.records[-3:]) if r.id == head["id"]), None)
        if made is None and head["id"] not in self.lines and self.bad_line is None:
            raise Conflict(f"{self.path.name} changed this very moment; look at it again.")
        return made or unseal(line.rstrip(b"\n"), 0, 0)

    def _append(self, lines: bytes) -> None:
        """Whole lines to the disk and into `records`."""
        known = self._stat[:3] if self._stat else None
        payload = (b"\n" if self._newline_missing or self._ragged() else b"") + lines
        try:
            self.disk.append(payload, known, self._offset if self.torn else None)
        except DiskFailed as failed:
            self.problem = str(failed)
            self._stat = None
            raise NotSaved(str(failed)) from None
        except Moved:
            self.refresh()  # what it holds now decides whether the record is there
            return
        self.refresh(own=True)

    def _ragged(self) -> bool:
        """True where a bad line ends the file without a line feed."""
        if self.bad_line is None:
            return False
        with open_file(self.path) as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
