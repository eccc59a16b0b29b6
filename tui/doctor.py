"""What a host has and lacks for the work, row by row; only `deep` starts anything there."""

from __future__ import annotations

import asyncio
import time
import urllib.parse
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui.doctor_rows import CHECK_SECONDS, Row, Shown, row
from tui.roadmap.bindings import bindings_of, load_bindings
from tui.roadmap.public import Public
from tui.roadmap.rules.base import Context, Finding, Params, judge, skip, warn
from tui.roadmap.rules.containers import KernelParams
from tui.roadmap.rules.hosts import no_service
from tui.roadmap.rules.machine import DiskParams
from tui.roadmap.rules.registry import RULES

if TYPE_CHECKING:
    from tui.cli_verify import Links
    from tui.roadmap.workspace import Workspace

GIB = 2**30
BOXES = {
    "tower": (("docker", "S0.T1"), ("driver", "S0.T2"), ("cuda", "S0.T3"), ("card", "S0.T4"),
              ("vram", "S0.T7"), ("image", "S0.T6")),
    "server": (("docker", "S0.S1"), ("mlflow-container", "S0.S2"), ("mlflow-health", "S0.S3"),
               ("storage", "S0.S4"), ("tunnel", "S0.L5")),
}  # fmt: skip
"""Checks of a role that are those of boxes, with the thresholds bound there."""


@dataclass(slots=True)
class _OneHost(Context):
    """A context in which every role is played by the one host that is looked at."""

    only: str = ""

    def host(self, role: str) -> str:
        return self.only


async def _nothing(item: str) -> Finding | None:
    return None


async def _link(ctx: _OneHost) -> Finding:
    times = []
    for _ in range(5):
        began = time.monotonic()
        await ctx.ask(ctx.only, "file", path="~")
        times.append((time.monotonic() - began) * 1000)
    median = sorted(times)[2]
    finding = judge(True, "an answer over SSH, median < 200 ms", f"median {median:.0f} ms of 5")
    return warn(finding, f"median {median:.0f} ms of 5 is slow") if median >= 200 else finding


async def _clock(ctx: _OneHost) -> Finding:
    before = time.time()
    facts = await ctx.ask(ctx.only, "system", timeout=15)
    after = time.time()
    there = int(facts.get("t_ms", 0)) / 1000
    off = max(before - there, there - after, 0.0)
    finding = judge(
        off < 30, "clocks less than 2 s apart", f"{off:.1f} s apart", next="start NTP there"
    )
    return warn(finding, f"{off:.1f} s apart") if 2 <= off < 30 else finding


async def _memory(ctx: _OneHost) -> Finding:
    facts = await ctx.fact(ctx.only, "system", timeout=15)
    memory = facts.get("memory") or {}
    total = int(memory.get("MemTotal", 0))
    found = f"{total / GIB:.1f} GiB"
    step = (
        "raise memory= in %USERPROFILE%\\.wslconfig" if facts.get("wsl") else "add memory or swap"
    )
    finding = judge(True, ">= 8 GB of memory", found, next=step)
    return warn(finding, f"{found} only") if total < 8e9 else finding


async def _logout(ctx: _OneHost) -> Finding:
    facts = await ctx.fact(ctx.only, "system", timeout=15)
    expected = "jobs outlive a logout"
    step = f"sudo loginctl enable-linger; `gonogo doctor {ctx.only} --drop` tries it"
    if facts.get("kill_user_processes") and not facts.get("linger"):
        finding = judge(True, expected, "", next=step)
        return warn(finding, "KillUserProcesses=yes and no linger: systemd ends them")
    return judge(True, expected, "lingers" if facts.get("linger") else "systemd does not end them")


