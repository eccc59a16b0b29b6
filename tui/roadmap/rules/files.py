"""Rules over JSON lines: datasets, candidates, generated samples, and how they are split."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from tui.roadmap.rules.base import (
    Context,
    Finding,
    InsidePath,
    Positive,
    ProbeFailed,
    Rule,
    judge,
)
from tui.roadmap.rules.jsonfile import Condition, pick, unmet
from tui.roadmap.rules.paths import MadeParams, matching, not_yet, read_json
from tui.settings import Settings

MAX_BYTES = 256 * 1024 * 1024
SPLITS = ("train", "validation", "test")


class Share(BaseModel):
    """At least the share `least` (0..1) of the lines has a true value at `at`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    least: Annotated[float, Field(gt=0, le=1)] = 1.0


class SamplesParams(MadeParams):
    """JSON lines in exactly `files` files (0: any number), with what every line must hold.

    `lines` is the exact number over all files, `at_least` a lower bound. `keys` are dotted paths that must
    be filled (`comments.*.text`: in every comment), `absent` ones that must not. `same_ids` and `disjoint`
    name other files whose ids must be the same, or must not appear here.
    """

    lines: Positive | None = None
    at_least: Annotated[int, Field(ge=0)] = 0
    files: Annotated[int, Field(ge=0)] = 1
    keys: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    unique: str = ""
    where: tuple[Condition, ...] = ()
    share: Share | None = None
    same_ids: InsidePath | None = None
    disjoint: tuple[InsidePath, ...] = ()

    def expects(self, settings: Settings) -> str:
        del settings
        many = f"{self.lines}" if self.lines else f"at least {max(1, self.at_least)}"
        parts = [f"{many} samples at {self.path}"]
        parts += [f"with {', '.join(self.keys)}"] if self.keys else []
        parts += [f"without {', '.join(self.absent)}"] if self.absent else []
        parts += [f"unique {self.unique}"] if self.unique else []
        parts += [str(c) for c in self.where]
        if self.share:
            parts.append(f"{self.share.at} in {self.share.least:.0%}")
        parts += [f"ids as in {self.same_ids}"] if self.same_ids else []
        parts += [f"no id of {', '.join(self.disjoint)}"] if self.disjoint else []
        return ", ".join(parts)


def _filled(sample: dict[str, Any], at: str) -> bool:
    found = pick(sample, at)
    return bool(found) and all(value not in (None, "", [], {}) for value in found)


class _Scan:
    """What one pass over the lines of some files finds."""

    def __init__(self, params: SamplesParams, root: Path) -> None:
        self.params, self.root = params, root
        self.lines = self.repeated = self.shared = 0
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.seen: set[str] = set()
        self.hashes: dict[str, str] = {}

    def file(self, path: Path) -> None:
        """Reads one file."""
        if path.stat().st_size > MAX_BYTES:
            self.problems.append(f"{path.name} is larger than 256 MiB")
            return
        digest = hashlib.sha256()
        with path.open("rb") as lines:
            for number, raw in enumerate(lines, start=1):
                digest.update(raw)
                self.lines += 1
                self._line(raw, f"{path.name} line {number}")
        self.hashes[path.relative_to(self.root).as_posix()] = digest.hexdigest()

    def _line(self, raw: bytes, where: str) -> None:
        try:
            sample = json.loads(raw)
        except (ValueError, RecursionError):
            sample = None
        if not isinstance(sample, dict):
            self.problems.append(f"{where} is no JSON object")
            return
        params = self.params
        lacks = [key for key in params.keys if not _filled(sample, key)]
        extra = [key for key in params.absent if _filled(sample, key)]
        if lacks:
            self.problems.append(f"{where}: {', '.join(lacks)} missing")
        if extra:
            self.problems.append(f"{where}: {', '.join(extra)} must not be there")
        if params.where:
            self.problems += [f"{where}: {p}" for p in unmet(sample, params.where, self.root)]
        if params.share:
            found = pick(sample, params.share.at)
            self.shared += bool(found) and all(value is True for value in found)
        key = str(sample.get(params.unique or "id"))
        self.repeated += key in self.seen and bool(params.unique)
        self.seen.add(key)
        self.ids.append(key)


def ids_of(paths: Iterable[Path]) -> set[str]:
    """Ids in JSONL files. Raises ProbeFailed for a line that is no object."""
    found = set()
    for path in paths:
        with path.open("rb") as lines:
            for number, raw in enumerate(lines, start=1):
                try:
                    found.add(str(json.loads(raw)["id"]))
                except (ValueError, KeyError, TypeError, RecursionError):
                    raise ProbeFailed("no-id", f"{path.name} line {number} has no id") from None
    return found


def _against(scan: _Scan, params: SamplesParams, root: Path) -> list[str]:
    problems = []
    if params.same_ids:
        others = ids_of(matching(root, params.same_ids))
        if others != scan.seen:
            lost, new = len(others - scan.seen), len(scan.seen - others)
            problems.append(f"{lost} ids of {params.same_ids} missing, {new} others")
    for pattern in params.disjoint:
        both = ids_of(matching(root, pattern)) & scan.seen
        if both:
            problems.append(f"{len(both)} ids also in {pattern}, {min(both)[:40]} first")
    return problems


