"""What one line of the state file is: sealing a record with its checksum, and reading it back."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui.roadmap.errors import InvalidValue

VERSION = 1
MAX_LINE = 64 * 1024
ACTIONS = frozenset(
    {
        "import", "tick", "waive", "field", "cost", "cost_void", "decision", "note", "verdict",
        "undo", "redo", "costs", "measured",
    }
)  # fmt: skip
KEYS = frozenset(
    {
        "v", "id", "at", "by", "do", "item", "old", "new", "why", "label", "source", "expires", "row",
        "verdicts", "ticked", "undoes", "redoes", "of", "crc", "choice", "against",
    }
)  # fmt: skip
SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}')


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the journal. `hand` marks a line that was typed in without a checksum."""

    id: str
    at: int
    by: str
    do: str
    item: str
    data: Mapping[str, Any]
    line: int
    hand: bool = False


class BadLine(ValueError):
    """A line that is no record; the text says why."""


def seal(data: Mapping[str, Any]) -> bytes:
    """The line of a record, with its checksum and line feed. Raises InvalidValue if it cannot be one."""
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        body = text[:-1].encode("utf-8")
    except (ValueError, UnicodeEncodeError) as error:
        raise InvalidValue(f"This cannot be stored as text: {error}.") from None
    line = b'%s,"crc":"%08x"}\n' % (body, zlib.crc32(body))
    if len(line) > MAX_LINE:
        raise InvalidValue(f"This is too long for one record ({len(line)} of {MAX_LINE} bytes).")
    return line


def unseal(raw: bytes, number: int, last_at: int) -> Record:
    """Reads one line. Raises BadLine for anything that is not a whole, unharmed record."""
    try:
        data = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadLine("not valid JSON") from None
    if not isinstance(data, dict):
        raise BadLine("not a JSON object")
    version = data.get("v", VERSION)
    if isinstance(version, int) and version > VERSION:
        raise BadLine(f"written by a newer version (needs format {version})")
    seals = list(SEAL.finditer(raw))
    hand = "crc" not in data
    if not hand:
        if not seals or raw[seals[-1].end() :].strip():
            raise BadLine("its checksum is not at the end")
        if int(seals[-1].group(1), 16) != zlib.crc32(raw[: seals[-1].start()]):
            raise BadLine("its checksum does not fit")
    elif data.get("do") not in ACTIONS or not KEYS.issuperset(data):
        raise BadLine("no known action, or an unknown key")
    texts = {key: data.get(key, "") for key in ("id", "by", "do", "item")}
    at = data.get("at", last_at)
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(at, int):
        raise BadLine("a key has a value of the wrong type")
    return Record(
        texts["id"] or f"hand-{hashlib.sha256(raw.strip()).hexdigest()[:16]}",
        at,
        texts["by"] or "hand",
        texts["do"],
        texts["item"],
        data,
        number,
        hand,
    )
