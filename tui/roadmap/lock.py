"""The write lock of the state file: one writer at a time, and everybody can see who it is.

The kernel frees it when its holder ends, however it ends, so it is never stale. The lock file is never
deleted: two writers that each lock another file of the same name would both believe to be alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import os
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tui.roadmap.errors import Locked, NotSaved, ReadOnly, disk_words, is_full

_FIRST_WAIT, _LONGEST_WAIT = 0.001, 0.05


def _me() -> bytes:
    user = "somebody"
    with contextlib.suppress(OSError, KeyError):  # no login name: a container's bare uid
        user = getpass.getuser()
    program = Path(sys.argv[0]).name or "python"
    return f"{user}@{socket.gethostname()} ({program}, pid {os.getpid()})".encode()[:200]


class WriteLock:
    """An exclusive lock that waits up to `seconds`; raises Locked, ReadOnly or NotSaved."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self._fd = -1

    def __enter__(self) -> WriteLock:
        deadline, wait = time.monotonic() + self.seconds, _FIRST_WAIT
        fd = self._open()
        try:
            while not self._locked(fd):
                if time.monotonic() >= deadline:
                    raise Locked(f"Locked by {self.holder()}; nothing was written.")
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
                if not self._same_file(fd):  # removed by hand meanwhile
                    os.close(fd)
                    fd = -1
                    fd = self._open()
        except BaseException:
            if fd >= 0:
                os.close(fd)
            raise
        self._fd = fd
        self._sign()
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._fd)
        self._fd = -1

    def _open(self) -> int:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(self.path, flags, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise ReadOnly(
                    f"{self.path.name} is a symbolic link; it must be a file of its own."
                ) from None
            kind = NotSaved if is_full(error) else ReadOnly
            raise kind(f"{self.path.name}: {disk_words(error)}; nothing was written.") from None

    def _locked(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ReadOnly(
                f"{self.path.name} cannot be locked here ({disk_words(error)}); nothing was written."
            ) from None
        return self._same_file(fd)

    def _same_file(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self.path.stat())
        except FileNotFoundError:
            return False

    def _sign(self) -> None:
        """Name and time of the holder. A writer that comes again only renews the time."""
        me = _me()
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its name
            if os.pread(self._fd, 256, 0) != me:
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, me, 0)
            os.utime(self._fd)

    def holder(self) -> str:
        """Who holds or last held the lock, and since when."""
        try:
            name = self.path.read_bytes()[:200].decode("utf-8", "replace")
            since = datetime.fromtimestamp(self.path.stat().st_mtime, UTC).astimezone()
        except OSError:
            return "another gonogo"
        return f"{name or 'another gonogo'} since {since:%H:%M:%S}"
