"""Blocks of lines, and how many of them fit where: the overview without its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Part = tuple[str, str]
"""(text, style)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `key` is `kind:rest` and says what enter opens; without a key it cannot be chosen."""

    key: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join(text for text, _ in self.parts)


@dataclass(frozen=True, slots=True)
class Block:
    """Lines under one word. At least `least` of them are shown however low the screen is."""

    title: str
    lines: tuple[Line, ...]
    least: int = 1


def fitted(blocks: Sequence[Block], height: int) -> list[tuple[Block, int]]:
    """How many lines of each block are shown: the least first, then in turn while there is room."""
    shown = [min(block.least, len(block.lines)) for block in blocks]
    room = height - sum(shown)
    while room > 0:
        before = room
        for index, block in enumerate(blocks):
            if room > 0 and shown[index] < len(block.lines):
                shown[index] += 1
                room -= 1
        if room == before:
            break
    return list(zip(blocks, shown, strict=True))


def columns_of(width: int) -> int:
    """One column, two from 120 cells on, three from 180 on."""
    return 1 if width < 120 else 2 if width < 180 else 3


def share_out(blocks: Sequence[Block], columns: int) -> list[list[Block]]:
    """The blocks by column: what runs at the left, the plan beside it, the journal last."""
    by = {block.title: block for block in blocks}
    order = {
        1: (("Hosts", "MLflow", "Jobs", "Attention", "Next", "Gate", "Money", "Journal"),),
        2: (("Hosts", "MLflow", "Jobs", "Gate", "Money", "Journal"), ("Attention", "Next")),
        3: (("Hosts", "MLflow", "Jobs", "Gate", "Money"), ("Attention", "Next"), ("Journal",)),
    }[columns]
    return [[by[title] for title in titles if title in by] for titles in order]
