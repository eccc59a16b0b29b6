"""Facts about the host and its processes, read from /proc."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read_text(path: str, limit: int = 65536) -> str:
    """The first `limit` bytes of a small file, or "" when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def now_ms() -> int:
    return int(time.time() * 1000)


def boot_id() -> str:
    """Identity of this boot; "" where the kernel tells none."""
    return read_text("/proc/sys/kernel/random/boot_id").strip()


class ProcessStat:
    """The fields of /proc/<pid>/stat that identify a process and its resources."""

    __slots__ = ("ppid", "rss_pages", "session", "starttime", "state")

    def __init__(self, text: str) -> None:
        fields = text[text.rindex(")") + 2 :].split()
        self.state = fields[0]
        self.ppid = int(fields[1])
        self.session = int(fields[3])
        self.starttime = int(fields[19])
        self.rss_pages = int(fields[21])


def process_stat(pid: int) -> ProcessStat | None:
    text = read_text("/proc/%d/stat" % pid)
    if not text:
        return None
    try:
        return ProcessStat(text)
    except (ValueError, IndexError):
        return None


def is_alive(pid: Any, starttime: Any) -> bool:
    """True when exactly this process (pid and start time) runs and is no zombie."""
    if not isinstance(pid, int) or pid <= 1:
        return False
    stat = process_stat(pid)
    if stat is None:
        # There, but not to be read: a host short of files or memory must not end a job in words.
        return os.path.exists("/proc/%d" % pid)
    return stat.starttime == starttime and stat.state not in "ZX"


def session_members(sessions: set[int]) -> list[tuple[int, ProcessStat]]:
    """Every living process of the given sessions."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = process_stat(int(name))
            if stat is not None and stat.session in sessions and stat.state not in "ZX":
                found.append((int(name), stat))
    return found


def hello(home: str) -> dict[str, Any]:
    """What the agent says first: who and what this host is."""
    system = os.uname()
    return {
        "m": "hello",
        "protocol": [1, 1],
        "pid": os.getpid(),
        "boot_id": boot_id(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "executable": sys.executable,
        "system": system.sysname,
        "release": system.release,
        "machine": system.machine,
        "hostname": system.nodename,
        "uid": os.getuid(),
        "home": home,
        "wsl": "microsoft" in system.release.lower() or os.path.exists("/dev/dxg"),
        "t_ms": now_ms(),
    }
