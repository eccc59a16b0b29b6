"""Builds a document out of a scan: sections, groups, boxes and fields with their ids and kinds."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from functools import lru_cache

from tui.roadmap import naming
from tui.roadmap.blank_ids import BlankIds
from tui.roadmap.blank_match import Spot, spots
from tui.roadmap.blanks import Blank, find_blanks
from tui.roadmap.document import Document
from tui.roadmap.kinds import mark_kinds
from tui.roadmap.labels import Taken, plain, section_code, slug, strip_emoji, unique
from tui.roadmap.lines import Scan
from tui.roadmap.parts import Box, Field, Group, Row, Section, Table
from tui.roadmap.scanner import scan

Path_ = tuple[str, ...]
_OPTIONAL = re.compile(r"\(optional\)", re.I)
_GOAL = re.compile(r"^\*\*Goal:\*\*\s*(.+)$")


def build(text: str, reference: naming.Reference | None = None) -> Document:
    """Reads a Markdown text; the shipped roadmap itself is read once and kept.

    `reference` gives the ids that boxes keep; without one the shipped roadmap does.
    """
    template = _template()
    if reference is None and text == template.text:
        return template
    return _Builder(scan(text), text, reference or _shipped()).build()


@lru_cache(maxsize=1)
def _template() -> Document:
    text = naming.TEMPLATE.read_bytes().decode("utf-8")
    return _Builder(scan(text), text, None).build()


@lru_cache(maxsize=1)
def _shipped() -> naming.Reference:
    template = _template()
    items, found = places_of(template.text)
    return naming.Reference(
        tuple(template.boxes),
        items,
        naming.names().containers,
        blanks=tuple(template.fields),
        spots=found,
    )


def places_of(text: str) -> tuple[tuple[naming.Item, ...], tuple[Spot, ...]]:
    """What identifies each box and each blank of a text, in document order."""
    builder = _Builder(scan(text), text, None)
    return tuple(builder.items), builder.spots


def prefixes_of(
    document: Document, reference: naming.Reference | None
) -> tuple[dict[Path_, str], bool]:
    """The id prefix of each container that holds boxes or fields; whether it is the shipped plan's."""
    builder = _Builder(scan(document.text), document.text, reference or _shipped())
    builder.build()
    return dict(builder.prefixes), builder.shipped


