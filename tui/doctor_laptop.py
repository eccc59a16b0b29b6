"""What this machine has and lacks for the work: Python, SSH, keys, terminal, disk, git, editor, names."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
from collections.abc import Awaitable
from pathlib import Path

from tui.doctor_rows import Row, Shown, row
from tui.roadmap.rules.base import Finding, judge, skip, warn
from tui.roadmap.rules.desk import EXTENSION, extension_folders

PROGRAM_SECONDS = 3.0
VARIABLES = (
    "HF_TOKEN", "HF_HOME", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_TOKEN", "OPENAI_API_KEY",
    "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "GITHUB_TOKEN", "SSH_AUTH_SOCK", "HTTP_PROXY",
    "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "NO_COLOR",
)  # fmt: skip


async def _version(program: str, option: str) -> str:
    """First line of what a program says of its version, "" where there is none."""
    if shutil.which(program) is None:
        return ""
    child = await asyncio.create_subprocess_exec(
        program, option, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PROGRAM_SECONDS):
            output, _ = await child.communicate()
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
