"""Copy a file to a host: pieces over the agent's channel, resumed after a drop, checked, renamed."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from agents.errors import AgentError, LinkDown, RemoteError

PIECE = 256 * 1024
AHEAD = 4
BLOCK = 1 << 20
CHECK_TIMEOUT = 600.0
BUSY_PAUSE = 1.0

Progress = Callable[[int, int], None]
T = TypeVar("T")


class Call(Protocol):
    async def __call__(self, op: str, *, timeout: float = ..., **params: Any) -> dict[str, Any]: ...


class CallWithBytes(Protocol):
    async def __call__(
        self, op: str, blob: bytes, *, timeout: float = ..., **params: Any
    ) -> dict[str, Any]: ...


KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def is_regular(path: Path, info: os.stat_result) -> None:
    """Raises OSError with the kind of what is no regular file."""
    if not stat.S_ISREG(info.st_mode):
        kind = next((word for test, word in KINDS if test(info.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"is {kind}, not a file", str(path))


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file and nothing else; a pipe is not waited for. Raises OSError."""
    is_regular(path, path.stat())  # to open some devices does something already
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(fd, "rb", buffering=0)
    try:
        is_regular(path, os.fstat(fd))
    except OSError:
        file.close()
        raise
    return file


def sha256_of(source: Path | BinaryIO, size: int | None = None) -> str:
    """SHA-256 of a file, or of its first `size` bytes. Raises OSError."""
    if isinstance(source, Path):
        with open_regular(source) as file:
            return sha256_of(file, size)
    digest, fd, offset = hashlib.sha256(), source.fileno(), 0
    end = os.fstat(fd).st_size if size is None else size
    while offset < end and (block := os.pread(fd, min(BLOCK, end - offset), offset)):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()


async def persist(
    attempt: Callable[[], Awaitable[T]],
    wait_live: Callable[[float], Awaitable[None]],
    patience: float,
) -> T:
    """Try again after a drop, for at most `patience` s without a link; 0 tries once.

    An attempt that finds its file still held by the connection that just died waits for it.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return await attempt()
        except (LinkDown, TimeoutError):
            if time.monotonic() >= deadline:
                raise
            await wait_live(max(0.1, deadline - time.monotonic()))
        except RemoteError as error:
            if error.code != "busy" or time.monotonic() >= deadline:
                raise
            await asyncio.sleep(BUSY_PAUSE)


async def put_file(
    call: Call,
    call_with_bytes: CallWithBytes,
    local: Path,
    remote: str,
    progress: Progress | None = None,
) -> str:
    """Copy `local` to `remote` (absolute or below ~) and return its SHA-256.

    The target appears whole or not at all; permission bits come along. What an earlier try
    brought over stays in a hidden part beside the target and is not sent again. `progress(done,
    size)` in bytes. Raises OSError (local file), LinkDown, RemoteError, TimeoutError.
    """
    # One descriptor from the first byte to the last: a file put in its place is another file.
    with await asyncio.to_thread(open_regular, local) as file:
        return await _put(call, call_with_bytes, local, file, remote, progress)


async def _put(
    call: Call,
    call_with_bytes: CallWithBytes,
    local: Path,
    file: BinaryIO,
    remote: str,
    progress: Progress | None,
) -> str:
    info = os.fstat(file.fileno())
    size, checksum = info.st_size, await asyncio.to_thread(sha256_of, file, info.st_size)
    request = {"path": remote, "size": size, "mode": info.st_mode & 0o777, "sha256": checksum}
    upload, offset = await _begin(call, file, request)
    try:
        await _send(call_with_bytes, file, upload, offset, size, progress)
        now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime_ns) != (size, info.st_mtime_ns):
            raise RemoteError("changed", f"{local} changed while it was sent: send it again")
        await call("put_commit", timeout=120, upload=upload)
    except LinkDown:
        raise
    except BaseException as error:
        # A refusal makes the part worthless; whoever was only interrupted will want it.
        with suppress(AgentError, TimeoutError):
            await call("put_abort", upload=upload, keep=not isinstance(error, RemoteError))
        raise
    return checksum


async def _begin(call: Call, file: BinaryIO, request: dict[str, Any]) -> tuple[int, int]:
    """(upload, offset to go on from); a part whose bytes are not ours is thrown away."""
    while True:
        begun = await call("put_begin", timeout=CHECK_TIMEOUT, **request)
        upload, offset = int(begun["upload"]), int(begun["offset"])
        if not offset or begun.get("sha256") == await asyncio.to_thread(sha256_of, file, offset):
            return upload, offset
        await call("put_abort", upload=upload)


async def _send(
    call_with_bytes: CallWithBytes,
    file: BinaryIO,
    upload: int,
    offset: int,
    size: int,
    progress: Progress | None,
) -> None:
    pending: set[asyncio.Task[dict[str, Any]]] = set()
    sent = offset
    if progress is not None:
        progress(sent, size)
    try:
        # Never past the size that was told: a file may grow for ever.
        while sent < size and (
            piece := await asyncio.to_thread(os.pread, file.fileno(), min(PIECE, size - sent), sent)
        ):
            pending.add(
                asyncio.create_task(call_with_bytes("put_data", piece, upload=upload, offset=sent))
            )
            # Tasks start in order of creation, so offsets arrive in order.
            await asyncio.sleep(0)
            sent += len(piece)
            if len(pending) >= AHEAD:
                pending = await settle(pending, asyncio.FIRST_COMPLETED)
            if progress is not None:
                progress(sent, size)
        await settle(pending, asyncio.ALL_COMPLETED)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def settle(pending: set[asyncio.Task[T]], when: str) -> set[asyncio.Task[T]]:
    """Wait for tasks, raise what one of them raised, return those that still run."""
    if not pending:
        return pending
    done, rest = await asyncio.wait(pending, return_when=when)
    for task in done:
        task.result()
    return rest
