"""Jobs in containers: start and stop them through the docker command.

The engine owns a container: nothing of ours has to live while it runs. What it is doing is read
with `docker inspect`, when `docker events` says that something changed and rarely besides; how it
ended goes to exit.json, and only then is the container removed. Any later agent finds the same.
"""

from __future__ import annotations

import os

from agents.remote import docker
from agents.remote.errors import OpError
from agents.remote.files import write_json, write_order
from agents.remote.host import now_ms
from agents.remote.inspection import ASK, INFO, Inspection, find_docker, info
from agents.remote.loop import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

START = 120.0


class Containers(Inspection):
    """The docker half of a JobTable."""

    def start(
        self,
        job: dict[str, Any],
        env: dict[str, str],
        done: Callable[[dict[str, Any]], None],
        hold: int = -1,
    ) -> None:
        """Run the container of a job whose folder is there; `done(status)` when it runs or not.

        `hold` says until then that the start is under way. A container that an earlier try for the
        same folder made is taken as it is: its name lets no second one come to be.
        """
        job_id = job["job_id"]
        folder = self._table.folder(job_id)
        self._starting.add(job_id)
        self._note(job_id, "requested")
        os.close(os.open(os.path.join(folder, "log.txt"), os.O_WRONLY | os.O_CREAT, 0o600))

        def informed(code: int | None, text: str) -> None:
            facts = info(text) if code == 0 else None
            if facts is None:
                late = "the Docker engine did not answer within %g s" % ASK
                failed(code or 125, text if code is not None else late)
                return
            job["engine"] = facts[0]
            write_json(folder, "job.json", job)
            self._note(job_id, "starting")
            argv = docker.run_argv(
                find_docker(),
                job,
                folder,
                "%d:%d" % (os.getuid(), os.getgid()),
                facts[1],
                os.environ.get("WSL_DISTRO_NAME", ""),
            )
            self._docker(argv[1:], ran, START, env)

        def ran(code: int | None, text: str) -> None:
            found = [word for word in text.split() if docker.CONTAINER_ID.match(word)]
            if code != 0 or not found:
                failed(code, text)
                return
            job.update(container=found[-1], started=now_ms())
            write_json(folder, "job.json", job)
            finish()

        def failed(code: int | None, text: str) -> None:
            if code is None or docker.CONFLICT in text:
                # It may still come, or did: the name tells, and an absent one is lost after a while.
                finish()
                return
            reason = docker.explain(text, job["docker"]["image"])[1]
            self._docker(["rm", docker.name_of(job_id)], lambda *_: None)
            self._write_exit(job_id, {"code": code, "signal": None, "error": reason, "t": now_ms()})
            finish()

        def finish() -> None:
            self._starting.discard(job_id)
            if hold >= 0:
                os.close(hold)
            if self._table.document(job_id, "exit.json") is None:
                self._open[job_id] = job
            self._waiting.append(lambda: done(self._table.status(job_id)))
            self.look()

        self._docker(["info", "--format", INFO], informed)

    def stop(
        self,
        job_id: str,
        grace: float,
        done: Callable[[dict[str, Any]], None],
        fail: Callable[[str, str], None],
    ) -> None:
        """SIGTERM, SIGKILL after `grace` s. `done(status)` once the engine took the order."""
        if job_id in self._starting:
            raise OpError("busy", "%s is just starting; ask again in a moment" % job_id)
        folder = self._table.folder(job_id)
        write_order(folder, {"t": now_ms(), "grace": grace})

        def settled() -> None:
            done(self._table.status(job_id))

        def stopped(code: int | None, text: str) -> None:
            timer.cancel()
            if code not in (0, None):
                try:
                    os.unlink(os.path.join(folder, "stop.json"))
                except OSError:
                    pass
                log("docker stop %s: %s" % (job_id, text.strip()[:300]))
            self._waiting.append(lambda: answer(code, text))
            self.look()

        def answer(code: int | None, text: str) -> None:
            if code in (0, None) or self._table.document(job_id, "exit.json") is not None:
                settled()
            else:
                fail(*docker.explain(text))

        timer = self._loop.later(1.0, settled)
        self._docker(
            ["stop", "-t", "%d" % round(grace), docker.name_of(job_id)], stopped, grace + 60
        )
