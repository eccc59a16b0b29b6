"""Send growing files from a byte offset, at the laptop's pace.

The laptop subscribes with the length of its copy and what it knows of the file's identity;
it grants credit, so that at most WINDOW bytes are on their way. Nothing is remembered here.
"""

from __future__ import annotations

import os

from agents.remote.digest import sha256
from agents.remote.loop import log_exception

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
IDENTITY_BYTES = 4096


class Subscription:
    def __init__(
        self, sub: int, job_id: str, path: str, offset: int, identity: dict[str, Any]
    ) -> None:
        self.sub = sub
        self.job_id = job_id
        self.path = path
        self.offset = offset
        self.identity: dict[str, Any] | None = identity
        self.fd = -1
        self.ino = 0
        self.quiet = 0
        self.announced = False
        self.failing = False

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def matches(fd: int, offset: int, identity: dict[str, Any]) -> bool:
    """True when the open file begins with the `offset` bytes the laptop already has.

    Compared: inode, SHA-256 of the first and of the last bytes before `offset`, each at
    most 4 KiB. Raises OSError when the file cannot be read.
    """
    stat = os.fstat(fd)
    if stat.st_size < offset:
        return False
    if identity.get("ino") not in (None, stat.st_ino):
        return False
    size = min(offset, IDENTITY_BYTES)
    if identity.get("head") != sha256(os.pread(fd, size, 0)).hexdigest():
        return False
    return bool(identity.get("tail") == sha256(os.pread(fd, size, offset - size)).hexdigest())


class Tails:
    def __init__(self, loop: Loop, table: JobTable, watch: JobWatch, channel: Channel) -> None:
        self._loop = loop
        self._table = table
        self._watch = watch
        self._channel = channel
        self._subs: dict[int, Subscription] = {}
        self._in_flight = 0
        self._turn = 0
        self._working = False
        channel.on_drained = self._wake
        loop.every(POLL, self._tick)

    def subscribe(self, message: dict[str, Any]) -> None:
        sub, offset = int(message["sub"]), int(message["offset"])
        name = STREAMS[message["stream"]]
        path = os.path.join(self._table.folder(message["job"]), name)
        self.unsubscribe(sub)
        identity = message.get("identity")
        self._subs[sub] = Subscription(
            sub,
            message["job"],
            path,
            max(0, offset),
            identity if isinstance(identity, dict) else {},
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
        sub.offset = 0
        sub.identity = None
        sub.announced = False
        self._channel.send({"m": "tail_reset", "sub": sub.sub, "reason": reason})

    def _open(self, sub: Subscription) -> bool:
        try:
            fd = os.open(sub.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        sub.fd = fd
        sub.ino = os.fstat(fd).st_ino
        identity, sub.identity = sub.identity, None
        if identity is not None and sub.offset > 0 and not matches(fd, sub.offset, identity):
            self._reset(sub, "the file on the host is another one or was rewritten")
            sub.fd = os.open(sub.path, os.O_RDONLY)
            sub.ino = os.fstat(sub.fd).st_ino
        return True

    def _send_one(self, sub: Subscription) -> bool:
        """Send the next chunk; False when there is nothing new."""
        if sub.fd < 0 and not self._open(sub):
            return False
        try:
            stat = os.stat(sub.path)
        except FileNotFoundError:
            sub.close()
            return False
        if stat.st_ino != sub.ino:
            self._reset(sub, "the file on the host was replaced")
            return True
        if stat.st_size < sub.offset:
            self._reset(sub, "the file on the host was cut short")
            return True
        if stat.st_size == sub.offset and (sub.announced or sub.offset):
            return False
        # An empty file is news too, once.
        data = os.pread(sub.fd, min(CHUNK, stat.st_size - sub.offset), sub.offset)
        if not data and stat.st_size:
            return False
        sub.announced = True
        self._channel.send(
            {
                "m": "chunk",
                "sub": sub.sub,
                "offset": sub.offset,
                "size": stat.st_size,
                "ino": sub.ino,
            },
            data,
        )
        sub.offset += len(data)
        self._in_flight += len(data)
        return True
