"""Appending to the state file so that it is stored before anybody says so, or stays as it was."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tui.roadmap.errors import NotSaved, disk_words

_SCRATCH_BYTES = 64 * 1024


def _fsync(fd: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync alone leaves the data in the drive's cache
    else:
        os.fsync(fd)


Identity = tuple[int, int, int]
"""Device, inode and length of a file."""


def _identity(info: os.stat_result) -> Identity:
    return info.st_dev, info.st_ino, info.st_size


@dataclass(frozen=True, slots=True)
class Syscalls:
    """The calls a commit stands on; tests put failing ones in their place."""

    write: Callable[[int, bytes], int] = os.write
    fsync: Callable[[int], None] = _fsync
    truncate: Callable[[int, int], None] = os.ftruncate


class Moved(Exception):
    """The file is not the one that was read last: somebody replaced it, past the lock."""


class DiskFailed(Exception):
    """fsync failed: the kernel may have dropped the pages, so that trying again could lie."""


class Disk:
    """The writing side of one file."""

    def __init__(self, path: Path, syscalls: Syscalls) -> None:
        self.path, self._syscalls = path, syscalls

    def _not_saved(self, error: OSError) -> NotSaved:
        return NotSaved(f"Not saved: {disk_words(error)} ({self.path.name} unchanged).")

    def append(self, payload: bytes, known: Identity | None, tail_at: int | None = None) -> None:
        """One write of `payload` at the end of the file `known` (None: there is none yet), then fsync.

        `tail_at` is where an unfinished line begins that is first copied to `state.torn-<ms>`. Raises
        NotSaved where the disk refuses, the file being as before, DiskFailed after a failed fsync, and
        Moved where the file under the name is another one than `known`, before the write or after it.
        """
        new = os.O_CREAT | os.O_EXCL if known is None else 0
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | new, 0o600)
        except (FileExistsError, FileNotFoundError):
            if not self.path.parent.is_dir():
                raise NotSaved(f"Not saved: {self.path.parent} is gone.") from None
            raise Moved from None
        except OSError as error:
            raise self._not_saved(error) from None
        try:
            if known is not None and _identity(os.fstat(fd)) != known:
                raise Moved
            if tail_at is not None:
                self._set_tail_aside(fd, tail_at)
            end = self._append(fd, payload)
            if known is None:
                self._sync_folder()
            self._still_ours(fd, end)
        finally:
            os.close(fd)

    def _still_ours(self, fd: int, end: int) -> None:
        """Raises Moved unless the name still leads to the file that was written, `end` bytes long."""
        there = os.fstat(fd)
        try:
            under_the_name = _identity(self.path.stat())
        except OSError:
            raise Moved from None
        if under_the_name != _identity(there) or there.st_size != end:
            raise Moved

    def _set_tail_aside(self, fd: int, tail_at: int) -> None:
        torn = self.path.with_name(f"state.torn-{time.time_ns() // 1_000_000}")
        with self.path.open("rb") as source:
            source.seek(tail_at)
            tail = source.read()
        try:
            self._new_file(torn, tail)
            self._syscalls.truncate(fd, tail_at)
        except OSError as error:
            raise self._not_saved(error) from None

    def _new_file(self, path: Path, content: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if self._syscalls.write(fd, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._syscalls.fsync(fd)
        finally:
            os.close(fd)

    def _append(self, fd: int, payload: bytes) -> int:
        """Length of the file after the write."""
        size = os.fstat(fd).st_size
        stage = "write"
        try:
            if self._syscalls.write(fd, payload) != len(payload):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            stage = "fsync"
            self._syscalls.fsync(fd)
        except OSError as error:
            with suppress(
                OSError
            ):  # else an unfinished line is left, which the next writer sets aside
                self._syscalls.truncate(fd, size)
            if stage == "fsync":
                raise DiskFailed(
                    f"Not saved: {self.path.name}: the disk failed to store a record"
                    f" ({disk_words(error)}; {self.path.name} unchanged); open it again."
                ) from None
            raise self._not_saved(error) from None
        return size + len(payload)

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with suppress(OSError):  # some file systems cannot sync a folder; the record is stored
                os.fsync(folder)
        finally:
            os.close(folder)

    def make_sure_of_space(self) -> None:
        """Writes and removes a scratch file. Raises NotSaved where the disk still refuses."""
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self._new_file(scratch, bytes(_SCRATCH_BYTES))
        except OSError as error:
            raise self._not_saved(error) from None
        finally:
            scratch.unlink(missing_ok=True)
