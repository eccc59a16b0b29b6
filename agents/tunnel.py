"""A local port that leads to a port of the host and outlives every connection to it.

The listener belongs to this program, not to SSH: while the link is down a request gets a
503 page that reloads itself, and the address in the browser stays valid.
"""

from __future__ import annotations

import asyncio
import html
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncssh

from agents.errors import NO_SERVICE, LinkDown
from agents.transport import ByteReader, ByteWriter

PORTS_TO_TRY = 20
REQUEST_LIMIT = 64 * 1024
REQUEST_TIMEOUT = 5.0
LINGER = 5.0

Connect = Callable[[int], Awaitable[tuple[ByteReader, ByteWriter]]]


class Tunnel:
    """`port` on 127.0.0.1 leads to `remote_port`; `requested_port` was busy if it differs."""

    def __init__(self, host: str, connect: Connect, remote_port: int, requested_port: int) -> None:
        self.host = host
        self.remote_port = remote_port
        self.requested_port = requested_port
        self.port = 0
        self.connections = 0
        self._connect = connect
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    async def open(cls, host: str, connect: Connect, remote_port: int, local_port: int) -> Tunnel:
        """Listen; a busy port is replaced by the next free one. Raises OSError if none is."""
        tunnel = cls(host, connect, remote_port, local_port)
        candidates = [local_port]
        if local_port:
            last = min(65535, local_port + PORTS_TO_TRY)
            candidates = [*range(local_port, last + 1), 0]
        failure = OSError("no port to try")
        for port in candidates:
            try:
                tunnel._server = await asyncio.start_server(tunnel._accept, "127.0.0.1", port)
            except OSError as error:
                failure = error
                continue
            tunnel.port = tunnel._server.sockets[0].getsockname()[1]
            return tunnel
        raise failure

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            try:
                far_reader, far_writer = await self._connect(self.remote_port)
            except LinkDown as error:
                await self._unavailable(reader, writer, str(error))
                return
            try:
                await _join(reader, far_writer, far_reader, writer)
            finally:
                far_writer.close()
        except (OSError, asyncssh.Error):
            _reset(writer)
        finally:
            self.connections -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _unavailable(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reason: str
    ) -> None:
        # Read the request first: closing with unread data would reset the connection and
        # the browser would never see the page.
        with suppress(TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_TIMEOUT):
                await reader.readuntil(b"\r\n\r\n")
        text = html.escape(f"{self.host}: {reason}")
        silent = reason.startswith(NO_SERVICE)  # the host is there, and the port is not
        title = f"{self.host} has no such service" if silent else f"{self.host} is not connected"
        body = (
            "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=2>"
            f"<title>{html.escape(title)}</title>"
            f"<p>{text}</p><p>This page reloads until it is back.</p>\n"
        ).encode()
        writer.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n"
            b"Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode("ascii")
            + body
        )
        await writer.drain()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _is_cut(far_writer: ByteWriter) -> bool:
    """True when the connection that carried the stream is gone, rather than the stream ended."""
    told = getattr(far_writer, "get_extra_info", None)
    conn = told("connection") if told is not None else None
    return isinstance(conn, asyncssh.SSHClientConnection) and conn.is_closed()


async def _join(
    reader: ByteReader, far_writer: ByteWriter, far_reader: ByteReader, writer: ByteWriter
) -> None:
    """Copy both ways until the host's side ends; what the client still sends has LINGER s."""
    up = asyncio.create_task(_pump(reader, far_writer))
    down = asyncio.create_task(_pump(far_reader, writer, lambda: _is_cut(far_writer)))
    try:
        done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        if not down.done():
            await down
        # A client that keeps its socket open must not hold the channel for ever.
        await asyncio.wait({up}, timeout=LINGER)
        if up.done():
            up.result()
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End with a reset: a clean end would make half a response look whole."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _pump(
    reader: ByteReader, writer: ByteWriter, is_cut: Callable[[], bool] = lambda: False
) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if is_cut():
        raise ConnectionResetError("the link went down")
    with suppress(OSError):
        writer.write_eof()
