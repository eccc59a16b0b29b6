"""A line scanner for Markdown with task lists: headings, checkboxes, tables, and what is not one.

It follows CommonMark for what decides whether `- [ ]` is a checkbox: fenced and indented code, HTML
blocks, list nesting by content offset, lazy paragraphs. Bold-only lines count as sub-headings. Lines
keep their text and their ending, so that a file can be written back byte for byte.
Source: CommonMark 0.31 sections 4.4-4.6, 5.2; GFM 5.3. The tests hold it against markdown-it-py.
"""

from __future__ import annotations

import re

from tui.roadmap.lines import (
    Heading,
    Mark,
    Scan,
    TableLines,
    indent,
    split_cells,
    split_lines,
)

_QUOTE = re.compile(r"(?:[ ]{0,3}>[ ]?)+")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_FENCE = re.compile(r"(`{3,}|~{3,})(.*)$")
_ITEM = re.compile(r"([-*+]|\d{1,9}[.)])(?=[ \t]|$)")
_BOX = re.compile(r"\[([ xX])\][ \t]+(?=\S)")
_BOLD_LINE = re.compile(r"[ \t]*\*\*([^*]+)\*\*:?[ \t]*$")
_TABLE_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_HTML_UNTIL_BLANK = re.compile(
    r"</?(?:address|article|aside|blockquote|body|center|dd|details|dialog|div|dl|dt|fieldset|figure"
    r"|footer|form|h[1-6]|head|header|hr|html|iframe|legend|li|link|main|menu|nav|ol|p|section"
    r"|summary|table|tbody|td|tfoot|th|thead|title|tr|ul)(?=[\s/>]|$)",
    re.I,
)
_HTML_RAW = re.compile(r"<(script|pre|style|textarea)(?=[\s>]|$)", re.I)


_FRONT_KEY = re.compile(r"\s*(?:[\w.-]+\s*[:=]|#|\[|$)")
BOM = "\ufeff"
FRONT_MATTER_LINES = 200
DEEPEST = 100
"""Lists in each other; a line of bullets alone opens no more."""


