"""The table of jobs: one folder a job below ~/.gonogo/jobs, read anew by every agent.

State is never kept in the agent: it follows from job.json, exit.json, the boot id and the
identity (pid, start time) of the processes, so any later agent adopts what runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import time

from agents.remote import launch, sequence
from agents.remote.containers import Containers
from agents.remote.errors import OpError
from agents.remote.host import boot_id, is_alive, now_ms
from agents.remote.logout import logout_warning
from agents.remote.request import check_request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.loop import Loop

JOB_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}-\d{8}-\d{6}-[0-9a-f]{4}\Z")
TERMINAL = ("succeeded", "failed", "oom", "stopped", "lost")
MAX_DOCUMENT = 256 * 1024
START_GRACE_MS = 60_000


def read_document(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_DOCUMENT + 1)[:MAX_DOCUMENT]
    except OSError:
        return None


def _parse(data: bytes | None) -> dict[str, Any] | None:
    if data is None:
        return None
    try:
        value = json.loads(data.decode("utf-8"))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


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
        return _parse(read_document(os.path.join(self.root, job_id, name)))

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
        running = ended is None and not boxed and self._is_running(job)
        if ended is None and not running:
            # The supervisor writes it before it goes: only now its absence says something.
            ended = self.document(job_id, "exit.json")
        status = {
            "job_id": job_id,
            "name": job.get("name", job_id[:-21]),
            "argv": job.get("argv", []),
            "created_ms": job.get("created"),
            "started_ms": job.get("started"),
            "ended_ms": None,
            "pid": job.get("pid"),
            "labels": job.get("labels", {}),
            "op_id": job.get("op_id", ""),
            "backend": job.get("backend", "process"),
            "code": None,
            "detail": "",
        }
        if ended is not None:
            self._ended(status, ended)
        elif boxed:
            status.update(self.containers.view(job_id, job))
        else:
            self._open(status, job, folder, running)
        if job.get("backend") == "queue":
            sequence.describe(status, self.document(job_id, sequence.FILE))
        return status

    def _ended(self, status: dict[str, Any], ended: dict[str, Any]) -> None:
        code, number = ended.get("code"), ended.get("signal")
        status["ended_ms"] = ended.get("t")
        status["code"] = code if number is None else 128 + number
        if ended.get("error"):
            status["detail"] = ended["error"]
        elif number is not None:
            try:
                status["detail"] = "ended by %s" % signal.Signals(number).name
            except ValueError:
                status["detail"] = "ended by signal %s" % number
        if ended.get("lost"):
            status.update(state="lost", detail=ended["lost"])
        elif ended.get("stopped"):
            status["state"] = "stopped"
        elif ended.get("oom"):
            status["state"] = "oom"
            status["detail"] = "out of memory" + (status["detail"] and ", " + status["detail"])
        elif code == 0:
            status["state"] = "succeeded"
        else:
            status["state"] = "failed"
            status["detail"] = status["detail"] or "exit code %s" % code

    def _is_running(self, job: dict[str, Any]) -> bool:
        supervisor = job.get("supervisor")
        if not isinstance(supervisor, dict):
            supervisor = {}
        return job.get("boot_id") == self._boot_id and (
            is_alive(job.get("pid"), job.get("starttime"))
            or is_alive(supervisor.get("pid"), supervisor.get("starttime"))
        )

    def _open(
        self, status: dict[str, Any], job: dict[str, Any], folder: str, running: bool
    ) -> None:
        if job.get("boot_id") not in (None, self._boot_id):
            status.update(state="lost", detail="the host rebooted while it ran")
        elif running:
            status["state"] = "running"
            stopping = os.path.exists(os.path.join(folder, "stop.json"))
            status["detail"] = "stopping" if stopping else str(job.get("warning", ""))
        elif job.get("pid") is None and self._is_young(job, folder):
            status["state"] = "starting"
        else:
            status.update(state="lost", detail="its processes are gone and left no exit code")

    @staticmethod
    def _is_young(job: dict[str, Any], folder: str) -> bool:
        created = job.get("created")
        if not isinstance(created, int):
            try:
                created = int(os.stat(folder).st_mtime * 1000)
            except OSError:
                return False
        return abs(now_ms() - created) < START_GRACE_MS

    def _find_op(self, op_id: str) -> str:
        for job_id in reversed(self.ids()):
            job = self.document(job_id, "job.json") or {}
            if job.get("op_id") == op_id:
                return job_id
        return ""

    def create(self, params: dict[str, Any]) -> tuple[str, dict[str, Any] | None, dict[str, str]]:
        """Validate a request and make its folder; (job_id, None, {}) if op_id is known."""
        job, env = check_request(params)
        os.makedirs(self.root, mode=0o700, exist_ok=True)
        lock = os.open(self.root, os.O_RDONLY)
        try:
            # A second agent (a laptop that reconnected) may carry the same request.
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = self._find_op(job["op_id"])
            if known:
                return known, None, {}
            stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
            while True:
                job_id = "%s-%s-%s" % (job["name"], stamp, os.urandom(2).hex())
                folder = os.path.join(self.root, job_id)
                try:
                    os.mkdir(folder, 0o700)
                    break
                except FileExistsError:
                    continue
            job.update(job_id=job_id, boot_id=self._boot_id, created=now_ms())
            if job["backend"] != "docker":
                job["warning"] = logout_warning()
            launch.write_json(folder, "job.json", job)
        finally:
            os.close(lock)
        full = dict(os.environ)
        if job["backend"] == "docker" and "HOME" in env and "HOME" in full:
            # The docker command goes on finding its own settings.
            full.setdefault("DOCKER_CONFIG", os.path.join(full["HOME"], ".docker"))
        full.update(env)
        full["GONOGO_JOB_DIR"] = folder
        return job_id, job, full

    def start(
        self, loop: Loop, params: dict[str, Any], done: Callable[[dict[str, Any]], None]
    ) -> None:
        """Start (or find) a job; `done(status)` once its program runs or could not."""
        job_id, job, env = self.create(params)
        if job is None:
            done(self.status(job_id))
            return
        if job["backend"] == "docker":
            self.containers.start(job, env, done)
            return
        folder, program = self.folder(job_id), None
        if job["backend"] == "queue":
            home, steps = self.home, params["steps"]
            program = lambda: sequence.run(lambda own: JobTable(home, own), folder, steps)  # noqa: E731
        pipe = launch.launch(folder, job, env, program)

        def confirmed() -> None:
            os.read(pipe, 600)
            loop.read_with(pipe, None)
            os.close(pipe)
            done(self.status(job_id))

        loop.read_with(pipe, confirmed)

    def stop(
        self,
        loop: Loop,
        job_id: str,
        grace: float,
        done: Callable[[dict[str, Any]], None],
        fail: Callable[[str, str], None],
    ) -> None:
        """Ask the supervisor or the engine to end the job; without one, signal its group here."""
        status = self.status(job_id)
        if status["state"] in TERMINAL:
            done(status)
            return
        folder = self.folder(job_id)
        job = self.document(job_id, "job.json") or {}
        if job.get("backend") == "docker":
            self.containers.stop(job_id, grace, done, fail)
            return
        supervisor = job.get("supervisor") or {}
        launch.write_json(folder, "stop.json", {"t": now_ms(), "grace": grace})
        if is_alive(supervisor.get("pid"), supervisor.get("starttime")):
            os.kill(supervisor["pid"], signal.SIGTERM)
        elif is_alive(job.get("pid"), job.get("starttime")):
            os.killpg(job["pid"], signal.SIGTERM)

            def kill() -> None:
                if is_alive(job.get("pid"), job.get("starttime")):
                    os.killpg(job["pid"], signal.SIGKILL)

            loop.later(grace, kill)
        done(self.status(job_id))
