"""Rules about the machines of the experiment: driver, card, Docker, disk. Facts come from fixed probes.

What a program said when it did not work is looked up in the table of known causes, so that a FAIL names
one cause and one next step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tui.roadmap.causes import Cause, because
from tui.roadmap.rules.base import Context, Finding, Params, Positive, judge, on_hosts, skip, warn
from tui.settings import Settings

GIB = 2**30
MIB_PER_GIB = 1024
Facts = Mapping[str, Any]
Role = Literal["tower", "server"]

NO_DRIVER = Cause(
    "there is no nvidia-smi on this host",
    "install the NVIDIA driver (on Windows, not inside WSL) and look again",
)


CRASHED = (-11, -6, 139, 134)
NO_ANSWER = Cause(
    "nvidia-smi crashed inside the driver's library",
    "update the NVIDIA driver (for WSL on Windows, then `wsl --update`) and restart the host",
)


class MachineParams(Params):
    """A check of the host that plays a role. Facts of a machine are a day old at most."""

    TTL_HOURS: ClassVar[float] = 24.0
    host: Role = "tower"
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0


class DriverParams(MachineParams):
    """The major version of the NVIDIA driver."""

    at_least: Positive = 535

    def expects(self, settings: Settings) -> str:
        del settings
        return f">= {self.at_least}"


class CudaParams(MachineParams):
    """The newest CUDA that the driver supports."""

    at_least: Annotated[str, Field(pattern=r"^\d+\.\d+$")] = "12.1"

    def expects(self, settings: Settings) -> str:
        del settings
        return f"CUDA >= {self.at_least} (what the driver supports)"


class CardParams(MachineParams):
    """A card's name, as nvidia-smi tells it; `unlike` names a card that is taken for it."""

    name: str = "RTX 4070 Ti"
    unlike: str = "SUPER"

    def expects(self, settings: Settings) -> str:
        del settings
        return self.name


class VramParams(MachineParams):
    """Total memory of the card; what is free is never judged."""

    at_least_mib: Positive = 12000

    def expects(self, settings: Settings) -> str:
        del settings
        return f">= {self.at_least_mib} MiB in total"


class DiskParams(MachineParams):
    """Free space (10^9 bytes) and inodes of the file system that holds a path."""

    path: str = "~"
    at_least_gb: Positive = 20

    def expects(self, settings: Settings) -> str:
        del settings
        return f">= {self.at_least_gb} GB free at {self.path}"


def failing(host: str, cause: Cause, expected: str, facts: Facts) -> Finding:
    """A FAIL that names one cause and one next step."""
    data = {"host": host, "facts": dict(facts), "next": cause.next}
    return Finding("FAIL", expected, cause.cause, str(cause), f"probe:{host}", data=data)


def told(host: str, finding: Finding, facts: Facts, step: str = "") -> Finding:
    """The finding with who measured, the facts and the next step where it is no PASS."""
    data = {**finding.data, "host": host, "facts": dict(facts)}
    if step and finding.verdict not in ("PASS",):
        data["next"] = step
    return replace(finding, by=f"probe:{host}", data=data)


def parent(host: str, what: str, cause: Cause, expected: str, facts: Facts) -> Finding:
    """A SKIP: what this check stands on does not work, and another check says so."""
    finding = skip(f"needs {what}: {cause.cause}", expected)
    return told(host, finding, facts, cause.next)


def no_card(facts: Facts) -> Cause | None:
    """Why nvidia-smi told no card, None when it did."""
    if not facts.get("program"):
        return NO_DRIVER
    if facts.get("code") in CRASHED:
        return NO_ANSWER
    if facts.get("code") or not facts.get("cards"):
        code = facts.get("code")
        said = f"nvidia-smi ended with code {code}" if code else "nvidia-smi names no card"
        return because(str(facts.get("text", "")), said, "run `nvidia-smi` on the host")
    return None


def _cards(facts: Facts) -> list[dict[str, Any]]:
    cards = facts.get("cards")
    return [card for card in cards if isinstance(card, dict)] if isinstance(cards, list) else []


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def judge_driver(host: str, facts: Facts, params: DriverParams) -> Finding:
    """The driver's major version against the smallest one."""
    expected = f">= {params.at_least}"
    cause = no_card(facts)
    if cause is not None:
        return failing(host, cause, expected, facts)
    driver = str(_cards(facts)[0].get("driver_version", ""))
    major = _version(driver)[:1]
    if not major:
        raise ValueError(f"“{driver[:40]}” is no driver version")
    passed = major[0] >= params.at_least
    found = f"{driver} {expected}" if passed else driver
    finding = judge(passed, expected, found, f"expected {expected}, found {driver}")
    return told(host, finding, facts, f"install driver {params.at_least} or newer")


