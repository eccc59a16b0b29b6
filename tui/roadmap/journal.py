"""`state.jsonl`: the append-only file that is the truth about what was done.

One JSON object a line, one line per action:
`{"v":1,"id":uuid7,"at":UTC ms,"by":…,"do":…,"item":…,"old":…,"new":…,…,"prev":"8 hex","crc":"8 hex"}`
where `crc` is the CRC-32 of the bytes of the line before `,"crc":` and `prev` the `crc` of the record it
follows (of several, where branches were merged). A writer takes the lock, reads what others appended,
writes the whole line with one `write`, calls `fsync`, and only then reports success. Readers take no
lock and change neither a byte nor an mtime. Nothing is ever deleted: an unfinished last line is moved
to `state.torn-<ms>` by the next writer.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from uuid6 import uuid7

from tui.roadmap.chain import BadText, Chain, accepted_lines, foreign
from tui.roadmap.disk import Disk, DiskFailed, Syscalls
from tui.roadmap.errors import NotSaved, ReadOnly
from tui.roadmap.lock import WriteLock
from tui.roadmap.records import (
    SEAL,
    VERSION,
    BadLine,
    NewerVersion,
    Record,
    line_hash,
    seal,
    unseal,
)

__all__ = ["Journal", "Syscalls"]

LOCK_SECONDS = 5.0
_GUARD = 64


class Journal:
    """One journal file. `records` are those read so far, `problem` says why it may not be written."""

    def __init__(
        self, path: Path, *, syscalls: Syscalls | None = None, lock_seconds: float = LOCK_SECONDS
    ) -> None:
        self.path = path
        self.generation = 0
        self.disk = Disk(path, syscalls or Syscalls())
        self._lock = WriteLock(path.with_suffix(".lock"), lock_seconds)
        self._reset()
        self.refresh()

    def _reset(self) -> None:
        self.records: list[Record] = []
        self.problem = ""
        self.bad_line: BadText | None = None
        self.skipped: list[int] = []
        self.torn = 0
        self.chain = Chain()
        self._ids: dict[str, bytes] = {}
        self._accepted: frozenset[str] | None = None
        self._offset = self._lines = 0
        self._guard = b""
        self._newline_missing = False
        self._stat: tuple[int, int, int, int] | None = None

    def reopen(self) -> None:
        """Reads everything again, also after a failed fsync: what the disk kept is what counts."""
        self._reset()
        self.generation += 1
        self.refresh()

    def refresh(self) -> list[Record]:
        """Records appended since the last look. Takes no lock and writes nothing.

        When the file was replaced or shortened everything is read again, `generation` grows and all
        records are returned. Raises OSError where the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                info = os.fstat(file.fileno())
                now = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
                if now == self._stat:
                    return []
                known = self._stat
                appended = (
                    known is not None
                    and known[:2] == now[:2]
                    and now[2] > known[2]
                    and not self.problem
                    and self._still_there(file.fileno())
                )
                if not appended and known is not None:
                    self._reset()
                    self.generation += 1
                if info.st_uid != os.geteuid():
                    self.problem = foreign(self.path.name, info.st_uid)
                file.seek(self._offset)
                fresh = self._take(file.read())
        except FileNotFoundError:
            if self._stat is not None:
                self._reset()
                self.generation += 1
            return []
        self._stat = now
        return fresh

    def _still_there(self, fd: int) -> bool:
        start = self._offset - len(self._guard)
        return os.pread(fd, len(self._guard), start) == self._guard

    def _take(self, blob: bytes) -> list[Record]:
        """Reads whole lines from `blob`, which starts at the offset; an unfinished tail stays there."""
        first = len(self.records)
        if self._newline_missing and blob.startswith(b"\n"):
            blob = blob[1:]
            self._offset += 1
        *lines, tail = blob.split(b"\n")
        self.torn = 0
        if blob:
            self._newline_missing = False
        for place, raw in enumerate(lines):
            if not self._line(raw, len(raw) + 1) and not self._mend(lines, place):
                return self.records[first:]
        if lines:
            self._guard = (b"\n".join(lines[-2:]) + b"\n")[-_GUARD:]
        if tail.strip(b" \t\r\0"):
            if self._whole(tail):
                self._guard = b""
                if self._line(tail, len(tail)) or self._mend([tail], 0):
                    self._newline_missing = True
            else:
                self.torn = len(tail)
        elif b"\0" in tail:
            self.torn = len(tail)
        return self.records[first:]

    def _whole(self, tail: bytes) -> bool:
        """True unless `tail` is the beginning of a record whose writing was cut off.

        A record followed by anything but its line feed was whole once: its last byte was damaged.
        """
        if any(int(m.group(1), 16) == zlib.crc32(tail[: m.start()]) for m in SEAL.finditer(tail)):
            return True
        try:
            unseal(tail, 0, 0)
        except BadLine:
            return False
        return True

    def _line(self, raw: bytes, length: int) -> bool:
        """Takes one line; False where it is no record, with `bad_line` saying why."""
        number = self._lines + 1
        if raw:
            records = self.records
            try:
                record = unseal(raw, number, records[-1].at if records else 0)
                name = record.id
                known = self._ids.get(name)
                if known is None:
                    self._ids[name] = raw
                    records.append(record)
                    self.chain.add(record, raw)
                elif known.strip() != raw.strip():
                    raise BadLine("its id was used before")
            except BadLine as reason:
                if raw.strip():
                    self.bad_line = BadText(
                        number, raw, str(reason), isinstance(reason, NewerVersion)
                    )
                    return False
        self._lines = number
        self._offset += length
        return True

    def _mend(self, lines: Sequence[bytes], place: int) -> bool:
        """Takes the bad line over if a later record accepts it as a hand edit; else writing ends here."""
        bad = self.bad_line
        assert bad is not None  # noqa: S101 - `_line` said so
        if self._accepted is None:
            self._accepted = accepted_lines(lines[place:])
        if bad.newer or line_hash(bad.raw) not in self._accepted:
            where = f"{self.path.name} line {bad.number}"
            self.problem = f"{where}: {bad.reason}; nothing is written until it is mended."
            return False
        self.bad_line = None
        try:
            record = unseal(
                bad.raw, bad.number, self.records[-1].at if self.records else 0, accepted=True
            )
            if record.id in self._ids:
                record = record._replace(id=f"hand-{line_hash(bad.raw)[:16]}")
            self._ids[record.id] = bad.raw
            self.records.append(record)
            self.chain.add(record, bad.raw)
        except BadLine:
            self.skipped.append(bad.number)
        self._lines = bad.number
        self._offset += len(bad.raw) + 1
        return True

    @contextmanager
    def exclusive(self, *, mending: bool = False) -> Iterator[None]:
        """Holds the write lock with everything read that others wrote.

        Raises Locked after the waiting time, ReadOnly where the file or its folder cannot be written.
        `mending` lets a person's acceptance of a bad line through, and nothing else.
        """
        with self._lock:
            self.refresh()
            if self.problem and not (mending and self.bad_line and not self.bad_line.newer):
                raise ReadOnly(self.problem)
            yield

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
        last = max((r.at for r in self.records[-1:]), default=0)
        at = max(time.time_ns() // 1_000_000, last + 1)
        head: dict[str, Any] = {"v": VERSION, "id": str(uuid7()), "at": at}
        # What stands behind a bad line is not read yet: an acceptance follows whatever is the last line.
        prev = "" if "accepts" in fields else self.chain.prev
        line = seal({**head, **fields, **({"prev": prev} if prev else {})})
        payload = (b"\n" if self._newline_missing else b"") + line
        try:
            self.disk.append(payload, tail_at=self._offset if self.torn else None)
        except DiskFailed as failed:
            self.problem = str(failed)
            self._stat = None
            raise NotSaved(str(failed)) from None
        fresh = self.refresh()
        return fresh[-1]
