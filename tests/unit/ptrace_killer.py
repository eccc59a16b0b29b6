"""Kills a forked writer with SIGKILL at the entry of its n-th system call; the crash tests run it.

Arguments: folder, writer (ours, naive, unlocked), first and last kill point. For each point a child of
this warm process does three commits in a folder of its own, acknowledging each on a pipe; a line of JSON
says how many it acknowledged and whether it ended before the point was reached. No registers are read, so
it works on every architecture with PTRACE_SYSCALL.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import uuid6  # noqa: F401 - here, so that its import is no part of a commit

from tui.roadmap.journal import Journal

TRACEME, SYSCALL, SETOPTIONS, EXITKILL_SYSGOOD = 0, 24, 0x4200, 0x00100001
SYSCALL_STOP = signal.SIGTRAP | 0x80

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def ptrace(request: int, pid: int = 0, data: int = 0) -> None:
    if _libc.ptrace(request, pid, None, data) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def ours(folder: Path, acknowledge: int) -> None:
    journal = Journal(folder / "state.jsonl")
    for n in range(3):
        with journal.exclusive():
            journal.write({"by": "t", "do": "field", "item": f"F{n}", "old": None, "new": "x" * 50})
        os.write(acknowledge, b".")


def naive(folder: Path, acknowledge: int) -> None:
    path = folder / "state.json"
    for n in range(3):
        state = json.loads(path.read_text()) if path.exists() else {}
        state[f"F{n}"] = "x" * 50
        with open(path, "w") as file:  # noqa: PTH123 - the wrong way on purpose
            file.write(json.dumps(state))
        os.write(acknowledge, b".")


def unsynced_order(folder: Path, acknowledge: int) -> None:
    """Says saved before it writes."""
    journal = Journal(folder / "state.jsonl")
    for n in range(3):
        os.write(acknowledge, b".")
        with journal.exclusive():
            journal.write({"by": "t", "do": "field", "item": f"F{n}", "old": None, "new": "x" * 50})


WRITERS = {"ours": ours, "naive": naive, "early": unsynced_order}


def trace(point: int, work: Callable[[], object]) -> tuple[int, bool]:
    """Run `work` in a child that is killed at the entry of system call `point` (from 1) after it began.

    (calls seen, whether it ended before the point); calls is -1 where nothing may be traced.
    """
    pid = os.fork()
    if pid == 0:
        try:
            ptrace(TRACEME)
            os.kill(os.getpid(), signal.SIGSTOP)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSTOPPED(status):
        return -1, False
    ptrace(SETOPTIONS, pid, EXITKILL_SYSGOOD)
    calls, entering, deliver, ended = 0, True, 0, False
    while True:
        ptrace(SYSCALL, pid, deliver)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            ended = os.WIFEXITED(status)
            break
        deliver = 0
        if os.WSTOPSIG(status) != SYSCALL_STOP:
            deliver = os.WSTOPSIG(status)
            continue
        if entering:
            calls += 1
            if calls == point:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                break
        entering = not entering
    return calls, ended


def killed_at(point: int, folder: Path, writer: str) -> dict[str, object]:
    """One writer, killed at `point`: what it had acknowledged until then."""
    folder.mkdir()
    end, acknowledge = os.pipe()
    calls, ended = trace(point, lambda: WRITERS[writer](folder, acknowledge))
    os.close(acknowledge)
    if calls < 0:
        return {"point": point, "forbidden": True}
    seen = b""
    while chunk := os.read(end, 64):
        seen += chunk
    os.close(end)
    return {"point": point, "acknowledged": len(seen), "ended": ended, "calls": calls}


def main() -> None:
    folder, writer, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    for point in range(first, last + 1):
        answer = killed_at(point, folder / str(point), writer)
        print(json.dumps(answer), flush=True)
        if answer.get("ended") or answer.get("forbidden"):
            break


if __name__ == "__main__":
    main()
