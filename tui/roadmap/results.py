"""`evaluation/results/comparison.json`: what the evaluation hands to the gate, checked by a schema.

Improvements are computed here from the arms' means, never taken from the file: 100 * (experiment -
control) / |control| in percent, the sign turned where lower is better; a control mean of 0 leaves the
metric undefined, and so does one so small that the quotient is no finite number. Numbers are numbers: a
text that looks like one is refused, as is a metric that is named twice or turned round.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tui.files import read_file
from tui.roadmap.describe import visible

RESULTS = Path("evaluation") / "results"
PATH = RESULTS / "comparison.json"
MAX_BYTES = 16 * 1024 * 1024
METRICS = (
    "code_accuracy", "functional_correctness", "semantic_similarity", "pass_at_k", "code_vulnerability",
    "coherence", "fluency", "groundedness", "relevance", "f1",
)  # fmt: skip
"""Names of the ten metrics in rows and comparisons."""
LOWER_IS_BETTER = ("code_vulnerability",)
ZERO = 1e-12
"""A mean of scores below it is a zero with rounding errors, and nothing is relative to that."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Interval = tuple[Finite, Finite]


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


def _ordered(interval: Interval | None) -> None:
    if interval is not None and interval[0] > interval[1]:
        raise ValueError("an interval ends before it begins")


class MetricResult(_Data):
    """One metric: means of both arms over `n` paired samples, `missing` rows without a value.

    `p_adjusted` is Holm-adjusted; `interval` is the 95 % interval of the paired difference, oriented so
    that above 0 is better.
    """

    name: Annotated[str, Field(min_length=1, max_length=80)]
    direction: Literal["higher", "lower"] = "higher"
    control: Finite | None = None
    experiment: Finite | None = None
    placebo: Finite | None = None
    n: Count
    missing: Count = 0
    p_adjusted: Share | None = None
    interval: Interval | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _ordered(self.interval)
        if not self.n and (self.control is not None or self.experiment is not None):
            raise ValueError("means of no sample")
        lower = self.name in LOWER_IS_BETTER
        if self.name in METRICS and (self.direction == "lower") is not lower:
            raise ValueError(f"{'lower' if lower else 'higher'} is better there")
        return self

    @property
    def improvement(self) -> float | None:
        """Relative improvement in percent, None where it is undefined."""
        if self.control is None or self.experiment is None or abs(self.control) < ZERO:
            return None
        change = 100 * (self.experiment - self.control) / abs(self.control)
        if not math.isfinite(change):
            return None
        return change if self.direction == "higher" else -change


class Comparison(_Data):
    """The whole file. `p_value` is two-sided and paired over the composite, `effect_size` Cohen's d_z."""

    v: Literal[1] = 1
    stage: str = "S3"
    n: Count
    metrics: Annotated[tuple[MetricResult, ...], Field(max_length=200)]
    p_value: Share | None = None
    effect_size: Finite | None = None
    effect_interval: Interval | None = None
    errors: Count = 0
    seeds: dict[str, Count] = {}
    runs: dict[str, tuple[str, ...]] = {}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        _ordered(self.effect_interval)
        names = [metric.name.strip().casefold() for metric in self.metrics]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{visible(twice)} is named twice")
        if any(metric.n > self.n for metric in self.metrics):
            raise ValueError("a metric has more samples than there are")
        return self

    def wanted(self, count: int) -> tuple[MetricResult, ...]:
        """The metrics that count where `count` are asked for: the ten by name, else all there are."""
        if count != len(METRICS):
            return self.metrics
        return tuple(metric for metric in self.metrics if metric.name in METRICS)

    def metric(self, name: str) -> MetricResult | None:
        """The metric of that name."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def average(self, count: int = len(METRICS)) -> tuple[float | None, int]:
        """Plain mean of the defined improvements in percent, and how many of `count` were defined."""
        values = [m.improvement for m in self.wanted(count) if m.improvement is not None]
        try:
            return (math.fsum(values) / len(values) if values else None), len(values)
        except OverflowError:
            return None, len(values)


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
