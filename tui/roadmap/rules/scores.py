"""Rules over `evaluation/results/<stage>/`: rows of single scores, the comparison made of them.

The comparison of a stage is `<stage>/comparison.json`, or the one at the top where that names the stage.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pipeline.dataset.samples import sha256_file
from tui.roadmap.comparison import Comparison
from tui.roadmap.results import RESULTS, Loaded, load_comparison, load_file
from tui.roadmap.rules.base import Context, Finding, Name, Params, Positive, Rule, judge, skip, warn
from tui.roadmap.rules.paths import not_yet
from tui.settings import Settings

_LARGEST = sys.float_info.max
"""Beyond it lie infinities, NaN and integers that are no float."""
ROWS = "rows.jsonl"
MADE_BY = "the evaluation"
MAX_BYTES = 512 * 2**20


class ResultParams(Params):
    """The evaluation of one stage."""

    stage: Name


class ScoresParams(ResultParams):
    """Finite scores of `samples` samples for each metric and arm; `metrics` empty: the rows alone.

    `gaps` lets samples without a value be a WARN instead of a FAIL.
    """

    samples: Positive
    metrics: tuple[str, ...] = ()
    arms: tuple[str, ...] = ("control", "experiment")
    gaps: bool = False

    def expects(self, settings: Settings) -> str:
        del settings
        arms = " and ".join(self.arms)
        if not self.metrics:
            return f"the same {self.samples} samples evaluated for {arms}"
        return f"{', '.join(self.metrics)} of {self.samples} samples, finite, for {arms}"


@dataclass
class Rows:
    """What `rows.jsonl` holds: for each arm and metric the finite values by sample id."""

    values: dict[tuple[str, str], dict[str, list[float]]] = field(default_factory=dict)
    samples: dict[str, set[str]] = field(default_factory=dict)
    bad: int = 0
    lines: int = 0

    def mean(self, arm: str, metric: str) -> float | None:
        """Mean over samples of the mean over each sample's seeds and generations."""
        found = self.values.get((arm, metric), {})
        means = [math.fsum(v) / len(v) for v in found.values()]
        return math.fsum(means) / len(means) if means else None


def read_rows(path: Path) -> Rows:
    """All rows of a file. Raises OSError."""
    rows = Rows()
    with path.open("rb") as lines:
        for raw in lines:
            if not raw.strip():
                continue
            rows.lines += 1
            try:
                row = json.loads(raw)
                arm, sample, metrics = str(row["arm"]), str(row["id"]), dict(row["metrics"])
            except (ValueError, KeyError, TypeError, RecursionError):
                rows.bad += 1
                continue
            rows.samples.setdefault(arm, set()).add(sample)
            for name, value in metrics.items():
                if not isinstance(value, bool | int | float) or not abs(value) <= _LARGEST:
                    continue
                found = rows.values.setdefault((arm, str(name)), {})
                found.setdefault(sample, []).append(float(value))
    return rows


def _folder(root: Path, stage: str) -> Path:
    return root / RESULTS / stage


def _scores(root: Path, params: ScoresParams) -> Finding:
    expected = params.expects(Settings())
    path = _folder(root, params.stage) / ROWS
    if not path.is_file():
        return not_yet(path.relative_to(root).as_posix(), MADE_BY, expected)
    if path.stat().st_size > MAX_BYTES:
        return judge(False, expected, "over 512 MiB", f"{path.name} is too large to be read")
    rows = read_rows(path)
    problems = [f"{rows.bad} of {rows.lines} rows cannot be read"] if rows.bad else []
    soft: list[str] = []
    ids = [rows.samples.get(arm, set()) for arm in params.arms]
    for arm, found in zip(params.arms, ids, strict=True):
        if len(found) != params.samples:
            problems.append(f"{arm}: {len(found)} of {params.samples} samples")
        for name in params.metrics:
            have = len(rows.values.get((arm, name), {}))
            if have != params.samples:
                lost = f"{arm} {name}: {have} of {params.samples} finite"
                (soft if params.gaps and 0 < have < params.samples else problems).append(lost)
    if len({frozenset(found) for found in ids}) > 1:
        problems.append("the arms were evaluated on different samples")
    means = {f"{a}.{m}": rows.mean(a, m) for a in params.arms for m in params.metrics}
    shown = [f"{k} {v:.3g}" for k, v in means.items() if v is not None][:4]
    found_text = (
        ", ".join(shown) or f"{rows.lines} rows, {' and '.join(str(len(i)) for i in ids)} samples"
    )
    result = judge(
        not problems, expected, found_text, "; ".join(problems[:5]), means=means, rows=rows.lines,
        path=path.relative_to(root).as_posix(), sha256=sha256_file(path),
    )  # fmt: skip
    return warn(result, "; ".join(soft[:5])) if soft and not problems else result


async def scores(ctx: Context, params: ScoresParams) -> Finding:
    """Every sample has its score in both arms."""
    return await asyncio.to_thread(_scores, ctx.root, params)


