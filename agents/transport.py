"""Two ways to run the agent's command with binary pipes: over SSH and on this machine."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import asyncssh

from agents.errors import NO_SERVICE, LinkDown


class ByteReader(Protocol):
    async def read(self, n: int, /) -> bytes: ...


class ByteWriter(Protocol):
    def write(self, data: bytes, /) -> None: ...
    async def drain(self) -> None: ...
    def write_eof(self) -> None: ...
    def close(self) -> None: ...


class Transport(Protocol):
    """One running command: three byte streams, an exit status, sockets on the far side."""

    server: str
    """The far side's identification, "" where there is none."""
    windows: bool
    """True when the command was written for a Windows shell."""

    async def read(self) -> bytes:
        """Up to 64 KiB; b"" at the end."""

    async def read_stderr(self) -> bytes: ...
    def write(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...
    async def exit_status(self) -> int | None: ...
    async def connect(self, port: int) -> tuple[ByteReader, ByteWriter]:
        """A stream to 127.0.0.1:port of the host. Raises LinkDown."""

    async def close(self) -> None: ...
    def abort(self) -> None: ...


class LocalTransport:
    """The command as a subprocess of this program."""

    server = ""
    windows = False

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process needs pipes")
        self._process = process
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr

    @classmethod
    async def open(cls, command: str) -> LocalTransport:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            cwd=Path.home(),
            start_new_session=True,
            limit=1 << 20,
        )
        return cls(process)

    async def read(self) -> bytes:
        return await self._stdout.read(65536)

    async def read_stderr(self) -> bytes:
        return await self._stderr.read(8192)

    def write(self, data: bytes) -> None:
        self._stdin.write(data)

    async def drain(self) -> None:
        try:
            await self._stdin.drain()
        except OSError as error:
            raise LinkDown("the agent ended") from error

    async def exit_status(self) -> int | None:
        return await self._process.wait()

    async def connect(self, port: int) -> tuple[ByteReader, ByteWriter]:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            raise LinkDown(f"{NO_SERVICE} {port}: {error.strerror}") from error

    async def close(self) -> None:
        self._stdin.close()
        try:
            async with asyncio.timeout(2):
                await self._process.wait()
        except TimeoutError:
            self.abort()
            await self._process.wait()

    def abort(self) -> None:
        self._stdin.close()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def server_version(conn: asyncssh.SSHClientConnection) -> str:
    """What the server calls itself, such as ``SSH-2.0-OpenSSH_for_Windows_9.5``; bounded."""
    return str(conn.get_extra_info("server_version", ""))[:255]


class SshTransport:
    """The command in one exec channel of an SSH connection."""

    def __init__(
        self,
        conn: asyncssh.SSHClientConnection,
        process: asyncssh.SSHClientProcess[bytes],
        windows: bool = False,
    ) -> None:
        self.server = server_version(conn)
        self.windows = windows
        self._conn = conn
        self._process = process

    async def read(self) -> bytes:
        return await self._read(self._process.stdout, 65536)

    async def read_stderr(self) -> bytes:
        return await self._read(self._process.stderr, 8192)

    @staticmethod
    async def _read(stream: asyncssh.SSHReader[bytes], size: int) -> bytes:
        while True:
            data = await stream.read(size)
            # An empty read is the end only if the stream says so.
            if data or stream.at_eof():
                return data

    def write(self, data: bytes) -> None:
        try:
            self._process.stdin.write(data)
        except OSError as error:
            raise LinkDown("the connection is closed") from error

    async def drain(self) -> None:
        try:
            await self._process.stdin.drain()
        except (OSError, asyncssh.Error) as error:
            raise LinkDown("the connection is closed") from error

    async def exit_status(self) -> int | None:
        with suppress(asyncssh.Error, OSError):
            await self._process.wait_closed()
        return self._process.returncode

    async def connect(self, port: int) -> tuple[ByteReader, ByteWriter]:
        try:
            return await self._conn.open_connection("127.0.0.1", port, encoding=None)
        except (asyncssh.Error, OSError) as error:
            raise LinkDown(f"{NO_SERVICE} {port}: {error}") from error

    async def close(self) -> None:
        self._process.stdin.close()
        self._conn.close()
        try:
            async with asyncio.timeout(2):
                await self._conn.wait_closed()
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        self._conn.abort()
