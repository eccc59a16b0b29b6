"""Programs in a pseudo-terminal, looked at from outside: what they write and when, CPU time, memory."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path

BRAILLE = range(0x2801, 0x2900)
ENV = {
    "PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8",
    "COLORTERM": "truecolor",
}  # fmt: skip


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += family(int(child))
    return found


class Terminal:
    """A program in a pseudo-terminal that answers what programs ask a terminal."""

    def __init__(
        self, argv: list[str], env: dict[str, str], cwd: Path, size: tuple[int, int] = (120, 36)
    ) -> None:
        self.begun = time.monotonic()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], argv, env)  # noqa: S606
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.out = b""

    def read(self, seconds: float, until: bytes = b"") -> bytes:
        """Output of that time, or up to the first piece that holds `until`."""
        end, new = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            new += data
            self.out += data
            if b"\x1b[c" in data:
                os.write(self.fd, b"\x1b[?62;c")
            if b"\x1b]11;?" in data:
                os.write(self.fd, b"\x1b]11;rgb:0000/0000/0000\x1b\\")
            if b"\x1b[6n" in data:
                os.write(self.fd, b"\x1b[1;1R")
            if until and until in new:
                break
        return new

    def seconds_to(self, *words: bytes, timeout: float = 60) -> float:
        """Time from the start until all of these were written."""
        while time.monotonic() - self.begun < timeout:
            self.read(0.02)
            if all(word in self.out for word in words):
                return time.monotonic() - self.begun
        raise AssertionError(f"{words} not within {timeout} s: {self.out[-500:]!r}")

    def curve_seconds(self, timeout: float = 60) -> float:
        """Time from the start until the screen held the dots of a curve."""
        while time.monotonic() - self.begun < timeout:
            self.read(0.02)
            dots = sum(ord(c) in BRAILLE for c in self.out.decode("utf-8", "ignore"))
            if dots > 40:
                return time.monotonic() - self.begun
        raise AssertionError(f"no curve within {timeout} s: {self.out[-500:]!r}")

    def press(self, key: str, answer: bytes, timeout: float = 10) -> float:
        """Milliseconds from a key to the frame that holds `answer`."""
        self.read(0)
        self.out = b""
        begun = time.monotonic()
        os.write(self.fd, key.encode())
        got = self.read(timeout, answer)
        assert answer in got, f"{key!r} brought no {answer!r}: {got[-300:]!r}"
        return 1000 * (time.monotonic() - begun)

    def cost(self, seconds: float) -> tuple[float, float]:
        """(CPU % of a core, RSS MB) of the program and its children while output is read."""
        pids = family(self.pid)
        before = sum(map(cpu_seconds, pids))
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            self.read(0.1)
        cpu = 100 * (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - begun)
        return cpu, sum(map(rss_mb, family(self.pid)))

    def close(self) -> None:
        for pid in reversed(family(self.pid)):
            os.kill(pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)
