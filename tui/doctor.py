"""`gonogo doctor`: what this machine and each host have and lack, row by row, without changing them."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.roadmap.bindings import bindings_of, load_bindings
from tui.roadmap.entries import VerdictWord
from tui.roadmap.public import Public
from tui.roadmap.redact import redact
from tui.roadmap.rules.base import Context, Finding, Params, judge, skip, warn
from tui.roadmap.rules.desk import EXTENSION, extension_folders
from tui.roadmap.rules.machine import DiskParams, KernelParams
from tui.roadmap.rules.registry import RULES
from tui.roadmap.verify import finding_of, one_line

if TYPE_CHECKING:
    from tui.cli_verify import Links
    from tui.roadmap.workspace import Workspace

GIB = 2**30
PROGRAM_SECONDS = 3.0
CHECK_SECONDS = 40.0
VARIABLES = (
    "HF_TOKEN", "HF_HOME", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "HTTP_PROXY",
    "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "NO_COLOR",
)  # fmt: skip
BOXES = {
    "tower": (("docker", "S0.T1"), ("driver", "S0.T2"), ("cuda", "S0.T3"), ("card", "S0.T4"),
              ("vram", "S0.T7"), ("image", "S0.T6")),
    "server": (("docker", "S0.S1"), ("mlflow-container", "S0.S2"), ("mlflow-health", "S0.S3"),
               ("storage", "S0.S4"), ("tunnel", "S0.L5")),
}  # fmt: skip
"""Checks of a role that are those of boxes, with the thresholds bound there."""


@dataclass(frozen=True, slots=True)
class Row:
    """One check. `next` is the next step where something is wrong, "" otherwise."""

    id: str
    verdict: VerdictWord
    expected: str
    found: str
    seconds: float
    next: str

    def as_json(self) -> dict[str, Any]:
        """The object of `gonogo doctor --json`."""
        return {
            "id": self.id, "verdict": self.verdict, "expected": self.expected, "found": self.found,
            "seconds": round(self.seconds, 3), "next": self.next,
        }  # fmt: skip


Shown = Callable[[Row], None]


async def row(
    name: str, work: Awaitable[Finding], expected: str = "", seconds: float = CHECK_SECONDS
) -> Row:
    """Runs one check, at most `seconds` long; whatever goes wrong in it is its verdict."""
    began = time.monotonic()
    try:
        finding = await asyncio.wait_for(work, seconds)
    except Exception as error:
        finding = finding_of(error)
    step = str(finding.data.get("next", ""))
    if finding.verdict == "UNREACHABLE":
        host = name.partition(".")[0]
        step = f"is {host} switched on, and does `ssh {host}` work?"
    found = finding.found or finding.reason
    if finding.verdict in ("WARN", "SKIP") and finding.reason:
        found = finding.reason
    return Row(
        name, finding.verdict, one_line(finding.expected or expected), one_line(redact(found)),
        time.monotonic() - began, one_line(step),
    )  # fmt: skip


# --- this machine ------------------------------------------------------------------------------------


async def _version(program: str, option: str) -> str:
    """First line of what a program says of its version, "" where there is none."""
    if shutil.which(program) is None:
        return ""
    child = await asyncio.create_subprocess_exec(
        program, option, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(child.communicate(), PROGRAM_SECONDS)
    except TimeoutError:
        child.kill()
        await child.wait()
        raise TimeoutError(f"{program} gave no answer within {PROGRAM_SECONDS:g} s") from None
    return (output[:4096].decode("utf-8", "replace").splitlines() or [""])[0][:120]


async def _python() -> Finding:
    found = platform.python_version()
    return judge(sys.version_info >= (3, 11), ">= 3.11", found, next="install Python 3.11 or newer")


async def _program(program: str, option: str, expected: str, step: str) -> Finding:
    found = await _version(program, option)
    if found:
        return judge(True, expected, found)
    return warn(judge(True, expected, "", next=step), f"there is no {program} on PATH")


def _ssh_folder() -> Path:
    return Path("~/.ssh").expanduser()


async def _keys() -> Finding:
    """A key to log in with: files by name and mode only, or an agent."""
    expected, folder = "a private key for this user only", _ssh_folder()
    names = [p for p in sorted(folder.glob("*.pub"))[:50] if p.with_suffix("").is_file()]
    keys = [p.with_suffix("") for p in names]
    loose = [p.name for p in keys if p.stat().st_mode & 0o077]
    if loose:
        text = f"others may read {', '.join(loose)}"
        step = "chmod 600 " + " ".join(f"~/.ssh/{name}" for name in loose)
        return judge(False, expected, text, text, next=step)
    if keys:
        return judge(True, expected, ", ".join(p.name for p in keys))
    if os.environ.get("SSH_AUTH_SOCK"):
        return judge(True, expected, "an SSH agent")
    return warn(
        judge(True, expected, "", next="ssh-keygen -t ed25519"), "no key in ~/.ssh, no agent"
    )


async def _known_hosts() -> Finding:
    expected, path = "known_hosts that can be read", _ssh_folder() / "known_hosts"
    if not path.exists():
        step = "connect once and compare the fingerprint"
        return warn(judge(True, expected, "", next=step), "no host is known yet")
    lines = [x for x in path.read_bytes().splitlines() if x.strip() and not x.startswith(b"#")]
    damaged = [n for n, x in enumerate(lines, 1) if len(x.split()) < 3]
    finding = judge(True, expected, f"{len(lines)} keys")
    return warn(finding, f"line {damaged[0]} of known_hosts is damaged") if damaged else finding


async def _terminal() -> Finding:
    from tui.vocabulary import wants_ascii

    expected = "a terminal of at least 80x24 with UTF-8"
    if not sys.stdout.isatty():
        return skip("the output goes into a pipe or a file", expected)
    size = shutil.get_terminal_size()
    found = f"{os.environ.get('TERM', 'no TERM')} {size.columns}x{size.lines}"
    finding = judge(True, expected, found, next="make it larger, or use --ascii")
    if size.columns < 80 or size.lines < 24:
        return warn(finding, f"{found} is small")
    return warn(finding, f"{found}, not UTF-8") if wants_ascii() else finding


async def _disk(folder: Path) -> Finding:
    space = shutil.disk_usage(folder)
    found = f"{space.free / 1e9:.0f} GB free"
    return judge(space.free >= 5e9, ">= 5 GB free for mirrored runs", found, next="free some space")


async def _vscode() -> Finding:
    found = await asyncio.to_thread(extension_folders, EXTENSION)
    if found:
        return judge(True, EXTENSION, Path(found[-1]).name)
    step = f"code --install-extension {EXTENSION}"
    return warn(judge(True, EXTENSION, "", next=step), "no folder of that extension")


async def _environment() -> Finding:
    named = [name for name in VARIABLES if os.environ.get(name)]
    return judge(True, "shown by name only", ", ".join(named) or "none of those that matter is set")


async def laptop(folder: Path, show: Shown) -> list[Row]:
    """The rows about this machine; they need no workspace and no network."""
    checks: dict[str, Awaitable[Finding]] = {
        "python": _python(),
        "ssh": _program("ssh", "-V", "an OpenSSH client", "install OpenSSH, to try logins by hand"),
        "keys": _keys(),
        "known-hosts": _known_hosts(),
        "terminal": _terminal(),
        "disk": _disk(folder),
        "git": _program("git", "--version", "git", "install git"),
        "vscode": _vscode(),
        "environment": _environment(),
    }
    rows = await asyncio.gather(*(row(f"laptop.{name}", work) for name, work in checks.items()))
    for each in rows:
        show(each)
    return list(rows)


# --- a host --------------------------------------------------------------------------------------------


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
        found = await row(f"{name}.{check}", work, expected, slow)
        show(found)
        return found

    slow = 620.0 if deep else CHECK_SECONDS
    try:
        return list(await asyncio.gather(*(one(c, *pair) for c, pair in checks.items())))
    finally:
        ctx.close()


def exit_code(rows: Iterable[Row]) -> int:
    """0 nothing wrong, 1 a check failed or broke, 5 hosts out of reach and nothing worse."""
    words = {row.verdict for row in rows}
    if words & {"FAIL", "ERROR", "TIMEOUT"}:
        return 1
    return 5 if "UNREACHABLE" in words else 0


__all__ = ["Row", "exit_code", "host", "laptop", "row"]
