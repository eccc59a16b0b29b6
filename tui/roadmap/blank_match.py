"""Which blank of an edited plan is which of the old one: their values go along, or a person is asked.

A blank is known by its line with the blanks masked, its table row and column, or the box it stands in;
never by its place alone. What repeats in one container and is no longer equally often there is left
open, since no rule can tell which one was meant.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tui.roadmap.blanks import RUN, Blank
from tui.roadmap.labels import plain
from tui.roadmap.lines import Scan
from tui.roadmap.naming import LEAD, MOST_COMPARED, SIMILAR
from tui.roadmap.parts import FieldKind

Path_ = tuple[str, ...]
_ITEM = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$))?(?:\[[ xX]\][ \t]+)?")
TELLING = 12
"""Shortest text that is taken for the same blank in another container without asking."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What identifies a blank: container, line with blanks as "_" and label, or row and column.

    `box` counts from 0 which box it stands in, -1 for none.
    """

    path: Path_
    text: str
    label: str
    kind: FieldKind
    line: int
    box: int = -1

    @property
    def words(self) -> tuple[str, str]:
        """Text and label: what is compared between two blanks."""
        return self.text, self.label

    @property
    def told(self) -> str:
        """For a person, who has to recognise it."""
        below = f" (below {self.path[-1]})" if self.path else ""
        return f"{self.label}: {self.text}{below}" if self.label != self.text else self.text + below


@dataclass(frozen=True, slots=True)
class Blanks:
    """Outcome of a match, new index to old index: `same` without doubt, `asked` by likeness only.

    `containers` are those of the boxes and those that the blanks' own votes add.
    """

    same: dict[int, int]
    asked: dict[int, int]
    containers: dict[Path_, Path_]


def spots(scan: Scan, blanks: Iterable[Blank], paths: Sequence[Path_]) -> tuple[Spot, ...]:
    """The blanks of a scan with what identifies them, in order; `paths` is the container of each line."""
    boxes = {mark.line: number for number, mark in enumerate(scan.marks)}
    rows = {number: (table, cells) for table in scan.tables for number, cells in table.rows}
    out = []
    for blank in blanks:
        label = blank.label
        if blank.in_table:
            table, cells = rows[blank.line]
            text, label = plain(cells[0].text), plain(table.header[blank.column].text)
        elif blank.kind == "notes":
            text = "Notes"
        else:
            text = plain(RUN.sub("_", _ITEM.sub("", scan.lines[blank.line], count=1)))
        box = boxes.get(blank.line, -1)
        out.append(Spot(paths[blank.line], text, label, blank.kind, blank.line, box))
    return tuple(out)


class _Open:
    """Blanks that are not matched yet, on both sides."""

    def __init__(self, new: Sequence[Spot], old: Sequence[Spot]) -> None:
        self.new, self.old = new, old
        self.left = {i for i, spot in enumerate(new) if spot.box < 0}
        self.right = {j for j, spot in enumerate(old) if spot.box < 0}

    def take(self, pairs: Mapping[int, int]) -> Mapping[int, int]:
        self.left.difference_update(pairs)
        self.right.difference_update(pairs.values())
        return pairs

    def pair(
        self, mine: Callable[[Spot], Hashable], theirs: Callable[[Spot], Hashable]
    ) -> Mapping[int, int]:
        """Pairs those with one key on both sides, equally often; empty bullets in order.

        What has None for a key stays out.
        """
        of_new: defaultdict[Hashable, list[int]] = defaultdict(list)
        of_old: defaultdict[Hashable, list[int]] = defaultdict(list)
        for i in sorted(self.left):
            of_new[mine(self.new[i])].append(i)
        for j in sorted(self.right):
            of_old[theirs(self.old[j])].append(j)
        pairs: dict[int, int] = {}
        for key, found in of_new.items():
            there = of_old.get(key, []) if key is not None else []
            # Empty bullets under one heading are a list of remarks: one more at its end shifts none.
            bullets = self.new[found[0]].kind == "bullet"
            if len(found) == len(there) or bullets:
                pairs.update(zip(found, there, strict=False))
        return self.take(pairs)


def match_blanks(
    new: Sequence[Spot], old: Sequence[Spot], containers: Mapping[Path_, Path_]
) -> Blanks:
    """Matches the blanks outside of boxes. `containers` maps new to old ones by the boxes in them."""
    known = dict(containers)
    rest = _Open(new, old)
    same: dict[int, int] = {}

    def in_place() -> None:
        homes = _heads(known)
        same.update(
            rest.pair(
                lambda s: (_home(s.path, known, homes), s.kind, s.words),
                lambda s: (s.path, s.kind, s.words),
            )
        )

    in_place()
    same.update(_moved(rest))
    votes: defaultdict[Path_, Counter[Path_]] = defaultdict(Counter)
    for i, j in same.items():
        votes[new[i].path][old[j].path] += 1
    for path, counts in votes.items():
        best, count = counts.most_common(1)[0]
        if path not in known and count * 2 > sum(counts.values()) and best not in known.values():
            known[path] = best
    in_place()
    asked: dict[int, int] = {}
    for path, home in _renamed(rest, known).items():
        asked.update(rest.pair(_inside(path), _inside(home)))
        known[path] = home
    asked.update(_reworded(rest, known))
    return Blanks(same, asked, known)


def _heads(containers: Mapping[Path_, Path_]) -> dict[Path_, Path_]:
    """Where the beginnings of mapped containers went, by majority."""
    votes: defaultdict[Path_, Counter[Path_]] = defaultdict(Counter)
    for new, old in containers.items():
        for depth in range(1, min(len(new), len(old)) + 1):
            votes[new[:depth]][old[:depth]] += 1
    return {path: counts.most_common(1)[0][0] for path, counts in votes.items()}


def _home(path: Path_, known: Mapping[Path_, Path_], heads: Mapping[Path_, Path_]) -> Path_:
    """The old container of a new one: mapped, or below a mapped one, or of the same name."""
    if path in known:
        return known[path]
    for depth in range(len(path), 0, -1):
        if path[:depth] in heads:
            return (*heads[path[:depth]], *path[depth:])
    return path


def _moved(rest: _Open) -> Mapping[int, int]:
    """Blanks whose words are long enough, and are there once in either whole text."""
    mine, theirs = (Counter(spot.words for spot in side) for side in (rest.new, rest.old))

    def key(spot: Spot) -> Hashable:
        telling = len(" ".join(spot.words)) >= TELLING and spot.kind not in ("notes", "bullet")
        once = telling and mine[spot.words] <= 1 and theirs[spot.words] <= 1
        return (spot.words, spot.kind) if once else None

    return rest.pair(key, key)


def _renamed(rest: _Open, known: Mapping[Path_, Path_]) -> dict[Path_, Path_]:
    """New containers that differ from old ones by one heading that looks alike."""
    heads, used = _heads(known), set(known.values())
    before, after = {s.path for s in rest.old}, {s.path for s in rest.new}
    fresh = {rest.new[i].path for i in rest.left if rest.new[i].path not in before}
    free = {rest.old[j].path for j in rest.right if rest.old[j].path not in after} - used
    out: dict[Path_, Path_] = {}
    for path in sorted(fresh - set(known)):
        home = _home(path, known, heads)
        scored = []
        for old in free - set(out.values()):
            pairs = [p for p in zip(home, old, strict=False) if p[0] != p[1]]
            if len(old) == len(home) and len(pairs) == 1:
                scored.append((_likeness(*pairs[0]), old))
        scored.sort(reverse=True)
        if scored and _clear(scored):
            out[path] = scored[0][1]
    return out


def _inside(path: Path_) -> Callable[[Spot], Hashable]:
    return lambda spot: (spot.kind, spot.words) if spot.path == path else None


def _by_line(side: Sequence[Spot], members: Iterable[int]) -> dict[int, list[int]]:
    out: defaultdict[int, list[int]] = defaultdict(list)
    for i in sorted(members):
        out[side[i].line].append(i)
    return out


def _reworded(rest: _Open, known: Mapping[Path_, Path_]) -> Mapping[int, int]:
    """Blanks of the most alike line of the same container, where it leads the others clearly."""
    heads = _heads(known)
    there = _by_line(rest.old, rest.right)
    pairs: dict[int, int] = {}
    here = _by_line(rest.new, rest.left)
    if len(here) * len(there) > MOST_COMPARED:
        return pairs
    for mine in here.values():
        spot = rest.new[mine[0]]
        home = _home(spot.path, known, heads)
        scored = sorted(
            (_likeness(spot.text, rest.old[found[0]].text), line)
            for line, found in there.items()
            if (rest.old[found[0]].path, rest.old[found[0]].kind) == (home, spot.kind)
        )[::-1]
        if scored and _clear(scored):
            theirs = there.pop(scored[0][1])
            labels = [rest.new[i].label for i in mine], [rest.old[j].label for j in theirs]
            pairs.update({mine[a]: theirs[b] for a, b in match_in_line(*labels).items()})
    return rest.take(pairs)


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _clear(scored: Sequence[tuple[float, object]]) -> bool:
    second = scored[1][0] if len(scored) > 1 else 0.0
    return scored[0][0] >= SIMILAR and scored[0][0] - second >= LEAD


def match_in_line(new: Sequence[str], old: Sequence[str]) -> dict[int, int]:
    """Blanks of one line by their labels, in order where a label repeats equally often; a single one that
    is left on both sides is the same."""
    pairs: dict[int, int] = {}
    for label in dict.fromkeys(new):
        mine = [i for i, text in enumerate(new) if text == label]
        theirs = [j for j, text in enumerate(old) if text == label]
        if len(mine) == len(theirs):
            pairs.update(zip(mine, theirs, strict=True))
    left = [i for i in range(len(new)) if i not in pairs]
    right = [j for j in range(len(old)) if j not in pairs.values()]
    if len(left) == len(right) == 1:
        pairs[left[0]] = right[0]
    return pairs
