"""Is a file still the one whose first bytes the laptop has?

Three looks of rising cost. The inode and the ends of what was sent are compared before every
chunk and whenever the file's times moved; all of it now and then, as often as the reading costs
a thousandth of a core, since an edit in the middle leaves no other trace.
"""

from __future__ import annotations

import os
import time

from agents.remote.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterator

IDENTITY_BYTES = 4096
END = 512
PIECE = 256 * 1024
SPACING = 1000.0
"""Seconds from one full comparison to the next, for each second it took."""
RACE = 0.1
"""Younger times prove nothing: a file system's clock moves in steps of up to 10 ms."""


class Sent:
    """The `offset` bytes of a file that the laptop has, as far as they must be known again.

    `identity` is what the laptop knows of them: {"ino", "head", "tail", "all"}, the last three
    being SHA-256 of the first and the last 4 KiB at most and of everything.
    """

    __slots__ = ("_base", "_claim", "_head", "_sum", "_tail", "offset")

    def __init__(self, offset: int = 0, identity: dict[str, Any] | None = None) -> None:
        self.offset = offset
        self._base = offset
        self._claim = (identity or {}).get("all")
        self._head = self._tail = b""
        self._sum = sha256()

    def add(self, data: bytes) -> None:
        self._sum.update(data)
        self.offset += len(data)
        if len(self._head) < END:
            self._head += data[: END - len(self._head)]
        self._tail = (self._tail + data[-END:])[-END:]

    def begins(self, fd: int, identity: dict[str, Any]) -> bool:
        """True when the open file agrees with the laptop's identity; remembers its ends.

        Raises OSError when the file cannot be read.
        """
        if not matches(fd, self.offset, identity):
            return False
        size = min(self.offset, END)
        self._head, self._tail = os.pread(fd, size, 0), os.pread(fd, size, self.offset - size)
        return True

    def read_on(self, fd: int, size: int) -> bytes | None:
        """The next bytes, at most `size`; None when those before them are not the ones sent."""
        before = len(self._tail)
        data = os.pread(fd, before + size, self.offset - before)
        # The head comes last: a file that is rewritten while it is read begins anew first.
        if data[:before] != self._tail or os.pread(fd, len(self._head), 0) != self._head:
            return None
        return data[before:]

    def compare(self, fd: int) -> Iterator[float]:
        """Compare all of it, piece by piece; yields the seconds each took, -1 for a difference."""
        end, expected = self.offset, self._sum.hexdigest()
        for start, stop, wanted in ((0, self._base, self._claim), (self._base, end, expected)):
            if wanted is None:
                continue
            found = sha256()
            while start < stop:
                began = time.monotonic()
                data = os.pread(fd, min(PIECE, stop - start), start)
                if not data:
                    return
                found.update(data)
                start += len(data)
                yield time.monotonic() - began
            if found.hexdigest() != wanted:
                yield -1.0
                return


def stamp(stat: os.stat_result) -> tuple[int, int]:
    """The times that any change moves."""
    return stat.st_mtime_ns, stat.st_ctime_ns


def is_young(stat: os.stat_result) -> bool:
    """True while the next change may leave the times as they are."""
    return abs(time.time() - stat.st_mtime) < RACE


def matches(fd: int, offset: int, identity: dict[str, Any]) -> bool:
    """True when the open file begins with the `offset` bytes the laptop already has.

    Compared: inode, SHA-256 of the first and of the last bytes before `offset`, each at
    most 4 KiB. Raises OSError when the file cannot be read.
    """
    stat = os.fstat(fd)
    if stat.st_size < offset:
        return False
    if identity.get("ino") not in (None, stat.st_ino):
        return False
    size = min(offset, IDENTITY_BYTES)
    if identity.get("head") != sha256(os.pread(fd, size, 0)).hexdigest():
        return False
    return bool(identity.get("tail") == sha256(os.pread(fd, size, offset - size)).hexdigest())
