"""Which lines of a widget say something else than before: only those are drawn and written again."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip


def same_content(before: Content | None, now: Content | None) -> bool:
    """Equal in text and style; `==` of Content looks at the text alone."""
    if before is None or now is None:
        return before is now
    return before is now or (before.plain == now.plain and before.spans == now.spans)


def changed_lines(
    before: Sequence[Content], now: Sequence[Content], width: int
) -> list[Region] | None:
    """A region for each line that changed; None where the number of lines did."""
    if len(before) != len(now):
        return None
    pairs = enumerate(zip(before, now, strict=True))
    return [Region(0, y, width, 1) for y, (old, new) in pairs if not same_content(old, new)]


def changed_parts(before: Sequence[Strip], now: Sequence[Strip]) -> list[Region] | None:
    """The part of each line from its first changed cell on; None where the number of lines changed."""
    if len(before) != len(now):
        return None
    found = []
    for y, (old, new) in enumerate(zip(before, now, strict=True)):
        if old == new:
            continue
        start = 0
        for one, other in zip(old, new, strict=False):
            if one.style != other.style:
                break
            if one.text != other.text:
                shared = 0
                while one.text[shared : shared + 1] == other.text[shared : shared + 1] != "":
                    shared += 1
                start += shared if one.text.isascii() or _narrow(one.text[:shared]) else 0
                break
            start += one.cell_length
        width = max(old.cell_length, new.cell_length) - start
        found.append(Region(start, y, max(1, width), 1))
    return found


def _narrow(text: str) -> bool:
    """True for text of one cell a character, as braille and box drawing are."""
    return all(char < "\u1100" or "\u2010" <= char < "\u2900" for char in text)
