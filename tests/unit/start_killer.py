"""Kills whoever starts a job with SIGKILL at the entry of every system call of the start.

Arguments: folder, who (agent or supervisor), first and last kill point. The job appends a line to a file, so
that a second run of it is seen. After each kill a fresh agent is asked for the same job again, as a laptop
does that got no answer; a line of JSON says how often the program ran and what was told of it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from agents.remote import launch, offspring
from agents.remote.jobs import TERMINAL, JobTable
from agents.remote.loop import Loop
from agents.remote.supervisor import Supervisor
from tests.unit.ptrace_killer import trace

SECONDS = 20.0


def request(folder: Path) -> dict[str, object]:
    script = f"echo ran >>{folder}/ran; exec sleep 0.1"
    return {"name": "once", "argv": ["/bin/sh", "-c", script], "op_id": "op", "cwd": str(folder)}


def start(folder: Path) -> None:
    """What an agent does: it ends as soon as the start is confirmed."""
    loop = Loop()
    table = JobTable(str(folder), loop)
    table.start(loop, request(folder), lambda status: setattr(loop, "running", False))
    loop.run()


def supervise(folder: Path) -> None:
    """What the supervisor does, with nobody at the other end of its pipe."""
    job_id, job, env, hold = JobTable(str(folder), Loop()).create(request(folder))
    assert job is not None
    read, write = os.pipe()
    os.close(read)
    Supervisor(str(folder / ".gonogo/jobs" / job_id), job, env, write, None, hold).run()


def again(folder: Path) -> dict[str, object]:
    """Ask a fresh agent for the job until it is over: what it is told on the way, and in the end."""
    start(folder)
    table = JobTable(str(folder), Loop())
    ids = table.ids()
    place = str(folder / ".gonogo/jobs" / ids[0])
    deadline, denied = time.monotonic() + SECONDS, False
    while True:
        state = table.status(ids[0])["state"]
        lives = bool(offspring.marked(place, offspring.living()))
        if state in TERMINAL:
            denied = lives
            if not lives and not launch.is_held(place):
                break
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    ran = folder / "ran"
    runs = len(ran.read_text().splitlines()) if ran.exists() else 0
    left = sorted(path.name for path in Path(place).glob(".*"))
    return {"jobs": len(ids), "state": state, "runs": runs, "denied": denied, "left": left}


def main() -> None:
    folder, who, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    work = {"agent": start, "supervisor": supervise}[who]
    for point in range(first, last + 1):
        home = folder / str(point)
        home.mkdir()
        calls, ended = trace(point, lambda home=home: work(home))  # type: ignore[misc]
        print(
            json.dumps({"point": point, "calls": calls, "ended": ended, **again(home)}), flush=True
        )
        if ended or calls < 0:
            break


if __name__ == "__main__":
    main()
