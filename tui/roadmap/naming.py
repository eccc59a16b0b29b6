"""Stable ids: the prefix table of the shipped roadmap, a rule for any other document, re-anchoring.

A box keeps its id when text around it moves: edited copies of the shipped roadmap are matched against
it in layers of exact keys, then by the vote of a container's members, then by similarity inside that
container only. Whatever does not match gets an id made from its own words, never a neighbour's.
"""

from __future__ import annotations

import difflib
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.roadmap.blank_match import Spot

TEMPLATE = Path(__file__).parent / "template" / "ROADMAP.md"
SIMILAR = 0.60
LEAD = 0.10
MOST_COMPARED = 60_000
"""Pairs of texts that are compared in one reading (about two seconds); what is left then waits aside."""
FAMILY_SHARE = 0.25
"""Least share of a document's boxes that match the template before it counts as an edited copy."""

Path_ = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """What identifies a box before it has an id: container path, parent's label, own label."""

    path: Path_
    parent: str
    label: str


@dataclass(frozen=True, slots=True)
class Names:
    """The shipped table: container path to prefix, rule-made field id to (id, label, fact)."""

    containers: dict[Path_, str]
    fields: dict[str, dict[str, str]]


@lru_cache(maxsize=1)
def names() -> Names:
    """Reads `ids.toml` once."""
    data = tomllib.loads((Path(__file__).parent / "ids.toml").read_text(encoding="utf-8"))
    containers = {tuple(key.split(" > ")): value for key, value in data["containers"].items()}
    return Names(containers, data["fields"])


@dataclass(frozen=True, slots=True)
class Reference:
    """The document that ids were given in: its boxes' ids and items in order, prefix by container.

    `shipped` says that it is the shipped roadmap or an edited copy, whose fields have a table of names.
    `adopt` lets reworded boxes keep their ids at once; otherwise a person is asked.
    """

    ids: tuple[str, ...]
    items: tuple[Item, ...]
    prefixes: Mapping[Path_, str]
    shipped: bool = True
    adopt: bool = True
    agreed: Mapping[str, str] = field(default_factory=dict)
    """New box (its provisional id) to old id, as a person agreed."""
    blanks: tuple[str, ...] = ()
    """Ids of the document's blanks in order; empty where they were not recorded."""
    spots: tuple[Spot, ...] = ()
    agreed_blanks: Mapping[int, str] = field(default_factory=dict)
    """Blank of the new text, counted from 0, to the id it keeps, as a person agreed."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Outcome of a match: new index to old index, new container to old container, reworded pairs."""

    items: dict[int, int]
    containers: dict[Path_, Path_]
    reworded: tuple[tuple[int, int], ...]


def _pair(
    new: Sequence[Item],
    old: Sequence[Item],
    key: Callable[[Item], Hashable],
    left: set[int],
    right: set[int],
    repeated: bool,
) -> dict[int, int]:
    """Pairs items whose key is unique on both sides, or equally often repeated (in order)."""
    of_new: defaultdict[Hashable, list[int]] = defaultdict(list)
    of_old: defaultdict[Hashable, list[int]] = defaultdict(list)
    for i in sorted(left):
        of_new[key(new[i])].append(i)
    for j in sorted(right):
        of_old[key(old[j])].append(j)
    pairs: dict[int, int] = {}
    for value, mine in of_new.items():
        theirs = of_old.get(value, [])
        if len(mine) == len(theirs) and (repeated or len(mine) == 1):
            pairs.update(zip(mine, theirs, strict=True))
    left.difference_update(pairs)
    right.difference_update(pairs.values())
    return pairs


_LAYERS: tuple[Callable[[Item], Hashable], ...] = (
    lambda i: (i.path[1:], i.parent, i.label),
    lambda i: (i.path[:1], i.path[-1:], i.parent, i.label),
    lambda i: (i.path[:1], i.label),
    lambda i: i.label,
)


