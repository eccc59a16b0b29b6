"""One non-blocking HTTP GET to 127.0.0.1: the http probe and the health checks use it."""

from __future__ import annotations

import errno
import os
import re
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.loop import Loop

URL = re.compile(r"http://(127\.0\.0\.1|localhost)(?::(\d{1,5}))?(/[!-~]*)?\Z")
MAX_ANSWER = 65536


class Get:
    """`done({"status": int, "body": bytes, "ms": float})` or `done({"error": text})`, once."""

    def __init__(
        self, loop: Loop, url: str, timeout: float, done: Callable[[dict[str, Any]], None]
    ) -> None:
        match = URL.match(url)
        if match is None:
            raise ValueError("only http://127.0.0.1[:port]/path is probed, not %r" % url)
        host, port, path = match.group(1), int(match.group(2) or 80), match.group(3) or "/"
        if not 0 < port < 65536:
            raise ValueError("%d is no port" % port)
        self._loop = loop
        self._done = done
        self._began = time.monotonic()
        self._received = b""
        self._request = (
            "GET %s HTTP/1.0\r\nHost: %s:%d\r\nUser-Agent: gonogo\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n" % (path, host, port)
        ).encode("ascii")
        self._finished = False
        self._timer = loop.later(
            timeout, lambda: self._finish(error="no answer within %g s" % timeout)
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        code = self._socket.connect_ex(("127.0.0.1", port))
        if code not in (0, errno.EINPROGRESS):
            self._finish(error=os.strerror(code))
            return
        loop.write_with(self._socket.fileno(), self._on_connected)

    def _on_connected(self) -> None:
        self._loop.write_with(self._socket.fileno(), None)
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._finish(error=os.strerror(code))
            return
        try:
            self._socket.send(self._request)
        except OSError as error:
            self._finish(error=str(error))
            return
        self._loop.read_with(self._socket.fileno(), self._on_readable)

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(16384)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(error=str(error))
            return
        self._received += data
        if not data or len(self._received) >= MAX_ANSWER:
            self._answer()

    def _answer(self) -> None:
        head, _, body = self._received.partition(b"\r\n\r\n")
        fields = head.split(b" ", 2)
        if not head.startswith(b"HTTP/") or len(fields) < 2 or not fields[1].isdigit():
            self._finish(error="the answer is not HTTP")
        else:
            self._finish(status=int(fields[1]), body=body)

    def _finish(self, status: int = 0, body: bytes = b"", error: str = "") -> None:
        if self._finished:
            return
        self._finished = True
        self._timer.cancel()
        fd = self._socket.fileno()
        if fd >= 0:
            self._loop.read_with(fd, None)
            self._loop.write_with(fd, None)
            self._socket.close()
        if error:
            self._done({"error": error})
        else:
            elapsed = (time.monotonic() - self._began) * 1000
            self._done({"status": status, "body": body, "ms": elapsed})


class Health:
    """Asks every url each 5 s; `states` maps its name to "ok" or "down: <reason>"."""

    INTERVAL = 5.0
    TIMEOUT = 4.0

    def __init__(self, loop: Loop, urls: dict[str, str]) -> None:
        self._loop = loop
        self._urls = urls
        self.states: dict[str, str] = {}
        if urls:
            loop.every(self.INTERVAL, self._ask)

    def _ask(self) -> None:
        for name, url in self._urls.items():
            try:
                Get(
                    self._loop,
                    url,
                    self.TIMEOUT,
                    lambda answer, name=name: self._note(name, answer),
                )
            except ValueError as error:
                self.states[name] = "down: %s" % error

    def _note(self, name: str, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self.states[name] = "down: %s" % answer["error"]
        elif 200 <= answer["status"] < 300:
            self.states[name] = "ok"
        else:
            self.states[name] = "down: HTTP %d" % answer["status"]
