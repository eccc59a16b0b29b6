"""The lines of a run journal, a piece at once: what is plainly a point is parsed ten times as fast.

`pipeline.journal.parse_line` decides what a line is. Here are found the lines of which it would say that
they are a point or an evaluation, by msgspec's JSON parser, which takes less than Python's and gives the
same for what it takes. Every other line is left to `parse_line`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from pipeline.journal import VERSION

Event = dict[str, Any]

PIECE = 1024
"""Lines tried together; where one of them is no JSON all of them are left to the slow parser."""

LONGEST = 4096
"""Bytes of a line that is tried: a point has some hundred, and a number stays below Python's own limit."""

POINTS = frozenset({"point", "eval"})

_FIELDS = itemgetter("v", "kind", "step", "t")
_parse = msgspec.json.Decoder().decode
"""NaN, Infinity, 1e999 and half surrogate pairs are left to Python's parser, which knows them."""


def pieces(lines: list[bytes]) -> Iterator[tuple[list[bytes], list[Event]]]:
    """Stretches in order: (lines for `parse_line`, []) or (those lines, the points they hold)."""
    for first in range(0, len(lines), PIECE):
        piece = lines[first : first + PIECE]
        events = _parsed(piece)
        if events is None:
            yield piece, []
        elif _plain_points(events):
            yield piece, events
        else:
            at = 0
            for plain, group in groupby(events, _plain_point):
                found = list(group)
                yield piece[at : at + len(found)], found if plain else []
                at += len(found)


def _parsed(lines: list[bytes]) -> list[Any] | None:
    if max(map(len, lines)) > LONGEST:
        return None
    try:
        return list(map(_parse, lines))
    except (ValueError, RecursionError):
        return None


def _plain_points(events: list[Any]) -> bool:
    """`_plain_point` of all, column by column."""
    try:
        versions, kinds, steps, times = zip(*map(_FIELDS, events), strict=True)
        known = set(versions) == {VERSION} and set(kinds) <= POINTS
    except (KeyError, TypeError, IndexError):
        return False
    integers = all(set(map(type, column)) == {int} for column in (versions, steps, times))
    return known and integers and set(map(type, events)) == {dict}


def _plain_point(event: Any) -> bool:
    """Whether `parse_line` takes it and calls it a point or an evaluation."""
    if type(event) is not dict:
        return False
    version, kind = event.get("v"), event.get("kind")
    return (
        type(version) is int
        and version == VERSION
        and type(kind) is str
        and kind in POINTS
        and type(event.get("step")) is int
        and type(event.get("t")) is int
    )
