"""One sentence instead of half a dialog in a terminal that is too small; it goes when there is room again."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

LEAST = (60, 16)
"""Columns and rows below which nothing useful fits."""


def too_small(width: int, height: int) -> str:
    """What stands there."""
    return f"terminal too small: {LEAST[0]}x{LEAST[1]} needed, have {width}x{height}"


class TooSmall(ModalScreen[None]):
    """Covers a dialog without closing it: what was typed there is kept."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self._text = too_small(width, height)

    def compose(self) -> ComposeResult:
        """The sentence."""
        yield Static(self._text, id="too-small", markup=False)

    def say(self, width: int, height: int) -> None:
        """Another size that is still too small."""
        self.query_one("#too-small", Static).update(too_small(width, height))
