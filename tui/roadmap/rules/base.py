"""What all rules share: their parameters, what they may look at, what they hand back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from tui.roadmap.entries import VerdictWord

if TYPE_CHECKING:
    from tui.roadmap.workspace import Workspace


class Unreachable(Exception):
    """The host cannot be asked now; the box's state stays as it is."""


class ProbeFailed(Exception):
    """The host answered, but the probe itself broke; `code` is a short fixed word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class HostProbes(Protocol):
    """Whatever can ask a host one of the fixed probes ("file", "docker_image", "http")."""

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


def _inside(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or not text.strip():
        raise ValueError("must be a path inside the workspace")
    return text


InsidePath = Annotated[str, AfterValidator(_inside)]
Positive = Annotated[int, Field(ge=1)]


class Params(BaseModel):
    """Parameters of a rule as they stand in `bindings.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: Annotated[float, Field(gt=0, le=600)] = 10.0


@dataclass(slots=True)
class Context:
    """What a rule may look at: the workspace, the hosts if any, and the other bindings."""

    ws: Workspace
    probes: HostProbes | None
    evaluate: Callable[[str], Awaitable[Finding | None]]

    async def ask(self, host: str, name: str, **params: Any) -> dict[str, Any]:
        """One probe of a host. Raises Unreachable where there is no link at all."""
        if self.probes is None:
            raise Unreachable(f"there is no link to {host}")
        return await self.probes.probe(host, name, **params)

    def host(self, role: str) -> str:
        """Name of the host that plays a role. Raises Unreachable where the settings name none."""
        name = self.ws.settings.host_of_role(role)
        if not name:
            raise Unreachable(f"gonogo.toml names no {role}")
        return name


Rule = Callable[[Context, Any], Awaitable[Finding]]
