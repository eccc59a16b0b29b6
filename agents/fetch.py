"""Copy a file or a folder from a host: resumed after a drop, checked, renamed as a whole."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import stat
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.checked import boolean_free_int
from agents.errors import RemoteError
from agents.transfer import AHEAD, CHECK_TIMEOUT, PIECE, Call, Progress, is_regular, sha256_of

MAX_FILES = 5000
MAX_BYTES = 2**40


@dataclass(frozen=True)
class RemoteFile:
    """One file of a listing; `name` is below the listed folder, "" the listed file itself."""

    name: str
    size: int
    mtime_ns: int
    mode: int


@dataclass(frozen=True)
class Fetched:
    """What was copied: the place, the files' SHA-256 by name, bytes, and what was left out."""

    path: Path
    sums: dict[str, str]
    size: int
    skipped: int


def parse_listing(answer: dict[str, Any]) -> tuple[bool, list[RemoteFile]]:
    """(is a folder, its files). Raises RemoteError for anything that could leave the target."""
    files = answer.get("files")
    if answer.get("kind") not in ("file", "folder") or not isinstance(files, list):
        raise RemoteError("malformed", "the host sent no listing")
    folder = answer["kind"] == "folder"
    found = []
    for entry in files[: MAX_FILES + 1]:
        if not isinstance(entry, list) or len(entry) != 4 or not isinstance(entry[0], str):
            raise RemoteError("malformed", "the host sent a damaged listing")
        name, numbers = entry[0], [boolean_free_int(value) for value in entry[1:]]
        parts = name.split("/") if folder else [name]
        bad = any(p in ("", ".", "..") or not p.isprintable() or "\\" in p for p in parts)
        if (bad if folder else name) or None in numbers or (numbers[0] or 0) < 0:
            raise RemoteError("malformed", f"the host named a file {name!r:.80}")
        size, mtime, mode = (value or 0 for value in numbers)
        found.append(RemoteFile(name, size, mtime, mode & 0o777))
    if len(found) > MAX_FILES or len({f.name for f in found}) != len(found):
        raise RemoteError("malformed", "the host sent a damaged listing")
    if not found:
        raise RemoteError("empty", "there is no file to copy")
    if sum(file.size for file in found) > MAX_BYTES:
        raise RemoteError("too-large", "the host offers more than a terabyte")
    return folder, found


def part_of(target: Path) -> Path:
    """Where the bytes gather until all are there."""
    return target.with_name(f".{target.name}.part")


async def fetch(
    call: Call, remote: str, target: Path, progress: Progress | None = None, replace: bool = False
) -> Fetched:
    """Copy `remote` (absolute or below ~) of a host to `target`; a folder becomes a folder.

    `target` appears whole or not at all. What an earlier try brought over is compared by SHA-256
    and not sent again. Raises FileExistsError unless `replace`, OSError, LinkDown, RemoteError,
    TimeoutError.
    """
    _check_free_name(target, replace)
    answer = await call("get_list", timeout=60, path=remote)
    folder, files = parse_listing(answer)
    _check_kind(target, folder)
    total = sum(file.size for file in files)
    part = part_of(target)
    await asyncio.to_thread(_make_room, part, folder, files)
    sums = {}
    before = 0
    for file in files:
        local = part / file.name if folder else part

        def told(done: int, start: int = before) -> None:
            if progress is not None:
                progress(start + done, total)

        sums[file.name] = await _fetch_file(call, remote, file, local, told)
        before += file.size
    await asyncio.to_thread(_finish, part, target, files if folder else None)
    skipped = boolean_free_int(answer.get("skipped")) or 0
    return Fetched(target, sums, total, skipped)


def _check_free_name(target: Path, replace: bool) -> None:
    if os.path.lexists(target) and not replace:
        raise FileExistsError(f"{target} exists already: name another place or replace it")


