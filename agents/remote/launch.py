"""Start a job that outlives the agent: double fork, new session, a supervisor that waits.

agent ─ fork ─ (ends) ─ fork ─ supervisor ─ fork ─ job
Whether a start is under way is told by a lock on the job's folder: the agent takes it before the folder
has its name, the supervisor inherits it, and the kernel drops it when the last of them has ended.
"""

from __future__ import annotations

import fcntl
import os

from agents.remote.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Program = Callable[[], int]


def take_hold(folder: str) -> int:
    """A descriptor that holds the folder's lock, -1 when another process does. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return -1
    return fd


def is_held(folder: str) -> bool:
    """Is a start of this job under way? Raises OSError when there is no such folder."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def launch(
    folder: str,
    job: dict[str, Any],
    env: dict[str, str],
    program: Program | None = None,
    hold: int = -1,
) -> int:
    """Fork the chain; returns the read end of a pipe. `program` runs instead of argv.

    The supervisor writes ``ok`` to it once the job executes, or ``error`` when it could not
    and exit.json says why; the pipe ends without a word only if the supervisor was killed.
    `hold` is closed here and kept by the supervisor.
    """
    confirm_read, confirm_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                Supervisor(folder, job, env, confirm_write, program, hold).run()
        except BaseException as error:
            try:
                os.write(confirm_write, ("error: %s" % error).encode("utf-8", "replace")[:500])
            except OSError:
                pass
        finally:
            os._exit(0)
    os.close(confirm_write)
    if hold >= 0:
        os.close(hold)
    os.waitpid(pid, 0)
    return confirm_read
