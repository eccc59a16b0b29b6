"""Records that were read once and are no longer in the state file: counted, kept beside, brought back.

A file that is replaced, cut or removed under a running program may lose what somebody was told is saved.
Another file that holds every record (a git checkout, a union merge, lines in another order) is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from tui.files import MIB, read_file
from tui.roadmap.chain import accepted_lines
from tui.roadmap.errors import InvalidValue, NotSaved, disk_words
from tui.roadmap.records import BadLine, is_sealed, line_hash, unseal

PATTERN = "state.kept-*.jsonl"
MAX_COPY = 256 * MIB
Lines = Mapping[str, bytes]
"""Raw lines of a state file by the id of their record, by `aside` where they have none."""


def aside(raw: bytes) -> str:
    """The name under which a line without a record is remembered."""
    return f"aside-{line_hash(raw)[:16]}"


def missing(held: Lines, now: Lines) -> dict[str, bytes]:
    """What of `held` is not in `now`. A line that a hand edit took the checksum from is there."""
    lines = {raw.strip() for raw in now.values()}
    return {
        name: raw
        for name, raw in held.items()
        if raw.strip() not in lines and not (name in now and not is_sealed(now[name].strip()))
    }


def sentence(name: str, gone: bool, lost: int, known: int) -> str:
    """What happened to the file, without an end."""
    some = f"{lost} of the {known} records" if lost < known else f"any of the {known} records"
    if gone:
        return f"{name} is gone and no longer holds {some} read before"
    return f"{name} was changed and no longer holds {some} read before"


def keep(folder: Path, held: Lines) -> str:
    """Writes everything that was read to a file of its own; returns its name. Raises NotSaved.

    The name follows from the content, so that whoever notices the same loss makes the same file.
    """
    content = b"".join(raw + b"\n" for raw in held.values())
    name = f"state.kept-{hashlib.sha256(content).hexdigest()[:12]}.jsonl"
    path = folder / name
    if path.exists():
        return name
    part = folder / f".{name}.{os.getpid()}"
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise NotSaved(f"What was read cannot be kept: {name}: {disk_words(error)}.") from None
    return name


def read_copy(path: Path) -> dict[str, bytes]:
    """The lines of a kept copy, or of any state file. Raises InvalidValue with one sentence."""
    try:
        blob = read_file(path, MAX_COPY)
    except OSError as error:
        raise InvalidValue(f"{path.name}: {error.strerror}.") from None
    raws = [raw for raw in blob.split(b"\n") if raw.strip(b" \t\r\0")]
    accepted = accepted_lines(raws)
    found: dict[str, bytes] = {}
    for number, raw in enumerate(raws, start=1):
        try:
            name = unseal(raw, number, 0).id
        except BadLine as reason:
            if line_hash(raw) not in accepted:
                raise InvalidValue(
                    f"{path.name} line {number}: {reason}; nothing was written."
                ) from None
            name = aside(raw)
        found.setdefault(name, raw)
    if not found:
        raise InvalidValue(f"{path.name} holds no record.")
    return found


@lru_cache(maxsize=8)
def _read_again(path: Path, _mtime_ns: int, _size: int) -> Lines:
    try:
        return read_copy(path)
    except InvalidValue:
        return {}


def copies(folder: Path, now: Lines, settled: Collection[str]) -> list[tuple[str, int]]:
    """Kept copies with records that are not among `now`, and how many; `settled` are left out."""
    out = []
    for path in sorted(folder.glob(PATTERN))[:20]:
        if path.name in settled:
            continue
        with contextlib.suppress(OSError):
            info = path.stat()
            count = len(missing(_read_again(path, info.st_mtime_ns, info.st_size), now))
            if count:
                out.append((path.name, count))
    return out


def block(lines: Iterable[bytes]) -> bytes:
    """Lines as they are appended to a state file."""
    return b"".join(raw.strip(b"\r") + b"\n" for raw in lines)
