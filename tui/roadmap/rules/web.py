"""Rules that ask public services: any web page, Hugging Face, PyPI; see also `github` and `launch`.

All of them go through `Public`: https, short, bounded, without any secret. What cannot be reached is
UNREACHABLE, never FAIL.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tui.roadmap.computed import effective_fields
from tui.roadmap.public import Answer, host_of
from tui.roadmap.rules.base import Context, Finding, Need, Params, Rule, judge, skip
from tui.roadmap.rules.jsonfile import pick
from tui.roadmap.rules.paths import matching, not_yet, read_json
from tui.settings import Settings

Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")]
NETWORK: frozenset[Need] = frozenset({"network"})


class WebParams(Params):
    """What all rules over public services share."""

    TTL_HOURS: ClassVar[float] = 24.0
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0


class SourceParams(WebParams):
    """An address: `url`, a `field` of the roadmap, or `file` with a dotted path ("a.json#public_url")."""

    url: str = ""
    field: str = ""
    file: str = ""

    @property
    def place(self) -> str:
        """Where the address comes from, in words."""
        return self.url or self.field or self.file


def addresses(ctx: Context, params: SourceParams) -> list[str]:
    """The addresses of a source, [] where there is none yet. Raises ProbeFailed for a bad file."""
    if params.url:
        return [params.url]
    if params.field:
        values = effective_fields(ctx.ws.document, ctx.state, ctx.ws.settings)
        value = values.get(params.field)
        return re.split(r"[\s,]+", value.value) if value else []
    name, _, at = params.file.partition("#")
    paths = matching(ctx.root, name) if name else []
    found = pick(read_json(paths[0]), at) if paths else []
    return [str(value) for value in found if isinstance(value, str) and value]


def no_address(params: SourceParams, expected: str) -> Finding:
    if params.field:
        return skip(f"{params.field} is empty: e fills it in", expected)
    return not_yet(params.file or "address", "the deployment", expected)


class UrlParams(SourceParams):
    """A page that answers with 200; `path` is added to the address.

    `ends` is what its host name must end with, `contains_any` what one of must stand in the page, `items`
    how many entries its JSON list must have, `secure` asks for https.
    """

    path: str = ""
    ends: str = ""
    contains_any: tuple[str, ...] = ()
    items: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(gt=0)] = 8.0
    secure: bool = False

    def expects(self, settings: Settings) -> str:
        del settings
        parts = [f"HTTP 200 from {self.place}{self.path} within {self.seconds:g} s"]
        parts += [f"on a host of {self.ends}"] if self.ends else []
        parts += [f"with one of {', '.join(self.contains_any)}"] if self.contains_any else []
        parts += [f"at least {self.items} entries"] if self.items else []
        parts += ["with a valid certificate"] if self.secure else []
        return ", ".join(parts)


def _count(answer: Answer) -> int:
    data = answer.json()
    if isinstance(data, dict):
        data = next((v for v in data.values() if isinstance(v, list)), [])
    return len(data) if isinstance(data, list) else 0


async def url(ctx: Context, params: UrlParams) -> Finding:
    """Every address answers as it should."""
    expected = params.expects(ctx.ws.settings)
    found = await asyncio.to_thread(addresses, ctx, params)
    if not found:
        return no_address(params, expected)
    problems, shown = [], []
    for address in found[:10]:
        whole = address.rstrip("/") + params.path if params.path else address
        if "://" not in whole:
            whole = f"https://{whole}"
        answer = await ctx.public.get(whole, plain=not params.secure, timeout=params.seconds)
        name = host_of(whole)
        shown.append(f"{name} {answer.status}")
        text = answer.body.decode("utf-8", "replace")
        if answer.status != 200:
            problems.append(f"{name} answers {answer.status}")
        elif params.ends and not name.endswith(params.ends):
            problems.append(f"{name} is no host of {params.ends}")
        elif params.contains_any and not any(word in text for word in params.contains_any):
            problems.append(f"{name} holds none of {', '.join(params.contains_any)}")
        elif params.items and _count(answer) < params.items:
            problems.append(f"{name} lists {_count(answer)} entries")
    return judge(not problems, expected, ", ".join(shown), "; ".join(problems), addresses=found)


class HubParams(WebParams):
    """A model or dataset on Hugging Face that can be seen; gated ones count, they exist."""

    kind: Literal["models", "datasets"] = "models"
    name: Repository

    def expects(self, settings: Settings) -> str:
        del settings
        return f"Hugging Face has {self.kind[:-1]} {self.name}"


async def hub(ctx: Context, params: HubParams) -> Finding:
    """The page exists."""
    base = ctx.ws.settings.public.hugging_face.rstrip("/")
    answer = await ctx.public.get(f"{base}/api/{params.kind}/{params.name}")
    data = answer.json() if answer.status == 200 else {}
    gated = " (gated)" if isinstance(data, dict) and data.get("gated") else ""
    expected, found = params.expects(ctx.ws.settings), f"HTTP {answer.status}{gated}"
    return replace(judge(answer.status == 200, expected, found, found), by="public:hugging_face")


class PypiParams(WebParams):
    """A package on PyPI, in a version where one is named."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._+!-]{0,60}$")] = ""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"PyPI has {self.package} {self.version}".strip()


async def pypi(ctx: Context, params: PypiParams) -> Finding:
    """The package is published."""
    base = ctx.ws.settings.public.pypi.rstrip("/")
    middle = f"/{params.version}" if params.version else ""
    answer = await ctx.public.get(f"{base}/pypi/{params.package}{middle}/json")
    found = f"HTTP {answer.status}"
    result = judge(answer.status == 200, params.expects(ctx.ws.settings), found, found)
    return replace(result, by="public:pypi")


RULES = {
    "url": Rule(UrlParams, url, NETWORK),
    "hugging-face": Rule(HubParams, hub, NETWORK),
    "pypi": Rule(PypiParams, pypi, NETWORK),
}
