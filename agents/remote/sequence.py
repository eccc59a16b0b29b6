"""Jobs one after the other, on the host: the next starts when the one before succeeded.

A queue is a job of its own. Its program is this module in a fork of the agent, below a supervisor
like any other job's, so it needs neither agent nor link nor laptop, and a reboot makes it lost. The
jobs it starts have supervisors or containers of their own and go on should the queue be killed.
"""

from __future__ import annotations

import os
import signal
import time

from agents.remote.child import restore_signals
from agents.remote.errors import OpError
from agents.remote.files import write_json
from agents.remote.loop import Loop
from agents.remote.supervisor import DEFAULT_GRACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.jobs import JobTable

FILE = "queue.json"
TICK = 0.25
OVER = ("succeeded", "failed", "oom", "stopped", "lost")


class Sequence:
    """Runs the start requests `steps` in order; what it does stands in queue.json and the log."""

    def __init__(self, table: JobTable, loop: Loop, folder: str, steps: list[Any]) -> None:
        self._table = table
        self._loop = loop
        self._folder = folder
        self._steps = steps
        self._views = [
            {"name": step["name"], "op_id": step["op_id"], "job_id": "", "state": "waiting"}
            for step in steps
        ]
        self._now = -1
        self._current = ""
        self._starting = False
        self._stop = False
        self._stopping = False
        self.code: int | None = None

    def ask_stop(self) -> None:
        """From a signal handler: seen with the next tick."""
        self._stop = True

    def tick(self) -> None:
        if self.code is not None or self._starting:
            return
        if self._current:
            self._look()
        elif self._stop:
            self._finish(1)
        else:
            self._next()

    def _next(self) -> None:
        if self._now + 1 == len(self._steps):
            self._finish(0)
            return
        self._now += 1
        request = dict(self._steps[self._now])
        labels = dict(request.get("labels") or {}, queue=os.path.basename(self._folder))
        request["labels"] = labels
        self._starting = True
        self._note("starting")
        try:
            self._table.start(self._loop, request, self._started)
        except (OpError, OSError) as error:
            self._starting = False
            if isinstance(error, OpError) and error.code == "busy":
                self._now -= 1  # another connection starts a job just now
                return
            self._note("failed", detail="could not start: %s" % error)
            self._finish(1)

    def _started(self, status: dict[str, Any]) -> None:
        self._starting = False
        self._current = status["job_id"]
        self._note(status["state"], status["job_id"])
        self.tick()

    def _look(self) -> None:
        try:
            status = self._table.status(self._current)
        except OpError:
            # Whether it ended well nobody will ever know; the next must not start beside it.
            self._note("lost", detail="its folder was deleted while it ran")
            self._finish(1)
            return
        state = status["state"]
        if state in OVER:
            self._note(state, detail=status["detail"])
            self._current = ""
            if state == "succeeded":
                self.tick()
            else:
                self._finish(1)
            return
        if self._stop and not self._stopping:
            self._end_current()
        elif not status.get("pending"):
            self._note(state, detail=status["detail"])

    def _end_current(self) -> None:
        stop = self._table.document(os.path.basename(self._folder), "stop.json") or {}
        grace = stop.get("grace")
        if not isinstance(grace, (int, float)):
            grace = DEFAULT_GRACE
        self._stopping = True
        self._say("stopping %s" % self._current)

        def refused(code: str, text: str) -> None:
            self._say("cannot stop %s: %s" % (self._current, text))
            self._loop.later(2.0, again)

        def again() -> None:
            self._stopping = False

        try:
            self._table.stop(self._loop, self._current, float(grace), lambda _: None, refused)
        except (OpError, OSError) as error:
            refused("", str(error))

    def _note(self, state: str, job_id: str = "", detail: str = "") -> None:
        view = self._views[self._now]
        before = dict(view)
        view.update(state=state, detail=detail[:200])
        if job_id:
            view["job_id"] = job_id
        if view == before:
            return
        self._say("%d of %d: %s %s %s" % (
            self._now + 1, len(self._views), view["job_id"] or view["name"], state, detail
        ))  # fmt: skip
        self._save()

    def _save(self) -> None:
        try:
            write_json(self._folder, FILE, {"v": 1, "steps": self._views})
        except OSError as error:  # a full disk must not keep the next training from starting
            self._say("cannot write %s: %s" % (FILE, error))

    def _finish(self, code: int) -> None:
        waiting = [view["name"] for view in self._views if view["state"] == "waiting"]
        if waiting:
            self._say("not started: %s" % ", ".join(waiting))
        self._save()
        self.code = code
        self._loop.running = False

    @staticmethod
    def _say(text: str) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        try:
            os.write(1, ("%s %s\n" % (stamp, text.rstrip())).encode("utf-8", "replace"))
        except OSError:
            pass


def run(make_table: Callable[[Loop], JobTable], folder: str, steps: list[Any]) -> int:
    """The program of a queue; its exit code is 0 when every job succeeded."""
    restore_signals()
    for name in ("SIGHUP", "SIGINT", "SIGPIPE"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    loop = Loop()
    table = make_table(loop)
    sequence = Sequence(table, loop, folder, steps)
    signal.signal(signal.SIGTERM, lambda *_: sequence.ask_stop())
    loop.every(TICK, sequence.tick)
    try:
        loop.run()
    finally:
        table.containers.close()
    return 1 if sequence.code is None else sequence.code


def describe(status: dict[str, Any], queue: dict[str, Any] | None) -> None:
    """Say in a queue's status which job it is at, why it ended, and what did not start."""
    views = (queue or {}).get("steps")
    if not isinstance(views, list) or not all(isinstance(view, dict) for view in views):
        return
    waiting = [str(view.get("name")) for view in views if view.get("state") == "waiting"]
    at = len(views) - len(waiting)
    last = views[at - 1] if at else {}
    said = "%d of %d: %s" % (at, len(views), last.get("name", "nothing yet"))
    state = status["state"]
    if state == "succeeded":
        said = "%d of %d" % (at, len(views))
    elif state in ("running", "starting"):
        said += " " + str(last.get("state", ""))
        if status["detail"]:
            said = "%s; %s" % (status["detail"], said)
    elif state == "failed" and status["code"] == 1:
        said += " %s" % last.get("state", "")
        if last.get("detail"):
            said += " (%s)" % last["detail"]
    else:
        said = "%s; %s" % (status["detail"], said) if status["detail"] else said
    if waiting:
        word = "then" if state in ("running", "starting") else "not started:"
        said += "; %s %s" % (word, ", ".join(waiting))
    status["detail"] = said[:500]
