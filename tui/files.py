"""Files that somebody names: read within bounds, written whole or not at all, and never one of our own.

A name that a person types may be a pipe that never ends, a device, a folder, or the state file itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from tui.roadmap.errors import NotSaved, disk_words

MIB = 2**20
_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip

_ROOMS = frozenset(
    {("models",), ("models", "adapters"), ("datasets",), ("evaluation",), ("exports",)}
    | {("evaluation", "results")}
)


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


def check_target(target: Path, own: Path | None = None) -> Path:
    """Where a file of that name would really lie, links followed. Raises NotSaved where it may not.

    That is anything but a file, and what a workspace (one above it, and the one at `own`) stands on:
    its state, settings, plan and bindings, evidence, runs, and what the pipeline made.
    """
    from tui.roadmap.folder import find, what_is

    if not str(target).strip() or target.name in ("", ".."):
        raise NotSaved(f"“{target}” is no name of a file; nothing was written.")
    try:
        real = target.resolve()
        info = real.stat() if os.path.lexists(real) else None
    except (OSError, RuntimeError, ValueError) as error:  # a ring of links, a name too long, a NUL
        why = getattr(error, "strerror", None) or "no file can have that name"
        raise NotSaved(f"{target}: {why}; nothing was written.") from None
    if info is not None and not stat.S_ISREG(info.st_mode):
        raise NotSaved(f"{target} is {_kind(info.st_mode)}, not a file; nothing was written.")
    roots = [own] if own else []
    above = find(real.parent)
    while above is not None:
        roots.append(above)
        above = find(above.parent) if above.parent != above else None
    for root in roots:
        what = what_is(root, real)
        if what:
            raise NotSaved(f"{target} is {what}; nothing was written. Choose another name.")
    return real


def write_file(target: Path, content: bytes, force: bool = False, own: Path | None = None) -> None:
    """Writes a file that somebody asked for. Raises NotSaved with one sentence; see `check_target`."""
    real = check_target(target, own)
    if real.exists() and not force:
        raise NotSaved(f"{target} exists; --force overwrites it.")
    replace_file(real, content)


def replace_file(path: Path, content: bytes) -> None:
    """Writes `content` beside `path`, then renames: whole or not at all. Raises NotSaved."""
    temporary = path.with_name(f".{path.name[:200]}.{uuid4().hex[:8]}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise NotSaved(f"{path}: {disk_words(error)}.") from None


def check_folder(target: Path, own: Path) -> None:
    """Raises NotSaved where something fetched may not take the place of `target`, be it a folder.

    Beside what `check_target` names that is every folder that holds a workspace, a repository, this
    program's own folder or somebody's home.
    """
    try:
        real = target.resolve()
        if not real.is_dir():
            check_target(target, own)
            return
        root = own.resolve()
        inside = [root, Path.home().resolve(), Path.cwd()]
    except (OSError, RuntimeError, ValueError):
        raise NotSaved(f"{target}: no folder can have that name; nothing was written.") from None
    holds = any(place.is_relative_to(real) for place in inside)
    if holds or any((real / name).exists() for name in ("gonogo.toml", "state.jsonl", ".git")):
        raise NotSaved(f"{target} holds more than was fetched; nothing was written.")
    parts = real.relative_to(root).parts if real.is_relative_to(root) else ("",)
    if parts in _ROOMS or parts[0] in ("evidence", "runs"):
        raise NotSaved(f"{target} is a folder of this workspace; nothing was written.")
