"""Hand out a file or a folder of files in pieces: what is there, a piece, a checksum."""

from __future__ import annotations

import os
import stat

from agents.remote.digest import sha256
from agents.remote.errors import OpError
from agents.remote.upload import hashed, regular, why

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

    Done = Callable[[dict[str, Any]], None]
    Fail = Callable[[str, str], None]

PIECE = 256 * 1024
MAX_FILES = 5000
SKIPPED = 20_000


def _root(params: dict[str, Any]) -> str:
    path = os.path.expanduser(str(params.get("path", "")))
    if not os.path.isabs(path):
        raise OpError("invalid", "%r is neither absolute nor below ~" % params.get("path"))
    return path


def _open(params: dict[str, Any]) -> tuple[int, os.stat_result, str]:
    """The file `name` below `path` ("" is `path` itself); links inside a folder are not followed."""
    root, name = _root(params), str(params.get("name", ""))
    parts = name.split("/") if name else []
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise OpError("invalid", "%r is no name below %s" % (name, root))
    path = os.path.join(root, name) if name else root
    try:
        # Asked before it is opened: to open some devices does something already.
        regular(path, os.lstat(path) if name else os.stat(path), "unreadable")
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (os.O_NOFOLLOW if name else 0))
    except OSError as error:
        raise OpError("unreadable", why(path, error)) from error
    info = os.fstat(fd)
    try:
        regular(path, info, "unreadable")
    except OpError:
        os.close(fd)
        raise
    return fd, info, path


def _refuse(error: OSError) -> None:
    """A folder that cannot be looked into would be missing from the copy without a word."""
    raise OpError("unreadable", why(error.filename or "a folder", error)) from error


def listing(params: dict[str, Any]) -> dict[str, Any]:
    """{kind: file|folder, files: [[name, size, mtime_ns, mode], …], skipped: count of others}."""
    root = _root(params)
    if not os.path.isdir(root):
        fd, info, _ = _open({"path": root})
        os.close(fd)
        entry = ["", info.st_size, info.st_mtime_ns, info.st_mode & 0o777]
        return {"kind": "file", "files": [entry], "skipped": 0}
    files: list[list[Any]] = []
    skipped = 0
    for folder, folders, names in os.walk(root, onerror=_refuse):
        skipped += sum(os.path.islink(os.path.join(folder, name)) for name in folders)
        folders.sort()
        for name in sorted(names):
            try:
                info = os.lstat(os.path.join(folder, name))
            except OSError:  # gone since
                continue
            relative = os.path.relpath(os.path.join(folder, name), root)
            if not stat.S_ISREG(info.st_mode) or not _is_text(relative):
                skipped += 1
                if skipped > SKIPPED:
                    raise OpError("too-many", "%s holds more than files" % root)
                continue
            files.append([relative, info.st_size, info.st_mtime_ns, info.st_mode & 0o777])
            if len(files) > MAX_FILES:
                raise OpError("too-many", "%s holds more than %d files" % (root, MAX_FILES))
    return {"kind": "folder", "files": files, "skipped": skipped}


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def piece(params: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """At most PIECE bytes from `offset`; refused when the file is not the one that was listed."""
    fd, info, path = _open(params)
    try:
        if [info.st_size, info.st_mtime_ns] != [params.get("size"), params.get("mtime_ns")]:
            raise OpError("changed", "%s changed while it was copied: ask again" % path)
        data = os.pread(fd, PIECE, int(params.get("offset", 0)))
    except OSError as error:
        raise OpError("unreadable", why(path, error)) from error
    finally:
        os.close(fd)
    return {"offset": params.get("offset")}, data


def checksum(params: dict[str, Any], done: Done, fail: Fail) -> Iterator[int]:
    """{sha256} of the first `size` bytes of a file, as slices of work."""
    fd, info, path = _open(params)
    try:
        told = params.get("mtime_ns")
        if told is not None and [info.st_size, info.st_mtime_ns] != [params.get("size"), told]:
            raise OpError("changed", "%s changed while it was copied: ask again" % path)
        digest = sha256()
        yield from hashed(fd, digest, int(params.get("size", 0)))
    except OSError as error:
        fail("unreadable", why(path, error))
        return
    finally:
        os.close(fd)
    done({"sha256": digest.hexdigest()})
