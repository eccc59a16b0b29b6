"""The process above a job: starts it, waits for it, writes how it ended, and ends it when asked.

It needs nobody: not the agent that started it, whose end may come at any moment, and not a free block on
the disk, which a training may have filled. Whatever goes wrong around it, the exit code is written.
"""

from __future__ import annotations

import json
import os
import signal
import time

from agents.remote import offspring
from agents.remote.child import close_all, restore_signals
from agents.remote.files import write_atomic, write_json
from agents.remote.host import boot_id, now_ms, process_stat, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Program = Callable[[], int]

DEFAULT_GRACE = 30.0
AWAITED = (signal.SIGTERM, signal.SIGCHLD)
SPARE = ".exit.spare"
SPARE_BYTES = 4096
"""A block taken on the disk at the start, so that a full disk cannot keep the exit code out."""
STUBBORN = 5.0
"""Seconds for which a process that SIGKILL did not end (in the kernel) is waited for."""
KILLED = 128 + signal.SIGKILL


def oom_kills() -> int:
    """Processes that the kernel ended for lack of memory, in this control group where it counts."""
    for line in read_text("/proc/self/cgroup").splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            counter = "/sys/fs/cgroup%s/memory.events" % group
        elif "memory" in controllers.split(","):
            counter = "/sys/fs/cgroup/memory%s/memory.oom_control" % group
        else:
            continue
        told = _counted(counter)
        if told is not None:
            return told
    return _counted("/proc/vmstat") or 0


def _counted(path: str) -> int | None:
    for line in read_text(path).splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return None


