"""Ids of the blanks of one document: those they had in the document that ids were given in, or new ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tui.roadmap.blank_match import Path_, Spot, match_blanks, match_in_line
from tui.roadmap.labels import Taken, unique
from tui.roadmap.naming import Reference, field_name
from tui.roadmap.parts import Field


class BlankIds:
    """Matches blanks in two steps, since the boxes they stand in have no ids at the beginning."""

    def __init__(self, spots: Sequence[Spot], reference: Reference | None) -> None:
        self.spots = spots
        self.reference = reference if reference is not None and reference.blanks else None
        self.kept: dict[int, str] = {}
        self.asked: dict[int, int] = {}
        self._matched = False
        self._taken = Taken()
        self._by_id: dict[str, Mapping[str, str]] | None = None

    def match(self, containers: Mapping[Path_, Path_]) -> dict[Path_, Path_]:
        """Matches what stands outside of boxes; the containers of the boxes and those that it adds."""
        reference = self.reference
        if reference is None:
            return dict(containers)
        found = match_blanks(self.spots, reference.spots, containers)
        pairs = {**found.same, **found.asked} if reference.adopt else found.same
        self.kept = {i: reference.blanks[j] for i, j in pairs.items()}
        self.asked = {} if reference.adopt else found.asked
        self._matched = True
        return found.containers

    def match_in_boxes(self, boxes: Sequence[str]) -> None:
        """Matches what stands in boxes that kept their ids: `boxes` are those of all boxes in order."""
        reference = self.reference
        if reference is None or not self._matched:
            return
        mine: defaultdict[str, list[int]] = defaultdict(list)
        theirs: defaultdict[str, list[int]] = defaultdict(list)
        for i, spot in enumerate(self.spots):
            if spot.box >= 0:
                mine[boxes[spot.box]].append(i)
        for j, spot in enumerate(reference.spots):
            if spot.box >= 0:
                theirs[reference.ids[spot.box]].append(j)
        for box, members in mine.items():
            there = theirs.get(box, [])
            labels = [self.spots[i].label for i in members]
            pairs = match_in_line(labels, [reference.spots[j].label for j in there])
            self.kept.update({members[a]: reference.blanks[there[b]] for a, b in pairs.items()})
        for i, name in reference.agreed_blanks.items():
            if name not in self.kept.values():
                self.kept[i] = name
        held = set(self.kept.values())
        self.asked = {
            i: j
            for i, j in self.asked.items()
            if i not in self.kept and reference.blanks[j] not in held
        }
        self._taken = Taken(held if reference.adopt else held | set(reference.blanks))

    def name(
        self, number: int, rule: str, table: Mapping[str, Mapping[str, str]]
    ) -> tuple[str, str, str]:
        """(id, label or "", fact or "") of a blank whose id by rule is `rule`; see `naming.field_name`."""
        if number in self.kept:
            if self._by_id is None:
                self._by_id = {entry.get("id", key): entry for key, entry in table.items()}
            name = self.kept[number]
            entry = self._by_id.get(name, {})
            return name, entry.get("label", ""), entry.get("fact", "")
        if self._matched and self.reference is not None and not self.reference.adopt:
            return unique(rule, self._taken), "", ""
        made = unique(rule, self._taken)
        name, label, fact = field_name(made, table)
        if name != made and name in self.kept.values():
            return made, "", ""
        return name, label, fact

    def questions(self, fields: Sequence[Field]) -> tuple[tuple[str, str, str, str], ...]:
        """(old id, old text, new id, new text) of the blanks that are alike only."""
        reference = self.reference
        if reference is None:
            return ()
        return tuple(
            (reference.blanks[j], reference.spots[j].told, fields[i].id, self.spots[i].told)
            for i, j in self.asked.items()
        )
