"""Conditions on the values of a JSON file, as data: nothing in a binding is ever evaluated as code."""

from __future__ import annotations

import asyncio
import json
import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pipeline.dataset.samples import sha256_file
from tui.roadmap.rules.base import Context, Finding, ProbeFailed, Rule, judge
from tui.roadmap.rules.paths import MadeParams, matching, not_yet, read_json
from tui.settings import Settings


class Condition(BaseModel):
    """One condition on a JSON value: `at` is a dotted path, `*` stands for every entry."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str
    equals: bool | int | float | str | None = None
    one_of: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    count: int | None = None
    filled: bool = False
    finite: bool = False
    same: str = ""
    """"path#a.b": a value of another JSON file, equal within 1e-9."""

    def __str__(self) -> str:
        signs = {"equals": "=", "least": ">=", "most": "<=", "above": ">", "below": "<"}
        parts = [
            f"{s} {getattr(self, k)}" for k, s in signs.items() if getattr(self, k) is not None
        ]
        if self.count is not None:
            parts.append(f"has {self.count} entries")
        parts += [f"in {', '.join(self.one_of)}"] if self.one_of else []
        parts += [w for w in ("filled", "finite") if getattr(self, w)]
        parts += [f"= {self.same}"] if self.same else []
        return f"{self.at} {' and '.join(parts) or 'is there'}"


def pick(data: Any, at: str) -> list[Any]:
    """The values at a dotted path; `*` fans out over lists and objects, a missing key gives nothing."""
    values = [data]
    for part in at.split(".") if at else []:
        step: list[Any] = []
        for value in values:
            if part == "*" and isinstance(value, dict | list):
                step += value.values() if isinstance(value, dict) else value
            elif isinstance(value, dict) and part in value:
                step.append(value[part])
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                step.append(value[int(part)])
        values = step
    return values


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def short(value: Any) -> str:
    """A JSON value in at most 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:59]}…"


_BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "least": operator.ge,
    "most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


def _holds(value: Any, condition: Condition, other: Any) -> bool:
    number = _number(value)
    for word, test in _BOUNDS.items():
        bound = getattr(condition, word)
        if bound is not None and (number is None or not test(round(number, 9), bound)):
            return False
    equal = condition.equals is None or (
        value == condition.equals and isinstance(value, bool) == isinstance(condition.equals, bool)
    )
    counted = condition.count is None or (
        isinstance(value, list | dict | str) and len(value) == condition.count
    )
    alike = not condition.same or value == other
    if condition.same and number is not None and _number(other) is not None:
        alike = abs(number - float(other)) <= 1e-9
    full = not condition.filled or value not in (None, "", [], {})
    known = not condition.one_of or value in condition.one_of
    return (
        equal and counted and alike and full and known and not (condition.finite and number is None)
    )


class JsonParams(MadeParams):
    """Conditions on the values of a JSON file; `fills` takes values into fields (field id to path)."""

    where: Annotated[tuple[Condition, ...], Field(min_length=1)]
    fills: dict[str, str] = {}

    def expects(self, settings: Settings) -> str:
        del settings
        return f"{self.path}: {'; '.join(map(str, self.where))}"


def unmet(data: Any, where: tuple[Condition, ...], root: Path) -> list[str]:
    """What does not hold, one text for each condition."""
    problems = []
    for condition in where:
        values = pick(data, condition.at)
        other = None
        if condition.same:
            name, _, at = condition.same.partition("#")
            others = matching(root, name)
            found = pick(read_json(others[0]), at) if others else []
            other = found[0] if found else None
            if not found:
                problems.append(f"{condition.same} is not there to compare with")
                continue
        bad = [value for value in values if not _holds(value, condition, other)]
        if not values:
            problems.append(f"{condition.at} is missing")
        elif bad:
            problems.append(f"{condition.at} is {short(bad[0])}, wanted {condition}")
    return problems


def _json(root: Path, params: JsonParams) -> Finding:
    expected = params.expects(Settings())
    paths = matching(root, params.path)
    if not paths:
        return not_yet(params.path, params.made_by, expected)
    path = paths[-1]
    try:
        data = read_json(path)
        problems = unmet(data, params.where, root)
    except ProbeFailed as error:
        return judge(False, expected, path.name, str(error))
    shown = [f"{c.at} {short(v[0])}" for c in params.where if (v := pick(data, c.at))]
    fills = {f: str(v[0]) for f, at in params.fills.items() if (v := pick(data, at))}
    name = path.relative_to(root).as_posix()
    result = judge(
        not problems, expected, "; ".join(shown), "; ".join(problems[:5]),
        path=name, sha256=sha256_file(path), values=shown,
    )  # fmt: skip
    return Finding(
        result.verdict,
        expected,
        result.found,
        result.reason,
        "pipeline:artifact",
        fills,
        result.data,
    )


async def json_values(ctx: Context, params: JsonParams) -> Finding:
    """All conditions hold for the values of a JSON file."""
    return await asyncio.to_thread(_json, ctx.root, params)


RULES = {"json": Rule(JsonParams, json_values)}