async def _shm(ctx: _OneHost) -> Finding:
    """Data loaders with workers pass batches through shared memory; Docker gives 64 MiB of it."""
    expected, training = ">= 1 GB of shared memory", ctx.ws.settings.training
    if ctx.ws.settings.hosts[ctx.only].backend == "docker":
        size = (training.shm_gb or 0.0625) * GIB
    else:
        size = (await ctx.fact(ctx.only, "system", timeout=15)).get("shm") or 0
    finding = judge(True, expected, f"{size / GIB:.2f} GiB", next="set training.shm_gb = 1")
    return warn(finding, f"{size / GIB:.2f} GiB only") if size < 1e9 else finding


async def _tracking(ctx: _OneHost) -> Finding:
    """MLflow as a training on this host reaches it: not the tunnel, but the network between the two."""
    uri = ctx.ws.settings.training.tracking_uri
    expected = f"HTTP 200 from {uri}/health"
    if not uri:
        return skip("training.tracking_uri is not set: runs are not sent to MLflow", expected)
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme != "http" or not parts.hostname:
        return skip(f"{uri} is asked by the training only", expected)
    port = parts.port or 80
    facts = await ctx.ask(ctx.only, "reach", timeout=15, address=parts.hostname, port=port)
    status = facts.get("status")
    found = f"HTTP {status}" if status else str(facts.get("error"))[:120]
    cause = no_service(status, str(facts.get("body", "")), found)
    step = cause.next if status else (
        f"is MLflow up, is mlflow.bind an address of its host, does a firewall let port {port} in?"
    )  # fmt: skip
    return judge(status == 200, expected, found, str(cause), next="" if status == 200 else step)


async def _journal(ctx: _OneHost) -> Finding:
    facts = await ctx.ask(ctx.only, "journal", timeout=15)
    expected = "create, append, fsync and rename in ~/.gonogo"
    found = "works" if facts.get("ok") else f"{facts.get('step')} failed: {facts.get('text')}"
    return judge(
        bool(facts.get("ok")), expected, found, found, next="is the disk full or read-only?"
    )


def _rules(ws: Workspace, role: str, deep: bool) -> Iterable[tuple[str, str, Params]]:
    bound, shipped = bindings_of(ws).bound, load_bindings(Path("/nonexistent"))
    wanted = list(BOXES.get(role, ()))
    if deep and role == "tower":
        wanted.append(("docker-gpu", "S0.T5"))
    for name, item in wanted:
        binding = bound.get(item) or shipped[item]
        yield name, binding.rule, binding.params
    yield "disk", "disk", DiskParams()
    if deep and role == "tower":
        yield "kernel", "gpu-kernel", KernelParams()


async def host(
    ws: Workspace, links: Links, name: str, show: Shown, *, deep: bool = False
) -> list[Row]:
    """The rows of one host. `deep` also starts containers, which may pull an image."""
    ctx = _OneHost(ws, links, _nothing, ws.state, Public("not asked"), only=name)
    checks: dict[str, tuple[Awaitable[Finding], str]] = {
        "link": (_link(ctx), "an answer over SSH"),
        "clock": (_clock(ctx), "clocks less than 2 s apart"),
        "memory": (_memory(ctx), ">= 8 GB of memory"),
        "logout": (_logout(ctx), "jobs outlive a logout"),
        "journal": (_journal(ctx), "create, append, fsync and rename in ~/.gonogo"),
    }
    for check, rule, params in _rules(ws, ws.settings.hosts[name].role, deep):
        checks[check] = (RULES[rule].check(ctx, params), params.expects(ws.settings))

    async def one(check: str, work: Awaitable[Finding], expected: str) -> Row:
        return await row(f"{name}.{check}", work, expected, slow)

    if ws.settings.hosts[name].role == "tower":
        checks["shm"] = (_shm(ctx), ">= 1 GB of shared memory")
        checks["tracking"] = (_tracking(ctx), "MLflow answers where trainings send to")

    slow = 620.0 if deep else CHECK_SECONDS
    try:
        rows = []
        for work in [asyncio.ensure_future(one(c, *pair)) for c, pair in checks.items()]:
            rows.append(await work)  # they run beside each other and are shown in one order
            show(rows[-1])
        return rows
    finally:
        ctx.close()