class _Scanner:
    def __init__(self, text: str) -> None:
        lines, endings = split_lines(text)
        self.out = Scan(lines, endings)
        self.items: list[tuple[int, int | None]] = []  # content offset, index of the checkbox
        self.fence: tuple[str, int, int] | None = None  # character, length, container offset
        self.html_end = ""  # closing text; "\n" stands for a blank line
        self.html_offset = 0
        self.quoted = False
        self.paragraph = False
        self.blank = True

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
        table_until = self._front_matter()
        self.out.code.update(range(table_until + 1))
        for number, text in enumerate(self.out.lines):
            # A byte-order mark takes one column and no room.
            line = " " + text[1:] if number == 0 and text.startswith(BOM) else text
            if number <= table_until:
                continue
            skip = self._enter(line)
            if not self._inside_block(number, line[skip:]):
                table_until = self._block_start(number, line, skip)
        return self.out

    def _enter(self, line: str) -> int:
        """Length of the quote marks of a line; entering or leaving a quote closes what was open in it."""
        if (self.fence or self.html_end) and not self.quoted:
            return 0
        quote = _QUOTE.match(line) if indent(line)[0] < 4 else None
        if bool(quote) != self.quoted:
            self.quoted = bool(quote)
            self.fence, self.html_end = None, ""
            self.items, self.paragraph, self.blank = [], False, True
        return quote.end() if quote else 0

    def _inside_block(self, number: int, line: str) -> bool:
        """True where the line belongs to an open fence or HTML block."""
        width, count = indent(line)
        body = line[count:]
        if self.fence:
            char, length, offset = self.fence
            if body and width < offset:
                self.fence = None
            else:
                self.out.code.add(number)
                closing = _FENCE.match(body)
                if (
                    closing
                    and closing.group(1)[0] == char
                    and len(closing.group(1)) >= length
                    and not closing.group(2).strip()
                    and width - offset < 4
                ):
                    self.fence = None
                self.paragraph = False
                return True
        if self.html_end:
            ends = not body if self.html_end == "\n" else self.html_end in line.lower()
            if body and width < self.html_offset:
                self.html_end = ""
            else:
                self.out.code.add(number)
                self.blank = not body
                if ends:
                    self.html_end = ""
                return True
        return False

    def _block_start(self, number: int, line: str, skip: int) -> int:
        """Handles a line outside any block; returns the last line it used up."""
        width, count = indent(line[skip:])
        body = line[skip + count :]
        if not body:
            self.blank, self.paragraph = True, False
            return number
        lazy = self.paragraph and not self.blank
        item = _ITEM.match(body)
        if self.items and width < self.items[-1][0] and not item and not lazy:
            while self.items and width < self.items[-1][0]:
                self.items.pop()
        offset = max((o for o, _ in self.items if o <= width), default=0)
        relative = width - offset
        if relative >= 4:
            if not lazy:
                self.out.code.add(number)
            self.blank = False
            return number
        was_blank, self.blank = self.blank, False
        rest = line[skip:]
        if self._heading(number, rest, body, lazy, relative) or self._opens(
            number, body, offset, width
        ):
            return number
        if item and not self._item_is_text(item.group(1), body, lazy):
            self._item(number, skip + count, width, item, body)
            return number
        while self.items and width < self.items[-1][0] and was_blank:
            self.items.pop()
        table_end = self._table(number)
        self.paragraph = table_end == number
        return table_end

    def _heading(self, number: int, rest: str, body: str, lazy: bool, relative: int) -> bool:
        atx = _ATX.match(body)
        if atx:
            self._add_heading(number, len(atx.group(1)), (atx.group(2) or "").strip())
            return True
        setext = _SETEXT.match(rest)
        if setext and lazy and not self.items:
            level = 1 if setext.group(1)[0] == "=" else 2
            self._add_heading(number - 1, level, self.out.lines[number - 1].strip())
            return True
        if _RULE.match(rest if relative else body):
            self.out.rules.add(number)
            if not self.items or relative == indent(rest)[0]:
                self.items = []
            self.paragraph = False
            return True
        bold = _BOLD_LINE.match(rest)
        if bold and not lazy and not self.items:
            self._add_heading(number, 7, bold.group(1).strip().rstrip(":").strip())
            self.paragraph = True
            return True
        return False

    def _add_heading(self, number: int, level: int, title: str) -> None:
        headings = self.out.headings
        if headings and headings[-1].line == number:
            headings.pop()
        headings.append(Heading(number, level, title))
        self.items = []
        self.paragraph = False

    def _leave(self, width: int) -> None:
        """A block that starts left of an item's text ends that item."""
        while self.items and width < self.items[-1][0]:
            self.items.pop()

    def _opens(self, number: int, body: str, offset: int, width: int) -> bool:
        """True where the line opens a fence or an HTML block."""
        fence = _FENCE.match(body)
        if fence and not (fence.group(1)[0] == "`" and "`" in fence.group(2)):
            self._leave(width)
            self.fence = (fence.group(1)[0], len(fence.group(1)), offset)
            self.out.code.add(number)
            self.paragraph = False
            return True
        raw = _HTML_RAW.match(body)
        if body.startswith("<!--"):
            end = "-->"
        elif raw:
            end = f"</{raw.group(1).lower()}>"
        elif _HTML_UNTIL_BLANK.match(body):
            end = "\n"
        else:
            return False
        self._leave(width)
        self.out.code.add(number)
        self.paragraph = False
        if end == "\n" or end not in body.lower():
            self.html_end, self.html_offset = end, offset
        return True

    def _item_is_text(self, marker: str, body: str, lazy: bool) -> bool:
        """A list may interrupt a paragraph only when it is not empty and, numbered, starts at 1."""
        if not lazy or self.items:
            return False
        return not body[len(marker) :].strip() or (marker[0].isdigit() and marker[:-1] != "1")

    def _item(self, number: int, column: int, width: int, item: re.Match[str], body: str) -> None:
        while self.items and width < self.items[-1][0]:
            self.items.pop()
        marker = item.group(1)
        after = body[len(marker) :]
        gap, gap_chars = indent(after)
        # Tab stops count from the start of the line, not from the marker.
        if "\t" in after[:gap_chars]:
            gap = 4 - (width + len(marker)) % 4 if after[0] == "\t" else gap
        content = width + len(marker) + (gap if 1 <= gap <= 4 and after.strip() else 1)
        box = _BOX.match(after[gap_chars:]) if gap <= 4 else None
        index: int | None = None
        if box:
            parent = next((i for _, i in reversed(self.items) if i is not None), None)
            depth = 0 if parent is None else self.out.marks[parent].depth + 1
            start = column + len(marker) + gap_chars
            raw = after[gap_chars + box.end() :].rstrip()
            index = len(self.out.marks)
            self.out.marks.append(
                Mark(number, start + 1, box.group(1) != " ", raw, start + box.end(), parent, depth)
            )
        self.items.append((content, index))
        self.paragraph = bool(after.strip())
        # An item may open another list on its own line: "- - [ ] x".
        rest = after[gap_chars:]
        inner = _ITEM.match(rest) if index is None and 1 <= gap <= 4 else None
        if (
            inner
            and len(self.items) < DEEPEST
            and "\t" not in after[:gap_chars]
            and not _RULE.match(rest)
        ):
            self._item(number, column + len(marker) + gap_chars, content, inner, rest)

    def _table(self, number: int) -> int:
        lines = self.out.lines
        if "|" not in lines[number] or number + 1 >= len(lines):
            return number
        header = split_cells(lines[number])
        rule = lines[number + 1]
        if not (_TABLE_RULE.match(rule) and "|" in rule + lines[number]):
            return number
        if len(split_cells(rule)) != len(header):
            return number
        rows, last = [], number + 1
        while last + 1 < len(lines) and "|" in lines[last + 1]:
            last += 1
            rows.append((last, split_cells(lines[last])))
        self.out.tables.append(TableLines(number, header, tuple(rows)))
        return last


def scan(text: str) -> Scan:
    """Finds headings, checkboxes and tables of a Markdown text. Time is linear in its length."""
    return _Scanner(text).run()
