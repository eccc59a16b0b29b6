"""Tell the laptop of jobs, new or changed, and hand it their small documents."""

from __future__ import annotations

import os

from agents.remote.errors import OpError
from agents.remote.jobs import TERMINAL, read_document
from agents.remote.loop import log_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agents.remote.channel import Channel
    from agents.remote.jobs import JobTable
    from agents.remote.loop import Loop

DOCUMENTS = ("job.json", "exit.json")
SCAN = 0.25
LIST_EVERY = 8
FULL_LOOK_EVERY = 4


class JobWatch:
    """Looks four times a second at jobs that are not over, and for new folders."""

    def __init__(self, loop: Loop, table: JobTable, channel: Channel) -> None:
        self._table = table
        self._channel = channel
        self._known: dict[str, dict[str, Any]] = {}
        self._signatures: dict[tuple[str, str], tuple[int, int, int]] = {}
        self._open: set[str] = set()
        self._root_mtime = -1
        self._turn = 0
        loop.every(SCAN, self.scan)

    def running(self) -> list[dict[str, Any]]:
        return [s for s in self._known.values() if s["state"] == "running"]

    def is_over(self, job_id: str) -> bool:
        return job_id in self._known and job_id not in self._open

    def scan(self) -> None:
        self._turn += 1
        try:
            mtime = os.stat(self._table.root).st_mtime_ns
        except OSError:
            mtime = -2  # there is no table, or no more
        if mtime != self._root_mtime or self._turn % LIST_EVERY == 0:
            self._root_mtime = mtime
            names = set(self._table.ids())
            for job_id in names - set(self._known):
                self._open.add(job_id)
            for job_id in set(self._known) - names:
                self._removed(job_id)
        for job_id in sorted(self._open, key=lambda name: name[-20:]):
            try:
                if self._is_worth_a_look(job_id):
                    self.look(job_id)
            except OpError:
                self._open.discard(job_id)
            except Exception:
                log_exception("job %s" % job_id)

    def _removed(self, job_id: str) -> None:
        """Somebody took a job's folder away: nothing of it can be told or ended any more."""
        status = self._known.pop(job_id)
        self._open.discard(job_id)
        if status["state"] not in TERMINAL:
            told = "its folder on this host was deleted while it ran"
            if status["backend"] == "docker":
                told += "; its container, if it still runs: docker stop gonogo-%s" % job_id
            elif status["pid"] is not None:
                told += "; its processes, if they still run: kill -- -%d" % status["pid"]
            self._channel.send(dict(status, m="job", state="unknown", detail=told))

    def _is_worth_a_look(self, job_id: str) -> bool:
        # A running job is examined once a second; its exit code is seen sooner.
        known = self._known.get(job_id)
        if known is None or known["state"] != "running" or self._turn % FULL_LOOK_EVERY == 0:
            return True
        return os.path.exists(os.path.join(self._table.folder(job_id), "exit.json"))

    def look(self, job_id: str) -> dict[str, Any]:
        """Read one job's state; documents go first, so that the news finds them in place."""
        status = self._table.status(job_id)
        if status.pop("pending", False):
            self._open.add(job_id)
            return status
        if status != self._known.get(job_id):
            for name in DOCUMENTS:
                self._send_document(job_id, name)
            self._known[job_id] = status
            self._channel.send(dict(status, m="job"))
        if status["state"] in TERMINAL:
            self._open.discard(job_id)
        else:
            self._open.add(job_id)
        return status

    def _send_document(self, job_id: str, name: str) -> None:
        path = os.path.join(self._table.folder(job_id), name)
        try:
            stat = os.stat(path)
        except OSError:
            return
        signature = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if self._signatures.get((job_id, name)) != signature:
            data = read_document(path)
            if data is not None:
                self._signatures[(job_id, name)] = signature
                self._channel.send({"m": "document", "job": job_id, "name": name}, data)
