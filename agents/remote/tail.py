"""Send growing files from a byte offset, at the laptop's pace.

The laptop subscribes with the length of its copy and what it knows of the file's identity;
it grants credit, so that at most WINDOW bytes are on their way. Nothing is remembered here.
"""

from __future__ import annotations

import os
import stat
import time

from agents.remote.identity import SPACING, Sent, is_young, stamp
from agents.remote.loop import log, log_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agents.remote.channel import Channel
    from agents.remote.jobs import JobTable
    from agents.remote.loop import Loop
    from agents.remote.watch import JobWatch

STREAMS = {"run": "run.jsonl", "log": "log.txt"}
CHUNK = 256 * 1024
WINDOW = 1024 * 1024
POLL = 0.25
IDLE_POLLS = 20
MAX_OPEN = 32
"""Files that are open at once: a host may allow few, and /proc has to be read as well."""


class Subscription:
    def __init__(self, sub: int, job_id: str, path: str, offset: int, identity: Any) -> None:
        self.sub = sub
        self.job_id = job_id
        self.path = path
        self.identity: dict[str, Any] | None = identity if isinstance(identity, dict) else {}
        self.sent = Sent(offset, self.identity)
        self.fd = -1
        self.ino = 0
        self.quiet = 0
        self.announced = False
        self.failing = False
        self.seen: tuple[int, int] | None = None
        self.young = True
        self.compared: tuple[int, int] | None = None
        self.compared_at = 0.0

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @property
    def is_changed(self) -> bool:
        """True when the file's times moved since all of it was compared."""
        return self.seen is not None and self.seen != self.compared and self.sent.offset > 0


