"""Finding and reading files of the workspace: bounded, and never outside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui.roadmap.rules.base import Finding, InsidePath, Params, ProbeFailed, skip

MAX_JSON = 16 * 2**20
MAX_FILES = 2000


def not_yet(path: str, made_by: str, expected: str) -> Finding:
    """The state before a stage was reached: nothing is wrong."""
    by = f": made by {made_by}" if made_by else ""
    return skip(f"no {path} yet{by}", expected, path=path)


def matching(root: Path, pattern: str) -> list[Path]:
    """Files of the workspace that a path or glob names; links that lead out of it are left out."""
    home = root.resolve()
    found = [p for p in root.glob(pattern) if p.is_file() and p.resolve().is_relative_to(home)]
    return sorted(found)[:MAX_FILES]


class MadeParams(Params):
    """A path or glob inside the workspace, and the words for what makes it."""

    path: InsidePath
    made_by: str = ""


def read_json(path: Path) -> Any:
    """The value of a JSON file up to 16 MiB. Raises ProbeFailed."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise ProbeFailed("too-large", f"{path.name} is larger than 16 MiB")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ProbeFailed("unreadable", f"{path.name}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ProbeFailed("not-json", f"{path.name} is not JSON") from None


def read_manifest(path: Path, key: str = "files") -> dict[str, str]:
    """Path to sha256 of a manifest. Raises ProbeFailed for anything else."""
    data = read_json(path)
    table = data.get(key) if isinstance(data, dict) else None
    if not isinstance(table, dict) or not table or len(table) > MAX_FILES:
        raise ProbeFailed("manifest", f"{path.name} has no table “{key}”")
    out = {}
    for name, value in table.items():
        digest = value.get("sha256") if isinstance(value, dict) else value
        if not isinstance(digest, str) or ".." in Path(name).parts or Path(name).is_absolute():
            raise ProbeFailed("manifest", f"{path.name}: {name[:60]} has no sha256")
        out[name] = digest.removeprefix("sha256:")
    return out
