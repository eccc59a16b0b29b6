"""The signs that begin and end Markdown's blocks, and a cursor that walks one line with its tab stops.

Source: CommonMark 0.31 sections 2.2, 4.1-4.6, 5.2; GFM 4.10.
"""

from __future__ import annotations

import re

ATX = re.compile(r"(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")
SETEXT = re.compile(r"(=+|-+)[ \t]*$")
RULE = re.compile(r"([-*_])[ \t]*(?:\1[ \t]*){2,}$")
FENCE = re.compile(r"(`{3,}|~{3,})(.*)$")
ITEM = re.compile(r"([-*+]|\d{1,9}[.)])(?=[ \t]|$)")
BOX = re.compile(r"\[([ xX])\][ \t]+(?=[^ \t])")
BOLD_LINE = re.compile(r"\*\*([^*]+)\*\*:?[ \t]*$")
TABLE_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")

_BLOCK_TAG = re.compile(
    r"</?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details"
    r"|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr"
    r"|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search"
    r"|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul)(?=\s|/?>|$)",
    re.I,
)
_RAW_TAG = re.compile(r"<(?:script|pre|style|textarea)(?=[\s>]|$)", re.I)
_RAW_END = re.compile(r"</(?:script|pre|style|textarea)>", re.I)
_ATTRIBUTE = r"""\s+[a-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?"""
_ANY_TAG = re.compile(rf"<(?:[a-z][a-z0-9-]*(?:{_ATTRIBUTE})*\s*/?|/[a-z][a-z0-9-]*\s*)>\s*$", re.I)
BLANK_LINE = re.compile(r"[ \t]*$")
_HTML = (
    (_RAW_TAG, _RAW_END),
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<\?"), re.compile(r"\?>")),
    (re.compile(r"<![a-z]", re.I), re.compile(r">")),
    (re.compile(r"<!\[CDATA\["), re.compile(r"\]\]>")),
    (_BLOCK_TAG, BLANK_LINE),
)


def html_end(body: str, interrupts: bool) -> re.Pattern[str] | None:
    """What ends the HTML block that `body` begins, None where it begins none.

    A tag of any other name begins one only where it `interrupts` no paragraph.
    """
    for start, end in _HTML:
        if start.match(body):
            return end
    return BLANK_LINE if not interrupts and _ANY_TAG.match(body) else None


class Cursor:
    """A place in the white space of a line: `at` in characters, `column` with tab stops of 4.

    A tab may be half used up. `stop` is the place of the first other character.
    """

    __slots__ = ("_stop_column", "at", "column", "line", "stop")

    def __init__(self, line: str, at: int) -> None:
        self.line = line
        self._place(at, 0)

    def _place(self, at: int, column: int) -> None:
        self.at, self.column, line = at, column, self.line
        while at < len(line):
            char = line[at]
            if char == " ":
                column += 1
            elif char == "\t":
                column += 4 - column % 4
            else:
                break
            at += 1
        self.stop, self._stop_column = at, column

    @property
    def width(self) -> int:
        """Columns of white space from here on."""
        return self._stop_column - self.column

    @property
    def blank(self) -> bool:
        """True where only white space is left."""
        return self.stop == len(self.line)

    @property
    def body(self) -> str:
        """The line from its first other character on."""
        return self.line[self.stop :]

    def skip(self, columns: int) -> None:
        """Goes on by so many columns of white space."""
        while columns > 0 and self.at < self.stop:
            step = 4 - self.column % 4 if self.line[self.at] == "\t" else 1
            self.at += columns >= step
            self.column += min(columns, step)
            columns -= step

    def pass_sign(self, length: int) -> None:
        """Goes on behind a sign of so many characters that stands at `stop`."""
        self._place(self.stop + length, self._stop_column + length)
