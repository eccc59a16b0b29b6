"""The keys below a dialog: entries stand three blanks apart, and a line breaks only between two of them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from textual.content import Content
from textual.geometry import Size
from textual.widgets import Label

GAP = "   "


def packed(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells; only an entry that is wider than a line is broken itself."""
    lines: list[str] = []
    for given in text.split("\n"):
        line = ""
        for entry in _entries(given, max(1, width)):
            longer = f"{line}{GAP}{entry}" if line else entry
            if line and len(longer) > width:
                lines.append(line)
                longer = entry
            line = longer
        lines.append(line)
    return lines


def _entries(line: str, width: int) -> Iterator[str]:
    for entry in line.split(GAP):
        yield from textwrap.wrap(entry.strip(), width) or [""]


class Hint(Label):
    """Text of a dialog's last lines; `update` gives it another one."""

    def __init__(self, text: str = "", *, id: str | None = None) -> None:
        super().__init__(text, id=id, classes="dialog--hint", markup=False)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Lines at that width."""
        return len(packed(str(self.content), width))

    def render(self) -> Content:
        """The lines."""
        return Content("\n".join(packed(str(self.content), self.size.width or 78)))
