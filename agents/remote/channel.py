"""The agent's end of the SSH channel: frames on private copies of fd 0 and fd 1.

fd 1 then points at stderr, so nothing that prints can damage the frames. Writing never
blocks: results and chunks queue, of gauges only the newest is kept.
"""

from __future__ import annotations

import os
import sys

from agents.remote.frames import FrameDecoder, FrameError, encode
from agents.remote.loop import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.loop import Loop

BACKLOG_FOR_GAUGES = 64 * 1024
EXIT_DAMAGED = 95


class Channel:
    def __init__(self, loop: Loop, receive: Callable[[dict[str, Any], bytes | None], None]) -> None:
        self._loop = loop
        self._receive = receive
        self._in = os.dup(0)
        self._out = os.dup(1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        os.set_blocking(self._out, False)
        self._decoder = FrameDecoder()
        self._queue: list[bytes] = []
        self._backlog = 0
        self._seq = 0
        self._written = 0
        self._gauge_end = 0
        self._latest: dict[str, Any] | None = None
        self.on_drained: Callable[[], None] | None = None
        loop.read_with(self._in, self._on_readable)

    @property
    def backlog(self) -> int:
        """Bytes that wait for the SSH window."""
        return self._backlog

    def send_raw(self, data: bytes) -> None:
        self._queue.append(data)
        self._backlog += len(data)
        self._flush()

    def send(self, message: dict[str, Any], blob: bytes | None = None) -> None:
        frame = encode(self._seq, message, blob)
        self._seq += 1
        self.send_raw(frame)

    def send_latest(self, message: dict[str, Any]) -> None:
        """Send, or replace the one that still waits: a stale gauge is worth nothing.

        One may wait in the queue: behind a log that never ends to flow, none would come else.
        """
        if self._backlog > BACKLOG_FOR_GAUGES and self._written < self._gauge_end:
            self._latest = message
            return
        self._latest = None
        self.send(message)
        self._gauge_end = self._written + self._backlog

    def _flush(self) -> None:
        try:
            while self._queue:
                sent = os.write(self._out, self._queue[0])
                self._backlog -= sent
                self._written += sent
                if sent < len(self._queue[0]):
                    self._queue[0] = self._queue[0][sent:]
                    break
                self._queue.pop(0)
        except BlockingIOError:
            pass
        except OSError as error:
            log("the channel closed: %s" % error)
            self._loop.running = False
            return
        self._loop.write_with(self._out, self._on_writable if self._queue else None)

    def _on_writable(self) -> None:
        self._flush()
        if self._latest is not None and self._written >= self._gauge_end:
            self.send_latest(self._latest)
        if not self._queue and self.on_drained is not None:
            self.on_drained()

    def _on_readable(self) -> None:
        try:
            data = os.read(self._in, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.running = False
            return
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            log("damaged frame from the laptop: %s" % error)
            sys.exit(EXIT_DAMAGED)
        for message, blob in frames:
            self._receive(message, blob)
