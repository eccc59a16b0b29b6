"""Text helpers: emoji and Markdown marks off a label, slugs, and the repair of mis-decoded files."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d\u20e3\uf8ff]")
_MARKS = re.compile(r"\*\*|`")
_SPACES = re.compile(r"\s+")
_WORDS = re.compile(r"[^\W_]+")
_NUMBERED = re.compile(r"^(stage|phase|step|week|milestone|sprint|part|day)\s+(\d+)\b", re.I)


def strip_emoji(text: str) -> str:
    """`text` without emoji and their joiners, spaces collapsed."""
    return _SPACES.sub(" ", _EMOJI.sub("", text)).strip()


@functools.lru_cache(maxsize=8192)  # a document is read several times while it is opened
def plain(text: str) -> str:
    """`text` without emoji, bold marks and backticks: what a row of the app shows."""
    return strip_emoji(_MARKS.sub("", text))


def slug(text: str, limit: int = 40) -> str:
    """Lower-case words of `text` joined by underscores, cut at a word near `limit` characters."""
    decomposed = unicodedata.normalize("NFKD", plain(text)).replace("'", "").replace("’", "")
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    out = ""
    for word in _WORDS.findall(bare.casefold()):
        longer = f"{out}_{word}" if out else word[:limit]
        if len(longer) > limit:
            break
        out = longer
    return out or "item"


def section_code(title: str) -> str:
    """A short section id by rule: `Stage 3: …` gives S3, several words their initials, one word itself."""
    text = strip_emoji(title)
    numbered = _NUMBERED.match(text)
    if numbered:
        return f"{numbered.group(1)[0].upper()}{numbered.group(2)}"
    words = _WORDS.findall(re.sub(r"\(.*?\)", " ", text)) or _WORDS.findall(text)
    if not words:
        return "X"
    if len(words) == 1:
        return str(words[0])[:12].upper()
    return "".join(str(word)[0] for word in words[:5]).upper()


class Taken(set[str]):
    """Names in use. It knows how far each was counted: ten thousand boxes may say the same."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(names)
        self.counted: dict[str, int] = {}


def unique(wanted: str, taken: Taken) -> str:
    """`wanted`, or `wanted-2`, `wanted-3` … where it is taken; adds the answer to `taken`."""
    name, n = wanted, taken.counted.get(wanted, 1)
    while name in taken:
        n += 1
        name = f"{wanted}-{n}"
    taken.counted[wanted] = n
    taken.add(name)
    return name


def repair_mojibake(text: str) -> str | None:
    """The UTF-8 text behind a file that was once read as Mac Roman, or None where it was not.

    Only a text that re-encodes as a whole and then holds emoji is repaired; any other is left alone.
    """
    try:
        repaired = text.encode("mac_roman").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return None
    return repaired if repaired != text and _EMOJI.search(repaired) else None
