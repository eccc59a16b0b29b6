"""Files that somebody names: read within bounds, written whole or not at all, and never one of our own.

A name that a person types may be a pipe that never ends, a device, a folder, or the state file itself.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from tui.roadmap.errors import NotSaved

MIB = 2**20
_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def _kind(mode: int) -> str:
    return next((word for test, word in _KINDS if test(mode)), "something else")


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file for reading; never waits for the other end of a pipe. Raises OSError."""
    try:
        _check_kind(path.stat())  # before opening: to open some devices does something already
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:  # a NUL in the name
        raise OSError(errno.EINVAL, "no file can have that name") from None
    try:
        _check_kind(os.fstat(fd))
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def _check_kind(info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, f"is {_kind(info.st_mode)}, not a file")


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes (a multiple of 1 MiB).

    Raises OSError whose `strerror` says what is wrong, also for what is no file or too large.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        blob = file.read(limit + 1) if size <= limit else b""
    if size > limit or len(blob) > limit:
        raise OSError(errno.EFBIG, f"is larger than {limit // MIB} MiB")
    return blob


def write_file(target: Path, content: bytes, force: bool = False) -> None:
    """Writes `content` beside `target`, then renames. Raises NotSaved with one sentence."""
    if target.exists() and not force:
        raise NotSaved(f"{target} exists; --force overwrites it.")
    temporary = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NotSaved(f"{target}: {error.strerror}.") from None