def _check_kind(target: Path, folder: bool) -> None:
    """A file takes the place of a file only, a folder of a folder; nothing that of a device."""
    if not os.path.lexists(target):
        return
    if folder != target.is_dir():
        found, wanted = ("a folder", "a file") if target.is_dir() else ("no folder", "one")
        raise FileExistsError(f"{target} is {found} here and {wanted} on the host: name another")
    if not folder and target.exists():
        is_regular(target, target.stat())


def _make_room(part: Path, folder: bool, files: list[RemoteFile]) -> None:
    """The folders for the files; OSError when the rest of the bytes does not fit on the disk."""
    if os.path.lexists(part) and (part.is_symlink() or part.is_dir() != folder):
        _remove(part)
    places = [part / file.name if folder else part for file in files]
    for place in {place.parent for place in places}:
        place.mkdir(parents=True, exist_ok=True)
    missing = sum(file.size for file in files) - sum(_length(place) for place in places)
    if missing > shutil.disk_usage(part.parent).free:
        raise OSError(
            errno.ENOSPC, f"{missing} more bytes do not fit on the disk", str(part.parent)
        )


def _length(path: Path) -> int:
    """Bytes of a part; what is no regular file (a pipe, a link to elsewhere) is taken away."""
    if not os.path.lexists(path):
        return 0
    info = path.lstat()
    if not stat.S_ISREG(info.st_mode):
        _remove(path)
        return 0
    return info.st_size


async def _fetch_file(call: Call, remote: str, file: RemoteFile, local: Path, told: Any) -> str:
    """One file into `local`, from where an earlier try left it; returns its SHA-256."""
    place = {"path": remote, "name": file.name}
    have = _length(local)
    if have > file.size or (have and not await _same(call, place, local, have)):
        _remove(local)
        have = 0
    queue: deque[asyncio.Task[dict[str, Any]]] = deque()
    told(have)
    asked = have
    try:
        with local.open("ab") as out:
            while asked < file.size or queue:
                while asked < file.size and len(queue) < AHEAD:
                    request = call("get_data", timeout=60, offset=asked, size=file.size,
                                   mtime_ns=file.mtime_ns, **place)  # fmt: skip
                    queue.append(asyncio.create_task(request))
                    asked += PIECE
                data = (await queue.popleft()).get("blob", b"")
                if len(data) != min(PIECE, file.size - have):
                    raise RemoteError(
                        "changed", f"{remote}/{file.name} changed while it was copied"
                    )
                await asyncio.to_thread(out.write, data)
                have += len(data)
                told(have)
            out.flush()
            await asyncio.to_thread(os.fsync, out.fileno())
    finally:
        for task in queue:
            task.cancel()
        await asyncio.gather(*queue, return_exceptions=True)
    theirs = await call(
        "get_sum", timeout=CHECK_TIMEOUT, size=file.size, mtime_ns=file.mtime_ns, **place
    )
    ours = await asyncio.to_thread(sha256_of, local)
    if theirs.get("sha256") != ours:
        _remove(local)
        raise RemoteError("checksum", f"the bytes of {file.name or remote} arrived damaged")
    _set_mode(local, file.mode)
    return ours


async def _same(call: Call, place: dict[str, str], local: Path, size: int) -> bool:
    theirs = await call("get_sum", timeout=CHECK_TIMEOUT, size=size, **place)
    return bool(theirs.get("sha256") == await asyncio.to_thread(sha256_of, local, size))


def _set_mode(path: Path, mode: int) -> None:
    path.chmod(mode | 0o600)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _finish(part: Path, target: Path, files: list[RemoteFile] | None) -> None:
    """Give the part its final name; a folder loses what the host no longer has."""
    if files is not None:
        wanted = {part / file.name for file in files}
        for path in part.rglob("*"):
            if (path.is_symlink() or not path.is_dir()) and path not in wanted:
                path.unlink()
    if files is None or not os.path.lexists(target):
        part.replace(target)
        return
    old = target.with_name(f".{target.name}.old-{os.getpid()}")
    target.rename(old)
    part.rename(target)
    _remove(old)
