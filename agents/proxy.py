"""ProxyCommand of ssh_config: a program of the user's that carries the connection.

It is run here and not by asyncssh, which splits the command without a shell and takes what
the program writes to stderr for a part of the connection.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from contextlib import suppress

import asyncssh

from agents.bootstrap import last_line

SAID = 8192
_UNSAFE = re.compile(r"[\s'`\"$\\;&<>|(){}]|^-")  # as in OpenSSH's valid_hostname


def is_safe(host: str) -> bool:
    """May this host name stand in a command line of a shell?"""
    return not _UNSAFE.search(host)


class ProxyProcess:
    """`sock` is the connection; what the program said last is kept for the reason."""

    def __init__(self, process: asyncio.subprocess.Process, sock: socket.socket) -> None:
        self.sock = sock
        self._process = process
        self._said = b""
        self._reader = asyncio.create_task(self._read())
        self._watcher: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, command: str) -> ProxyProcess:
        """Run a command line as ssh does, with `exec` by the shell. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                f"exec {command}",
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        return cls(process, ours)

    async def _read(self) -> None:
        # To its end: a program that cannot write its warnings would stop.
        stderr = self._process.stderr
        while stderr is not None and (data := await stderr.read(SAID)):
            self._said = (self._said + data)[-SAID:]

    async def reason(self) -> str:
        """How it ended and what it said, "" while it runs."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                code = await self._process.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await asyncio.shield(self._reader)
                said = last_line(self._said)
                return f"ended with code {code}" + (f": {said}" if said else "")
        return ""

    def end_with(self, conn: asyncssh.SSHClientConnection) -> None:
        """A program that does not notice the end of its connection is ended then."""

        async def watch() -> None:
            try:
                await conn.wait_closed()
            finally:
                self.end()

        self._watcher = asyncio.create_task(watch())

    def end(self) -> None:
        """Kill what still runs of it."""
        self.sock.close()
        with suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.cancel()
