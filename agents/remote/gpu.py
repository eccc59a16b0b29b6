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
HUNG_AFTER = 60.0
"""Seconds without a reading after which a reader that had given some is ended."""
AGAIN = 60.0
FLOOD = 4 << 20
"""Bytes a second; sixteen cards ten times a second are 50 KB."""
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
        self._query = 0
        self._heard = time.monotonic()
        self._stuck: list[Child] = []
        self._bottom = False
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
        self._bottom = True
        self._loop.later(AGAIN, self._again)

    def _again(self) -> None:
        self._stuck = [child for child in self._stuck if not child.reaped]
        # One that hangs in the driver cannot be ended, and the next would hang beside it.
        if not self._stuck and any(os.path.exists(path) for path in DRIVER_SIGNS):
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
        return smi.argv(program, self._interval, self._query)

    def _start(self, name: str, argv: list[str]) -> None:
        self._name = name
        if not self._bottom:  # a look from the bottom changes nothing before it finds something
            self.rung, self.reason = name, "waiting for the first reading"
        self._said = ""
        self._last = b""
        self._second, self._came = 0, 0
        read = self._read_nvml if name == "nvml" else self._read_smi

        def collect(data: bytes) -> None:
            self._last = data[-300:]
            if self._is_flood(len(data)):
                give_up("printed more than %d MB in a second" % (FLOOD >> 20))
            elif self._child is child and not self._said:
                self._lines(data, read)

        def ended(code: int) -> None:
            timer.cancel()
            if self._child is not child:
                return
            self._child = None
            refused = smi.UNKNOWN_FIELD in self._last.decode("utf-8", "replace")
            if name != "nvml" and refused and self._query + 1 < len(smi.QUERIES):
                self._query += 1  # the same program once more, asked for less
                self._climb()
                return
            self._failures.append(self._why(name, code))
            self._rung += 1
            if not child.reaped:
                self._failures[-1] += " and cannot be ended (process %d)" % child.pid
                self._stuck.append(child)
                self._rung = len(smi.PROGRAMS) + 1
            self._climb()

        def give_up(said: str) -> None:
            if self._child is child and not self._said:
                self._said = said
                child.kill()

        def look() -> None:
            nonlocal timer
            silent = time.monotonic() - self._heard
            if not self.cards and silent >= FIRST_READING:
                give_up("gave no reading within %d s" % FIRST_READING)
            elif self.cards and silent > HUNG_AFTER + 2 * self._interval:
                give_up("gave no reading for %d s" % silent)
            else:
                timer = self._loop.later(HUNG_AFTER / 4, look)

        # A locale with another decimal sign must not shift the columns.
        env = dict(os.environ, LC_ALL="C")
        child = Child(self._loop, argv, collect, ended, merge_stderr=name != "nvml", env=env)
        self._child = child
        self._heard = time.monotonic()
        timer = self._loop.later(HUNG_AFTER / 4, look)
        if name == "nvml":
            child.write(self._payload)

    def _is_flood(self, size: int) -> bool:
        second = int(time.monotonic())
        self._came = size + (self._came if second == self._second else 0)
        self._second = second
        return self._came > FLOOD

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
            if len(self._partial) < len(self.cards):
                self._publish(self._partial)  # a card is no longer listed
            self._partial = []
        self._partial.append(reading)
        if len(self._partial) >= len(self.cards):
            self._publish(list(self._partial))

    def _publish(self, cards: list[dict[str, Any]]) -> None:
        self._heard = time.monotonic()
        self.cards = cards
        self.rung, self.reason = self._name, ""
        self._bottom = False

    def close(self) -> None:
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            child.close_stdin()
            child.kill()