class ComparisonParams(ResultParams):
    """The comparison of a stage: how many samples, how much better, how sure.

    `metric` is "" for the average; `above` in percent and `p_below` are strict; `fills` takes "average",
    "p_value", "effect_size", "<metric>.control", ".experiment" or ".improvement" into fields.
    """

    samples: Positive | None = None
    metrics: Annotated[int, Field(ge=0)] = 0
    metric: str = ""
    above: float | None = None
    p_below: float | None = None
    runs: bool = False
    effect: bool = False
    fills: dict[str, str] = {}

    def expects(self, settings: Settings) -> str:
        del settings
        parts = [f"the comparison of {self.stage}"]
        parts += [f"n = {self.samples}"] if self.samples else []
        parts += [f"{self.metrics} defined improvements"] if self.metrics else []
        if self.above is not None:
            parts.append(f"{self.metric or 'average'} improvement > {self.above:g} %")
        parts += [f"p < {self.p_below:g}"] if self.p_below is not None else []
        parts += ["names the runs of both arms"] if self.runs else []
        parts += ["a finite effect size"] if self.effect else []
        return ", ".join(parts)


def find_comparison(root: Path, stage: str) -> tuple[Loaded, str]:
    """The comparison of a stage and its path inside the workspace."""
    path = RESULTS / stage / "comparison.json"
    if (root / path).is_file():
        return load_file(root / path), path.as_posix()
    top = load_comparison(root)
    if top.comparison is not None and top.comparison.stage != stage:
        return Loaded(None, "", ""), path.as_posix()
    if not top.sha256 and not top.comparison:
        return Loaded(None, "", ""), path.as_posix()
    return top, (RESULTS / "comparison.json").as_posix()


def value_of(found: Comparison, name: str) -> float | None:
    """A number of a comparison by its name in `fills`."""
    if name == "average":
        return found.average()[0]
    if name in ("p_value", "effect_size"):
        value: float | None = getattr(found, name)
        return value
    metric, _, part = name.rpartition(".")
    known = found.metric(metric)
    return getattr(known, part, None) if known and part in _PARTS else None


_PARTS = ("control", "experiment", "improvement")


def _compare(found: Comparison, params: ComparisonParams) -> tuple[list[str], list[str]]:
    """(shown, problems) of a comparison."""
    average, defined = found.average()
    name = params.metric or "average"
    value = value_of(found, f"{params.metric}.improvement") if params.metric else average
    shown = [f"n = {found.n}"]
    problems = []
    if params.samples and found.n != params.samples:
        problems.append(f"n is {found.n}, not {params.samples}")
    if params.metrics and defined < params.metrics:
        problems.append(f"{defined} of {params.metrics} improvements are defined")
    if params.above is not None:
        shown.append(f"{name} {'undefined' if value is None else f'{value:+.1f} %'}")
        if value is None:
            problems.append(f"the improvement of {name} is undefined")
        elif round(value, 9) <= params.above:
            problems.append(f"> {params.above:g} % required, {value:.1f} % found")
    if params.p_below is not None:
        shown.append(f"p = {found.p_value}")
        if found.p_value is None or found.p_value >= params.p_below:
            problems.append(f"p < {params.p_below:g} required, {found.p_value} found")
    if params.runs and not all(found.runs.get(arm) for arm in ("control", "experiment")):
        problems.append("it does not name the runs of both arms")
    if params.effect:
        shown.append(f"d = {found.effect_size}")
        if found.effect_size is None:
            problems.append("there is no effect size")
    return shown, problems


async def comparison(ctx: Context, params: ComparisonParams) -> Finding:
    """The comparison is whole, and as good as it has to be."""
    expected = params.expects(ctx.ws.settings)
    loaded, path = await asyncio.to_thread(find_comparison, ctx.root, params.stage)
    if loaded.comparison is None:
        if loaded.sha256:
            return judge(False, expected, path, loaded.problem)
        return not_yet(path, MADE_BY, expected)
    shown, problems = _compare(loaded.comparison, params)
    values = {f: value_of(loaded.comparison, name) for f, name in params.fills.items()}
    fills = {f: f"{v:.4g}" for f, v in values.items() if v is not None}
    data: dict[str, Any] = {"path": path, "sha256": loaded.sha256, "values": values}
    return Finding(
        "FAIL" if problems else "PASS", expected, ", ".join(shown), "; ".join(problems),
        "pipeline:evaluation", fills, data,
    )  # fmt: skip


class RecomputedParams(ResultParams):
    """The means of a comparison against the single rows."""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"the means of {self.stage}, recomputed from its rows, equal within 1e-9"


async def recomputed(ctx: Context, params: RecomputedParams) -> Finding:
    """The means of the comparison, computed again from the single rows."""
    expected = params.expects(ctx.ws.settings)
    path = _folder(ctx.root, params.stage) / ROWS
    loaded, name = await asyncio.to_thread(find_comparison, ctx.root, params.stage)
    if not path.is_file() or loaded.comparison is None:
        missing = name if path.is_file() else path.relative_to(ctx.root).as_posix()
        return not_yet(missing, MADE_BY, expected)
    rows = await asyncio.to_thread(read_rows, path)
    problems = []
    for metric in loaded.comparison.metrics:
        for arm in ("control", "experiment"):
            told, own = getattr(metric, arm), rows.mean(arm, metric.name)
            if (told is None) != (own is None) or (
                told is not None and own is not None and abs(told - own) > 1e-9
            ):
                problems.append(
                    f"{arm} {metric.name}: {told} in the comparison, {own} from the rows"
                )
    count = 2 * len(loaded.comparison.metrics)
    if not count:
        return skip("the comparison holds no metric", expected)
    return judge(
        not problems, expected, f"{count - len(problems)} of {count} means equal",
        "; ".join(problems[:4]), rows=rows.lines, sha256=loaded.sha256,
    )  # fmt: skip


RULES = {
    "scores": Rule(ScoresParams, scores),
    "comparison": Rule(ComparisonParams, comparison),
    "recomputed": Rule(RecomputedParams, recomputed),
}
