"""Where a name stands in a TOML text, so that an error can say its line."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TABLE = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]?\]")
_KEY = re.compile(
    r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_PART = re.compile(r"[\w-]+|\"([^\"]*)\"|'([^']*)'")


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(m.group(1) or m.group(2) or m.group(0) for m in _PART.finditer(dotted))


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """One-based line and full name of every table header and key of a TOML text."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _TABLE.match(line)
        entry = None if header else _KEY.match(line)
        if header:
            table = _parts(header.group(1))
            yield number, table
        elif entry:
            yield number, table + _parts(entry.group(1))


def table_lines(text: str) -> dict[str, int]:
    """The first line on which each top-level name of a TOML text stands."""
    found: dict[str, int] = {}
    for number, key in _keys(text):
        if key:
            found.setdefault(key[0], number)
    return found


def key_line(text: str, key: tuple[str, ...]) -> int:
    """One-based line where `key` stands in a TOML text, or that of its nearest table; 1 otherwise."""
    best, depth = 1, 0
    for number, here in _keys(text):
        if key[: len(here)] == here and len(here) > depth:
            best, depth = number, len(here)
    return best
