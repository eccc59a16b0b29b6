"""What a decision stands on, and whether that is still so.

Pinned are each criterion's value, threshold, verdict and evidence, the same of the strict gate, the gate's
definitions, the hash of each file and of the evidence of the boxes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins

from tui.files import read_file
from tui.roadmap import evidence
from tui.roadmap.errors import UnknownId

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes
    from tui.roadmap.gate import GateReport

TRAINED = ("S3.TC4", "S3.TE4")
"""Boxes whose checks prove that both models were trained."""


def pinned_now(ws: Changes, report: GateReport) -> dict[str, Any]:
    """Everything that a decision taken now would pin."""

    verdicts, shown = ws.state.verdicts, report.shown
    return {
        **shown,
        "strict": {"rule": report.strict.rule, **shown["strict"]},
        "definitions": to_builtins(ws.settings.gate),
        "evidence": {
            box: verdicts[box].evidence
            for box in TRAINED
            if box in verdicts and verdicts[box].evidence
        },
    }


def what_changed(signed: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """One short text for each thing that is not what it was, "C2 value +12.4 % -> +30.0 %"."""
    out: list[str] = []
    for before, after in _pairs(signed, now):
        for key in ("value", "threshold", "verdict"):
            if before.get(key) != after.get(key):
                out.append(f"{after['id']} {key} {before.get(key)} -> {after.get(key)}")
    for name, what in (
        ("definitions", "definition of"),
        ("files", ""),
        ("evidence", "evidence of"),
    ):
        old, new = signed.get(name), now.get(name, {})
        if not isinstance(old, Mapping):
            continue  # signed before this was pinned
        for key in sorted({*old, *new}):
            if old.get(key) != new.get(key):
                out.append(
                    " ".join(f"{what} {key} {_short(old, key)} -> {_short(new, key)}".split())
                )
    return tuple(out)


def _hashes(pinned: Mapping[str, Any]) -> list[str]:
    """Names of all evidence that a decision stands on."""
    found: list[Any] = []
    for name in ("files", "evidence"):
        part = pinned.get(name)
        found += part.values() if isinstance(part, Mapping) else ()
    for part in (pinned, pinned.get("strict")):
        criteria = part.get("criteria") if isinstance(part, Mapping) else None
        if isinstance(criteria, list):
            found += [c.get("evidence") for c in criteria if isinstance(c, Mapping)]
    return sorted({name for name in found if isinstance(name, str) and name})


def blobs_there(root: Path, pinned: Mapping[str, Any]) -> list[str]:
    """Which of its evidence lies in the evidence folder, unharmed."""
    return [name for name in _hashes(pinned) if not _harm(root, name)]


def blobs_changed(root: Path, pinned: Mapping[str, Any]) -> tuple[str, ...]:
    """One short text for each piece of evidence that was there at the signature and is not what it was."""
    known = pinned.get("blobs")
    names = [n for n in known if isinstance(n, str)] if isinstance(known, list) else []
    return tuple(
        f"evidence {name.removeprefix('sha256:')[:12]} {harm}"
        for name in names
        if (harm := _harm(root, name))
    )


def _harm(root: Path, name: str) -> str:
    """What is wrong with a piece of evidence, "" for nothing; its bytes are read when it changed."""
    try:
        path = evidence.path(root / "evidence", name)
        info = path.stat()
    except (OSError, UnknownId):
        return "is gone"
    stamp = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    return "" if _unharmed(path, stamp) else "was changed"


@lru_cache(maxsize=256)
def _unharmed(path: Path, _stamp: tuple[int, ...]) -> bool:
    try:
        blob = read_file(path, evidence.MAX_READ)
    except OSError:
        return False
    return hashlib.sha256(blob).hexdigest() == path.name


def _pairs(signed: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    out = []
    for old, new in ((signed, now), (signed.get("strict", {}), now["strict"])):
        before = {c.get("id"): c for c in old.get("criteria", ()) if isinstance(c, Mapping)}
        out += [(before[c["id"]], c) for c in new["criteria"] if c["id"] in before]
    return out


def _short(found: Mapping[str, Any], key: str) -> str:
    text = str(found.get(key, "none"))
    return text.removeprefix("sha256:")[:12] if text.startswith("sha256:") else text[:40]


def smallest_effect(n: int, alpha: float) -> float | None:
    """The least |d_z| that a two-sided paired t-test over `n` samples calls significant; None below 3.

    t(alpha / 2, n - 1) / sqrt(n), the quantile by the Cornish-Fisher expansion of Student's t (Abramowitz
    and Stegun 26.7.5): within 0.2 % from n = 6 on.
    """
    if n < 3:
        return None
    z, v = NormalDist().inv_cdf(1 - alpha / 2), n - 1
    t = (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )
    return t / sqrt(n)
