"""Bring the agent to a host over one exec channel, leaving no file there.

The command is a stub of a few hundred bytes; it reads ``<length> <sha256>`` and a zlib
payload from stdin, checks the sum and runs the sources from memory. Everything the host
prints before the nonce sentinel is noise (a banner, .bashrc) and kept for display.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import re
import secrets
import shlex
import zlib
from functools import cache
from pathlib import Path

from agents.errors import LinkLost, NeedsUser
from agents.trim import names_used, trim

REMOTE = Path(__file__).parent / "remote"
GPU_MODULES = ("nvml",)
GPU_SHARED = ("throttle",)
"""Travel with the GPU reader and with the agent."""
MACHINE_MODULES = ("machine", "machine_facts", "machine_containers", "machine_net")
"""Run in child processes of the agent only; they travel packed."""
MINIMUM = (3, 8)
NOISE_LIMIT = 64 * 1024
EXIT_DAMAGED, EXIT_NONE, EXIT_OLD = 96, 97, 98
INTERPRETERS = ("python3", "python", *(f"python3.{minor}" for minor in range(14, 7, -1)))

# Gives up after a minute without the payload, should the link die before the agent can watch it.
# No quotes but single ones, no $, no backslash, no newline: it passes any login shell.
STUB = (
    "import sys,zlib,json,_signal;_signal.alarm(60);"
    "from _frozen_importlib_external import PathFinder as f;"
    "i=sys.stdin.buffer;n,h=i.readline().split();p=i.read(int(n));_signal.alarm(0);"
    "s=__import__(next(x for x in ('_sha2','_sha256','hashlib')"
    " if x in sys.builtin_module_names or f.find_spec(x))).sha256;"
    "s(p).hexdigest()==h.decode() or sys.exit(96);"
    "d=json.loads(zlib.decompress(p));exec(d['boot'])"
)


def new_nonce() -> str:
    return secrets.token_hex(12)


def sentinel(nonce: str) -> bytes:
    """The bytes after which frames begin; an echoed command cannot hold the NULs."""
    return b"\0\0GONOGO " + nonce.encode("ascii") + b"\n"


def command(nonce: str, python: str = "") -> str:
    """One command line for the user's login shell: find a Python >= 3.8 and run the stub.

    Exits 97 when there is none, 98 when all are too old (their versions go to stderr).
    """
    if python.startswith("~/"):
        names = '"$HOME"/' + shlex.quote(python[2:])
    else:
        names = shlex.quote(python) if python else " ".join(INTERPRETERS)
    check = f"import sys; sys.exit(sys.version_info < {MINIMUM})"
    script = (
        f"r={EXIT_NONE}; for p in {names}; do "
        'command -v "$p" >/dev/null 2>&1 || continue; '
        f'if "$p" -c "{check}" </dev/null >/dev/null 2>&1; '
        f'then exec "$p" -ISuB -c "{STUB}" {nonce}; fi; '
        f'v=$("$p" -V 2>&1 </dev/null) && r={EXIT_OLD} && echo "$p is $v" >&2; '
        "done; exit $r"
    )
    return "/bin/sh -c " + shlex.quote(script)


def _pack(main: str, modules: dict[str, str], extra: dict[str, str]) -> bytes:
    body = {
        "boot": (REMOTE / "boot.py").read_text("utf-8"),
        "modules": modules,
        "main": main,
        "extra": extra,
    }
    data = zlib.compress(json.dumps(body).encode("utf-8"), 9)
    return f"{len(data)} {hashlib.sha256(data).hexdigest()}\n".encode("ascii") + data


def _sources(names: list[str]) -> dict[str, str]:
    modules = {"agents": "", "agents.remote": ""}
    for name in names:
        modules[f"agents.remote.{name}"] = (REMOTE / f"{name}.py").read_text("utf-8")
    return modules


def nvml_bindings() -> str | None:
    """Source of the module pynvml, as much of it as the reader uses.

    None where nvidia-ml-py is not installed.
    """
    found = importlib.util.find_spec("pynvml")
    if found is None or not found.origin:
        return None
    reader = (REMOTE / "nvml.py").read_text("utf-8")
    # The module makes its error classes from the names of the error codes.
    return trim(Path(found.origin).read_text("utf-8"), names_used(reader, "nvml"), ("NVML_ERROR_",))


@cache
def build_payload() -> bytes:
    """What the stub reads: about 40 KiB, with the NVML bindings' source inside.

    Without nvidia-ml-py on the laptop the NVML rung of the GPU ladder is left out.
    """
    names = [p.stem for p in sorted(REMOTE.glob("*.py")) if p.stem not in ("__init__", "boot")]
    extra = {"stub": STUB}
    bindings = nvml_bindings()
    if bindings is not None:
        modules = _sources([*GPU_MODULES, *GPU_SHARED])
        modules["pynvml"] = bindings
        gpu = _pack("agents.remote.nvml", modules, {})
        extra["gpu"] = base64.b64encode(gpu).decode("ascii")
    machine = _pack("agents.remote.machine", _sources(list(MACHINE_MODULES)), {})
    extra["machine"] = base64.b64encode(machine).decode("ascii")
    apart = (*GPU_MODULES, *MACHINE_MODULES)
    return _pack(
        "agents.remote.main",
        _sources([name for name in names if name not in apart]),
        extra,
    )


# Only characters that cmd.exe, PowerShell and the Windows argument rules all leave alone.
_PLAIN = re.compile(r"[A-Za-z0-9_./~+-]+\Z")
_UNKNOWN_COMMAND = (
    b"is not recognized as",  # cmd.exe and PowerShell
    b"CommandNotFoundException",  # PowerShell in any language
    b"system cannot find the path specified",
)


def windows_command(nonce: str, python: str = "") -> str:
    """The command line for cmd.exe and PowerShell alike: the stub inside WSL.

    `wsl.exe -e` runs a Linux program without a shell, so one pair of double quotes around
    the stub is all that is ever quoted. Raises NeedsUser for an interpreter whose name
    would need more.
    """
    program = python or "python3"
    if not _PLAIN.match(program):
        raise NeedsUser(f"{program!r} cannot be named on a Windows command line: use a plain path")
    return f'wsl.exe -e {program} -ISuB -c "{STUB}" {nonce}'


def wants_windows(server_version: str, said: bytes) -> bool:
    """Does the login shell of this host belong to Windows?

    `server_version` is the SSH identification, `said` what the shell printed.
    """
    return "Windows" in server_version or any(text in said for text in _UNKNOWN_COMMAND)


_CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|.)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(data: bytes, limit: int = NOISE_LIMIT) -> str:
    """Host output as text without control sequences; it must not reach a terminal raw."""
    data = data[-limit:]
    # wsl.exe writes UTF-16 without saying so: every second byte of Latin text is NUL.
    wide = len(data) > 3 and data.count(0) * 3 > len(data)
    return _CONTROL.sub("", data.decode("utf-16-le" if wide else "utf-8", "replace"))


_ROBBED = ("values to unpack", "invalid literal for int", "has no attribute 'buffer'")
"""What the stub ends with when something else has read, or closed, its input."""


def last_line(data: bytes) -> str:
    lines = [line.strip() for line in printable(data).splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def explain_exit(
    host: str, status: int | None, stderr: bytes, *, windows: bool = False
) -> LinkLost | NeedsUser:
    """Why the agent did not start, from the exit status before the sentinel.

    `windows` says that `windows_command` was run.
    """
    said = last_line(stderr)
    if windows and status != EXIT_DAMAGED:
        return NeedsUser(
            f"{host} runs Windows and its WSL gave no Python ({said or f'exit code {status}'}): "
            "install a distribution with `wsl --install` and python3 in it, "
            f"or let hosts.{host}.ssh name the SSH server inside WSL"
        )
    if status == EXIT_NONE:
        return NeedsUser(
            f"{host} has no Python: install Python 3.8 or newer, or set hosts.{host}.python"
        )
    if status == EXIT_OLD:
        lines = [line for line in printable(stderr).splitlines() if " is Python " in line]
        which = "; ".join(lines[:3]) or said
        return NeedsUser(f"{host} has no Python 3.8 or newer ({which})")
    if status == EXIT_DAMAGED:
        return LinkLost(f"the program for {host} arrived damaged")
    if status == 1 and any(words in said for words in _ROBBED):
        return LinkLost(
            f"the login shell of {host} took or closed the input that was meant for the agent: "
            "let its startup files read only where there is a terminal"
        )
    code = f"with code {status}"
    if status is None or status < 0:
        code = "without an exit code" if status is None else f"by signal {-status}"
    return LinkLost(
        f"the agent on {host} ended {code} before it answered"
        + (f": {said}" if said else "")
        + "; see whether its login shell runs a command: `ssh HOST echo ok`"
    )
