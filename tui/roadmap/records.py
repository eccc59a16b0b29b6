"""What one line of the state file is: sealing a record with its checksum, and reading it back."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from tui.roadmap.errors import InvalidValue

T = TypeVar("T")
VERSION = 1
MAX_LINE = 64 * 1024
ACTIONS = frozenset(
    {
        "import", "reanchor", "tick", "waive", "field", "cost", "cost_void", "decision", "note", "verdict",
        "undo", "redo", "costs", "measured",
        "hand_edit",
    }
)  # fmt: skip
KEYS = frozenset(
    {
        "v", "id", "at", "by", "do", "item", "old", "new", "why", "label", "source", "expires", "row",
        "verdicts", "ticked", "undoes", "redoes", "of", "crc", "choice", "against",
        "prev", "ops", "accepts", "gone",
    }
)  # fmt: skip
SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"\}')


class Record(NamedTuple):
    """One line of the journal. `hand` marks a line without a checksum, or one accepted as a hand edit.

    A named tuple: ten thousand of them are made whenever a workspace is opened.
    """

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


class NewerVersion(BadLine):
    """A line that only a newer program can read; nobody can accept it as a hand edit."""


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


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


_decode = json.JSONDecoder(parse_constant=_no_constant).decode


def line_hash(raw: bytes) -> str:
    """SHA-256 of a line without white space around it, in hex."""
    return hashlib.sha256(raw.strip()).hexdigest()


def is_sealed(raw: bytes) -> bool:
    """True where the line ends in the checksum of what stands before it."""
    if raw[-18:-10] != b',"crc":"' or raw[-2:] != b'"}':
        return False
    try:
        return int(raw[-10:-2], 16) == zlib.crc32(raw[:-18])
    except ValueError:
        return False


def unseal(raw: bytes, number: int, last_at: int, *, accepted: bool = False) -> Record:
    """Reads one line. Raises BadLine for anything that is not a whole, unharmed record.

    `accepted` reads a line that a person took over as a hand edit although its checksum does not fit.
    """
    if len(raw) > MAX_LINE:
        raise BadLine(f"longer than {MAX_LINE} bytes")
    try:
        data = _decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadLine("not valid JSON") from None
    if not isinstance(data, dict):
        raise BadLine("not a JSON object")
    version = data.get("v", VERSION)
    if isinstance(version, int) and version > VERSION:
        raise NewerVersion(f"written by a newer version (needs >= {version})")
    hand = accepted or "crc" not in data
    if not hand and not is_sealed(raw):
        _check_seal(raw)
    if hand and (data.get("do") not in ACTIONS or not KEYS.issuperset(data)):
        raise BadLine("no known action, or an unknown key")
    get = data.get
    name, at, by, do, item = (
        get("id", ""),
        get("at", last_at),
        get("by", ""),
        get("do", ""),
        get("item", ""),
    )
    # Exact types: a bool is no time, and isinstance costs more than the rest of this line.
    if not (type(name) is type(by) is type(do) is type(item) is str and type(at) is int):
        raise BadLine("a key has a value of the wrong type")
    return Record(
        name or f"hand-{line_hash(raw)[:16]}", at, by or "hand", do, item, data, number, hand
    )


def _check_seal(raw: bytes) -> None:
    """For a sealed line with white space behind it, and to say what is wrong with the others."""
    seals = list(SEAL.finditer(raw))
    if not seals or raw[seals[-1].end() :].strip():
        raise BadLine("its checksum is not at the end")
    if int(seals[-1].group(1), 16) != zlib.crc32(raw[: seals[-1].start()]):
        raise BadLine("its checksum does not fit")


def chunks(items: Sequence[T], length: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in lists that each fit into one record; `length` is what an item takes up in bytes."""
    chunk: list[T] = []
    size = 0
    for item in items:
        more = length(item)
        if chunk and size + more > MAX_LINE - 2048:
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += more
    yield chunk
