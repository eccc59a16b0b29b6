"""The processes that a job started, wherever they went: a stop has to reach them all.

A program can leave its group and its session (setsid) and its parent (double fork). Two traces stay: a
supervisor that is a subreaper becomes the parent of every orphan below it, and a process keeps the
environment that it was started with, in which GONOGO_JOB_DIR names the job. A signal goes to a verified
process only: its id may belong to another one a moment later.
"""

from __future__ import annotations

import os
import signal

from agents.remote.host import ProcessStat, process_stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    Found = list[tuple[int, ProcessStat]]

MARK = "GONOGO_JOB_DIR"
MAX_ENVIRONMENT = 4 << 20
PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """Orphans below this process become its children; False where Python or kernel cannot do it."""
    try:
        import ctypes

        return ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    except (ImportError, OSError, AttributeError):
        return False


def living() -> Found:
    """Every process of the machine that is no zombie."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = process_stat(int(name))
            if stat is not None and stat.state not in "ZX":
                found.append((int(name), stat))
    return found


def descendants(root: int, processes: Found) -> Found:
    """Children of `root`, their children and so on. A living child of a zombie counts as well."""
    parents = {pid: stat.ppid for pid, stat in processes}
    found = []
    for pid, stat in processes:
        above, seen = stat.ppid, {pid}
        while above not in seen and above > 1:
            if above == root:
                found.append((pid, stat))
                break
            seen.add(above)
            if above not in parents:
                zombie = process_stat(above)
                parents[above] = zombie.ppid if zombie is not None else 0
            above = parents[above]
    return found


def folder_of(pid: int) -> str:
    """The job folder that the environment names with which this process was started, or ""."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as file:
            entries = file.read(MAX_ENVIRONMENT).split(b"\0")
    except OSError:  # of another user, or gone
        return ""
    mark = MARK.encode("ascii") + b"="
    return next((os.fsdecode(e[len(mark) :]) for e in entries if e.startswith(mark)), "")


def marked(folder: str, processes: Found) -> Found:
    return [(pid, stat) for pid, stat in processes if folder_of(pid) == folder]


def send(pid: int, starttime: int, number: int) -> None:
    """Signal the process with this id and this start time, and no other that took its id since."""
    try:
        handle = os.pidfd_open(pid)  # Python 3.9 and Linux 5.3
    except (AttributeError, OSError):
        handle = -1
    try:
        stat = process_stat(pid)
        if stat is None or stat.starttime != starttime:
            return
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(pid, number)
    except OSError:
        pass
    finally:
        if handle >= 0:
            os.close(handle)
