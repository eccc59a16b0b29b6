"""Rules over what the laptop itself holds: fields, money, installed packages, names of variables."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from pydantic import Field

from tui.roadmap.budget import summarize
from tui.roadmap.computed import effective_fields
from tui.roadmap.rules.base import Context, Finding, Params, ProbeFailed, Rule, judge, skip
from tui.settings import Settings


class FieldParams(Params):
    """Fields of the roadmap that must be filled in."""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]

    def expects(self, settings: Settings) -> str:
        del settings
        return f"{', '.join(self.fields)} filled in"


async def field(ctx: Context, params: FieldParams) -> Finding:
    """All fields have a value; an empty one is waited for."""
    values = effective_fields(ctx.ws.document, ctx.state, ctx.ws.settings)
    expected = params.expects(ctx.ws.settings)
    unknown = [i for i in params.fields if i not in ctx.ws.document.fields]
    empty = [i for i in params.fields if i not in values]
    if unknown:
        raise ProbeFailed("no-field", f"the roadmap has no field {', '.join(unknown)}")
    if empty:
        return skip(f"{', '.join(empty)} is empty: e fills it in", expected)
    found = ", ".join(f"{i} = {values[i].value[:60]}" for i in params.fields)
    return replace(judge(True, expected, found), by="derived:fields")


class SpentParams(Params):
    """The sum of the ledger stays below `below` (unset: the limit of the settings)."""

    below: Annotated[Decimal, Field(gt=0)] | None = None

    def limit(self, settings: Settings) -> Decimal:
        """The amount that counts."""
        return settings.budget.limit if self.below is None else self.below

    def expects(self, settings: Settings) -> str:
        return f"spent < {self.limit(settings):.2f} {settings.budget.currency}, every row known"


async def spent(ctx: Context, params: SpentParams) -> Finding:
    """The money so far; with unknown rows it is not known yet, unless it is too much already."""
    settings = ctx.ws.settings
    expected, limit = params.expects(settings), params.limit(settings)
    summary = summarize(settings, ctx.ws.document, ctx.state)
    found = f"{summary.spent:.2f} {summary.currency} so far, {summary.unknown_rows} rows unknown"
    by = "derived:ledger"
    if summary.spent < limit and summary.unknown_rows:
        waiting = skip(
            f"so far {summary.spent:.2f}; {summary.unknown_rows} rows are unknown", expected
        )
        return replace(waiting, found=found, by=by)
    return replace(judge(summary.spent < limit, expected, found, found), by=by)


class PackageParams(Params):
    """A Python package in the environment that runs the evaluation here; nothing is imported."""

    TTL_HOURS = 24.0
    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    least: Annotated[str, Field(pattern=r"^\d+(\.\d+)*$")] = "0"

    def expects(self, settings: Settings) -> str:
        del settings
        return f"Python package {self.package} {'' if self.least == '0' else f'>= {self.least}'}".strip()


def _parts(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text.split("+")[0])[:4])


async def package(ctx: Context, params: PackageParams) -> Finding:
    """The package is installed in a version that will do."""
    expected = params.expects(ctx.ws.settings)
    try:
        found = await asyncio.to_thread(version, params.package)
    except PackageNotFoundError:
        why = f"{params.package} is not installed here: pip install {params.package}"
        return judge(False, expected, "not installed", why)
    passed = _parts(found) >= _parts(params.least)
    return judge(passed, expected, found, f"{params.package} {found} is older than {params.least}")


class EnvironmentParams(Params):
    """Environment variables that must be set; only their names are looked at and written down."""

    TTL_HOURS = 24.0
    names: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")], ...],
        Field(min_length=1),
    ]

    def expects(self, settings: Settings) -> str:
        del settings
        return f"{' and '.join(self.names)} set in the environment"


async def environment(ctx: Context, params: EnvironmentParams) -> Finding:
    """The variables are there; their values are neither shown nor kept."""
    missing = [name for name in params.names if not os.environ.get(name)]
    found = f"{len(params.names) - len(missing)} of {len(params.names)} set"
    why = f"{', '.join(missing)} is not set: export it before gonogo starts"
    return judge(not missing, params.expects(ctx.ws.settings), found, why)


RULES = {
    "field": Rule(FieldParams, field),
    "spent": Rule(SpentParams, spent),
    "package": Rule(PackageParams, package),
    "environment": Rule(EnvironmentParams, environment),
}