def _samples(root: Path, params: SamplesParams) -> Finding:
    expected = params.expects(Settings())
    paths = matching(root, params.path)
    if not paths:
        return not_yet(params.path, params.made_by, expected)
    for other in (params.same_ids, *params.disjoint):
        if other and not matching(root, other):
            return not_yet(other, params.made_by, expected)
    if params.files and len(paths) != params.files:
        what = "more than one file fits" if params.files == 1 else f"not {params.files} files fit"
        return judge(False, expected, f"{len(paths)} files", f"{what} {params.path}")
    scan = _Scan(params, root)
    for path in paths:
        scan.file(path)
    problems = scan.problems[:3]
    problems += [f"{len(scan.problems) - 3} more like this"] if len(scan.problems) > 3 else []
    problems += [f"{scan.repeated} repeated {params.unique}"] if scan.repeated else []
    least = max(1, params.at_least)
    if (params.lines and scan.lines != params.lines) or (not params.lines and scan.lines < least):
        problems.append(f"{scan.lines} lines")
    if params.share and scan.lines and scan.shared < params.share.least * scan.lines:
        problems.append(f"{params.share.at} in {scan.shared} of {scan.lines}")
    problems += _against(scan, params, root)
    name = paths[0].relative_to(root).as_posix() if len(paths) == 1 else f"{len(paths)} files"
    digest = next(iter(scan.hashes.values()), "")
    found = f"{scan.lines} samples in {name}, sha256 {digest[:12]}"
    return Finding(
        "FAIL" if problems else "PASS", expected, found, "; ".join(problems[:6]), "pipeline:dataset",
        data={"lines": scan.lines, "files": scan.hashes, "problems": scan.problems[:20]},
    )  # fmt: skip


async def samples(ctx: Context, params: SamplesParams) -> Finding:
    """The right number of lines, each a JSON object with all that it must hold."""
    return await asyncio.to_thread(_samples, ctx.root, params)


class SplitParams(MadeParams):
    """A folder with one folder for each arm, each with train, validation and test JSONL of these sizes."""

    arms: tuple[str, ...] = ("control", "experiment")
    train: Positive
    validation: Annotated[int, Field(ge=0)] = 0
    test: Annotated[int, Field(ge=0)] = 0
    seed_in: InsidePath | None = None
    """A JSON file with the "seed" of the split."""

    @property
    def sizes(self) -> dict[str, int]:
        """Split name to its number of samples; a split of 0 is not looked for."""
        sizes = {name: getattr(self, name) for name in SPLITS}
        return {name: size for name, size in sizes.items() if size}

    def expects(self, settings: Settings) -> str:
        del settings
        sizes = "/".join(map(str, self.sizes.values()))
        return f"{sizes} in {self.path}, no id twice, the same ids in {' and '.join(self.arms)}"


def _split(root: Path, params: SplitParams) -> Finding:
    expected = params.expects(Settings())
    problems, counts = [], {}
    ids: dict[tuple[str, str], set[str]] = {}
    for arm in params.arms:
        for name, size in params.sizes.items():
            path = root / params.path / arm / f"{name}.jsonl"
            if not path.is_file():
                return not_yet(path.relative_to(root).as_posix(), params.made_by, expected)
            found = ids_of([path])
            lines = sum(1 for _ in path.open("rb"))
            ids[arm, name], counts[f"{arm}/{name}"] = found, lines
            if lines != size or len(found) != size:
                problems.append(f"{arm}/{name}: {lines} lines, {len(found)} ids")
    for arm in params.arms:
        union = set().union(*(ids[arm, name] for name in params.sizes))
        total = sum(len(ids[arm, name]) for name in params.sizes)
        if len(union) != total:
            problems.append(f"{arm}: {total - len(union)} ids stand in two splits")
    for name in params.sizes:
        if len({frozenset(ids[arm, name]) for arm in params.arms}) > 1:
            problems.append(f"{name}: the arms hold different ids")
    if params.seed_in:
        paths = matching(root, params.seed_in)
        if not paths:
            return not_yet(params.seed_in, params.made_by, expected)
        seed = pick(read_json(paths[0]), "seed")
        problems += [] if seed and isinstance(seed[0], int) else [f"{params.seed_in} names no seed"]
    found_text = ", ".join(f"{k} {v}" for k, v in counts.items())
    return judge(not problems, expected, found_text, "; ".join(problems[:5]), counts=counts)


async def split(ctx: Context, params: SplitParams) -> Finding:
    """Sizes are exact, the splits share no id, the arms are paired."""
    return await asyncio.to_thread(_split, ctx.root, params)


RULES = {"samples": Rule(SamplesParams, samples), "split": Rule(SplitParams, split)}
