"""A line scanner for Markdown with task lists: headings, checkboxes, tables, and what is not one.

It keeps the open quotes and list items as CommonMark's own algorithm does, so that it sees a checkbox
where GitHub draws one: also in a quote in a list, behind tabs, or in a list inside a list on one line,
and not in code, in HTML, or in the lazy end of a paragraph. Bold-only lines count as sub-headings. Lines
keep their text and their ending, so that a file can be written back byte for byte.
Source: CommonMark 0.31, appendix "A parsing strategy"; GFM 4.10, 5.3. The tests hold it against
markdown-it-py.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tui.roadmap import markup
from tui.roadmap.lines import Cell, Heading, Mark, Scan, TableLines, split_cells, split_lines
from tui.roadmap.markup import Cursor

_FRONT_KEY = re.compile(r"\s*(?:[\w.-]+\s*[:=]|#|\[|$)")
BOM = "\ufeff"
FRONT_MATTER_LINES = 200
DEEPEST = 400
"""Quotes and list items in each other; a line of signs alone opens no more."""
QUOTE = -1


class _Container(NamedTuple):
    """An open quote (`width` is QUOTE) or list item, whose inside begins `width` columns to the right.

    `box` is the checkbox of it or of the nearest item around it; `items` and `quotes` are how many of
    them are open up to it.
    """

    width: int
    box: int | None
    items: int
    quotes: int


_ROOT = _Container(0, None, 0, 0)


class _Scanner:
    def __init__(self, text: str) -> None:
        lines, endings = split_lines(text)
        self.out = Scan(lines, endings)
        self.open: list[_Container] = []
        self.empty = False  # nothing stands in the innermost item yet
        self.leaf = ""  # text, fence, html, code, table or nothing
        self.fence = ("", 0)  # its character and length
        self.html_end = markup.BLANK_LINE
        self.signs_from = 0  # from where on the line could be a rule
        self.text_at = 0  # where the newest line of the paragraph begins
        self.tables: list[tuple[int, tuple[Cell, ...], list[tuple[int, tuple[Cell, ...]]]]] = []

    def _front_matter(self) -> int:
        """Index of the line that closes YAML or TOML front matter, -1 where there is none.

        It is no Markdown, although its last line would make a heading of the line above it.
        """
        lines = self.out.lines
        mark = lines[0].removeprefix(BOM).rstrip() if lines else ""
        if mark not in ("---", "+++"):
            return -1
        for number in range(1, min(len(lines), FRONT_MATTER_LINES)):
            if lines[number].rstrip() in (mark, "..." if mark == "---" else mark):
                return number
            if number == 1 and not _FRONT_KEY.match(lines[1]):
                return -1
        return -1

    def run(self) -> Scan:
        front = self._front_matter()
        self.out.code.update(range(front + 1))
        for number in range(front + 1, len(self.out.lines)):
            line = self.out.lines[number]
            # A byte-order mark takes no room.
            self._line(number, Cursor(line, 1 if number == 0 and line.startswith(BOM) else 0))
        self.out.tables.extend(TableLines(n, head, tuple(rows)) for n, head, rows in self.tables)
        return self.out

    def _line(self, number: int, here: Cursor) -> None:
        last = here.line.rstrip()[-1:]
        self.signs_from = len(here.line.rstrip(f"{last} \t"))
        matched = self._walk(here)
        whole = matched == len(self.open)
        if whole and self._goes_on(number, here):
            return
        fresh = False
        while not here.blank:
            text = self.leaf == "text" and not fresh
            if here.width >= 4:
                if not text:
                    self._leave(matched)
                    self.leaf = "code"
                    self.out.code.add(number)
                    return
                break
            if self._leaf_block(number, here, matched, text, text and whole):
                return
            if not self._container(number, here, matched, text and whole):
                break
            fresh, whole, matched = True, True, len(self.open)
            if self.leaf:
                return
        if here.blank:
            self.empty = self.empty and fresh
            self._leave(matched)
        elif whole or self.leaf != "text":  # else the lazy end of a paragraph: all stays open
            if not whole:
                self._leave(matched)
            self._text(number, here)

    def _walk(self, here: Cursor) -> int:
        """Goes into the open containers that the line is in; how many these are."""
        for number, (width, _, _, quotes) in enumerate(self.open):
            if width == QUOTE:
                if here.width >= 4 or here.blank or here.line[here.stop] != ">":
                    return number
                self._into_quote(here)
            elif here.blank:  # items go on over empty lines, quotes do not
                if self.open[-1].quotes == quotes:
                    return len(self.open) - self.empty
            elif here.width >= width:
                here.skip(width)
            else:
                return number
        return len(self.open)

    def _into_quote(self, here: Cursor) -> None:
        here.pass_sign(1)
        here.skip(1)

    def _leave(self, matched: int) -> None:
        """Ends what the line is not in, and the leaf."""
        del self.open[matched:]
        self.leaf = ""

    def _goes_on(self, number: int, here: Cursor) -> bool:
        """True where the line belongs to an open code or HTML block."""
        if self.leaf == "fence":
            closing = markup.FENCE.match(here.body) if here.width < 4 else None
            char, length = self.fence
            if closing and closing[1][0] == char and len(closing[1]) >= length:
                self.leaf = self.leaf if closing[2].strip() else ""
        elif self.leaf == "html":
            if self._html_ends(here):
                self.leaf = ""
        elif self.leaf == "code" and not here.blank and here.width < 4:
            self.leaf = ""
            return False
        elif self.leaf != "code":
            return False
        self.out.code.add(number)
        return True

    def _html_ends(self, here: Cursor) -> bool:
        if self.html_end is markup.BLANK_LINE:
            return here.blank
        return bool(self.html_end.search(here.line, here.at))

    def _leaf_block(
        self, number: int, here: Cursor, matched: int, text: bool, inside: bool
    ) -> bool:
        """True where the line is a heading or a rule or opens code or HTML.

        `text` says that a paragraph is open, `inside` that the line stands in it.
        """
        line, at = here.line, here.stop
        atx, fence = markup.ATX.match(line, at), markup.FENCE.match(line, at)
        setext = markup.SETEXT.match(line, at) if inside else None
        html_end = markup.html_end(here.body, text) if line[at] == "<" else None
        if atx:
            self._leave(matched)
            self._add_heading(number, len(atx[1]), (atx[2] or "").strip())
        elif fence and not (fence[1][0] == "`" and "`" in fence[2]):
            self._leave(matched)
            self.leaf, self.fence = "fence", (fence[1][0], len(fence[1]))
            self.out.code.add(number)
        elif html_end:
            self._leave(matched)
            self.out.code.add(number)
            self.html_end = html_end
            self.leaf = "" if self._html_ends(here) else "html"
        elif setext:
            if not self._inner.items:
                title = self.out.lines[number - 1][self.text_at :].strip()
                self._add_heading(number - 1, 1 if setext[1][0] == "=" else 2, title)
            self.leaf = ""
        elif at >= self.signs_from and markup.RULE.match(line, at):
            self._leave(matched)
            self.out.rules.add(number)
        else:
            return False
        self.empty = False
        return True

    @property
    def _inner(self) -> _Container:
        return self.open[-1] if self.open else _ROOT

    def _add_heading(self, number: int, level: int, title: str) -> None:
        headings = self.out.headings
        if headings and headings[-1].line == number:
            headings.pop()
        headings.append(Heading(number, level, title))

    def _container(self, number: int, here: Cursor, matched: int, inside: bool) -> bool:
        """True where a quote or a list item opens; a checkbox in it sets the leaf to its text."""
        if len(self.open) >= DEEPEST:
            return False
        line = here.line
        if line[here.stop] == ">":
            self._leave(matched)
            self._into_quote(here)
            inner = self._inner
            self.open.append(_Container(QUOTE, inner.box, inner.items, inner.quotes + 1))
            self.empty = False
            return True
        found = markup.ITEM.match(line, here.stop)
        if not found:
            return False
        marker = found[1]
        # A list may interrupt a paragraph only when it is not empty and, numbered, starts at 1.
        if inside and (
            not line[found.end() :].strip() or (marker[0].isdigit() and int(marker[:-1]) != 1)
        ):
            return False
        self._leave(matched)
        offset = here.width + len(marker)
        here.pass_sign(len(marker))
        gap = 1 if here.blank or here.width > 4 else here.width
        here.skip(gap)
        self.empty = here.blank
        inner = self._inner
        box = markup.BOX.match(here.line, here.stop) if here.width < 4 else None
        index = self._mark(number, box, inner.box) if box else inner.box
        self.open.append(_Container(offset + gap, index, inner.items + 1, inner.quotes))
        return True

    def _mark(self, number: int, box: re.Match[str], parent: int | None) -> int:
        marks = self.out.marks
        raw, depth = box.string[box.end() :].rstrip(), 0
        if parent is not None:
            depth = marks[parent].depth + 1
        marks.append(Mark(number, box.start() + 1, box[1] != " ", raw, box.end(), parent, depth))
        self.leaf, self.text_at = "text", box.end()
        return len(marks) - 1

    def _text(self, number: int, here: Cursor) -> None:
        """A line of a paragraph or of a table."""
        self.empty = False
        if self.leaf == "text" and self._table(number, here):
            self.leaf = "table"
            return
        if self.leaf == "table" and "|" in here.body:
            self.tables[-1][2].append((number, split_cells(here.line, here.stop)))
            return
        bold = markup.BOLD_LINE.match(here.body) if self.leaf != "text" else None
        if bold and not self._inner.items:
            self._add_heading(number, 7, bold[1].strip().rstrip(":").strip())
        self.leaf, self.text_at = "text", here.stop

    def _table(self, number: int, here: Cursor) -> bool:
        """True where the line is the rule below the header of a table."""
        head = self.out.lines[number - 1]
        if not markup.TABLE_RULE.match(here.body) or "|" not in here.body + head[self.text_at :]:
            return False
        header = split_cells(head, self.text_at)
        if len(header) != len(split_cells(here.line, here.stop)):
            return False
        self.tables.append((number - 1, header, []))
        return True


def scan(text: str) -> Scan:
    """Finds headings, checkboxes and tables of a Markdown text. Time is linear in its length."""
    return _Scanner(text).run()
