"""Reads `bindings.toml`: which rule, with which parameters, proves which box.

The shipped file speaks of the shipped roadmap and holds for boxes that still are the shipped ones; a file
of the same name in a workspace adds to it and overrides it box by box. What is wrong in it is named with
file and line, everything at once, and the rest goes on working.
"""

from __future__ import annotations

import difflib
import graphlib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tui.files import read_file
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue
from tui.roadmap.freshness import numbers
from tui.roadmap.naming import TEMPLATE
from tui.roadmap.rules.base import Params
from tui.roadmap.rules.registry import RULES
from tui.settings import Settings
from tui.toml_lines import key_line, table_lines

if TYPE_CHECKING:
    from tui.roadmap.workspace import Workspace

FILE_NAME = "bindings.toml"
SHIPPED = Path(__file__).parent / FILE_NAME
MAX_BYTES = 1024 * 1024
SAME_BOX = 0.6
"""Likeness (difflib ratio) from which a reworded box still is the shipped one."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One box, its rule and the checked parameters. `source` is "file:line"."""

    item: str
    rule: str
    params: Params
    source: str = ""

    @property
    def hint(self) -> bool:
        """True where the finding is shown but a person ticks."""
        return self.params.hint

    def basis(self, settings: Settings) -> str:
        """Fingerprint of rule, parameters and thresholds: another one makes an old verdict stale."""
        parts = [self.rule, self.params.model_dump(mode="json"), self.params.expects(settings)]
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a bindings file; `item` is the box it is about, "" for the whole file."""

    item: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Bindings:
    """All bindings that hold for a roadmap, and what is wrong with the others."""

    bound: Mapping[str, Binding]
    problems: tuple[Problem, ...] = ()
    broken: Mapping[str, Problem] = field(default_factory=dict)
    unconfirmed: Mapping[str, str] = field(default_factory=dict)
    """Why a shipped check may expect the wrong thing: the box names other numbers than it was made for."""

    def needs(self, items: Iterable[str]) -> frozenset[str]:
        """What the checks of these boxes look at ("runs", "hosts", "network"), those below them included."""
        found: set[str] = set()
        todo, seen = list(items), set()
        while todo:
            item = todo.pop()
            binding = self.bound.get(item)
            if binding is None or item in seen:
                continue
            seen.add(item)
            found |= RULES[binding.rule].needs
            todo += [getattr(binding.params, "item", "")]
        return frozenset(found)


def read_text(text: str, name: str = FILE_NAME) -> tuple[dict[str, Binding | None], list[Problem]]:
    """Item id to its binding (None takes one away), and everything that is wrong."""
    try:
        data = tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError, too
        found = re.search(r"at line (\d+)", str(error))
        line = found.group(1) if found else str(text.count("\n") + 1)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        if not isinstance(error, tomllib.TOMLDecodeError):
            reason = "a number is too long, or it is nested too deeply"
        return {}, [Problem("", f"{name}:{line}", f"not valid TOML: {reason}")]
    bound: dict[str, Binding | None] = {}
    problems: list[Problem] = []
    lines = table_lines(text)
    for item, entry in data.items():
        place = f"{name}:{lines.get(item, 1)}"
        rule = entry.get("rule") if isinstance(entry, dict) else None
        if rule == "none" and len(entry) == 1:
            bound[item] = None
        elif not isinstance(rule, str) or rule not in RULES:
            known = ", ".join(sorted(RULES))
            near = difflib.get_close_matches(str(rule), RULES, 1)
            guess = f"; did you mean {near[0]}?" if near else f": must be one of {known}"
            if rule is None and isinstance(entry, dict) and _parts(entry):
                inner = next(iter(entry))
                text_ = f'write ["{item}.{inner}"], with the box in quotes'
                problems.append(Problem(item, place, text_))
                continue
            what = f"rule: there is no “{str(rule)[:40]}”" if rule else "rule: is missing"
            problems.append(Problem(item, place, f"{item}.{what}{guess}"))
        else:
            try:
                kept = {k: v for k, v in entry.items() if k != "rule"}
                bound[item] = Binding(item, rule, RULES[rule].params.model_validate(kept), place)
            except ValidationError as error:
                problems += _invalid(error, item, text, name)
    return bound, problems


def _parts(entry: dict[str, object]) -> bool:
    """True for `[S0.T1]` without quotes: a table of tables."""
    return bool(entry) and all(isinstance(value, dict) for value in entry.values())


def _invalid(error: ValidationError, item: str, text: str, name: str) -> Iterable[Problem]:
    for each in error.errors(include_url=False)[:20]:
        key = tuple(str(part) for part in each["loc"])
        what = "no such parameter" if each["type"] == "extra_forbidden" else each["msg"]
        line = key_line(text, (item, *key))
        yield Problem(item, f"{name}:{line}", f"{'.'.join((item, *key))}: {what}")


def parse_bindings(text: str, name: str = FILE_NAME) -> dict[str, Binding | None]:
    """Like `read_text`, but raises InvalidValue with all problems, one a line."""
    bound, problems = read_text(text, name)
    if problems:
        raise InvalidValue("\n".join(map(str, problems)))
    return bound


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Binding | None]:
    return parse_bindings(SHIPPED.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _template() -> Document:
    return Document.parse(TEMPLATE.read_text(encoding="utf-8"))


def is_shipped_box(document: Document, item: str) -> bool:
    """True where a box is the shipped roadmap's one of that id, reworded or not."""
    here, there = document.boxes.get(item), _template().boxes.get(item)
    if here is None or there is None:
        return False
    if here.label == there.label:
        return True
    return difflib.SequenceMatcher(None, here.label, there.label).ratio() >= SAME_BOX


