"""The agent on a host: says hello, waits for the welcome, then serves until stdin ends.

Ends as well after 60 s without a word from the laptop, so that none is left behind where
sshd does not notice a lost link. Writes nothing but ~/.gonogo/jobs/<id>/.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

from agents.remote import download, probes
from agents.remote.channel import Channel
from agents.remote.checks import Machine
from agents.remote.errors import OpError, refused
from agents.remote.frames import FrameError
from agents.remote.gpu import Gpu, memory_of_jobs
from agents.remote.host import hello, now_ms
from agents.remote.httpget import Health
from agents.remote.jobs import JobTable
from agents.remote.loop import Loop, log, log_exception
from agents.remote.sampler import Sampler
from agents.remote.tail import Tails
from agents.remote.upload import Uploads
from agents.remote.watch import JobWatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

SILENCE = 60.0
QUIET = 5.0
ANSWER_BUDGET = 900_000


class Agent:
    def __init__(self, nonce: str, extra: dict[str, Any]) -> None:
        self._extra = extra
        self.loop = Loop()
        self.machine = Machine(self.loop, extra)
        self.channel = Channel(self.loop, self._receive)
        self.home = os.path.expanduser("~")
        self.table = JobTable(self.home, self.loop)
        self.uploads = Uploads()
        self.gpu: Gpu | None = None
        self.tails: Tails | None = None
        self._heard = time.monotonic()
        self._quiet = False
        self._sampled = 0.0
        self._ops: dict[str, Callable[..., None]] = {
            "jobs": self._op_jobs,
            "start_job": self._op_start,
            "stop_job": self._op_stop,
            "job": self._op_job,
            "probe": self._op_probe,
            "put_begin": lambda params, blob, done, fail: self.loop.work(
                self.uploads.begin(params, done, fail)
            ),
            "put_data": lambda params, blob, done, fail: done(self.uploads.data(params, blob)),
            "put_commit": lambda params, blob, done, fail: done(self.uploads.commit(params)),
            "put_abort": lambda params, blob, done, fail: done(self.uploads.abort(params)),
            "get_list": lambda params, blob, done, fail: done(download.listing(params)),
            "get_data": lambda params, blob, done, fail: done(*download.piece(params)),
            "get_sum": lambda params, blob, done, fail: self.loop.work(
                self._guarded(download.checksum(params, done, fail), fail)
            ),
            "host": lambda params, blob, done, fail: done(hello(self.home)),
        }
        self.channel.send_raw(b"\0\0GONOGO " + nonce.encode("ascii") + b"\n")
        self.channel.send(hello(self.home))
        self.loop.every(5.0, self._watch_silence)

    def _watch_silence(self) -> None:
        if time.monotonic() - self._heard > SILENCE:
            log("no word from the laptop for %d s: ending" % SILENCE)
            self.loop.running = False

    def _receive(self, message: dict[str, Any], blob: bytes | None) -> None:
        self._heard = time.monotonic()
        kind = message.get("m")
        try:
            if kind == "ping":
                self.channel.send({"m": "pong", "n": message.get("n"), "t_ms": now_ms()})
            elif kind == "call":
                self._call(message, blob)
            elif kind == "credit" and self.tails is not None:
                self.tails.credit(int(message["bytes"]))
            elif kind == "tail" and self.tails is not None:
                self.tails.subscribe(message)
            elif kind == "untail" and self.tails is not None:
                self.tails.unsubscribe(int(message["sub"]))
            elif kind == "quiet":
                self._quiet = bool(message.get("on"))
            elif kind == "welcome" and self.tails is None:
                self._welcome(message)
        except Exception:
            log_exception("message %r" % (kind,))

    def _welcome(self, message: dict[str, Any]) -> None:
        interval = max(0.1, min(60.0, float(message.get("gauge_interval", 1.0))))
        self._interval = interval
        self._sampler = Sampler(str(message.get("disk_path", "~")))
        self._health = Health(self.loop, dict(message.get("health_urls", {})))
        self.gpu = Gpu(self.loop, interval, self._extra, bool(message.get("simulate_gpu")))
        self._extra = {}
        self.watch = JobWatch(self.loop, self.table, self.channel)
        self.table.containers.changed = self.watch.look
        self.tails = Tails(self.loop, self.table, self.watch, self.channel)
        self._sampler.sample()
        self.loop.later(min(0.25, interval), lambda: self.loop.every(interval, self._gauge))

    def _gauge(self) -> None:
        jobs = self.watch.running()
        interval = self._interval
        if self._quiet and not jobs:
            # Nobody looks and nothing runs: the card may sleep.
            interval = max(QUIET, interval)
            if time.monotonic() - self._sampled < interval - self._interval / 2:
                return
        if self.gpu is not None:
            self.gpu.pace(interval)
        self._sampled = time.monotonic()
        gauge = self._sampler.sample()
        cards, rung, reason = (
            self.gpu.read(self._sampler.cpu_percent, jobs) if self.gpu else ([], "", "")
        )
        for card in cards:
            card["mem_jobs"] = memory_of_jobs(card, jobs)
        gauge.update(
            m="gauge",
            t_ms=now_ms(),
            gpus=cards,
            gpu_rung=rung,
            gpu_reason=reason,
            health=self._health.states,
        )
        self.channel.send_latest(gauge)

    def _call(self, message: dict[str, Any], blob: bytes | None) -> None:
        number = message.get("id")
        params = message.get("params")
        answered = []

        def done(value: dict[str, Any], data: bytes | None = None) -> None:
            if not answered:
                try:
                    self.channel.send({"m": "result", "id": number, "value": value}, data)
                except FrameError as error:
                    fail("too-large", "the answer is too long: %s" % error)
                answered.append(True)

        def fail(code: str, text: str) -> None:
            if not answered:
                answered.append(True)
                self.channel.send(
                    {"m": "error", "id": number, "code": code, "message": text[:2000]}
                )

        op = self._ops.get(str(message.get("op")))
        try:
            if op is None:
                raise OpError("unknown-op", "this agent has no operation %r" % message.get("op"))
            op(params if isinstance(params, dict) else {}, blob, done, fail)
        except OpError as error:
            fail(error.code, str(error))
        except OSError as error:
            log_exception("operation %s" % message.get("op"))
            known = refused(error)
            fail(known.code, str(known))
        except Exception as error:
            log_exception("operation %s" % message.get("op"))
            fail("internal", "%s: %s" % (type(error).__name__, error))

    @staticmethod
    def _guarded(steps: Any, fail: Any) -> Any:
        """Work whose refusal reaches the laptop although nobody waits for it here."""
        try:
            yield from steps
        except OpError as error:
            fail(error.code, str(error))

    def _op_jobs(self, params: Any, blob: Any, done: Any, fail: Any) -> None:
        def answer() -> None:
            statuses = []
            budget = ANSWER_BUDGET
            for job_id in reversed(self.table.ids()):
                statuses.append(self.table.status(job_id))
                budget -= len(json.dumps(statuses[-1]))
                if budget < 0:
                    statuses.pop()
                    break
            done({"jobs": statuses[::-1]})

        for job_id in self.table.ids():
            self.table.status(job_id)
        self.table.containers.when_known(answer)

    def _op_job(self, params: Any, blob: Any, done: Any, fail: Any) -> None:
        job_id = params.get("job_id", "")
        self.table.status(job_id)
        self.table.containers.when_known(lambda: done(self.table.status(job_id)))

    def _op_start(self, params: Any, blob: Any, done: Any, fail: Any) -> None:
        def started(status: dict[str, Any]) -> None:
            done(self.watch.look(status["job_id"]))

        self.table.start(self.loop, params, started)

    def _op_stop(self, params: Any, blob: Any, done: Any, fail: Any) -> None:
        def ordered(status: dict[str, Any]) -> None:
            done(self.watch.look(status["job_id"]))

        grace = max(0.0, min(86400.0, float(params.get("grace", 30))))
        self.table.stop(self.loop, params.get("job_id", ""), grace, ordered, fail)

    def _op_probe(self, params: Any, blob: Any, done: Any, fail: Any) -> None:
        inner = params.get("params")
        told = inner if isinstance(inner, dict) else {}
        probes.probe(self.loop, self.machine, params.get("name"), told, done, fail)

    def run(self) -> None:
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            signal.signal(getattr(signal, name), lambda *_: sys.exit(0))
        try:
            self.loop.run()
        finally:
            self.uploads.close_all()
            self.table.containers.close()
            if self.gpu is not None:
                self.gpu.close()


def main(argv: list[str], extra: dict[str, Any]) -> None:
    Agent(argv[0], extra).run()
