"""`evaluation/results/comparison.json`: what the evaluation hands to the gate, checked by a schema.

Improvements are computed here from the arms' means, never taken from the file: 100 * (experiment -
control) / |control| in percent, the sign turned where lower is better; a control mean of 0 leaves the
metric undefined.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tui.files import read_file

PATH = Path("evaluation") / "results" / "comparison.json"
MAX_BYTES = 16 * 1024 * 1024

Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


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
    n: Count = 0
    missing: Count = 0
    p_adjusted: Annotated[float, Field(ge=0, le=1)] | None = None
    interval: tuple[Finite, Finite] | None = None

    @property
    def improvement(self) -> float | None:
        """Relative improvement in percent, None where it is undefined."""
        if self.control is None or self.experiment is None or self.control == 0:
            return None
        change = 100 * (self.experiment - self.control) / abs(self.control)
        return change if self.direction == "higher" else -change


class Comparison(_Data):
    """The whole file. `p_value` is two-sided and paired over the composite, `effect_size` Cohen's d_z."""

    v: Literal[1] = 1
    stage: str = "S3"
    n: Count
    metrics: Annotated[tuple[MetricResult, ...], Field(max_length=200)]
    p_value: Annotated[float, Field(ge=0, le=1)] | None = None
    effect_size: Finite | None = None
    effect_interval: tuple[Finite, Finite] | None = None
    errors: Count = 0
    seeds: dict[str, Count] = {}
    runs: dict[str, tuple[str, ...]] = {}

    def metric(self, name: str) -> MetricResult | None:
        """The metric of that name."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def average(self) -> tuple[float | None, int]:
        """Plain mean of the defined improvements in percent, and how many were defined."""
        values = [m.improvement for m in self.metrics if m.improvement is not None]
        return (sum(values) / len(values) if values else None), len(values)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A read comparison, or why there is none. `sha256` is of the file's bytes, "" without a file."""

    comparison: Comparison | None
    sha256: str
    problem: str
    at: int = 0
    """UTC ms of the file's last change, 0 without a file."""


@lru_cache(maxsize=8)
def _read(path: Path, mtime_ns: int, size: int) -> Loaded:
    del size
    try:
        blob = read_file(path, MAX_BYTES)
    except OSError as error:
        return Loaded(None, "", f"{path.name}: {error.strerror}")
    digest = hashlib.sha256(blob).hexdigest()
    try:
        return Loaded(Comparison.model_validate_json(blob), digest, "", mtime_ns // 1_000_000)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        why = f"{path.name}: {where or 'file'}: {first['msg']}"
        return Loaded(None, digest, why, mtime_ns // 1_000_000)


def load_file(path: Path) -> Loaded:
    """The comparison in a file; read again only when the file changed."""
    try:
        info = path.stat()
    except OSError:
        return Loaded(None, "", f"{path.name} does not exist yet")
    return _read(path, info.st_mtime_ns, info.st_size)


def load_comparison(root: Path) -> Loaded:
    """The comparison of a workspace folder; read again only when the file changed."""
    path = root / PATH
    try:
        info = path.stat()
    except OSError:
        return Loaded(None, "", f"{PATH.as_posix()} does not exist yet")
    return _read(path, info.st_mtime_ns, info.st_size)
