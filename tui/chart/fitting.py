"""The words above a chart in the width there is: names give first, then figures, then whole curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

Run = tuple[str, str]

SHORTEST = 4
"""Cells that a name keeps as long as it is shown."""


@dataclass(frozen=True)
class Entry:
    """What is said of one curve, from the fullest form to the shortest; `{}` stands for its name."""

    name: str
    forms: tuple[str, ...]
    role: str
    marks: str = ""
    """Troubles, in a colour of their own; kept as long as the entry is."""

    def fixed(self, form: int) -> int:
        """Cells without the name."""
        return (
            cell_len(self.forms[form])
            - (2 if "{}" in self.forms[form] else 0)
            + cell_len(self.marks)
        )

    def runs(self, form: int, room: int, ellipsis: str) -> list[Run]:
        """The entry with its name in at most `room` cells."""
        text = self.forms[form].replace("{}", clipped(self.name, room, ellipsis))
        return [(text, self.role), *([(self.marks, "mark")] if self.marks else [])]


def clipped(text: str, room: int, ellipsis: str = "…") -> str:
    """`text` in at most `room` cells; the ellipsis stands for its middle, since runs differ in their ends."""
    if cell_len(text) <= room:
        return text
    left = room - cell_len(ellipsis)
    if left <= 0:
        return set_cell_size(text, max(0, room)).rstrip()
    tail = ""
    for sign in reversed(text):
        if cell_len(sign + tail) > left // 2:
            break
        tail = sign + tail
    return set_cell_size(text, left - cell_len(tail)).rstrip() + ellipsis + tail


def fitted(
    head: Run, entries: Sequence[Entry], tails: Sequence[Run], width: int, ellipsis: str = "…"
) -> list[Run]:
    """Head, entries and one of the tails (the fullest first) in one row of `width` cells.

    All entries take the fullest form that leaves a name SHORTEST cells. Where not even the shortest form has
    room beside the shortest tail, the last entries are left out and counted, and at the very end the tail.
    """
    room = width - cell_len(head[0])
    forms = range(max((len(entry.forms) for entry in entries), default=1))
    for tail in tails:
        for form in forms:
            names = _names(entries, form, room - cell_len(tail[0]))
            if names is not None:
                return _row(head, entries, form, names, ellipsis, [tail])
    for end in ([tails[-1]], []) if tails else ([],):
        for count in range(len(entries) - 1, -1 if not end else 0, -1):
            more = (f"  +{len(entries) - count} more", "note")
            left = room - sum(cell_len(text) for text, _ in (more, *end))
            names = _names(entries[:count], forms[-1], left)
            if names is not None:
                return _row(head, entries[:count], forms[-1], names, ellipsis, [more, *end])
    return [(clipped(head[0], width, ellipsis), head[1])]


def _row(
    head: Run, entries: Sequence[Entry], form: int, names: int, ellipsis: str, tail: list[Run]
) -> list[Run]:
    runs: list[Run] = [head]
    for entry in entries:
        runs += entry.runs(form, names, ellipsis)
    return runs + tail


def _names(entries: Sequence[Entry], form: int, room: int) -> int | None:
    """Cells that each name may have at most so that all fit; None where one would be cut too short."""
    room -= sum(entry.fixed(form) for entry in entries)
    lengths = sorted(cell_len(entry.name) for entry in entries if "{}" in entry.forms[form])
    if room < 0:
        return None
    for index, length in enumerate(lengths):  # the short ones leave the long ones their share
        share = room // (len(lengths) - index)
        if length > share:
            return share if share >= SHORTEST else None
        room -= length
    return lengths[-1] if lengths else 0
