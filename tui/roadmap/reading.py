"""Reading the state file: from where the last look ended, without a lock, without a trace.

What was read once has to stay in the file. Where another file takes its place, everything is read again,
and records that are missing then are a problem that only a person settles (see `lost`).
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from tui.files import MIB, open_file
from tui.roadmap import lost
from tui.roadmap.chain import BadText, Chain, accepted_lines, foreign
from tui.roadmap.records import SEAL, BadLine, NewerVersion, Record, line_hash, unseal

MAX_FILE = 512 * MIB


class JournalReader:
    """One journal file. `records` are those read so far, `problem` says why it may not be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        self._held: dict[str, bytes] = {}
        self._reset()
        self.refresh()

    def _reset(self) -> None:
        self.records: list[Record] = []
        self.newest = 0
        """The latest time of any record, UTC ms; after a merge it need not be that of the last line."""
        self.problem = ""
        self.bad_line: BadText | None = None
        self.skipped: list[int] = []
        self.torn = 0
        self.chain = Chain()
        self.lines: dict[str, bytes] = {}
        """The raw line of each record by its id."""
        self._accepted: frozenset[str] | None = None
        self._offset = self._lines = 0
        self._crc = 0
        self.lost: dict[str, bytes] = {}
        self._newline_missing = False
        self._stat: tuple[int, int, int, int] | None = None

    def reopen(self) -> None:
        """Reads everything again, also after a failed fsync: what the disk kept is what counts."""
        self._begin_again()
        self.refresh()

    def _begin_again(self) -> None:
        self._held |= self.lines
        self._reset()
        self.generation += 1

    def refresh(self, own: bool = False) -> list[Record]:
        """Records appended since the last look. Takes no lock and writes nothing.

        When the file was replaced or shortened everything is read again, `generation` grows and all
        records are returned; `problem` says so where some are missing then. `own` is for what was just
        written under the lock: the rest of the file is known. Raises OSError where it cannot be read.
        """
        try:
            with open_file(self.path) as file:
                info = os.fstat(file.fileno())
                now = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
                if now == self._stat:
                    return []
                if info.st_size > MAX_FILE:
                    raise OSError(errno.EFBIG, f"is larger than {MAX_FILE // MIB} MiB")
                if not self._appended(file, now, own) and (self._stat or self.lost):
                    self._begin_again()
                if info.st_uid != os.geteuid():
                    self.problem = foreign(self.path.name, info.st_uid)
                start = self._offset
                file.seek(start)
                blob = file.read(info.st_size - start)
        except FileNotFoundError:
            if self._stat is not None:
                self._begin_again()
                self._miss(gone=True)
            return []
        fresh = self._take(blob)
        self._crc = zlib.crc32(memoryview(blob)[: self._offset - start], self._crc)
        self._stat = now
        self._miss()
        return fresh

    def _appended(self, file: BinaryIO, now: tuple[int, int, int, int], own: bool) -> bool:
        """True where the file still begins with every byte that was read and something follows."""
        known = self._stat
        if self.problem or known is None or known[:2] != now[:2] or now[2] <= known[2]:
            return False
        if own:
            return True
        self._accepted = None
        crc, left = 0, self._offset
        while left and (part := file.read(min(left, MIB))):
            crc, left = zlib.crc32(part, crc), left - len(part)
        return not left and crc == self._crc

    def _miss(self, gone: bool = False) -> None:
        """A problem where lines that were read before are not in the file any more."""
        self.lost = {}
        if not self._held or self.problem:
            return  # behind a bad line nothing was looked for yet
        self.lost = lost.missing(self._held, self.lines)
        if self.lost:
            said = lost.sentence(self.path.name, gone, len(self.lost), len(self._held))
            self.problem = f"{said}; nothing is written until that is settled."
        else:
            self._held = {}

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
        if tail.strip(b" \t\r\0"):
            if self._whole(tail):
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
                known = self.lines.get(name)
                if known is None:
                    self.lines[name] = raw
                    records.append(record)
                    self.newest = max(self.newest, record.at)
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
            if record.id in self.lines:
                record = record._replace(id=f"hand-{line_hash(bad.raw)[:16]}")
            self.lines[record.id] = bad.raw
            self.records.append(record)
            self.newest = max(self.newest, record.at)
            self.chain.add(record, bad.raw)
        except BadLine:
            self.skipped.append(bad.number)
            self.lines[lost.aside(bad.raw)] = bad.raw
        self._lines = bad.number
        self._offset += len(bad.raw) + 1
        return True