class Supervisor:
    """`confirm` gets ``ok`` or ``error``, `hold` is the lock that says that a start is under way."""

    def __init__(
        self,
        folder: str,
        job: dict[str, Any],
        env: dict[str, str],
        confirm: int,
        program: Program | None,
        hold: int = -1,
    ) -> None:
        self.program = program
        self.folder = folder
        self.job = job
        self.env = env
        self.confirm = confirm
        self.hold = hold
        self.worker = 0
        self.stopped = False
        self.deadline = 0.0
        self.before = 0

    def run(self) -> None:
        for name in ("SIGHUP", "SIGINT", "SIGPIPE"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
        # Blocked and waited for: a handler could come just before the wait and not end it.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
        log = os.open(
            os.path.join(self.folder, "log.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        close_all((self.confirm, self.hold))
        if self.program is None:  # what a queue starts has a supervisor of its own
            offspring.become_subreaper()
        self.before = oom_kills()
        error = self._start()
        if error:
            # The exit code first, so that whoever is told finds it.
            self._wait(error)
        self._tell(b"error" if error else b"ok")
        if not error:
            self._wait("")

    def _tell(self, word: bytes) -> None:
        try:
            os.write(self.confirm, word)
        except OSError:  # nobody listens any more
            pass
        os.close(self.confirm)

    def _start(self) -> str:
        """Fork the program and let it go once job.json names it; returns why it did not execute."""
        go_read, go_write = os.pipe()
        error_read, error_write = os.pipe()
        self.worker = os.fork()
        if self.worker == 0:
            self._work(go_read, go_write, error_write)
        os.close(go_read)
        os.close(error_write)
        stat, own = process_stat(self.worker), process_stat(os.getpid())
        self.job.update(
            pid=self.worker,
            starttime=stat.starttime if stat else None,
            supervisor={"pid": os.getpid(), "starttime": own.starttime if own else None},
            boot_id=boot_id(),
            started=now_ms(),
        )
        try:
            write_atomic(self.folder, SPARE, b" " * SPARE_BYTES)
            write_json(self.folder, "job.json", self.job)
            # A stop that came before anybody could be signalled left its order here.
            self.stopped = os.path.exists(os.path.join(self.folder, "stop.json"))
            if not self.stopped:
                os.write(go_write, b"go")
        except OSError as problem:
            os.close(go_write)
            os.close(error_read)
            return "cannot start %s: %s" % (self.job["argv"][0], problem.strerror or problem)
        os.close(go_write)
        error = os.read(error_read, 500)
        os.close(error_read)
        return error.decode("utf-8", "replace")

    def _work(self, go_read: int, go_write: int, error_write: int) -> None:
        try:
            # The hold is the supervisor's: without it this one will not execute anything.
            close_all((go_read, error_write))
            os.setsid()
            # Execution waits for job.json: a job that nobody knows of must not run.
            if os.read(go_read, 2) != b"go":
                os._exit(125)
            os.close(go_read)
            restore_signals()
            os.chdir(self.job["cwd"])
            if self.program is not None:
                os.close(error_write)
                os._exit(self.program())
            argv = self.job["argv"]
            os.execvpe(argv[0], argv, self.env)  # noqa: S606
        except BaseException as error:
            text = "cannot start %s: %s" % (self.job["argv"][0], error)
            os.write(error_write, text.encode("utf-8", "replace")[:500])
        finally:
            os._exit(127)

    # --- the end ------------------------------------------------------------------------------

    def _grace(self) -> float:
        try:
            with open(os.path.join(self.folder, "stop.json"), "rb") as file:
                grace = min(86400.0, max(0.0, float(json.loads(file.read(4096))["grace"])))
                return grace + float(self.job.get("margin", 0))
        except (OSError, ValueError, KeyError, TypeError):
            return DEFAULT_GRACE

    def _signal(self, number: int) -> None:
        # It is our child and not reaped yet, so the number is still its own.
        try:
            os.killpg(self.worker, number)
        except OSError:
            pass

    def _reap(self) -> int:
        """Wait for the job's end and obey a stop meanwhile; returns the wait status."""
        deadline: float | None = None
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == self.worker:
                return status
            if pid:
                continue  # an orphan that came to us
            if deadline is None:
                got = signal.sigwaitinfo(AWAITED)
            else:
                got = signal.sigtimedwait(AWAITED, max(0.0, deadline - time.monotonic()))
            if got is None:
                self._signal(signal.SIGKILL)
                deadline = time.monotonic() + 1.0
            elif got.si_signo == signal.SIGTERM:
                self.stopped = True
                self._signal(signal.SIGTERM)
                deadline = self.deadline = time.monotonic() + self._grace()

    def _wait(self, error: str) -> None:
        status = self._reap()
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if number else os.WEXITSTATUS(status)
        # A shell tells of a program that was killed below it as 128 + 9.
        killed = (number == signal.SIGKILL or code == KILLED) and not self.stopped
        result = {
            "code": code,
            "signal": number,
            "oom": (killed and oom_kills() > self.before) or code in self.job.get("oom_codes", []),
            "t": now_ms(),
            "stopped": self.stopped,
        }
        if error:
            result["error"] = error
        if self.stopped:
            # Only then it is stopped: what goes on in another session may hold the card's memory.
            self._sweep()
        self._write_exit(result)

    def _left(self) -> list[tuple[int, Any]]:
        processes = offspring.living()
        found = {pid: stat for pid, stat in processes if stat.session == self.worker}
        if self.program is None:
            found.update(offspring.descendants(os.getpid(), processes))
            found.update(offspring.marked(self.folder, processes))
        found.pop(os.getpid(), None)
        return sorted(found.items())

    def _sweep(self) -> None:
        """End what a stopped job left behind: asked once, killed once the grace is over."""
        asked: set[tuple[int, int]] = set()
        deadline = max(self.deadline, time.monotonic() + 1.0)
        while time.monotonic() < deadline + STUBBORN:
            left = self._left()
            if not left:
                return
            for pid, stat in left:
                if time.monotonic() >= deadline:
                    offspring.send(pid, stat.starttime, signal.SIGKILL)
                elif (pid, stat.starttime) not in asked:
                    asked.add((pid, stat.starttime))
                    offspring.send(pid, stat.starttime, signal.SIGTERM)
            time.sleep(0.05)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                pass

    def _write_exit(self, result: dict[str, Any]) -> None:
        spare = os.path.join(self.folder, SPARE)
        try:
            write_json(self.folder, "exit.json", result)
        except OSError:
            data = json.dumps(result).encode("ascii")[:SPARE_BYTES]
            fd = os.open(spare, os.O_WRONLY)
            os.pwrite(fd, data.ljust(SPARE_BYTES - 1) + b"\n", 0)
            os.close(fd)
            os.rename(spare, os.path.join(self.folder, "exit.json"))
            return
        try:
            os.unlink(spare)
        except OSError:
            pass
