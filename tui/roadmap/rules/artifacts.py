"""Rules over files that the pipeline leaves in the workspace: there, whole, and of the right kind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.dataset.samples import sha256_file
from tui.roadmap.rules.base import (
    Context,
    Finding,
    InsidePath,
    Positive,
    ProbeFailed,
    Rule,
    judge,
    warn,
)
from tui.roadmap.rules.media import Kind, NotThatKind, look, mp4_seconds
from tui.roadmap.rules.paths import MadeParams, matching, not_yet, read_manifest
from tui.settings import Settings

MIB = 2**20


class FileParams(MadeParams):
    """At least `count` files of a `kind`; sizes in MiB; `cites` a file whose sha256 must stand inside."""

    kind: Kind = "any"
    count: Positive = 1
    kinds: dict[Kind, Positive] = {}
    contains: tuple[str, ...] = ()
    cites: InsidePath | None = None
    min_mib: Annotated[float, Field(ge=0)] = 0.0
    max_mib: Annotated[float, Field(gt=0)] | None = None
    seconds: tuple[float, float] | None = None
    newer_than: InsidePath | None = None

    def expects(self, settings: Settings) -> str:
        del settings
        kinds = self.kinds or {self.kind: self.count}
        names = [f"{n} {'file' if kind == 'any' else kind}" for kind, n in kinds.items()]
        parts = [f"at least {' and '.join(names)} at {self.path}"]
        if self.contains:
            parts.append(f"with {', '.join(self.contains)}")
        if self.cites:
            parts.append(f"citing the sha256 of {self.cites}")
        if self.max_mib is not None:
            parts.append(f"{self.min_mib:g} to {self.max_mib:g} MiB")
        if self.newer_than:
            parts.append(f"newer than {self.newer_than}")
        if self.seconds:
            parts.append(f"{self.seconds[0]:g} to {self.seconds[1]:g} s long")
        return ", ".join(parts)


def _sort(paths: list[Path], params: FileParams) -> tuple[dict[Kind, int], list[str], list[str]]:
    kinds = params.kinds or {params.kind: params.count}
    counts = dict.fromkeys(kinds, 0)
    facts, problems = [], []
    for path in paths:
        suffix = path.suffix.lower().lstrip(".")
        kind = suffix if suffix in kinds else params.kind
        if kind not in kinds:
            continue
        try:
            facts.append(f"{path.name} {look(path, kind)}")
            counts[kind] += 1
        except NotThatKind as error:
            problems.append(f"{path.name} {error}")
        except OSError as error:
            problems.append(f"{path.name}: {error.strerror}")
    problems += [f"{counts[k]} of {n} {k}" for k, n in kinds.items() if counts[k] < n]
    return counts, facts, problems


def _inside_text(path: Path, root: Path, params: FileParams) -> list[str]:
    """What is missing in the text of one file."""
    wanted = {text: text for text in params.contains}
    if params.cites:
        cited = root / params.cites
        if not cited.is_file():
            return [f"{params.cites} does not exist"]
        wanted[sha256_file(cited)[:12]] = f"the sha256 of {params.cites} as it is now"
    text = path.read_bytes()[: 8 * MIB].decode("utf-8", "replace") if wanted else ""
    return [f"{path.name} lacks {name}" for word, name in wanted.items() if word not in text]


def _file(root: Path, params: FileParams) -> Finding:
    expected = params.expects(Settings())
    paths = matching(root, params.path)
    if not paths:
        return not_yet(params.path, params.made_by, expected)
    counts, facts, problems = _sort(paths, params)
    soft: list[str] = []
    for path in paths:
        problems += _inside_text(path, root, params)
        mib = path.stat().st_size / MIB
        if params.max_mib is not None and not params.min_mib <= mib <= params.max_mib:
            soft.append(f"{path.name} has {mib:.0f} MiB")
        if params.seconds and not problems:
            low, high = params.seconds
            length = mp4_seconds(path)
            if not low <= length <= high:
                problems.append(f"{path.name} lasts {length:.0f} s")
    made_of = matching(root, params.newer_than) if params.newer_than else []
    if params.newer_than and not made_of:
        problems.append(f"there is no {params.newer_than}")
    newest = max((p.stat().st_mtime for p in made_of), default=0.0)
    problems += [f"{p.name} is older than its source" for p in paths if p.stat().st_mtime < newest]
    hashes = {p.relative_to(root).as_posix(): sha256_file(p) for p in paths[:20]}
    more = f" and {len(facts) - 3} more" if len(facts) > 3 else ""
    found = f"{'; '.join(facts[:3])}{more}" or f"{len(paths)} files"
    result = judge(
        not problems, expected, found, "; ".join(problems[:5]), files=hashes, counts=counts
    )
    return warn(result, "; ".join(soft[:3])) if soft and not problems else result


async def file(ctx: Context, params: FileParams) -> Finding:
    """Files of the wanted kind are there; an unusual size is a WARN."""
    return await asyncio.to_thread(_file, ctx.root, params)


class ManifestParams(MadeParams):
    """A manifest {"files": {path: sha256}}; `key` may name another table in it.

    The paths are relative to `folder`, or to the manifest's own folder.
    """

    key: str = "files"
    folder: InsidePath | None = None
    count: int = 0

    def expects(self, settings: Settings) -> str:
        del settings
        many = f"{self.count} files" if self.count else "every file"
        return f"{many} of {self.path} with the sha256 written there"


def _manifest(root: Path, params: ManifestParams) -> Finding:
    expected = params.expects(Settings())
    paths = matching(root, params.path)
    if not paths:
        return not_yet(params.path, params.made_by, expected)
    try:
        listed = read_manifest(paths[0], params.key)
    except ProbeFailed as error:
        return judge(False, expected, paths[0].name, str(error))
    base = root / params.folder if params.folder else paths[0].parent
    problems = []
    for name, digest in listed.items():
        path = base / name
        if not path.is_file():
            problems.append(f"{name} is gone")
        elif sha256_file(path) != digest:
            problems.append(f"{name} has another sha256")
    if params.count and len(listed) != params.count:
        problems.append(f"{len(listed)} files listed")
    found = f"{len(listed)} files, {len(listed) - len(problems)} equal"
    return judge(not problems, expected, found, "; ".join(problems[:5]), files=listed)


async def manifest(ctx: Context, params: ManifestParams) -> Finding:
    """Every file that the manifest names has the bytes that it had when it was written."""
    return await asyncio.to_thread(_manifest, ctx.root, params)


RULES = {"file": Rule(FileParams, file), "manifest": Rule(ManifestParams, manifest)}
