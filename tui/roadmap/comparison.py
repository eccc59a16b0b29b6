"""The schema of `evaluation/results/comparison.json`: two arms, their metrics, the paired test.

Improvements are computed here from the arms' means, never taken from the file: 100 * (experiment -
control) / |control| in percent, the sign turned where lower is better; a control mean of 0 leaves the
metric undefined, and so does one so small that the quotient is no finite number. Numbers are numbers: a
text that looks like one is refused, as is a metric that is named twice or turned round.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tui.roadmap.describe import visible

METRICS = (
    "code_accuracy", "functional_correctness", "semantic_similarity", "pass_at_k", "code_vulnerability",
    "coherence", "fluency", "groundedness", "relevance", "f1",
)  # fmt: skip
"""Names of the ten metrics in rows and comparisons."""
LOWER_IS_BETTER = ("code_vulnerability",)
UNLIKELY = 20
"""Times by which the mean of one arm may lie above that of the other, across 1."""
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


def _mixed(control: float | None, experiment: float | None) -> bool:
    """True where one mean can only be percent and the other only a share: 0.42 and 45."""
    low, high = sorted((abs(control or 0), abs(experiment or 0)))
    return ZERO < low <= 1 < high and high / low >= UNLIKELY


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
        if self.name in METRICS and _mixed(self.control, self.experiment):
            raise ValueError("one arm is in percent, the other a share of 1")
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
        arms = [set(self.runs.get(arm, ())) for arm in ("control", "experiment", "placebo")]
        both = next((a & b for a, b in combinations(arms, 2) if a & b), None)
        if both:
            raise ValueError(f"run {visible(min(both)[:80])} stands in two arms")
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