def judge_cuda(host: str, facts: Facts, params: CudaParams) -> Finding:
    """The newest CUDA of the driver, from the header of nvidia-smi."""
    expected = f">= {params.at_least}"
    cause = no_card(facts)
    if cause is not None:
        return parent(host, "the NVIDIA driver", cause, expected, facts)
    cuda = str(facts.get("cuda", ""))
    if not cuda:
        return told(host, skip("nvidia-smi names no CUDA version", expected), facts)
    passed = _version(cuda) >= _version(params.at_least)
    finding = judge(passed, expected, cuda, f"expected {expected}, found {cuda}")
    return told(host, finding, facts, f"update the driver: it supports CUDA {cuda} at most")


def judge_card(host: str, facts: Facts, params: CardParams) -> Finding:
    """Some card has the name; one that only looks like it is a warning."""
    cause = no_card(facts)
    if cause is not None:
        return failing(host, cause, params.name, facts)
    names = [str(card.get("name", ""))[:80] for card in _cards(facts)]
    wanted = re.compile(re.escape(params.name).replace(r"\ ", " ?"), re.IGNORECASE)
    like = [name for name in names if wanted.search(name)]
    exact = [name for name in like if not params.unlike or params.unlike not in name.upper()]
    found = ", ".join(names)
    finding = judge(bool(like), params.name, found, f"expected {params.name}, found {found}")
    if like and not exact:
        finding = warn(finding, f"{like[0]} is another card than the {params.name}")
    return told(host, finding, facts, "is this the right host, and does the driver see the card?")


def judge_vram(host: str, facts: Facts, params: VramParams) -> Finding:
    """Total memory of the largest card in GiB; free memory is only kept as a fact."""
    expected = f">= {params.at_least_mib} MiB in total"
    cause = no_card(facts)
    if cause is not None:
        return parent(host, "the NVIDIA driver", cause, expected, facts)
    totals = [card["total_mib"] for card in _cards(facts) if isinstance(card.get("total_mib"), int)]
    if not totals:
        return told(host, skip("the card does not tell its memory", expected), facts)
    total = max(totals)
    found = f"{total / MIB_PER_GIB:.2f} GiB total"
    reason = f"expected {expected}, found {total} MiB"
    return told(host, judge(total >= params.at_least_mib, expected, found, reason), facts,
                "use a card with more memory, or a smaller model")  # fmt: skip


def judge_disk(host: str, facts: Facts, params: DiskParams, expected: str) -> Finding:
    """Space for a program without special rights; few inodes or a slow mount are warnings."""
    free = int(facts.get("available", 0))
    found = f"{free / 1e9:.0f} GB free at {str(facts.get('mount') or facts.get('path'))[:80]}"
    finding = judge(
        free >= params.at_least_gb * 1e9, expected, found, f"expected {expected}, {found}"
    )
    step = "free space there, or name another folder"
    inodes, left = facts.get("inodes"), facts.get("inodes_free")
    windows = facts.get("windows_available")
    if finding.verdict == "PASS" and isinstance(windows, int) and windows < free:
        found = f"{windows / 1e9:.0f} GB free on the Windows drive below it"
        if windows < params.at_least_gb * 1e9:
            finding = judge(False, expected, found, f"expected {expected}, found {found}")
    elif finding.verdict == "PASS" and inodes and isinstance(left, int) and left < inodes / 20:
        finding = warn(finding, f"only {100 * left / inodes:.0f} % of the inodes are free")
    elif finding.verdict == "PASS" and facts.get("type") in ("9p", "drvfs", "nfs", "nfs4", "cifs"):
        finding = warn(
            finding, f"{facts['mount']} is a {facts['type']} mount: slow and without locks"
        )
    return told(host, finding, facts, step)


async def driver(ctx: Context, params: DriverParams) -> Finding:
    """See `judge_driver`; the other rules below likewise."""
    host = ctx.host(params.host)
    return judge_driver(host, await ctx.fact(host, "gpu"), params)


async def cuda(ctx: Context, params: CudaParams) -> Finding:
    host = ctx.host(params.host)
    return judge_cuda(host, await ctx.fact(host, "gpu"), params)


async def card(ctx: Context, params: CardParams) -> Finding:
    host = ctx.host(params.host)
    return judge_card(host, await ctx.fact(host, "gpu"), params)


async def vram(ctx: Context, params: VramParams) -> Finding:
    host = ctx.host(params.host)
    return judge_vram(host, await ctx.fact(host, "gpu"), params)


async def disk(ctx: Context, params: DiskParams) -> Finding:
    host, expected = ctx.host(params.host), params.expects(ctx.ws.settings)
    return judge_disk(host, await ctx.fact(host, "disk", path=params.path), params, expected)


RULES = {
    "cuda": on_hosts(CudaParams, cuda),
    "disk": on_hosts(DiskParams, disk),
    "gpu-driver": on_hosts(DriverParams, driver),
    "gpu-name": on_hosts(CardParams, card),
    "vram": on_hosts(VramParams, vram),
}
