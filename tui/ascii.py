"""Plain ASCII at the edge where lines are drawn, so that no widget has to think of it.

A terminal without UTF-8 shows anything above U+007F as rubbish of unknown width. Every line of every
widget, borders, scrollbars and toasts included, passes this filter; each character becomes as many ASCII
characters as it had cells.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_KNOWN = {
    "…": ".", "–": "-", "—": "-", "−": "-", "‐": "-", "•": "*", "·": ".", "●": "*", "○": "o",
    "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "«": '"', "»": '"', "×": "x", "÷": "/",
    "≤": "<", "≥": ">", "≈": "~", "≠": "#", "±": "+", "°": "o", "µ": "u", "→": ">", "←": "<",
    "↑": "^", "↓": "v", "▶": ">", "▸": ">", "►": ">", "◀": "<", "◂": "<", "▲": "^", "▼": "v",
    "✓": "v", "✔": "v", "✗": "x", "✘": "x", "■": "#", "□": "o", "◉": "*", "⏎": "<",
    "▁": "_", "▂": "_", "▃": ".", "▄": "-", "▅": "-", "▆": "=", "▇": "#", "█": "#", "▀": "-", "▔": "-",
    "░": ".", "▒": ":", "▓": "#",
}  # fmt: skip
_BRAILLE = " ..::**##"
"""By number of dots: how much of the cell is filled."""


def _box(name: str) -> str:
    if "DIAGONAL" in name:
        return "/" if "TO LOWER LEFT" in name else "\\"
    across = any(word in name for word in ("HORIZONTAL", "LEFT", "RIGHT"))
    along = any(word in name for word in ("VERTICAL", "UP", "DOWN"))
    return "+" if across and along else "-" if across else "|"


def _ascii(character: str) -> str:
    """ASCII for one character, as wide as it."""
    width = cell_len(character)
    if character in _KNOWN:
        return _KNOWN[character]
    code = ord(character)
    if 0x2800 <= code < 0x2900:
        return _BRAILLE[(code - 0x2800).bit_count()]
    if 0x2500 <= code < 0x2580:
        return _box(unicodedata.name(character))
    if 0x2580 <= code < 0x25A0:
        return "|" if "LEFT" in unicodedata.name(character) or code in (0x2590, 0x2595) else "#"
    if unicodedata.category(character) == "Zs":
        return " " * width
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return (plain.strip() or "?" * width)[:width].ljust(width)


class _Table(dict[int, str]):
    """For `str.translate`: learns each character when it is first met."""

    def __missing__(self, code: int) -> str:
        found = self[code] = chr(code) if code < 0x80 else _ascii(chr(code))
        return found


_TABLE = _Table()


def to_ascii(text: str) -> str:
    """`text` in ASCII with the same number of cells."""
    return text if text.isascii() else text.translate(_TABLE)


class AsciiFilter(LineFilter):
    """Turns each drawn line into ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments with ASCII text; the background is left alone."""
        return [
            segment if segment.text.isascii() else Segment(to_ascii(segment.text), segment.style)
            for segment in segments
        ]