def own_file(root: Path) -> tuple[int, int]:
    """What tells one version of a workspace's own file from another; (0, 0) without one."""
    try:
        info = (root / FILE_NAME).stat()
    except OSError:
        return 0, 0
    return info.st_mtime_ns, info.st_size


def _own(root: Path) -> tuple[dict[str, Binding | None], list[Problem]]:
    path = root / FILE_NAME
    try:
        info = path.stat()
        return _cached(path, info.st_mtime_ns, info.st_size)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return {}, [Problem("", f"{FILE_NAME}:1", str(error.strerror))]


@lru_cache(maxsize=8)
def _cached(
    path: Path, mtime_ns: int, size: int
) -> tuple[dict[str, Binding | None], list[Problem]]:
    del mtime_ns, size
    try:
        return read_text(read_file(path, MAX_BYTES).decode("utf-8"))
    except OSError as error:
        return {}, [Problem("", f"{FILE_NAME}:1", f"{error.strerror}; it was left out")]
    except UnicodeDecodeError as error:
        return {}, [Problem("", f"{FILE_NAME}:1", f"not UTF-8 (byte {error.start})")]


def read_bindings(root: Path, document: Document) -> Bindings:
    """The bindings that hold for a roadmap in a workspace folder. Never fails: problems are part of it."""
    own, found = _own(root)
    problems = list(found)
    bound = {
        item: binding
        for item, binding in _shipped().items()
        if binding is not None and item not in own and is_shipped_box(document, item)
    }
    for item, binding in own.items():
        if item not in document.boxes:
            place = binding.source if binding else FILE_NAME
            near = difflib.get_close_matches(item, document.boxes, 1)
            guess = f"; did you mean {near[0]}?" if near else ""
            problems.append(Problem(item, place, f"the roadmap has no box {item}{guess}"))
        elif binding is not None:
            bound[item] = binding
    for problem in problems:
        bound.pop(problem.item, None)
    problems += _cycles(bound, document)
    broken = {p.item: p for p in problems if p.item in document.boxes}
    good = {i: b for i, b in bound.items() if i not in broken}
    unconfirmed = {
        item: reason
        for item in good
        if item not in own and (reason := _other_numbers(document.boxes[item].label, item))
    }
    return Bindings(good, tuple(problems), broken, unconfirmed)


def _other_numbers(label: str, item: str) -> str:
    """What a person has to confirm where a box names other numbers than the shipped one, "" else."""
    there = _template().boxes[item].label
    before, after = numbers(there), numbers(label)
    if before == after:
        return ""
    was, now = ", ".join(before) or "none", ", ".join(after) or "none"
    return f"the box says {now} where its check was made for {was}: bind {item} in {FILE_NAME}"


def _cycles(bound: Mapping[str, Binding], document: Document) -> list[Problem]:
    """One problem for each box that waits for itself, with the way round."""
    waits = {i: {x for x in b.params.boxes(document) if x in bound} for i, b in bound.items()}
    found: list[Problem] = []
    while True:
        try:
            graphlib.TopologicalSorter(waits).prepare()
            return found
        except graphlib.CycleError as error:
            ring = list(error.args[1])[::-1]  # each waits for the next one
        way = " → ".join(ring)
        for item in dict.fromkeys(ring):
            found.append(Problem(item, bound[item].source, f"{item} waits for itself: {way}"))
            waits[item] = set()


def bindings_of(ws: Workspace) -> Bindings:
    """The bindings of an open workspace."""
    return ws.bindings


def load_bindings(root: Path, document: Document | None = None) -> dict[str, Binding]:
    """The bindings of a folder by box, for its roadmap or the shipped one."""
    return dict(read_bindings(root, document or _template()).bound)
