"""Random moderate edits of a plan, with the truth about what became of each box.

The shares are those of a person who reworks a plan: 12 % of the boxes reworded, 5 % with other numbers,
25 % of the headings changed, 4 % inserted, 2 % deleted, 2 % moved elsewhere, 15 % of the lists with two
neighbours swapped.
"""

from __future__ import annotations

import random
import re

from tui.roadmap.document import Document

_BOX = re.compile(r"^(\s*(?:[-*+]|\d+[.)])\s+\[[ xX]\]\s+)(.*)$")
_NUMBER = re.compile(r"\d+")
WORDS = ("all", "new", "final", "really", "current", "every", "the", "both", "first", "remaining")
ADDED = (
    "Ask a friend to look at it", "Write down what went wrong", "Clean the desk", "Take a backup",
    "Check the fans", "Compare with last week", "Tell the team", "Read the release notes",
)  # fmt: skip

Line = tuple[str, str]
"""A line and the id of the box that it was in the old text, "" for none."""


def tagged(document: Document) -> list[Line]:
    """Each line with the id of its box."""
    by_line = {box.line: box.id for box in document.boxes.values()}
    return [(text, by_line.get(number, "")) for number, text in enumerate(document.lines, 1)]


def _reword(text: str, rng: random.Random) -> str:
    found = _BOX.match(text)
    if found is None:
        return text
    words = found.group(2).split(" ")
    if rng.random() < 0.4 and len(words) > 3:
        del words[rng.randrange(1, len(words))]
    else:
        words.insert(rng.randrange(len(words) + 1), rng.choice(WORDS))
    return found.group(1) + " ".join(words)


def _renumber(text: str, rng: random.Random) -> str:
    found = _BOX.match(text)
    if found is None or not _NUMBER.search(found.group(2)):
        return text
    changed = _NUMBER.sub(lambda m: str(int(m.group()) + rng.randrange(1, 50)), found.group(2), 1)
    return found.group(1) + changed


def moderate(document: Document, seed: int) -> tuple[str, list[str]]:
    """(the edited text, the true old id of each of its boxes in order, "" for an inserted one)."""
    rng = random.Random(seed)
    lines: list[Line] = []
    moved: list[Line] = []
    for text, box in tagged(document):
        out = text
        if box:
            if rng.random() < 0.02:
                continue
            if rng.random() < 0.12:
                out = _reword(out, rng)
            elif rng.random() < 0.05:
                out = _renumber(out, rng)
            if rng.random() < 0.02 and not out.startswith(" "):
                moved.append((out, box))
                continue
        elif text.startswith("#") and rng.random() < 0.25:
            out = f"{text} ({rng.choice(WORDS)})"
        lines.append((out, box))
        if box and not out.startswith(" ") and rng.random() < 0.04:
            lines.append((f"- [ ] {rng.choice(ADDED)}", ""))
    for entry in moved:
        homes = [n for n, (text, box) in enumerate(lines) if box and text.startswith("- ")]
        lines.insert(rng.choice(homes), entry)
    for n in range(1, len(lines)):
        (a, one), (b, two) = lines[n - 1], lines[n]
        flat = a.startswith("- ") and b.startswith("- ")
        nested = n + 1 < len(lines) and lines[n + 1][0].startswith(" ")
        if one and two and flat and not nested and rng.random() < 0.05:
            lines[n - 1], lines[n] = lines[n], lines[n - 1]
    text = "\n".join(text for text, _ in lines)
    return text, [box for line, box in lines if _BOX.match(line)]