class Tails:
    def __init__(self, loop: Loop, table: JobTable, watch: JobWatch, channel: Channel) -> None:
        self._loop = loop
        self._table = table
        self._watch = watch
        self._channel = channel
        self._subs: dict[int, Subscription] = {}
        self._opened: list[Subscription] = []
        self._in_flight = 0
        self._turn = 0
        self._working = False
        self._comparing = False
        self._compare_at = 0.0
        channel.on_drained = self._wake
        loop.every(POLL, self._tick)

    def subscribe(self, message: dict[str, Any]) -> None:
        sub, offset = int(message["sub"]), int(message["offset"])
        name = STREAMS[message["stream"]]
        path = os.path.join(self._table.folder(message["job"]), name)
        self.unsubscribe(sub)
        self._subs[sub] = Subscription(
            sub, message["job"], path, max(0, offset), message.get("identity")
        )
        self._wake()

    def unsubscribe(self, sub: int) -> None:
        old = self._subs.pop(sub, None)
        if old is not None:
            old.close()

    def credit(self, count: int) -> None:
        self._in_flight = max(0, self._in_flight - count)
        self._wake()

    def _tick(self) -> None:
        self._turn += 1
        self._wake()
        if not self._comparing and time.monotonic() >= self._compare_at:
            changed = [sub for sub in self._subs.values() if sub.is_changed]
            if changed:
                self._comparing = True
                self._loop.work(self._compare(min(changed, key=lambda sub: sub.compared_at)))

    def _compare(self, sub: Subscription) -> Any:
        """Read all that was sent of one file once more, a piece a turn."""
        spent = 0.0
        sent, ino = sub.sent, sub.ino
        # Times that were too young prove nothing of what follows: compare once more.
        seen = None if sub.young else sub.seen
        fd = -1
        try:
            fd = os.open(sub.path, os.O_RDONLY | os.O_NONBLOCK)  # not to wait at a pipe
            if os.fstat(fd).st_ino == ino:
                for seconds in sent.compare(fd):
                    # Meanwhile it may have been given up or begun anew.
                    if self._subs.get(sub.sub) is not sub or sub.sent is not sent:
                        return
                    if seconds < 0:
                        self._reset(sub, "the file on the host was edited")
                        self._wake()
                        return
                    spent += seconds
                    yield
        except FileNotFoundError:
            pass
        except OSError as error:
            log("%s: %s" % (sub.path, error))
        finally:
            if fd >= 0:
                os.close(fd)
            if sub.sent is sent:
                sub.compared, sub.compared_at = seen, time.monotonic()
            self._compare_at = time.monotonic() + spent * SPACING
            self._comparing = False

    def _wake(self) -> None:
        if not self._working:
            self._working = True
            self._loop.work(self._send_all())

    def _send_all(self) -> Any:
        """One chunk of each file a turn, round after round, until all wait."""
        try:
            busy = True
            while busy:
                busy = False
                for sub in list(self._subs.values()):
                    if self._in_flight + CHUNK > WINDOW or self._channel.backlog > WINDOW:
                        return
                    if self._subs.get(sub.sub) is sub and self._is_due(sub):
                        try:
                            sent = self._send_one(sub)
                            sub.failing = False
                        except OSError:
                            if not sub.failing:
                                log_exception(sub.path)
                            sub.failing = True
                            sub.close()
                            sent = False
                        sub.quiet = 0 if sent else sub.quiet + 1
                        busy = busy or sent
                        if sent:
                            yield
        finally:
            self._working = False

    def _is_due(self, sub: Subscription) -> bool:
        # Files of jobs that are over change no more; a rare look is for stragglers.
        if sub.quiet < IDLE_POLLS:
            return True
        if self._watch.is_over(sub.job_id):
            sub.close()
            return (self._turn + sub.sub) % 240 == 0
        return True

    def _reset(self, sub: Subscription, reason: str) -> None:
        sub.close()
        sub.sent = Sent()
        sub.identity = None
        sub.announced = False
        sub.seen = sub.compared = None
        sub.young = True
        sub.quiet = 0
        self._channel.send({"m": "tail_reset", "sub": sub.sub, "reason": reason})

    def _open(self, sub: Subscription) -> bool:
        try:
            # A pipe in its place would stop the agent until somebody writes.
            sub.fd = os.open(sub.path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return False
        self._opened = [old for old in self._opened if old.fd >= 0 and old is not sub]
        if len(self._opened) >= MAX_OPEN:
            self._opened.pop(0).close()
        self._opened.append(sub)
        opened = os.fstat(sub.fd)
        if not stat.S_ISREG(opened.st_mode):
            sub.close()
            return False
        same = True
        if sub.sent.offset and sub.identity is not None:
            same = sub.sent.begins(sub.fd, sub.identity)
        elif sub.sent.offset:  # opened before on this connection: it was away, or at rest
            same = sub.ino == opened.st_ino
        sub.ino, sub.identity, sub.young = opened.st_ino, None, True
        if not same:
            self._reset(sub, "the file on the host is another one or was rewritten")
            return self._open(sub)
        return True

    @staticmethod
    def _is_at_rest(sub: Subscription) -> bool:
        """Is a closed file still the one, and as long, as when it was last looked at?"""
        if sub.seen is None or sub.young:
            return False
        try:
            now = os.stat(sub.path)
        except OSError:
            return False
        at_end = (now.st_ino, now.st_size) == (sub.ino, sub.sent.offset)
        return at_end and stamp(now) == sub.seen

    def _send_one(self, sub: Subscription) -> bool:
        """Send the next chunk; False when there is nothing new."""
        if sub.fd < 0 and (self._is_at_rest(sub) or not self._open(sub)):
            return False
        try:
            now = os.stat(sub.path)
        except FileNotFoundError:
            sub.close()
            return False
        offset = sub.sent.offset
        if now.st_ino != sub.ino:
            self._reset(sub, "the file on the host was replaced")
            return True
        if now.st_size < offset:
            self._reset(sub, "the file on the host was cut short")
            return True
        rests = now.st_size == offset and (sub.announced or offset)
        if rests and not sub.young and stamp(now) == sub.seen:
            return False
        data = sub.sent.read_on(sub.fd, min(CHUNK, now.st_size - offset))
        if data is None:
            self._reset(sub, "the file on the host was rewritten")
            return True
        sub.seen, sub.young = stamp(now), is_young(now)
        # An empty file is news too, once.
        if rests or (not data and now.st_size):
            return False
        sub.announced = True
        self._channel.send(
            {
                "m": "chunk",
                "sub": sub.sub,
                "offset": offset,
                "size": now.st_size,
                "ino": sub.ino,
            },
            data,
        )
        sub.sent.add(data)
        self._in_flight += len(data)
        return True
