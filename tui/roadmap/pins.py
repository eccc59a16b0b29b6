"""What a decision stands on, and whether that is still so.

Pinned are each criterion's value, threshold, verdict and evidence, the same of the strict gate, the gate's
definitions, the hash of each file and of the evidence of the boxes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes
    from tui.roadmap.gate import GateReport

TRAINED = ("S3.TC4", "S3.TE4")
"""Boxes whose checks prove that both models were trained."""


def pinned_now(ws: Changes, report: GateReport, files: Mapping[str, str]) -> dict[str, Any]:
    """Everything that a decision taken now would pin. `files` are paths with "sha256:…"."""

    verdicts = ws.state.verdicts
    return {
        "criteria": [asdict(criterion) for criterion in report.criteria],
        "strict": {
            "rule": report.strict.rule,
            "criteria": [asdict(criterion) for criterion in report.strict.criteria],
        },
        "definitions": ws.settings.gate.model_dump(mode="json"),
        "files": dict(files),
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
