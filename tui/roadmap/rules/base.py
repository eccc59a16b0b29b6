"""What all rules share: their parameters, what they may look at, what they hand back.

A rule is data plus one function: its parameters come out of `bindings.toml`, are checked by a schema and
never run. Rules that look at hosts ask fixed probes; rules that look at files stay in the workspace.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tui.roadmap.entries import VerdictWord

if TYPE_CHECKING:
    from tui.roadmap.document import Document
    from tui.roadmap.public import Public
    from tui.roadmap.state import State
    from tui.roadmap.workspace import Workspace
    from tui.settings import Settings

Need = Literal["runs", "hosts", "network"]


class Unreachable(Exception):
    """The host cannot be asked now; the box's state stays as it is."""


class ProbeFailed(Exception):
    """The host answered, but the probe itself broke; `code` is a short fixed word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class HostProbes(Protocol):
    """Whatever can ask a host one of the fixed probes of `agents.remote`.

    One that also has `forward(host, port)` gives a local port that leads there (`.url`, `.close()`).
    """

    async def probe(self, host: str, name: str, **params: Any) -> dict[str, Any]:
        """The answer of the host; raises Unreachable or ProbeFailed (or what agents raises for them)."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found out. `data` goes into the evidence file, `by` names who measured."""

    verdict: VerdictWord
    expected: str = ""
    found: str = ""
    reason: str = ""
    by: str = ""
    fills: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


def skip(reason: str, expected: str = "", **data: Any) -> Finding:
    """Nothing to judge yet, or nothing to judge it with."""
    return Finding("SKIP", expected, "", reason, data=data)


def judge(passed: bool, expected: str, found: str, reason: str = "", **data: Any) -> Finding:
    """PASS or FAIL with both sides of the comparison."""
    return Finding(
        "PASS" if passed else "FAIL", expected, found, "" if passed else reason, data=data
    )


def warn(finding: Finding, reason: str) -> Finding:
    """A PASS with something to look at."""
    return Finding(
        "WARN", finding.expected, finding.found, reason, finding.by, finding.fills, finding.data
    )


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or not text.strip():
        raise ValueError("must be a path inside the workspace")
    return text


InsidePath = Annotated[str, AfterValidator(_inside)]
Positive = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Params(BaseModel):
    """Parameters of a rule as they stand in `bindings.toml`.

    `timeout` in seconds for one check, `ttl_hours` after which its verdict is old (0: never; unset: the
    rule's own), `hint` for a box that only a person can tick: the finding is shown and never ticks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    TTL_HOURS: ClassVar[float] = 0.0

    timeout: Annotated[float, Field(gt=0, le=600)] = 10.0
    ttl_hours: Annotated[float, Field(ge=0, le=24 * 366)] | None = None
    hint: bool = False

    @property
    def ttl(self) -> float:
        """Hours for which a verdict counts as fresh, 0 for always."""
        return self.TTL_HOURS if self.ttl_hours is None else self.ttl_hours

    def expects(self, settings: Settings) -> str:
        """What must be true, in one line that can be shown before the check ever ran."""
        del settings
        return ""

    def boxes(self, document: Document) -> tuple[str, ...]:
        """Ids of the boxes whose results this one builds upon."""
        del document
        return ()


@dataclass(slots=True)
class Context:
    """What a rule may look at. `state` shows the passes of the same batch before they are stored."""

    ws: Workspace
    probes: HostProbes | None
    evaluate: Callable[[str], Awaitable[Finding | None]]
    state: State
    public: Public
    facts: dict[str, asyncio.Task[dict[str, Any]]] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The workspace folder."""
        return self.ws.root

    def view(self) -> Workspace:
        """The workspace with the state of this batch in place of the stored one, only to look at."""
        found = copy.copy(self.ws)
        found.state = self.state
        return found

    async def ask(self, host: str, name: str, **params: Any) -> dict[str, Any]:
        """One probe of a host. Raises Unreachable where there is no link at all."""
        if self.probes is None:
            raise Unreachable(f"there is no link to {host}")
        return await self.probes.probe(host, name, **params)

    async def fact(
        self, host: str, name: str, *, timeout: float = 12.0, **params: Any
    ) -> dict[str, Any]:
        """The answer of a probe that several checks of one batch share; it is asked once."""
        key = json.dumps([host, name, timeout, params], sort_keys=True)
        if key not in self.facts:
            asking = self.ask(host, name, timeout=timeout, **params)
            self.facts[key] = asyncio.ensure_future(asking)
        return await asyncio.shield(self.facts[key])

    def close(self) -> None:
        """Ends questions that nobody waits for any more."""
        for task in self.facts.values():
            if task.done() and not task.cancelled():
                task.exception()
            task.cancel()

    def host(self, role: str) -> str:
        """Name of the host that plays a role. Raises Unreachable where the settings name none."""
        name = self.ws.settings.host_of_role(role)
        if not name:
            raise Unreachable(f"gonogo.toml names no {role}")
        return name


@dataclass(frozen=True, slots=True)
class Rule:
    """One word of the vocabulary: its parameters, its check, what the check needs to look at."""

    params: type[Params]
    check: Callable[[Context, Any], Awaitable[Finding]]
    needs: frozenset[Need] = frozenset()


def on_hosts(params: type[Params], check: Callable[[Context, Any], Awaitable[Finding]]) -> Rule:
    """A rule that asks a host."""
    return Rule(params, check, frozenset({"hosts"}))
