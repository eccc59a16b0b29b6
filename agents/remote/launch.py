"""Start a job that outlives the agent: double fork, new session, a supervisor that waits.

agent ─ fork ─ (ends) ─ fork ─ supervisor ─ fork ─ job
The supervisor writes job.json before the job executes, exit.json after it ended, and
turns SIGTERM into SIGTERM to the job's group, grace, SIGKILL. It needs nobody.
"""

from __future__ import annotations

import json
import os
import signal
import time

from agents.remote.child import close_all, restore_signals
from agents.remote.host import boot_id, now_ms, process_stat, read_text, session_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    Program = Callable[[], int]

DEFAULT_GRACE = 30.0
AWAITED = (signal.SIGTERM, signal.SIGCHLD)


def write_atomic(folder: str, name: str, data: bytes) -> None:
    """Write `folder/name` so that a reader sees the old or the new bytes, never a part."""
    path = os.path.join(folder, name)
    temporary = os.path.join(folder, ".%s.%d.tmp" % (name, os.getpid()))
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    os.replace(temporary, path)


def write_json(folder: str, name: str, value: dict[str, Any]) -> None:
    write_atomic(folder, name, (json.dumps(value, indent=1) + "\n").encode("ascii"))


def oom_kills() -> int:
    """Processes that the kernel ended for lack of memory, as far as counters tell."""
    total = 0
    group = ""
    for line in read_text("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            group = line[3:]
    for path in ("/proc/vmstat", "/sys/fs/cgroup%s/memory.events" % group):
        for line in read_text(path).splitlines():
            if line.startswith("oom_kill "):
                total += int(line.split()[1])
    return total


def launch(
    folder: str, job: dict[str, Any], env: dict[str, str], program: Program | None = None
) -> int:
    """Fork the chain; returns the read end of a pipe. `program` runs instead of argv.

    The supervisor writes ``ok`` to it once the job executes, or ``error`` when it could not
    and exit.json says why; the pipe ends without a word only if the supervisor was killed.
    """
    confirm_read, confirm_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _Supervisor(folder, job, env, confirm_write, program).run()
        except BaseException as error:
            try:
                os.write(confirm_write, ("error: %s" % error).encode("utf-8", "replace")[:500])
            except OSError:
                pass
        finally:
            os._exit(0)
    os.close(confirm_write)
    os.waitpid(pid, 0)
    return confirm_read


class _Supervisor:
    def __init__(
        self,
        folder: str,
        job: dict[str, Any],
        env: dict[str, str],
        confirm: int,
        program: Program | None,
    ) -> None:
        self.program = program
        self.folder = folder
        self.job = job
        self.env = env
        self.confirm = confirm
        self.worker = 0
        self.stopped = False

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
        close_all((self.confirm,))
        go_read, go_write = os.pipe()
        error_read, error_write = os.pipe()
        before = oom_kills()
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
        write_json(self.folder, "job.json", self.job)
        os.write(go_write, b"go")
        os.close(go_write)
        error = os.read(error_read, 500)
        os.close(error_read)
        if error:
            # The exit code first, so that whoever is told finds it.
            self._wait(before, error.decode("utf-8", "replace"))
        os.write(self.confirm, b"error" if error else b"ok")
        os.close(self.confirm)
        if not error:
            self._wait(before, "")

    def _work(self, go_read: int, go_write: int, error_write: int) -> None:
        try:
            os.setsid()
            os.close(go_write)
            # Execution waits for job.json: a job that nobody knows of must not run.
            if os.read(go_read, 2) != b"go":
                os._exit(125)
            close_all((error_write,))
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

    def _grace(self) -> float:
        try:
            with open(os.path.join(self.folder, "stop.json"), "rb") as file:
                grace = min(86400.0, max(0.0, float(json.loads(file.read(4096))["grace"])))
                return grace + float(self.job.get("margin", 0))
        except (OSError, ValueError, KeyError, TypeError):
            return DEFAULT_GRACE

    def _signal(self, number: int) -> None:
        if self.worker > 0:
            try:
                os.killpg(self.worker, number)
            except OSError:
                pass

    def _reap(self) -> int:
        """Wait for the job's end and obey a stop meanwhile; returns the wait status."""
        deadline: float | None = None
        while True:
            pid, status = os.waitpid(self.worker, os.WNOHANG)
            if pid:
                return status
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
                deadline = time.monotonic() + self._grace()

    def _wait(self, oom_before: int, error: str) -> None:
        status = self._reap()
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        code = None if number else os.WEXITSTATUS(status)
        killed = number == signal.SIGKILL and not self.stopped
        result = {
            "code": code,
            "signal": number,
            "oom": (killed and oom_kills() > oom_before) or code in self.job.get("oom_codes", []),
            "t": now_ms(),
            "stopped": self.stopped,
        }
        if error:
            result["error"] = error
        write_json(self.folder, "exit.json", result)
        if self.stopped:
            self._sweep(time.monotonic() + self._grace())

    def _sweep(self, deadline: float) -> None:
        """End what a stopped job left in its session once the grace is over."""
        while True:
            members = session_members({self.worker})
            if not members:
                return
            if time.monotonic() >= deadline:
                for pid, _ in members:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
                return
            time.sleep(0.2)
