"""GPU readings through a ladder: NVML child, nvidia-smi, WSL's nvidia-smi, none.

A rung that fails is left for this session with its reason kept; at the bottom the ladder
is climbed again every minute if a driver shows up.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time

from agents.remote import offspring, smi
from agents.remote.child import Child, find_program
from agents.remote.simulated import SimulatedCard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.loop import Loop

FIRST_READING = 30.0
SILENT_AFTER = 10.0
AGAIN = 60.0
MAX_LINE = 65536
DRIVER_SIGNS = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg")


def memory_of_jobs(card: dict[str, Any], jobs: list[dict[str, Any]]) -> int | None:
    """Bytes of a card that our running jobs hold; None with its reason where that is not told.

    A job is a session of its own; a launcher may give its workers others, and their environment
    still names it. Containers are not followed, and under WSL the driver names no process.
    """
    found = card.get("processes")
    if not isinstance(found, list):
        card["reasons"]["mem_jobs"] = card["reasons"].get(
            "processes", "the driver names no process"
        )
        return None
    sessions, ids = {job.get("pid") for job in jobs}, {job["job_id"] for job in jobs}
    total = 0
    for pid, used in found:
        try:
            if os.getsid(pid) in sessions or os.path.basename(offspring.folder_of(pid)) in ids:
                if used is None:
                    card["reasons"]["mem_jobs"] = "the driver tells no memory of a process"
                    return None
                total += used
        except OSError:
            continue
    return total


class Gpu:
    def __init__(self, loop: Loop, interval: float, extra: dict[str, Any], simulate: bool) -> None:
        self._loop = loop
        self._interval = interval
        self._stub = str(extra.get("stub", ""))
        self._payload = base64.b64decode(extra.get("gpu", ""))
        self._child: Child | None = None
        self._buffer = b""
        self._failures: list[str] = []
        self._rung = 0
        self._newer = True
        self._heard = time.monotonic()
        self._partial: list[dict[str, Any]] = []
        self._closed = False
        self._simulated = SimulatedCard() if simulate else None
        self.rung = "simulated" if simulate else "none"
        self.reason = "" if simulate else "looking for a GPU"
        self.cards: list[dict[str, Any]] = []
        if not simulate:
            self._climb()

    def read(
        self, cpu: float | None, jobs: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], str, str]:
        """(cards, rung, reason). Cards are empty when the driver stopped answering."""
        if self._simulated is not None:
            return [self._simulated.read(cpu, jobs, self._interval)], "simulated", ""
        silent = time.monotonic() - self._heard
        if self._child is not None and silent > SILENT_AFTER + self._interval:
            return [], self.rung, "the driver has not answered for %d s" % silent
        return self.cards, self.rung, self.reason

    def pace(self, interval: float) -> None:
        """Read the cards every `interval` seconds from now on. nvidia-smi's loop keeps its own."""
        if interval != self._interval and self.rung == "nvml" and self._child is not None:
            self._child.write(b"%g\n" % interval)
            self._interval = interval

    def _climb(self) -> None:
        """Start the rung that is due; called again when it failed."""
        self._buffer = b""
        self._partial = []
        self.cards = []
        if self._closed:
            return
        rungs: list[tuple[str, Callable[[], list[str] | None]]] = [("nvml", self._nvml_argv)]
        rungs += [("nvidia-smi", lambda p=program: self._smi_argv(p)) for program in smi.PROGRAMS]
        while self._rung < len(rungs):
            name, make = rungs[self._rung]
            argv = make()
            if argv is not None:
                self._start(name, argv)
                return
            self._rung += 1
        self.rung = "none"
        self.reason = "no NVIDIA GPU: " + ("; ".join(self._failures) or "nothing to ask")
        self._loop.later(AGAIN, self._again)

    def _again(self) -> None:
        if any(os.path.exists(path) for path in DRIVER_SIGNS):
            self._rung = 0
            self._failures = []
            self._climb()
        else:
            self._loop.later(AGAIN, self._again)

    def _nvml_argv(self) -> list[str] | None:
        if not self._payload or not self._stub:
            self._failures.append("nvml: the bindings did not come along")
            return None
        program = sys.executable or "/proc/self/exe"
        return [program, "-ISuB", "-c", self._stub, "%g" % self._interval]

    def _smi_argv(self, name: str) -> list[str] | None:
        program = find_program(name) if "/" not in name else (name if os.path.exists(name) else "")
        if not program:
            if "/" not in name:
                self._failures.append("nvidia-smi: not on PATH")
            return None
        return smi.argv(program, self._interval, self._newer)

    def _start(self, name: str, argv: list[str]) -> None:
        self.rung = name
        self.reason = "waiting for the first reading"
        self._said = ""
        self._last = b""
        read = self._read_nvml if name == "nvml" else self._read_smi

        def collect(data: bytes) -> None:
            self._last = data[-300:]
            self._lines(data, read)

        def ended(code: int) -> None:
            timer.cancel()
            if self._child is child:
                self._child = None
                if (
                    name != "nvml"
                    and self._newer
                    and smi.UNKNOWN_FIELD in self._last.decode("utf-8", "replace")
                ):
                    self._newer = False  # the same program once more, asked for less
                    self._climb()
                    return
                self._failures.append(self._why(name, code))
                self._rung += 1
                self._climb()

        def late() -> None:
            if self._child is child and not self.cards:
                self._said = "gave no reading within %d s" % FIRST_READING
                child.kill()

        child = Child(self._loop, argv, collect, ended, merge_stderr=name != "nvml")
        self._child = child
        self._heard = time.monotonic()
        timer = self._loop.later(FIRST_READING, late)
        if name == "nvml":
            child.write(self._payload)

    def _why(self, name: str, code: int) -> str:
        if self._said:
            return "%s: %s" % (name, self._said)
        if code < 0:
            return "%s: crashed with signal %d" % (name, -code)
        lines = [] if self.cards else self._last.decode("utf-8", "replace").strip().splitlines()
        return "%s: %s" % (name, lines[-1] if lines else "ended with code %d" % code)

    def _lines(self, data: bytes, read: Callable[[str], None]) -> None:
        lines = (self._buffer + data).split(b"\n")
        self._buffer = lines.pop()[-MAX_LINE:]
        for line in lines:
            read(line.decode("utf-8", "replace"))

    def _read_nvml(self, line: str) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        if "error" in message:
            self._said = str(message["error"])
        elif isinstance(message.get("gpus"), list):
            self._publish(message["gpus"])

    def _read_smi(self, line: str) -> None:
        reading = smi.parse_line(line)
        if reading is None:
            return
        # Cards come one a line, in order; a repeated index begins the next round.
        if any(card["index"] >= reading["index"] for card in self._partial):
            self._partial = []
        self._partial.append(reading)
        if len(self._partial) >= len(self.cards):
            self._publish(list(self._partial))

    def _publish(self, cards: list[dict[str, Any]]) -> None:
        self._heard = time.monotonic()
        self.cards = cards
        self.reason = ""

    def close(self) -> None:
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            child.close_stdin()
            child.kill()
