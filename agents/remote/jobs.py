"""The table of jobs: one folder a job below ~/.gonogo/jobs, read anew by every agent.

State is never kept in the agent: it follows from job.json, exit.json, the boot id and the
identity (pid, start time) of the processes, so any later agent adopts what runs.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import time

from agents.remote import job_state, launch, offspring, sequence
from agents.remote.containers import Containers
from agents.remote.errors import OpError
from agents.remote.files import write_json, write_order
from agents.remote.host import boot_id, is_alive, now_ms
from agents.remote.job_state import read_document
from agents.remote.logout import logout_warning
from agents.remote.request import check_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.loop import Loop

    Done = Callable[[dict[str, Any]], None]

JOB_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}-\d{8}-\d{6}-[0-9a-f]{4}\Z")
TERMINAL = ("succeeded", "failed", "oom", "stopped", "lost")
MAKING = ".new-"
"""A folder of this name has no job.json yet; one that nobody holds is left over."""


class JobTable:
    def __init__(self, home: str, loop: Loop) -> None:
        self.home = home
        self.root = os.path.join(home, ".gonogo", "jobs")
        self._boot_id = boot_id()
        self.containers = Containers(loop, self)

    def folder(self, job_id: Any) -> str:
        if not isinstance(job_id, str) or not JOB_ID.match(job_id):
            raise OpError("invalid", "%r is no job id" % (job_id,))
        return os.path.join(self.root, job_id)

    def document(self, job_id: str, name: str) -> dict[str, Any] | None:
        """A small JSON object of a job's folder; None when absent, {} when unreadable."""
        return job_state.parse(read_document(os.path.join(self.root, job_id, name)))

    def ids(self) -> list[str]:
        """Every job folder, oldest first by the time in its name."""
        try:
            names = [name for name in os.listdir(self.root) if JOB_ID.match(name)]
        except OSError:
            return []
        return sorted(names, key=lambda name: name[-20:])

    def status(self, job_id: str) -> dict[str, Any]:
        """What is known about a job now, as the laptop's JobStatus expects it."""
        folder = self.folder(job_id)
        if not os.path.isdir(folder):
            raise OpError("not-found", "there is no job %s on this host" % job_id)
        job = self.document(job_id, "job.json") or {}
        ended = self.document(job_id, "exit.json")
        boxed = job.get("backend") == "docker"
        running = ended is None and not boxed and self._is_running(job, folder)
        if ended is None and not running:
            # The supervisor writes it before it goes: only now its absence says something.
            ended = self.document(job_id, "exit.json")
        status = job_state.base(job_id, job)
        if ended is not None:
            job_state.describe_end(status, ended)
        elif boxed:
            status.update(self.containers.view(job_id, job))
        else:
            job_state.describe_open(status, job, folder, running, self._boot_id)
        if job.get("backend") == "queue":
            sequence.describe(status, self.document(job_id, sequence.FILE))
        return status

    def _is_running(self, job: dict[str, Any], folder: str) -> bool:
        if job:
            return job_state.is_running(job, self._boot_id)
        # The record is damaged: the supervisor has its hold, the program its environment.
        return launch.is_held(folder) or bool(offspring.marked(folder, offspring.living()))

    # --- start --------------------------------------------------------------------------------

    def _find_op(self, op_id: str) -> str:
        for job_id in reversed(self.ids()):
            job = self.document(job_id, "job.json") or {}
            if job.get("op_id") == op_id:
                return job_id
        return ""

    def _take_over(self, job_id: str, asked: dict[str, Any]) -> tuple[dict[str, Any], int] | None:
        """(record, hold) of a job whose starter ended before its program could run; else None."""
        folder = os.path.join(self.root, job_id)
        hold = launch.take_hold(folder)
        for _ in range(5):  # what died with it in its hands may be on its way out
            if hold >= 0 or (self.document(job_id, "job.json") or {}).get("pid") is not None:
                break
            time.sleep(0.02)
            hold = launch.take_hold(folder)
        if hold < 0:
            return None
        job = self.document(job_id, "job.json") or {}
        begun = job.get("pid") is not None or job.get("container") is not None
        over = any(os.path.exists(os.path.join(folder, n)) for n in ("exit.json", "stop.json"))
        same = all(job.get(key) == asked[key] for key in ("backend", "cmd_sha256"))
        if begun or over or not same or job.get("locks") is not True:
            os.close(hold)
            return None
        return job, hold

    def _make(self, job: dict[str, Any]) -> int:
        """Give a new job its folder, whole under its final name; returns the hold on it."""
        for name in os.listdir(self.root):
            if name.startswith(MAKING):
                _clear(os.path.join(self.root, name))
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        while True:
            job["job_id"] = "%s-%s-%s" % (job["name"], stamp, os.urandom(2).hex())
            folder = os.path.join(self.root, job["job_id"])
            if not os.path.exists(folder):
                break
        making = os.path.join(self.root, MAKING + job["job_id"])
        os.mkdir(making, 0o700)
        try:
            write_json(making, "job.json", job)
            hold = launch.take_hold(making)
            os.rename(making, folder)
        except OSError:
            _clear(making)
            raise
        return hold

    def create(
        self, params: dict[str, Any]
    ) -> tuple[str, dict[str, Any] | None, dict[str, str], int]:
        """Validate a request and make its folder: (job id, record, environment, hold).

        The record is None if op_id is known and its job runs, ran or is being started.
        """
        job, env = check_request(params)
        os.makedirs(self.root, mode=0o700, exist_ok=True)
        lock = os.open(self.root, os.O_RDONLY)
        try:
            # A second agent (a laptop that reconnected) may carry the same request.
            _lock(lock)
            known = self._find_op(job["op_id"])
            if known:
                found = self._take_over(known, job)
                if found is None:
                    return known, None, {}, -1
                job, hold = found
            else:
                job.update(boot_id=self._boot_id, created=now_ms(), locks=True)
                if job["backend"] != "docker":
                    job["warning"] = logout_warning()
                hold = self._make(job)
        finally:
            os.close(lock)
        full = dict(os.environ)
        if job["backend"] == "docker" and "HOME" in env and "HOME" in full:
            # The docker command goes on finding its own settings.
            full.setdefault("DOCKER_CONFIG", os.path.join(full["HOME"], ".docker"))
        full.update(env)
        full[offspring.MARK] = os.path.join(self.root, job["job_id"])
        return job["job_id"], job, full, hold

    def start(self, loop: Loop, params: dict[str, Any], done: Done) -> None:
        """Start (or find) a job; `done(status)` once its program runs or could not."""
        job_id, job, env, hold = self.create(params)
        if job is None:
            done(self.status(job_id))
            return
        if job["backend"] == "docker":
            self.containers.start(job, env, done, hold)
            return
        folder, program = self.folder(job_id), None
        if job["backend"] == "queue":
            home, steps = self.home, params["steps"]
            program = lambda: sequence.run(lambda own: JobTable(home, own), folder, steps)  # noqa: E731
        pipe = launch.launch(folder, job, env, program, hold)

        def confirmed() -> None:
            os.read(pipe, 600)
            loop.read_with(pipe, None)
            os.close(pipe)
            done(self.status(job_id))

        loop.read_with(pipe, confirmed)

    # --- stop ---------------------------------------------------------------------------------

    def stop(
        self,
        loop: Loop,
        job_id: str,
        grace: float,
        done: Done,
        fail: Callable[[str, str], None],
    ) -> None:
        """Ask the supervisor or the engine to end the job; without one, end its processes here."""
        status = self.status(job_id)
        if status["state"] in TERMINAL:
            done(status)
            return
        folder = self.folder(job_id)
        if (self.document(job_id, "job.json") or {}).get("backend") == "docker":
            self.containers.stop(job_id, grace, done, fail)
            return
        write_order(folder, {"t": now_ms(), "grace": grace})
        # Read after the order was written: a supervisor that is not in it yet will see the order.
        job = self.document(job_id, "job.json") or {}
        supervisor = job_state.supervisor_of(job)
        if supervisor is not None:
            offspring.send(*supervisor, signal.SIGTERM)
        else:
            self._end_here(loop, folder, job, grace)
        done(self.status(job_id))

    def _end_here(self, loop: Loop, folder: str, job: dict[str, Any], grace: float) -> None:
        """SIGTERM to every process of a job that has lost its supervisor, SIGKILL after `grace` s."""

        def each(number: int) -> None:
            processes = offspring.living()
            left = dict(offspring.marked(folder, processes))
            if is_alive(job.get("pid"), job.get("starttime")):
                left.update(p for p in processes if p[1].session == job["pid"])
            for pid, stat in left.items():
                offspring.send(pid, stat.starttime, number)

        each(signal.SIGTERM)
        loop.later(grace, lambda: each(signal.SIGKILL))


def _lock(fd: int) -> None:
    """The table's lock, waited for shortly: an agent that was frozen with it must not freeze this one."""
    for _ in range(50):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.1)
    raise OpError(
        "busy", "another connection is starting a job on this host; ask again in a moment"
    )


def _clear(folder: str) -> None:
    """Take a folder away that never became a job's; its maker is gone, as the caller has the lock."""
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    except OSError:
        pass
