"""Heavier reworks of a plan than `plan_edits`: whole sections reordered, doubled and renumbered, headings
renamed and translated, boxes split, merged, moved to another stage, near twins set above them.

Each rework takes and gives lines with the id of the box that each was, "" for none.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.unit.plan_edits import Line, tagged
from tui.roadmap.document import Document

_BOX = re.compile(r"^(\s*(?:[-*+]|\d+[.)])\s+\[[ xX]\]\s+)(.*)$")
_WORDS = {"Tasks": "Aufgaben", "Setup": "Einrichtung", "Training": "Schulung", "Stage": "Stufe"}


def _starts(lines: list[Line], level: int) -> list[int]:
    return [n for n, (text, _) in enumerate(lines) if text.startswith("#" * level + " ")]


def _flat(lines: list[Line]) -> list[int]:
    """Boxes that neither stand in another one nor have others in them."""
    return [
        n
        for n, (text, box) in enumerate(lines)
        if box
        and not text.startswith(" ")
        and not (n + 1 < len(lines) and lines[n + 1][1] and lines[n + 1][0].startswith(" "))
    ]


def _words(text: str) -> tuple[str, list[str]]:
    found = _BOX.match(text)
    assert found
    return found[1], found[2].split(" ")


def reorder(lines: list[Line], rng: random.Random) -> list[Line]:
    at = [*_starts(lines, 2), len(lines)]
    n = rng.randrange(len(at) - 2)
    a, b, c = at[n : n + 3]
    return lines[:a] + lines[b:c] + lines[a:b] + lines[c:]


def rename(lines: list[Line], rng: random.Random) -> list[Line]:
    n = rng.choice(_starts(lines, 2) + _starts(lines, 3))
    words = lines[n][0].split(" ")
    words[rng.randrange(1, len(words))] = rng.choice(("Prep", "Final", "v2"))
    return [*lines[:n], (" ".join(words), ""), *lines[n + 1 :]]


def translate(lines: list[Line], rng: random.Random) -> list[Line]:
    n = rng.choice(_starts(lines, 2) + _starts(lines, 3))
    text = lines[n][0]
    for word, other in _WORDS.items():
        text = text.replace(word, other)
    return [*lines[:n], (text, ""), *lines[n + 1 :]]


def renumber(lines: list[Line], rng: random.Random) -> list[Line]:
    more = rng.randrange(1, 3)
    head = re.compile(r"^(#+ \S* ?(?:Stage|Phase|Day) )(\d+)")
    return [(head.sub(lambda m: f"{m[1]}{int(m[2]) + more}", t), box) for t, box in lines]


def reword(lines: list[Line], rng: random.Random) -> list[Line]:
    out = list(lines)
    boxes = [n for n, (_, box) in enumerate(lines) if box]
    for n in rng.sample(boxes, max(1, len(boxes) // 20)):
        lead, words = _words(out[n][0])
        words[rng.randrange(len(words))] = rng.choice(("quick", "careful", "local"))
        out[n] = (lead + " ".join(words), out[n][1])
    return out


def split(lines: list[Line], rng: random.Random) -> list[Line]:
    n = rng.choice(_flat(lines))
    lead, words = _words(lines[n][0])
    cut = max(1, len(words) * 2 // 3)
    rest = " ".join(words[cut:]) or "and more"
    return [
        *lines[:n], (lead + " ".join(words[:cut]), lines[n][1]), (lead + rest, ""), *lines[n + 1 :]
    ]  # fmt: skip


def merge(lines: list[Line], rng: random.Random) -> list[Line]:
    flat = _flat(lines)
    n = rng.choice([n for n in flat if n + 1 in flat])
    text = f"{lines[n][0]} and {' '.join(_words(lines[n + 1][0])[1])}"
    return [*lines[:n], (text, lines[n][1]), *lines[n + 2 :]]


def move(lines: list[Line], rng: random.Random) -> list[Line]:
    out = list(lines)
    entry = out.pop(rng.choice(_flat(out)))
    out.insert(rng.choice(_flat(out)), entry)
    return out


def double(lines: list[Line], rng: random.Random) -> list[Line]:
    a = rng.choice(_starts(lines, 3))
    b = next((n for n in range(a + 1, len(lines)) if re.match("#|---", lines[n][0])), len(lines))
    copy = [(text, "") for text, _ in lines[a:b]]
    return [*lines[:b], (copy[0][0] + " (copy)", ""), *copy[1:], *lines[b:]]


def twin(lines: list[Line], rng: random.Random) -> list[Line]:
    n = rng.choice(_flat(lines))
    lead, words = _words(lines[n][0])
    words[rng.randrange(len(words))] = rng.choice(("laptop", "again", "second"))
    return [*lines[:n], (lead + " ".join(words), ""), *lines[n:]]


def delete(lines: list[Line], rng: random.Random) -> list[Line]:
    n = rng.choice(_flat(lines))
    return lines[:n] + lines[n + 1 :]


REWORKS: tuple[Callable[[list[Line], random.Random], list[Line]], ...] = (
    reorder, rename, rename, translate, renumber, reword, split, merge, move, move, double, twin, delete,
)  # fmt: skip


def reworked(document: Document, seed: int) -> tuple[str, list[str]]:
    """(the text after two to six reworks, the true old id of each of its boxes, "" for a new one)."""
    rng = random.Random(seed)
    lines = tagged(document)
    for rework in rng.sample(REWORKS, rng.randrange(2, 7)):
        lines = rework(lines, rng)
    return "\n".join(text for text, _ in lines), [b for text, b in lines if _BOX.match(text)]
