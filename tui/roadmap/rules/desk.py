"""Rules between the desk and the hosts: MLflow's container, the tunnel to it, the editor at both ends."""

from __future__ import annotations

import asyncio
import html
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import Field

from tui.roadmap.causes import Cause
from tui.roadmap.rules.base import (
    Context,
    Finding,
    Params,
    Positive,
    Rule,
    Unreachable,
    judge,
    on_hosts,
    skip,
    warn,
)
from tui.roadmap.rules.containers import no_docker
from tui.roadmap.rules.hosts import no_service
from tui.roadmap.rules.machine import MachineParams, Role, failing, parent, told
from tui.settings import Settings

EXTENSION = "ms-vscode-remote.remote-ssh"
EXTENSION_FOLDERS = (
    "~/.vscode/extensions",
    "~/.vscode-insiders/extensions",
    "~/.vscode-server/extensions",
)
MAX_ANSWER = 65536


class Forwarded(Protocol):
    """A local port that leads to a host."""

    @property
    def url(self) -> str: ...

    async def close(self) -> None: ...


class ServiceParams(MachineParams):
    """MLflow's container on its host: up for `seconds`, never restarted, its data on a mount."""

    host: Role = "server"
    seconds: Positive = 30

    def expects(self, settings: Settings) -> str:
        return f"an MLflow container (port {settings.mlflow.port}) up >= {self.seconds} s with a volume"


class TunnelParams(MachineParams):
    """MLflow's health through an SSH tunnel from this machine."""

    host: Role = "server"
    timeout: Annotated[float, Field(gt=0, le=600)] = 20.0

    def expects(self, settings: Settings) -> str:
        return f"HTTP 200 from /health through a tunnel to port {settings.mlflow.port}"


class ExtensionParams(Params):
    """An extension of VS Code on this machine."""

    TTL_HOURS: ClassVar[float] = 24.0
    name: Annotated[str, Field(pattern=r"^[\w.-]+$")] = EXTENSION

    def expects(self, settings: Settings) -> str:
        del settings
        return self.name


class EditorParams(MachineParams):
    """VS Code's server left files on a host lately."""

    days: Positive = 7

    def expects(self, settings: Settings) -> str:
        del settings
        return f"VS Code's server ran there within {self.days} days"


def _uptime(started: str) -> float | None:
    """Seconds since an RFC 3339 time with nanoseconds, None where there is none."""
    match = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", started)
    if not match or started.startswith("0001"):
        return None
    return time.time() - datetime.fromisoformat(match.group(1)).replace(tzinfo=UTC).timestamp()


def judge_service(
    host: str, facts: dict[str, Any], seconds: int, expected: str, image: str = "mlflow"
) -> Finding:
    """A container that runs, stays up and keeps its data."""
    found = [c for c in facts.get("found") or [] if isinstance(c, dict)]
    if not found:
        cause = Cause(f"no {image} container on this host", "start it with `gonogo mlflow up`")
        return failing(host, cause, expected, facts)
    running = [c for c in found if c.get("running")]
    shown = (running or found)[0]
    name = str(shown.get("name", ""))[:60]
    step = f"look at `docker logs {name}` on the host"
    if not running:
        return failing(host, Cause(f"{name} is {shown.get('status')}", step), expected, facts)
    up, restarts = _uptime(str(shown.get("started", ""))), shown.get("restarts") or 0
    text = f"{name} up {up or 0:.0f} s, restarted {restarts} times"
    if restarts:
        return failing(host, Cause(f"{name} was restarted {restarts} times", step), expected, facts)
    if up is not None and up < seconds:
        return told(
            host, skip(f"{name} is up for {up:.0f} s only", expected), facts, "look again soon"
        )
    finding = judge(True, expected, text)
    if not shown.get("mounts"):
        finding = warn(finding, f"{name} has no volume: its runs are lost with the container")
    elif shown.get("policy") in ("", "no"):
        finding = warn(finding, f"{name} does not start again after a reboot (no restart policy)")
    return told(host, finding, facts, "start it with `gonogo mlflow up`")


async def service(ctx: Context, params: ServiceParams) -> Finding:
    """MLflow's container, by its port or its name."""
    host, expected = ctx.host(params.host), params.expects(ctx.ws.settings)
    cause = no_docker(await ctx.fact(host, "docker", timeout=25, limit=8, unit=True))
    if cause is not None:
        return parent(host, "Docker", cause, expected, {})
    port = ctx.ws.settings.mlflow.port
    facts = await ctx.fact(host, "containers", timeout=25, port=port, word="mlflow")
    return judge_service(host, facts, params.seconds, expected)


