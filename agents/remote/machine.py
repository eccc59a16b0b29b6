"""Runs in a child process of the agent: one fixed probe of the machine, one JSON line on stdout.

A process of its own, because a probe may hang and because its code then costs the agent no memory.
Every program is started with a fixed list of arguments, without a shell, with a time limit; of what it
prints 64 KiB are kept. A probe tells facts; what they mean is judged on the laptop.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

LIMIT = 65536
SHOWN = 4096
FOLDERS = ("/usr/lib/wsl/lib", "/usr/local/bin", "/usr/bin", "/bin", "/snap/bin")
WINDOWS = {
    "docker.exe": "/mnt/c/Program Files/Docker/Docker/resources/bin/docker.exe",
    "wsl.exe": "/mnt/c/Windows/System32/wsl.exe",
}
late = False


class Failed(Exception):
    """The probe gives no facts: `code` is "timeout" or a short fixed word."""

    def __init__(self, code: str, message: str) -> None:
        Exception.__init__(self, message)
        self.code = code


def find(*names: str) -> str:
    """Path of the first of these programs that is there, or ""; SSH gives a short PATH."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for name in names:
        for folder in [*folders, *FOLDERS]:
            path = os.path.join(folder or ".", name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
        if os.path.isfile(WINDOWS.get(name, "")):
            return WINDOWS[name]
    return ""


def decode(data: bytes) -> str:
    """Text of a program; wsl.exe writes UTF-16 without saying so."""
    wide = len(data) > 3 and data.count(0) * 3 > len(data)
    if wide:
        return data[: len(data) // 2 * 2].decode("utf-16-le", "replace").lstrip("\ufeff")
    return data.decode("utf-8", "replace")


def run(argv: Sequence[str], timeout: float) -> tuple[int, str]:
    """(exit code or minus the signal, stdout and stderr). Raises Failed when it takes too long."""
    global late
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, LC_ALL="C"),
        )
    except OSError as error:
        raise Failed("broken", "%s: %s" % (argv[0], error.strerror or error)) from error
    output = bytearray()

    def drain() -> None:
        stream = child.stdout
        while stream is not None:
            data = os.read(stream.fileno(), 65536)
            if not data:
                return
            output.extend(data[: max(0, LIMIT - len(output))])

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    reader.join(timeout)
    try:
        code = child.wait(0.5 if not reader.is_alive() else 0)
    except subprocess.TimeoutExpired:
        child.kill()
        late = True
        name = os.path.basename(argv[0])
        raise Failed("timeout", "%s did not answer within %g s" % (name, timeout)) from None
    return code, decode(bytes(output))


def answer(name: str, params: dict[str, Any]) -> dict[str, Any]:
    """{"value": facts} or {"fail": [code, sentence]}."""
    from agents.remote import machine_containers, machine_facts, machine_net

    catalogue = dict(machine_facts.PROBES)
    catalogue.update(machine_containers.PROBES)
    catalogue.update(machine_net.PROBES)
    try:
        return {"value": catalogue[name](params)}
    except Failed as error:
        return {"fail": [error.code, str(error)]}
    except Exception as error:
        return {"fail": ["broken", "%s: %s" % (type(error).__name__, error)]}


def main(argv: list[str], extra: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer(argv[0], json.loads(argv[1]))) + "\n")
    sys.stdout.flush()
    if late:  # what a killed program had started itself goes too: the group is ours
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
    os._exit(0)