class _Builder:
    """Turns one scan into a document. Without a reference, ids are counted within their container."""

    def __init__(self, found: Scan, text: str, reference: naming.Reference | None) -> None:
        self.scan, self.text, self.reference = found, text, reference
        self.headings = [h for h in found.headings if not re.match(r"notes?$", h.title, re.I)]
        self.level = self._section_level()
        self.path_at, self.title_at = self._paths()
        marks = found.marks
        self.labels = [plain(m.raw) for m in marks]
        self.items = [
            naming.Item(
                self.path_at[m.line],
                self.labels[m.parent] if m.parent is not None else "",
                self.labels[i],
            )
            for i, m in enumerate(marks)
        ]
        self.anchors = naming.Anchors({}, {}, ())
        self.kept: dict[int, str] = {}
        self.blanks = find_blanks(found)
        self.spots = spots(found, self.blanks, self.path_at)
        self.blank_ids = BlankIds(self.spots, reference)
        if reference is not None:
            self._anchor(reference)
        self.shipped = reference is None or (reference.shipped and bool(self.anchors.items))
        self.table = reference.prefixes if reference is not None else naming.names().containers
        self.prefixes: dict[Path_, str] = {}
        self.section_ids: dict[str, str] = {}
        self.taken = Taken()
        if reference is not None and (self.anchors.items or not reference.adopt):
            self.taken.update(reference.ids if not reference.adopt else self.kept.values())
        self.codes = Taken()
        self.section_codes = Taken(("DOC",))

    def _anchor(self, reference: naming.Reference) -> None:
        self.anchors = naming.match(self.items, reference.items, family=reference.adopt)
        unsure = {i for i, _ in self.anchors.reworded} if not reference.adopt else set()
        self.kept = {i: reference.ids[j] for i, j in self.anchors.items.items() if i not in unsure}
        if self.anchors.items or not reference.adopt:
            containers = self.blank_ids.match(self.anchors.containers)
            self.anchors = replace(self.anchors, containers=containers)

    def _section_level(self) -> int:
        levels = [h.level for h in self.headings]
        if not levels:
            return 7
        top = min(levels)
        if levels.count(top) == 1 and levels[0] == top and len(set(levels)) > 1:
            return min(level for level in levels if level > top)
        return top

    def _paths(self) -> tuple[list[Path_], dict[Path_, tuple[str, int]]]:
        """Container path of each line; raw title and zero-based line of each container."""
        paths: list[Path_] = []
        titles: dict[Path_, tuple[str, int]] = {(): ("", 0)}
        stack: list[tuple[int, str]] = []
        upcoming = iter([*self.headings, None])
        heading = next(upcoming)
        for number in range(len(self.scan.lines)):
            while heading is not None and heading.line <= number:
                stack = [entry for entry in stack if entry[0] < heading.level]
                if heading.level >= self.level:
                    stack.append((heading.level, plain(heading.title)))
                    path = tuple(title for _, title in stack)
                    titles.setdefault(path, (heading.title, heading.line))
                else:
                    titles[()] = (heading.title, heading.line)
                heading = next(upcoming)
            paths.append(tuple(title for _, title in stack))
        return paths, titles

    def prefix(self, path: Path_) -> str:
        """The id prefix of a container: from the table where it is known, else by rule."""
        if path not in self.prefixes:
            known = self.table.get(path)
            if known is None and path in self.anchors.containers:
                known = self.table.get(self.anchors.containers[path])
            if known is None and path:
                homes = {n[0]: o[0] for n, o in self.anchors.containers.items() if n and o}
                known = self.table.get((homes.get(path[0], path[0]), *path[1:]))
            ours = self.reference is None or bool(self.anchors.items)
            if known is None or not ours:
                known = self._section_code(path)
                if len(path) > 1:
                    known = f"{known}.{slug(' '.join(path[1:]), 24)}"
            self.prefixes[path] = unique(known, self.codes)
        return self.prefixes[path]

    def _section_code(self, path: Path_) -> str:
        if not path:
            return "DOC"
        if path[0] not in self.section_ids:
            wanted = section_code(path[0])
            for other, home in self.anchors.containers.items():
                if other[:1] == path[:1]:
                    wanted = self.table.get(home, wanted).split(".")[0]
            self.section_ids[path[0]] = unique(wanted, self.section_codes)
        return self.section_ids[path[0]]

    def section_of(self, path: Path_) -> str:
        """The section id of a container."""
        known = self.table.get(path)
        if known and self.prefix(path) == known:
            return known.split(".")[0]
        return self.prefix(path).split(".")[0] if path else "DOC"

    def build(self) -> Document:
        boxes = self._boxes()
        by_line = {box.line: box for box in boxes}
        fields, cells = self._fields(by_line)
        sections = self._sections(boxes, fields)
        boxes = mark_kinds(boxes, sections)
        tables = tuple(
            Table(
                table.line + 1,
                self.section_of(self.path_at[table.line]),
                tuple(plain(c.text) for c in table.header),
                tuple(
                    Row(n + 1, tuple(c.text for c in row), cells.get(n, {}))
                    for n, row in table.rows
                ),
            )
            for table in self.scan.tables
        )
        reworded = tuple(
            (self.reference.ids[j], self.reference.items[j].label, self.labels[i])
            for i, j in self.anchors.reworded
            if self.reference is not None and self.reference.adopt
        )
        asked = tuple(
            (self.reference.ids[j], self.reference.items[j].label, boxes[i].id, self.labels[i])
            for i, j in self.anchors.reworded
            if self.reference is not None and boxes[i].id != self.reference.ids[j]
        )
        return Document(
            self.text,
            self._sections(boxes, fields),
            {box.id: box for box in boxes},
            {item.id: item for item in fields},
            tables,
            tuple(self.scan.lines),
            tuple(self.scan.endings),
            reworded,
            asked,
            self.blank_ids.questions(fields),
        )

    def _boxes(self) -> list[Box]:
        ids: list[str] = []
        counts: defaultdict[str, int] = defaultdict(int)
        children: defaultdict[int, list[str]] = defaultdict(list)
        for i, mark in enumerate(self.scan.marks):
            path = self.path_at[mark.line]
            prefix = self.prefix(path) if mark.parent is None else ids[mark.parent]
            if self.reference is None:
                counts[prefix] += 1
                dot = "." if mark.parent is not None else ""
                box_id = f"{prefix}{dot}{counts[prefix]}"
            elif i in self.kept:
                box_id = self.reference.agreed.get(self.kept[i], self.kept[i])
            else:
                made = unique(f"{prefix}.{slug(self.labels[i])}", self.taken)
                box_id = self.reference.agreed.get(made, made)
                if box_id != made and box_id in ids:
                    box_id = made
            ids.append(box_id)
            if mark.parent is not None:
                children[mark.parent].append(box_id)
        return [
            Box(
                id=ids[i],
                label=self.labels[i],
                raw=mark.raw,
                line=mark.line + 1,
                depth=mark.depth,
                parent=ids[mark.parent] if mark.parent is not None else "",
                optional=bool(
                    _OPTIONAL.search(mark.raw)
                    or _OPTIONAL.search(" ".join(self.path_at[mark.line]))
                ),
                section_id=self.section_of(self.path_at[mark.line]),
                group_id=self.prefix(self.path_at[mark.line]),
                column=mark.column,
                checked=mark.checked,
                children=tuple(children[i]),
            )
            for i, mark in enumerate(self.scan.marks)
        ]

    def _fields(self, by_line: dict[int, Box]) -> tuple[list[Field], dict[int, dict[int, str]]]:
        self.blank_ids.match_in_boxes([box.id for box in by_line.values()])
        table = naming.names().fields if self.shipped else {}
        fields: list[Field] = []
        cells: defaultdict[int, dict[int, str]] = defaultdict(dict)
        for number, blank in enumerate(self.blanks):
            path = self.path_at[blank.line]
            box = by_line.get(blank.line + 1)
            home = box.id if box else self.prefix(path)
            name, label, fact = self.blank_ids.name(number, f"{home}.{blank.tail}", table)
            fields.append(self._field(blank, path, box, name, label, fact))
            if blank.in_table:
                cells[blank.line][blank.column] = name
        return fields, cells

    def _field(
        self, blank: Blank, path: Path_, box: Box | None, name: str, label: str, fact: str
    ) -> Field:
        return Field(
            id=name,
            label=label or blank.label,
            type=blank.type,
            line=blank.line + 1,
            section_id=self.section_of(path),
            fact=fact,
            group_id=self.prefix(path),
            kind=blank.kind,
            start=blank.start,
            end=blank.end,
            box=box.id if box else "",
            in_table=blank.in_table,
        )

    def _sections(self, boxes: list[Box], fields: list[Field]) -> tuple[Section, ...]:
        places: dict[str, dict[str, Path_]] = {}
        used = {box.line for box in boxes} | {item.line for item in fields}
        homes = {self.path_at[line - 1] for line in used}
        for path in dict.fromkeys(self.path_at):
            if path in homes:
                places.setdefault(self.section_of(path), {})[self.prefix(path)] = path
        goals: dict[Path_, str] = {}
        for number, text in enumerate(self.scan.lines):
            found = _GOAL.match(text)
            if found:
                goals.setdefault(self.path_at[number][:1], plain(found.group(1)))
        by_group: defaultdict[str, tuple[list[Box], list[Field]]] = defaultdict(lambda: ([], []))
        for box in boxes:
            by_group[box.group_id][0].append(box)
        for item in fields:
            by_group[item.group_id][1].append(item)
        out = []
        for section_id, groups in places.items():
            top = next(iter(groups.values()))[:1]
            title, line = self.title_at.get(top, ("", 0))
            parts = tuple(
                self._group(prefix, at, *by_group[prefix]) for prefix, at in groups.items()
            )
            short, goal = strip_emoji(title), goals.get(top, "")
            out.append(Section(section_id, title, short, line + 1, goal, parts))
        return tuple(out)

    def _group(self, prefix: str, path: Path_, boxes: list[Box], fields: list[Field]) -> Group:
        title, line = self.title_at.get(path, ("", 0))
        return Group(prefix, strip_emoji(title), line + 1, tuple(boxes), tuple(fields))
