"""How the lines of a state file hang together: which record follows which, and which bad ones were accepted.

Every record names the checksum of the one before it. After a git merge two records follow the same one:
two lines of work, until the next record names both. A record that follows one which is nowhere in the
file says that a line was taken out.
"""

from __future__ import annotations

import pwd
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tui.roadmap.records import BadLine, Record, is_sealed, unseal


@dataclass(frozen=True, slots=True)
class BadText:
    """A line that is no record: its number (from 1), bytes, and what is wrong with it."""

    number: int
    raw: bytes
    reason: str
    newer: bool = False


class Chain:
    """Ends and gaps of the chain of `prev`, kept while records are read in the order of the file."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._followed: set[str] = set()
        self._heads: dict[str, None] = {}
        self._missing: dict[str, int] = {}
        self._last = ""

    def add(self, record: Record, raw: bytes) -> None:
        """One more record. Those without `prev` (older or typed by hand) follow the line before them."""
        get = record.data.get
        crc: Any = get("crc")
        if crc.__class__ is not str:
            crc = f"{zlib.crc32(raw.strip()):08x}"
        prev: Any = get("prev")
        heads = self._heads
        if prev == self._last or prev.__class__ is not str:
            heads.pop(self._last, None)
            self._followed.add(self._last)
        else:
            self._follow(prev, record.line)
        self._seen.add(crc)
        if self._missing:
            self._missing.pop(crc, None)
        if crc not in self._followed:
            heads[crc] = None
        self._last = crc
        if record.do == "hand_edit":
            for gone in _texts(get("gone")):
                self._missing.pop(gone, None)

    def _follow(self, prev: str, line: int) -> None:
        for parent in prev.split(","):
            self._followed.add(parent)
            self._heads.pop(parent, None)
            if parent not in self._seen:
                self._missing[parent] = line

    @property
    def prev(self) -> str:
        """What the next record follows: the last one, or the ends of all lines of work."""
        return ",".join(self._heads)

    @property
    def lines_of_work(self) -> int:
        """How many ends no record follows yet; more than one after a merge."""
        return max(1, len(self._heads) - len(self._missing))

    @property
    def missing(self) -> dict[str, int]:
        """Checksums of records that are followed but nowhere in the file, with the line that says so."""
        return dict(self._missing)


def _texts(value: object) -> list[str]:
    return [v for v in value if isinstance(v, str)] if isinstance(value, list) else []


def accepted_lines(lines: Iterable[bytes]) -> frozenset[str]:
    """Hashes of the lines that unharmed records among `lines` accept as hand edits."""
    found: set[str] = set()
    for raw in lines:
        if b'"accepts":' in raw and is_sealed(raw):
            try:
                record = unseal(raw, 0, 0)
            except BadLine:
                continue
            if record.do == "hand_edit":
                found.update(_texts(record.data.get("accepts")))
    return frozenset(found)


def foreign(name: str, uid: int) -> str:
    """Why a file of somebody else is not written."""
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = f"user {uid}"
    return f"{name} belongs to {owner}, not to you; it is opened read-only."
