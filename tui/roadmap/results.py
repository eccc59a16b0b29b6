"""`evaluation/results/comparison.json`: what the evaluation hands to the gate, found and read once.

The schema (`tui.roadmap.comparison`) is imported with the first such file: before there is one, a
start does without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tui.files import read_file
from tui.roadmap.describe import visible

if TYPE_CHECKING:
    from tui.roadmap.comparison import Comparison

RESULTS = Path("evaluation") / "results"
PATH = RESULTS / "comparison.json"
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """A read comparison, or why there is none. `sha256` is of the file's bytes, "" without a file."""

    comparison: Comparison | None
    sha256: str
    problem: str
    at: int = 0
    """UTC ms of the file's last change, 0 without a file."""
    path: Path = PATH
    """Where it was read from, inside the workspace."""


@lru_cache(maxsize=8)
def _read(path: Path, mtime_ns: int, _rest: tuple[int, int, int]) -> Loaded:
    try:
        blob = read_file(path, MAX_BYTES)
    except OSError as error:
        return Loaded(None, "", f"{path.name}: {error.strerror}")
    digest = hashlib.sha256(blob).hexdigest()
    if twice := _twice(blob):
        why = f"{path.name}: {visible(twice[:80])} stands twice in one object"
        return Loaded(None, digest, why, mtime_ns // 1_000_000)
    from pydantic import ValidationError

    from tui.roadmap.comparison import Comparison

    try:
        return Loaded(Comparison.model_validate_json(blob), digest, "", mtime_ns // 1_000_000)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = visible(".".join(str(part) for part in first["loc"])[:80])
        why = f"{path.name}: {where or 'file'}: {first['msg'][:200]}"
        return Loaded(None, digest, why, mtime_ns // 1_000_000)


def _twice(blob: bytes) -> str:
    """A key that an object holds twice, "" for none: which of the two counts is anybody's guess."""
    found = ""

    def pairs(given: list[tuple[str, object]]) -> None:
        nonlocal found
        count = Counter(key for key, _ in given)
        if len(count) < len(given):
            found = count.most_common(1)[0][0]

    with contextlib.suppress(ValueError, RecursionError):  # the schema says what is wrong with it
        json.loads(blob, object_pairs_hook=pairs)
    return found


def load_file(path: Path) -> Loaded:
    """The comparison in a file; read again only when the file changed."""
    try:
        info = path.stat()
    except OSError:
        return Loaded(None, "", f"{path.name} does not exist yet")
    # The time of the inode, too: a copy that keeps size and mtime is another file all the same.
    return _read(path, info.st_mtime_ns, (info.st_ino, info.st_size, info.st_ctime_ns))


def load_comparison(root: Path) -> Loaded:
    """The newest comparison of a workspace folder; read again only when the file changed."""
    loaded = load_file(root / PATH)
    if not loaded.sha256 and loaded.problem.endswith("does not exist yet"):
        return replace(loaded, problem=f"{PATH.as_posix()} does not exist yet")
    return loaded


def stage_comparison(root: Path, stage: str) -> Loaded:
    """The comparison of one stage: its own file, else the newest where that does not name another one."""
    own = RESULTS / stage / PATH.name
    if re.fullmatch(r"[\w-]+", stage) and (root / own).exists():
        return replace(load_file(root / own), path=own)
    newest = load_comparison(root)
    found = newest.comparison
    if found is not None and "stage" in found.model_fields_set and found.stage != stage:
        why = f"{PATH.as_posix()} is of {visible(found.stage[:40])}, not of {stage}"
        return Loaded(None, "", why)
    return newest