async def get(url: str, path: str, timeout: float) -> tuple[int, str]:
    """(status, body) of one GET on a loopback port; status 0 with the reason where none came."""
    port = int(url.rpartition(":")[2])
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                data = await reader.read(MAX_ANSWER)
                while len(data) < MAX_ANSWER and (more := await reader.read(MAX_ANSWER)):
                    data += more
            finally:
                writer.close()
    except TimeoutError:
        return 0, f"no answer within {timeout:g} s"
    except OSError as error:
        return 0, error.strerror or str(error)
    head, _, body = data.partition(b"\r\n\r\n")
    fields = head.split(b" ", 2)
    if not head.startswith(b"HTTP/") or len(fields) < 2 or not fields[1].isdigit():
        return 0, "the connection ended without an answer"
    return int(fields[1]), body.decode("utf-8", "replace").strip()[:1000]


async def tunnel(ctx: Context, params: TunnelParams) -> Finding:
    """A tunnel of its own on a free local port, one GET, and away again."""
    host, expected = ctx.host(params.host), params.expects(ctx.ws.settings)
    forward = getattr(ctx.probes, "forward", None)
    if forward is None:
        raise Unreachable(f"there is no link to {host}")
    way: Forwarded = await forward(host, ctx.ws.settings.mlflow.port)
    try:
        status, body = await get(way.url, "/health", 8.0)
    finally:
        await way.close()
    words = html.unescape(" ".join(re.sub(r"<[^>]*>", " ", body).split()))
    found = f"HTTP {status} {words[:120]}" if status else body
    cause = no_service(status, words, found)
    finding = judge(status == 200, expected, found, str(cause))
    return told(host, finding, {"status": status, "body": body}, cause.next)


def extension_folders(name: str) -> list[str]:
    """Folders of an extension below the home folder, newest version last."""
    found: list[str] = []
    for root in EXTENSION_FOLDERS:
        found += [str(path) for path in sorted(Path(root).expanduser().glob(f"{name}-[0-9]*"))]
    return found


async def extension(ctx: Context, params: ExtensionParams) -> Finding:
    """The extension's folder; VS Code itself is asked where that is not found."""
    del ctx
    found = await asyncio.to_thread(extension_folders, params.name)
    if found:
        finding = judge(True, params.name, Path(found[-1]).name)
        return replace(finding, by="probe:laptop", data={"folders": found[:10]})
    try:
        child = await asyncio.create_subprocess_exec(
            "code", "--list-extensions", stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        cause = "VS Code is not on this machine's PATH and has no folder of the extension"
        return replace(
            judge(
                False, params.name, "no VS Code", cause, next="install VS Code and the extension"
            ),
            by="probe:laptop",
        )
    try:
        async with asyncio.timeout(params.timeout - 1):
            output, _ = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        raise TimeoutError("code --list-extensions gave no answer") from None
    names = output[:MAX_ANSWER].decode("utf-8", "replace").split()
    step = f"code --install-extension {params.name}"
    found_text = f"{params.name}" if params.name in names else f"{len(names)} other extensions"
    reason = f"{params.name} is not installed. Next: {step}"
    finding = judge(params.name in names, params.name, found_text, reason, next=step)
    return replace(finding, by="probe:laptop")


async def editor(ctx: Context, params: EditorParams) -> Finding:
    """When VS Code's server last wrote on the host: a hint, never a proof."""
    host, expected = ctx.host(params.host), params.expects(ctx.ws.settings)
    facts = await ctx.fact(host, "vscode", timeout=15)
    newest, now = facts.get("newest_ms"), facts.get("now_ms")
    if not newest or not now:
        return told(host, judge(False, expected, "never", "VS Code's server never ran there"), facts,
                    "connect once with Remote-SSH")  # fmt: skip
    days = (int(now) - int(newest)) / 86_400_000
    text = f"last used {days:.1f} days ago"
    return told(host, judge(days <= params.days, expected, text, text), facts)


RULES = {
    "mlflow-container": on_hosts(ServiceParams, service),
    "tunnel": on_hosts(TunnelParams, tunnel),
    "vscode-extension": Rule(ExtensionParams, extension),
    "vscode-server": on_hosts(EditorParams, editor),
}
