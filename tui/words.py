"""Words around figures, without any Textual."""

from __future__ import annotations


def counted(count: int, one: str, more: str = "") -> str:
    """`1 box`, `2 boxes`: a count with its noun; `more` where the plural does not just end in s."""
    return f"{count} {one if count == 1 else more or one + 's'}"
