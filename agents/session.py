"""One connection: handshake, frames in both directions, calls and their answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import asyncssh

from agents import bootstrap
from agents.checked import short_text
from agents.errors import AgentError, LinkDown, LinkLost, OtherShell, RemoteError, SlowStart
from agents.frames import PROTOCOL, FrameDecoder, FrameError, encode
from agents.transport import Transport

HANDSHAKE_TIMEOUT = 15.0
NOISE_MAX = 32 * 1024 * 1024
"""A login shell that printed this much before the agent spoke will not end by itself."""
STDERR_KEPT = 64 * 1024

Message = dict[str, Any]


class Session:
    """Owns a transport until it ends. `receive(message, blob)` gets every unasked frame."""

    def __init__(
        self, host: str, transport: Transport, receive: Callable[[Message, bytes | None], None]
    ) -> None:
        self.host = host
        self.transport = transport
        self.hello: Message = {}
        self.noise = b""
        self.stderr = bytearray()
        self.last_heard = time.monotonic()
        self.closed = False
        self._receive = receive
        self._decoder = FrameDecoder()
        self._seq = 0
        self._calls: dict[int, asyncio.Future[Message]] = {}
        self._next_call = 0
        self._stderr_task = asyncio.create_task(self._drain_stderr())

    async def handshake(
        self, nonce: str, payload: bytes, welcome: Message, patience: float = HANDSHAKE_TIMEOUT
    ) -> None:
        """Send the program, skip noise up to the sentinel, exchange hello and welcome.

        Raises NeedsUser or LinkLost with the reason, SlowStart after `patience` s.
        """
        try:
            async with asyncio.timeout(patience):
                self.transport.write(payload)
                rest = await self._skip_noise(bootstrap.sentinel(nonce))
                frames = self._decoder.feed(rest)
                while not frames:
                    frames = self._decoder.feed(await self._read())
        except TimeoutError:
            raise SlowStart(
                f"the agent on {self.host} did not answer within {patience:g} s: its login shell "
                "is slow or waits for input; the next try is given more time"
            ) from None
        except (FrameError, LinkDown) as error:
            raise LinkLost(f"the agent on {self.host} sent no valid greeting: {error}") from error
        except (asyncssh.Error, OSError) as error:
            raise self._broke(error) from error
        hello = frames.pop(0)[0]
        versions = hello.get("protocol")
        if hello.get("m") != "hello" or not isinstance(versions, list) or PROTOCOL not in versions:
            raise LinkLost(f"the agent on {self.host} speaks another protocol: {versions!r:.80}")
        self.hello = hello
        self.send({"m": "welcome", "protocol": PROTOCOL, **welcome})
        for message, blob in frames:
            self._dispatch(message, blob)

    async def _skip_noise(self, mark: bytes) -> bytes:
        seen, total = b"", 0
        while mark not in seen:
            data = await self.transport.read()
            total += len(data)
            if total > NOISE_MAX:
                self.noise = seen[-bootstrap.NOISE_LIMIT :]
                raise LinkLost(
                    f"the login shell of {self.host} prints without end: let its startup files "
                    "print only where there is a terminal"
                )
            if not data:
                status = await self.transport.exit_status()
                await asyncio.wait([self._stderr_task], timeout=1)
                self.noise = seen[-bootstrap.NOISE_LIMIT :]
                said = bytes(self.stderr) or self.noise
                windows = self.transport.windows
                if not windows and bootstrap.wants_windows(self.transport.server, said):
                    raise OtherShell(f"{self.host} has a Windows shell")
                raise bootstrap.explain_exit(self.host, status, said, windows=windows)
            self.last_heard = time.monotonic()
            seen = (seen + data)[-(bootstrap.NOISE_LIMIT + len(mark) + len(data)) :]
        before, _, rest = seen.partition(mark)
        self.noise = before[-bootstrap.NOISE_LIMIT :]
        return rest

    async def _read(self) -> bytes:
        data = await self.transport.read()
        if not data:
            said = bootstrap.last_line(bytes(self.stderr))
            raise LinkLost(f"the agent on {self.host} ended" + (f": {said}" if said else ""))
        self.last_heard = time.monotonic()
        return data

    async def run(self) -> None:
        """Serve frames until the connection ends; always raises, LinkLost with the reason."""
        try:
            while True:
                for message, blob in self._decoder.feed(await self._read()):
                    self._dispatch(message, blob)
        except FrameError as error:
            raise LinkLost(f"damaged data came from {self.host}: {error}") from error
        except (asyncssh.Error, OSError) as error:
            raise self._broke(error) from error

    def _broke(self, error: Exception) -> LinkLost:
        reason = getattr(error, "reason", "") or str(error) or type(error).__name__
        return LinkLost(f"the connection to {self.host} broke: {reason}")

    async def _drain_stderr(self) -> None:
        # Unread stderr would fill the window it shares with stdout and stop both.
        try:
            while data := await self.transport.read_stderr():
                self.stderr += data
                del self.stderr[:-STDERR_KEPT]
        except (asyncssh.Error, OSError):
            pass

    def _dispatch(self, message: Message, blob: bytes | None) -> None:
        kind = message.get("m")
        if kind in ("result", "error"):
            number = message.get("id")
            future = self._calls.pop(number, None) if isinstance(number, int) else None
            if future is None or future.done():
                return
            if kind == "result" and isinstance(message.get("value"), dict):
                value = message["value"]
                if blob is not None:
                    value["blob"] = blob
                future.set_result(value)
            else:
                code, text = message.get("code"), message.get("message")
                future.set_exception(RemoteError(short_text(code, 40), short_text(text, 2000)))
        else:
            self._receive(message, blob)

    def send(self, message: Message, blob: bytes | None = None) -> None:
        """Queue a frame. Raises LinkDown when the connection is closed."""
        if self.closed:
            raise LinkDown(f"{self.host} is not connected")
        try:
            frame = encode(self._seq, message, blob)
        except FrameError as error:
            raise RemoteError(
                "too-large", f"the request to {self.host} is too long: {error}"
            ) from error
        self.transport.write(frame)
        self._seq += 1

    async def call(
        self, op: str, params: Message, blob: bytes | None = None, timeout: float = 10
    ) -> Message:
        """Ask and wait. Raises LinkDown, RemoteError, TimeoutError."""
        self._next_call += 1
        number = self._next_call
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._calls[number] = future
        try:
            self.send({"m": "call", "id": number, "op": op, "params": params}, blob)
            if blob is not None:
                await self.transport.drain()
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise TimeoutError(f"{self.host} did not answer {op} within {timeout:g} s") from None
        finally:
            self._calls.pop(number, None)

    def fail(self, error: AgentError) -> None:
        """End every waiting call."""
        self.closed = True
        for future in self._calls.values():
            if not future.done():
                future.set_exception(LinkDown(str(error)))
                future.exception()
        self._calls.clear()

    async def close(self, *, orderly: bool) -> None:
        self.fail(LinkDown(f"the connection to {self.host} was closed"))
        if orderly:
            await self.transport.close()
        else:
            self.transport.abort()
        self._stderr_task.cancel()
        await asyncio.gather(self._stderr_task, return_exceptions=True)
