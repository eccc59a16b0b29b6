"""A log of any size: a window of its lines with their places, and a search through all of it.

Memory is bounded by the window and by the number of hits that are kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tui.tail import LIMIT, LINE, clean

CHUNK = 2**20
"""Bytes looked through at a time; a longer line counts as several."""

MOST = 10_000
"""Hits that are kept, the newest ones."""


@dataclass(frozen=True)
class Window:
    """Lines of a log and the byte at which each begins, -1 for one that is not the log's."""

    lines: list[str]
    places: list[int]
    size: int
    """Bytes of the whole log."""
    whole: bool
    """All of the log is in it."""


@dataclass(frozen=True)
class Found:
    """Where the lines with a hit begin, ascending; `total` counts those that are not kept as well."""

    places: list[int]
    total: int
    size: int
    """Bytes that were looked through."""


def read_window(path: Path, at: int | None = None, limit: int = LIMIT) -> Window:
    """The lines around byte `at`, None for the end; a sentence in place of a file that is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            first = max(0, size - limit if at is None else min(at - limit // 2, size - limit))
            file.seek(first)
            data = file.read(limit)
    except FileNotFoundError:
        return Window(["nothing has been mirrored from the host yet"], [-1], 0, True)
    raw, places, place = data.split(b"\n"), [], first
    for line in raw:
        places.append(place)
        place += len(line) + 1
    if not raw[-1]:
        raw.pop(), places.pop()
    if first and raw:
        if len(raw) > 1:
            del raw[0], places[0]
        else:
            # A progress bar may have written all of it into one line: then its end is what there is.
            raw[0] = raw[0][-LINE:]
    lines = [clean(line.decode("utf-8", "replace")) for line in raw]
    if first:
        lines.insert(0, f"({first:,} bytes before this)")
        places.insert(0, -1)
    rest = size - first - len(data)
    if rest > 0:
        lines.append(f"({rest:,} bytes after this   f goes to the end)")
        places.append(-1)
    return Window(lines or ["(empty)"], places or [-1], size, not first and rest <= 0)


def search(
    path: Path, wanted: str, stop: Callable[[], bool] = lambda: False, most: int = MOST
) -> Found:
    """Every line of the log that holds `wanted` (casefolded) as it is shown. Blocks; reads all of it."""
    kept: deque[int] = deque(maxlen=most)
    total = place = 0
    rest = b""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return Found([], 0, 0)
    with file:
        while not stop():
            data = file.read(CHUNK)
            block = rest + data
            cut = block.rfind(b"\n") + 1
            if not data or (not cut and len(block) >= CHUNK):
                cut = len(block)
            block, rest = block[:cut], block[cut:]
            plain = b"\x1b" not in block and b"\r" not in block
            if not plain or wanted in block.decode("utf-8", "replace").casefold():
                at = place
                for line in block.split(b"\n"):
                    if wanted in clean(line.decode("utf-8", "replace")).casefold():
                        kept.append(at)
                        total += 1
                    at += len(line) + 1
            place += len(block)
            if not data:
                break
    return Found(list(kept), total, place)
