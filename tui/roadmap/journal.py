"""`state.jsonl`: the append-only file that is the truth about what was done.

One JSON object a line, one line per action:
`{"v":1,"id":uuid7,"at":UTC ms,"by":…,"do":…,"item":…,"old":…,"new":…,…,"crc":"8 hex"}` where `crc` is the
CRC-32 of the bytes of the line before `,"crc":`. A writer takes the lock, reads what others appended,
writes the whole line with one `write`, calls `fsync`, and only then reports success. Readers take no
lock and change neither a byte nor an mtime. Nothing is ever deleted: an unfinished last line is moved
to `state.torn-<ms>` by the next writer.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from uuid6 import uuid7

from tui.roadmap.errors import Locked, NotSaved, ReadOnly
from tui.roadmap.records import SEAL, VERSION, BadLine, Record, seal, unseal

LOCK_SECONDS = 5.0
_GUARD = 64


def _fsync(fd: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync alone leaves the data in the drive's cache
    else:
        os.fsync(fd)


@dataclass(frozen=True, slots=True)
class Syscalls:
    """The calls a commit stands on; tests put failing ones in their place."""

    write: Callable[[int, bytes], int] = os.write
    fsync: Callable[[int], None] = _fsync
    truncate: Callable[[int, int], None] = os.ftruncate


class Journal:
    """One journal file. `records` are those read so far, `problem` says why it may not be written."""

    def __init__(
        self, path: Path, *, syscalls: Syscalls | None = None, lock_seconds: float = LOCK_SECONDS
    ) -> None:
        self.path = path
        self.records: list[Record] = []
        self.problem = ""
        self.bad_line: tuple[int, str] | None = None
        self.torn = 0
        self.generation = 0
        self._syscalls = syscalls or Syscalls()
        self._lock = FileLock(str(path.with_suffix(".lock")), timeout=lock_seconds, mode=0o600)
        self._reset()
        self.refresh()

    def _reset(self) -> None:
        self.records, self.problem, self.bad_line, self.torn = [], "", None, 0
        self._ids: dict[str, bytes] = {}
        self._offset = self._lines = 0
        self._guard = b""
        self._newline_missing = False
        self._stat: tuple[int, int, int, int] | None = None

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
        fresh: list[Record] = []
        if self._newline_missing and blob.startswith(b"\n"):
            blob = blob[1:]
            self._offset += 1
        *lines, tail = blob.split(b"\n")
        self.torn = 0
        if blob:
            self._newline_missing = False
        for raw in lines:
            if not self._line(raw, len(raw) + 1, fresh):
                return fresh
        if tail.strip(b" \t\r\0"):
            if self._whole(tail):
                self._line(tail, len(tail), fresh)
                self._newline_missing = True
            else:
                self.torn = len(tail)
        elif b"\0" in tail:
            self.torn = len(tail)
        return fresh

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

    def _line(self, raw: bytes, length: int, fresh: list[Record]) -> bool:
        number = self._lines + 1
        if raw.strip():
            last_at = self.records[-1].at if self.records else 0
            try:
                record = unseal(raw, number, last_at)
                if record.id in self._ids and self._ids[record.id] != raw.strip():
                    raise BadLine("its id was used before")
            except BadLine as reason:
                text = raw[:200].decode("utf-8", "replace")
                self.bad_line = (number, text)
                where = f"{self.path.name} line {number}"
                self.problem = f"{where}: {reason}; nothing is written until it is mended."
                return False
            if record.id not in self._ids:
                self._ids[record.id] = raw.strip()
                self.records.append(record)
                fresh.append(record)
        self._lines = number
        self._offset += length
        self._guard = (self._guard + raw + b"\n")[-_GUARD:] if length > len(raw) else b""
        return True

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Holds the write lock with everything read that others wrote.

        Raises Locked after the waiting time, ReadOnly where the file or its folder cannot be written.
        """
        lock_path = Path(self._lock.lock_file)
        if lock_path.is_symlink():
            raise ReadOnly(f"{lock_path.name} is a symbolic link; it must be a file of its own.")
        try:
            self._lock.acquire()
        except Timeout:
            raise Locked(
                f"Another gonogo has held the lock of {self.path.name} for over"
                f" {self._lock.timeout:g} s; nothing was written."
            ) from None
        except OSError as error:
            raise ReadOnly(f"{lock_path.name}: {error.strerror}; nothing was written.") from None
        try:
            self.refresh()
            if self.problem:
                raise ReadOnly(self.problem)
            yield
        finally:
            self._lock.release()

    def write(self, fields: Mapping[str, Any]) -> Record:
        """Appends one record; call it inside `exclusive`. `fields` holds by, do, item and the rest.

        Raises NotSaved when the disk refuses; the file is then as it was.
        """
        last = max((r.at for r in self.records[-1:]), default=0)
        at = max(time.time_ns() // 1_000_000, last + 1)
        head: dict[str, Any] = {"v": VERSION, "id": str(uuid7()), "at": at}
        line = seal({**head, **fields})
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        new_file = not self.path.exists()
        try:
            fd = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise NotSaved(f"Not saved: {error.strerror} ({self.path.name} unchanged).") from None
        try:
            self._set_tail_aside(fd)
            self._append(fd, (b"\n" if self._newline_missing else b"") + line)
            if new_file:
                self._sync_folder()
        finally:
            os.close(fd)
        fresh = self.refresh()
        return fresh[-1]

    def _set_tail_aside(self, fd: int) -> None:
        if not self.torn:
            return
        torn = self.path.with_name(f"state.torn-{time.time_ns() // 1_000_000}")
        with self.path.open("rb") as source:
            source.seek(self._offset)
            tail = source.read()
        try:
            copy = os.open(torn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                if self._syscalls.write(copy, tail) != len(tail):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                self._syscalls.fsync(copy)
            finally:
                os.close(copy)
            self._syscalls.truncate(fd, self._offset)
        except OSError as error:
            raise NotSaved(f"Not saved: {error.strerror} ({self.path.name} unchanged).") from None

    def _append(self, fd: int, payload: bytes) -> None:
        size = os.fstat(fd).st_size
        stage = "write"
        try:
            if self._syscalls.write(fd, payload) != len(payload):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            stage = "fsync"
            self._syscalls.fsync(fd)
        except OSError as error:
            try:
                self._syscalls.truncate(fd, size)
            except OSError:
                pass  # what is left is an unfinished line, which the next writer sets aside
            if stage == "fsync":
                # After a failed fsync the kernel may have dropped the pages: trying again could lie.
                self.problem = (
                    f"{self.path.name}: the disk failed to store a record; open it again."
                )
                self._stat = None
            raise NotSaved(f"Not saved: {error.strerror} ({self.path.name} unchanged).") from None

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        except OSError:
            pass  # some file systems cannot sync a folder; the record itself is stored
        finally:
            os.close(folder)
