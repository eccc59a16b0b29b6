"""Child processes without the subprocess module (1 MB of memory less)."""

from __future__ import annotations

import os
import signal

from agents.remote.loop import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Sequence

    from agents.remote.loop import Loop

LET_GO = 2.0


# Where programs are that the short PATH of an SSH login does not name.
FOLDERS = ("/usr/lib/wsl/lib", "/usr/local/bin", "/usr/bin", "/bin", "/snap/bin")


def find_program(name: str) -> str:
    """Absolute path of an executable on PATH or in the usual folders, or ""."""
    for folder in [*os.environ.get("PATH", os.defpath).split(os.pathsep), *FOLDERS]:
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def restore_signals() -> None:
    """Undo what Python changed at start: a program expects SIGPIPE to end it."""
    for name in ("SIGPIPE", "SIGXFSZ", "SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def close_all(keep: Sequence[int]) -> None:
    """Close every descriptor above 2 that is not in `keep`."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                pass


class Child:
    """A program with its stdin and stdout on pipes and its stderr on ours or discarded.

    `on_output(bytes)` gets what it prints; `on_exit(status)` is called once, after the last
    output, with the exit code or minus the signal number. What hangs in the kernel, or left its
    group with our pipe in its hands, counts as ended LET_GO seconds after `kill`.
    """

    def __init__(
        self,
        loop: Loop,
        argv: Sequence[str],
        on_output: Callable[[bytes], None],
        on_exit: Callable[[int], None],
        merge_stderr: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        self._loop = loop
        self._on_output = on_output
        self._on_exit = on_exit
        self.reaped = False
        self._told = self._killed = False
        self._pending = b""
        in_read, self.stdin = os.pipe()
        self.stdout, out_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setpgid(0, 0)
                os.dup2(in_read, 0)
                os.dup2(out_write, 1)
                if merge_stderr:
                    os.dup2(1, 2)
                else:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                close_all(())
                restore_signals()
                os.execvpe(argv[0], list(argv), os.environ if env is None else env)  # noqa: S606
            except BaseException:
                os._exit(127)
        os.close(in_read)
        os.close(out_write)
        os.set_blocking(self.stdin, False)
        loop.read_with(self.stdout, self._on_readable)

    def write(self, data: bytes) -> None:
        """Queue input; what the pipe does not take at once follows when it does."""
        self._pending += data
        self._on_writable()

    def close_stdin(self) -> None:
        if self.stdin >= 0:
            self._loop.write_with(self.stdin, None)
            os.close(self.stdin)
            self.stdin = -1

    def _on_writable(self) -> None:
        if self.stdin < 0:
            return
        try:
            while self._pending:
                self._pending = self._pending[os.write(self.stdin, self._pending) :]
        except BlockingIOError:
            pass
        except OSError:
            self._pending = b""
        self._loop.write_with(self.stdin, self._on_writable if self._pending else None)

    def _on_readable(self) -> None:
        data = os.read(self.stdout, 65536)
        if data:
            self._on_output(data)
        else:
            self._close()
            self._reap(0)

    def _close(self) -> None:
        self._loop.read_with(self.stdout, None)
        os.close(self.stdout)
        self.stdout = -1
        self.close_stdin()

    def _let_go(self) -> None:
        if self.stdout >= 0:
            self._close()
            self._reap(100)
        self._tell(-signal.SIGKILL)

    def _tell(self, code: int) -> None:
        if not self._told:
            self._told = True
            self._on_exit(code)

    def _reap(self, tries: int) -> None:
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self.pid, 0
        if pid == 0:
            if tries == 100:
                self.kill()
            self._loop.later(0.02 if tries < 100 else 1.0, lambda: self._reap(tries + 1))
            return
        self.reaped = True
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        self._tell(code)

    def kill(self) -> None:
        """SIGKILL to the child's group; harmless once it was reaped."""
        if not self.reaped:
            if not self._killed:
                self._killed = True
                self._loop.later(LET_GO, self._let_go)
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except OSError:
                try:
                    os.kill(self.pid, signal.SIGKILL)
                except OSError as error:
                    log("cannot end process %d: %s" % (self.pid, error))


def run_command(
    loop: Loop,
    argv: Sequence[str],
    timeout: float,
    done: Callable[[int | None, bytes], None],
    limit: int = 65536,
    env: dict[str, str] | None = None,
    data: bytes = b"",
) -> None:
    """Run a fixed argv; `done(code, output)` with stdout+stderr cut at `limit` bytes.

    code is None when the time ran out. `env` is the program's whole environment, `data` (64 KiB at
    most) its input.
    """
    output = bytearray()
    state = {"late": False}

    def expire() -> None:
        state["late"] = True
        child.kill()

    def finish(code: int) -> None:
        timer.cancel()
        done(None if state["late"] else code, bytes(output))

    def collect(data: bytes) -> None:
        output.extend(data[: max(0, limit - len(output))])

    child = Child(loop, argv, collect, finish, merge_stderr=True, env=env)
    if data:
        child.write(data)
    child.close_stdin()
    timer = loop.later(timeout, expire)
