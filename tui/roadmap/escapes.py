"""Values that would be read as Markdown's signs where they are printed, and the way back.

A value at the beginning of a line or bullet could open a list, a heading, a quote, code or HTML, and take
the boxes below it along. One backslash before the sign makes it text; reading takes one away again.
"""

from __future__ import annotations

import re

_MARK = r"(?:[-*+]|\d{1,9}[.)])"
_BOX = re.compile(rf"^(\s*(?:>\s*|{_MARK}\s+)+)(\\*)(?=\[[ xX]\])")
_OPENS = re.compile(
    r"^(\d{1,9}(?=\\*[.)](?:\s|$)))?(\\*)"
    r"(?:(?<=[0-9\\])(?=[.)])|(?=#{1,6}(?:\s|$)|>|[-+*](?:\s|$)|`{3}|~{3}|<|\[[ xX]\](?:\s|$)"
    r"|(?:=+|[-*_ ]{2,})$))"
)
_BEGIN = re.compile(rf"^[\s>]*(?:{_MARK}\s+)*$")


def begins_block(before: str) -> bool:
    """True where nothing but white space, quote marks and list signs stands before a value."""
    return bool(_BEGIN.match(before))


def _more(match: re.Match[str]) -> str:
    return f"{match[1] or ''}\\{match[2]}"


def _less(match: re.Match[str]) -> str:
    return f"{match[1] or ''}{match[2][1:]}"


def guard(value: str) -> str:
    """A value as it stands at the beginning of a line or bullet."""
    return _OPENS.sub(_more, value, count=1)


def unguard(text: str) -> str:
    """The value that `guard` printed so."""
    return _OPENS.sub(_less, text, count=1)


def guard_box(line: str) -> str:
    """A line of a note in which a checkbox is no checkbox."""
    return _BOX.sub(_more, line, count=1)


def unguard_box(line: str) -> str:
    """The line that `guard_box` printed so."""
    return _BOX.sub(_less, line, count=1)
