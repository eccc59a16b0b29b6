"""Byte-for-byte copies of a host's job files; the cursor is the length of the copy.

A drop, a sleep or a crash can neither lose nor double a byte: a chunk is written at its own
offset and only if the copy ends exactly there. Which file the copy belongs to is known by
the host's inode (kept beside it in ``.identity.json``) and by hashes of the copy's first and
last bytes, which the host compares with its own before it sends more; by a hash of all of it,
which the host compares while it sends.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from agents.jobs import JOB_ID

FILES = {"run": "run.jsonl", "log": "log.txt"}
DOCUMENTS = ("job.json", "exit.json")
IDENTITY_BYTES = 4096
IDENTITY_FILE = ".identity.json"
MAX_OPEN = 16
"""Copies that are open at once, of all hosts: a system may allow 256 files to a program."""


class OutOfStep(Exception):
    """A chunk does not begin where the copy ends; subscribe again from the true length."""


class Sum:
    """SHA-256 of the first `size` bytes of the copy whose inode on this disk is `ino`."""

    def __init__(self, ino: int = 0) -> None:
        self.ino = ino
        self.size = 0
        self._sha = hashlib.sha256()

    def copy(self) -> Sum:
        other = Sum(self.ino)
        other.size, other._sha = self.size, self._sha.copy()
        return other

    def add(self, offset: int, data: bytes | memoryview) -> None:
        """Take what stands at `offset`, if that is where the sum ends."""
        if offset == self.size:
            self._sha.update(data)
            self.size += len(data)

    def hexdigest(self) -> str:
        return self._sha.hexdigest()


class StreamMirror:
    """The copy of one growing file. Raises OSError when this disk refuses."""

    _opened: ClassVar[dict[StreamMirror, None]] = {}  # least recently used first

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1
        self._sum = Sum()
        self._copy_ino = 0  # of the open copy
        self._ino = self._read_ino()

    @property
    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def _identities(self) -> dict[str, Any]:
        try:
            value = json.loads((self.path.parent / IDENTITY_FILE).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def _read_ino(self) -> int | None:
        entry = self._identities().get(self.path.name)
        ino = entry.get("ino") if isinstance(entry, dict) else None
        return ino if isinstance(ino, int) else None

    def _write_ino(self, ino: int | None) -> None:
        identities = self._identities()
        identities[self.path.name] = {"ino": ino}
        write_atomic(self.path.parent / IDENTITY_FILE, json.dumps(identities).encode("ascii"))
        self._ino = ino

    @property
    def unsummed(self) -> int:
        """Bytes of the copy that `cursor` has to read."""
        return self.size - self._sum.size

    def cursor(self) -> tuple[int, dict[str, Any]]:
        """(offset to read on from, identity of what is already here).

        Reads what is new since the last time; may be called in a thread.
        """
        summed = self._sum.copy()
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return 0, {}
        with file:
            stat = os.fstat(file.fileno())
            size = stat.st_size
            if size == 0:
                return 0, {}
            head = file.read(min(size, IDENTITY_BYTES))
            file.seek(max(0, size - IDENTITY_BYTES))
            tail = file.read(min(size, IDENTITY_BYTES))
            if stat.st_ino != summed.ino or size < summed.size:
                summed = Sum(stat.st_ino)
            file.seek(summed.size)
            while summed.size < size:
                data = file.read(min(1 << 20, size - summed.size))
                if not data:
                    raise OSError(errno.EIO, "the copy was cut short", str(self.path))
                summed.add(summed.size, data)
            identity = {
                "ino": self._ino,
                "head": hashlib.sha256(head).hexdigest(),
                "tail": hashlib.sha256(tail).hexdigest(),
                "all": summed.hexdigest(),
            }
        self._sum = summed
        return size, identity

    def append(self, offset: int, data: bytes, ino: int | None) -> int:
        """Write `data` at `offset`, which must be the copy's end; returns the new length.

        Raises OutOfStep when it is not: another program of the same workspace wrote on, or
        the copy was changed by hand.
        """
        size = self._open()
        if offset != size:
            raise OutOfStep(f"{self.path} ends at {size}, the chunk begins at {offset}")
        if ino != self._ino:
            self._write_ino(ino)
        view = memoryview(data)
        position = offset
        if offset == 0:
            self._sum = Sum(self._copy_ino)
        while view:
            # At its own offset, not at the end: two writers then write the same bytes twice.
            count = os.pwrite(self._fd, view, position)
            if self._sum.ino == self._copy_ino:
                self._sum.add(position, view[:count])
            position += count
            view = view[count:]
        return position

    def _open(self) -> int:
        if self._fd >= 0:
            opened = os.fstat(self._fd)
            with suppress(FileNotFoundError):
                if self.path.stat().st_ino == opened.st_ino:
                    self._opened[self] = self._opened.pop(self)
                    return opened.st_size
            self.close()
        while len(self._opened) >= MAX_OPEN:
            next(iter(self._opened)).close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        self._opened[self] = None
        opened = os.fstat(self._fd)
        self._copy_ino = opened.st_ino
        return opened.st_size

    def set_aside(self) -> Path | None:
        """Keep the present copy as ``<name>.old-<n>`` and begin a new one at 0.

        None when there is no copy, or another program of this workspace set it aside already.
        """
        known = self._copy_ino if self._fd >= 0 else self._sum.ino
        self.close()
        try:
            present = self.path.stat()
        except FileNotFoundError:
            return None
        if known not in (0, present.st_ino) or present.st_size == 0:
            return None
        number = 1
        while (kept := self.path.with_name(f"{self.path.name}.old-{number}")).exists():
            number += 1
        # Needs no room on the disk; an inode without its copy is never asked about.
        self.path.rename(kept)
        self._ino = None
        self._sum = Sum()
        return kept

    def close(self) -> None:
        self._opened.pop(self, None)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` so that a reader sees the old bytes or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class HostMirror:
    """All copies of one host: ``<root>/<host>/<job_id>/``."""

    def __init__(self, root: Path, host: str) -> None:
        self.folder = root / host
        self._streams: dict[tuple[str, str], StreamMirror] = {}

    def job_folder(self, job_id: str) -> Path:
        """Raises ValueError for a name that is no job id: it came from a host."""
        if not JOB_ID.match(job_id):
            raise ValueError(f"{job_id!r:.80} is no job id")
        return self.folder / job_id

    def stream(self, job_id: str, stream: str) -> StreamMirror:
        key = (job_id, stream)
        if key not in self._streams:
            self._streams[key] = StreamMirror(self.job_folder(job_id) / FILES[stream])
        return self._streams[key]

    def document(self, job_id: str, name: str, data: bytes) -> Path:
        """Store job.json or exit.json as the host has it."""
        if name not in DOCUMENTS:
            raise ValueError(f"{name!r:.80} is no document of a job")
        path = self.job_folder(job_id) / name
        if not path.exists() or path.read_bytes() != data:
            write_atomic(path, data)
        return path

    def close(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
