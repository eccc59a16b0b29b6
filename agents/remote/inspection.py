"""What the Docker engine says of the jobs' containers, asked as rarely as can be."""

from __future__ import annotations

import json
import os
import time

from agents.remote import docker
from agents.remote.child import Child, find_program, run_command
from agents.remote.files import write_json
from agents.remote.host import boot_id, now_ms, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.jobs import JobTable
    from agents.remote.loop import Loop, Timer

    Answer = Callable[[], None]

ASK = 15.0
LOOK_EVERY = 30.0
LOOK_AGAIN = 3.0
EVENTS_FOR = 600
"""Seconds: one left behind by a killed agent ends by itself."""
LATE_STOP = 10.0
START_GRACE = 180.0
"""Seconds for which this agent has to see nothing run. Not by the clock, which jumps in WSL after a sleep."""
KEPT = {"created": "starting", "running": "running", "paused": "running", "restarting": "running"}
# Field by field: all of .State holds the output of health checks, any number of KiB.
STATE = ("Status", "ExitCode", "OOMKilled", "StartedAt", "FinishedAt")
INSPECT = "{{.Name}} {{.Id}} {%s}" % ",".join('"%s":{{json .State.%s}}' % (f, f) for f in STATE)
WINDOWS_DOCKER = "/mnt/c/Program Files/Docker/Docker/resources/bin/docker.exe"
INFO = (
    # Without an engine Docker 20.10 fails at the first field and does not say why; this does.
    "{{with .ServerErrors}}ERROR {{.}}{{else}}"
    "{{.ID}} {{.DockerRootDir}} {{json .SecurityOptions}}{{end}}"
)


def boot_ms() -> int:
    for line in read_text("/proc/stat").splitlines():
        if line.startswith("btime "):
            return int(line.split()[1]) * 1000
    return 0


def find_docker() -> str:
    """The docker command, or WSL's view of the Windows one; "" without either."""
    there = WINDOWS_DOCKER if os.path.isfile(WINDOWS_DOCKER) else ""
    return find_program("docker") or find_program("docker.exe") or there


def info(text: str) -> tuple[str, str] | None:
    """(engine identity, security options) from `docker info`; warnings may precede it."""
    for line in text.splitlines():
        words = line.split(" ", 2)
        if len(words) == 3 and words[1][:1] in "/\\ABCDEFGHIJKLMNOPQRSTUVWXYZ" and "[" in words[2]:
            return words[0] + " " + words[1], words[2]
    return None


