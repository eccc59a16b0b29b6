"""The header of the last time, on the screen before the program is imported: title and progress at once.

What the header said is kept in the person's cache folder together with the size and the time of the files
it came from. It is shown only while these are the same; then it is what the header will say again. The app
draws over it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = ("gonogo.toml", "state.jsonl", "ROADMAP.md")
MOST = 4096
"""Bytes of a kept header."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _place(root: Path) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "gonogo" / f"first-{zlib.crc32(os.fsencode(root)):08x}.json"


def stamp(root: Path) -> list[list[int]]:
    """Size and time of the files that the header comes from; 0, 0 for one that is not there."""
    found = []
    for name in FILES:
        try:
            info = (root / name).stat()
            found.append([info.st_size, info.st_mtime_ns])
        except OSError:
            found.append([0, 0])
    return found


def remember(root: Path, left: str, right: str) -> None:
    """Keep both ends of the header's first line. A cache that cannot be written is done without."""
    place = _place(root)
    text = json.dumps([str(root), stamp(root), left, right])
    part = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(text, "utf-8")
        part.replace(place)
    except OSError:
        return


def recall(root: Path) -> tuple[str, str] | None:
    """Both ends of the line, None where nothing is kept or a file has changed since."""
    try:
        with _place(root).open(encoding="utf-8") as file:
            kept = json.loads(file.read(MOST))
        where, seen, left, right = kept
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    if where != str(root) or seen != stamp(root):
        return None
    return _CONTROL.sub("", str(left)), _CONTROL.sub("", str(right))


def hide() -> None:
    """Back to the terminal's own screen, where nothing was shown as well."""
    if sys.stdout.isatty():
        sys.stdout.write("\x1b[?1049l")
        sys.stdout.flush()


@contextmanager
def shown(root: Path) -> Iterator[None]:
    """Draw the kept line on the terminal's other screen, where the app will be; gone again with an error."""
    found = recall(root) if sys.stdin.isatty() and sys.stdout.isatty() else None
    if found is None:
        yield
        return
    left, right = found
    room = os.get_terminal_size(sys.stdout.fileno()).columns - len(right) - 2
    if room > 0:
        sys.stdout.write(f"\x1b[?1049h\x1b[2J\x1b[H {left[:room]:<{room}}{right}\x1b[H")
        sys.stdout.flush()
    try:
        yield
    except BaseException:
        hide()
        raise