def match(new: Sequence[Item], old: Sequence[Item], family: bool = True) -> Anchors:
    """Finds for each new item the old one it is. Never pairs across containers by similarity.

    With `family` two documents that share too little are taken for strangers and nothing is paired.
    What stands several times in one of the texts ("Write the diary", each day) and is left over once
    on both sides may be another one: it counts as reworded unless its section is known by others.
    """
    left, right = set(range(len(new))), set(range(len(old)))
    pairs = _pair(new, old, lambda i: i, left, right, repeated=True)
    if family and new and len(pairs) < FAMILY_SHARE * len(new):
        return Anchors({}, {}, ())
    pairs.update(_once(new, old, left, right))
    heads = _votes((new[i].path[:1], old[j].path[:1]) for i, j in pairs.items())
    # As if the sections still had their old headings: what each of them repeats is told apart.
    there = [replace(i, path=(*heads.get(i.path[:1], i.path[:1]), *i.path[1:])) for i in new]
    pairs.update(_pair(there, old, lambda i: i, left, right, repeated=True))
    pairs.update(_once(there, old, left, right))
    containers: dict[Path_, Path_] = {}
    for path, best in _votes((new[i].path, old[j].path) for i, j in pairs.items()).items():
        if best not in containers.values():
            containers[path] = best
    reworded = []
    inside: defaultdict[Path_, list[int]] = defaultdict(list)
    for j in sorted(right):
        inside[old[j].path].append(j)
    compared = 0
    for i in sorted(left):
        near = [j for j in inside.get(containers.get(new[i].path, ("",)), ()) if j in right]
        compared += len(near)
        if compared > MOST_COMPARED:
            break
        scored = sorted((_likeness(new[i].label, old[j].label), j) for j in near)[::-1]
        if scored and scored[0][0] >= SIMILAR:
            lead = scored[0][0] - (scored[1][0] if len(scored) > 1 else 0.0)
            if lead >= LEAD:
                pairs[i] = scored[0][1]
                right.discard(scored[0][1])
                reworded.append((i, scored[0][1]))
    left.difference_update(pairs)
    for key in _LAYERS:
        found = _pair(new, old, key, left, right, repeated=False)
        pairs.update(found)
        reworded += sorted(found.items())
    return Anchors(pairs, containers, tuple(sorted(reworded)))


def _likeness(one: str, other: str) -> float:
    """Share of the characters that are the same; 0 where it cannot matter to the lead of another."""
    matcher = difflib.SequenceMatcher(None, one, other)
    least = SIMILAR - LEAD
    if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
        return 0.0
    return matcher.ratio()


def _once(
    new: Sequence[Item], old: Sequence[Item], left: set[int], right: set[int]
) -> dict[int, int]:
    """Pairs what is there once in either whole text, by ever fewer words around it."""
    pairs: dict[int, int] = {}
    for key in _LAYERS:
        mine, theirs = (Counter(map(key, side)) for side in (new, old))
        alone = {i for i in left if mine[key(new[i])] == 1}
        there = {j for j in right if theirs[key(old[j])] == 1}
        found = _pair(new, old, key, alone, there, repeated=False)
        pairs.update(found)
        left.difference_update(found)
        right.difference_update(found.values())
    return pairs


def _votes(pairs: Iterable[tuple[Path_, Path_]]) -> dict[Path_, Path_]:
    """The old container of each new one, where more than half of its pairs agree."""
    votes: defaultdict[Path_, Counter[Path_]] = defaultdict(Counter)
    for path, home in pairs:
        votes[path][home] += 1
    best = {path: counts.most_common(1)[0] for path, counts in votes.items()}
    return {path: home for path, (home, n) in best.items() if n * 2 > votes[path].total()}


def field_name(rule_id: str, table: Mapping[str, Mapping[str, str]]) -> tuple[str, str, str]:
    """(id, label or "", fact or "") of a field whose rule-made id is `rule_id`."""
    entry = table.get(rule_id, {})
    return entry.get("id", rule_id), entry.get("label", ""), entry.get("fact", "")