class Inspection:
    """State of every open docker job. `changed(job_id)` is called when one has news."""

    def __init__(self, loop: Loop, table: JobTable) -> None:
        self._loop = loop
        self._table = table
        self._boot = (boot_id(), boot_ms())
        self.changed: Callable[[str], None] = lambda job_id: None
        self._seen: dict[str, tuple[str, str]] = {}
        self._open: dict[str, dict[str, Any]] = {}
        self._starting: set[str] = set()
        self._idle_since: dict[str, float] = {}
        self._waiting: list[Answer] = []
        self._asking = False
        self._again = False
        self._events: Child | None = None
        self._timer: Timer | None = None

    # --- what is known ------------------------------------------------------------------------

    def view(self, job_id: str, job: dict[str, Any]) -> dict[str, Any]:
        """State and detail of a job whose exit.json is not there."""
        if job_id not in self._open and job_id not in self._starting:
            self._open[job_id] = job
            self.look_soon(0.0)
        if job_id not in self._seen:
            return {"state": "unknown", "detail": "asking the Docker engine", "pending": True}
        state, detail = self._seen[job_id]
        if state == "running" and self._stop_request(job_id) is not None:
            detail = "stopping"
        return {"state": state, "detail": detail}

    def when_known(self, answer: Answer) -> None:
        """Call `answer` once the engine has told of every open job."""
        if any(job_id not in self._seen for job_id in self._open):
            self._waiting.append(answer)
            self.look()
        else:
            answer()

    def _stop_request(self, job_id: str) -> dict[str, Any] | None:
        return self._table.document(job_id, "stop.json")

    def _note(self, job_id: str, state: str, detail: str = "") -> None:
        if self._seen.get(job_id) != (state, detail):
            self._seen[job_id] = (state, detail)
            self.changed(job_id)

    def _docker(
        self,
        words: list[str],
        done: Callable[[int | None, str], None],
        timeout: float = ASK,
        env: dict[str, str] | None = None,
    ) -> None:
        program = find_docker()
        if not program:
            done(127, "there is no docker command on this host: install Docker")
            return
        run_command(
            self._loop,
            [program, *words],
            timeout,
            lambda code, output: done(code, output.decode("utf-8", "replace")),
            env=env,
        )

    # --- look ---------------------------------------------------------------------------------

    def look_soon(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(delay, self.look)

    def look(self) -> None:
        """Inspect every open job; one question at a time, a second one follows the first."""
        if self._asking:
            self._again = True
            return
        for job_id in list(self._open):
            if not os.path.isdir(self._table.folder(job_id)):
                del self._open[job_id]
        self._again = False
        if not self._open:
            self._settled(LOOK_EVERY)
            return
        self._asking = True
        names = [docker.name_of(job_id) for job_id in self._open]
        asked = list(self._open)
        self._docker(
            ["container", "inspect", "--format", INSPECT, *names],
            lambda code, text: self._inspected(asked, code, text),
        )

    def _told(self) -> None:
        answers, self._waiting = self._waiting, []
        for answer in answers:
            answer()

    def _inspected(self, asked: list[str], code: int | None, text: str) -> None:
        self._asking = False
        found = {}
        for line in text.splitlines():
            words = line.split(" ", 2)
            if len(words) == 3 and words[0].startswith("/gonogo-"):
                try:
                    found[words[0][8:]] = (words[1], json.loads(words[2]))
                except ValueError:
                    continue
        delay = LOOK_EVERY
        away = ""
        if code is None:
            away = "the Docker engine did not answer within %g s" % ASK
        elif code != 0 and "no such" not in text.lower():
            away = docker.explain(text)[1]
        missing = [line for line in text.splitlines() if "no such" in line.lower()]
        gone = []
        for job_id in asked:
            if job_id not in self._open:
                continue
            if job_id in found:
                self._found(job_id, *found[job_id])
            elif away:
                self._note(job_id, "unknown", away)
                delay = LOOK_AGAIN
            elif any(line.rstrip('"').endswith(docker.name_of(job_id)) for line in missing):
                gone.append(job_id)
            else:  # cut, or of another kind: no word about it is no word that it went
                self._note(job_id, "unknown", "the Docker engine's answer cannot be read")
                delay = LOOK_AGAIN
        if gone:
            self._asking = True
            self._docker(["info", "--format", INFO], lambda c, t: self._gone(gone, c, t))
            return
        self._settled(delay)

    def _settled(self, delay: float) -> None:
        if self._again:
            self.look()
            return
        self._told()
        if self._open:
            if delay == LOOK_EVERY:
                self._follow()
            self.look_soon(delay)
        elif self._events is not None:
            self._events.kill()

    def _found(self, job_id: str, container: str, state: dict[str, Any]) -> None:
        job = self._open[job_id]
        status = str(state.get("Status"))
        if job.get("container") is None and status != "created":
            # Started by an agent that did not live to write it down.
            job.update(container=container, started=docker.time_ms(state.get("StartedAt")))
            write_json(self._table.folder(job_id), "job.json", job)
        stop = self._stop_request(job_id)
        if status in KEPT:
            if status == "created" and self._is_idle(job_id):
                self._end(job_id, {"lost": "its container was made but never started"})
                return
            self._note(job_id, KEPT[status], "" if status in ("created", "running") else status)
            if stop is not None and self._is_late(job_id, stop):
                self._docker(["kill", docker.name_of(job_id)], lambda *_: None)
            return
        self._end(job_id, docker.outcome(state, job, stop, self._boot))

    def _is_idle(self, job_id: str) -> bool:
        """Has this agent waited long enough for a container that should run?"""
        if job_id in self._starting:
            return False
        began = self._idle_since.setdefault(job_id, time.monotonic())
        return time.monotonic() - began > START_GRACE

    def _is_late(self, job_id: str, stop: dict[str, Any]) -> bool:
        """Does a container run on long after the grace of its stop, as this agent saw it?"""
        grace = stop.get("grace")
        seconds = grace if isinstance(grace, (int, float)) else 30.0
        began = self._idle_since.setdefault("stop " + job_id, time.monotonic())
        return time.monotonic() - began > seconds + LATE_STOP

    def _gone(self, jobs: list[str], code: int | None, text: str) -> None:
        self._asking = False
        facts = info(text) if code == 0 else None
        for job_id in jobs:
            job = self._open.get(job_id)
            if job is None:
                continue
            if facts is None:
                self._note(job_id, "unknown", docker.explain(text)[1])
            elif job.get("engine") and job["engine"] != facts[0]:
                self._note(job_id, "unknown", "another Docker engine answers than the job's own")
            elif job.get("container"):
                self._end(job_id, {"lost": "somebody removed its container"})
            elif self._is_idle(job_id):
                self._end(job_id, {"lost": "its container never came to be"})
            else:
                self._note(job_id, "starting")
        self._settled(LOOK_AGAIN)

    def _end(self, job_id: str, result: dict[str, Any]) -> None:
        """Write how a job ended, then let its container go."""
        if self._table.document(job_id, "exit.json") is not None:
            self._drop(job_id)
            return
        full = {"code": None, "signal": None, "oom": False, "stopped": False, "t": now_ms()}
        full.update(result)
        self._write_exit(job_id, full)
        if "lost" not in result:
            self._docker(["rm", docker.name_of(job_id)], lambda *_: None)

    def _write_exit(self, job_id: str, result: dict[str, Any]) -> None:
        write_json(self._table.folder(job_id), "exit.json", result)
        self._drop(job_id)

    def _drop(self, job_id: str) -> None:
        self._open.pop(job_id, None)
        self._seen.pop(job_id, None)
        self._idle_since.pop(job_id, None)
        self._idle_since.pop("stop " + job_id, None)
        self.changed(job_id)

    def _follow(self) -> None:
        """One `docker events` while a job is open: an end is known at once and polling stays rare."""
        if self._events is not None:
            return
        program = find_docker()
        if not program:
            return
        argv = [program, "events", "--filter", "label=" + docker.LABEL,
                "--filter", "type=container", "--format", "{{.Action}}",
                "--until", "%d" % (time.time() + EVENTS_FOR)]  # fmt: skip

        def heard(data: bytes) -> None:
            if any(word in data for word in (b"die", b"destroy", b"pause", b"start", b"oom")):
                self.look_soon(0.05)

        def ended(code: int) -> None:
            self._events = None
            if self._open:
                # The engine went: asked now, it says why.
                self.look_soon(1.0)

        self._events = Child(self._loop, argv, heard, ended)

    def close(self) -> None:
        if self._events is not None:
            self._events.kill()
