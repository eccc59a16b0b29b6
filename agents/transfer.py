"""Copy a file to a host: pieces over the agent's channel, resumed after a drop, checked, renamed."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

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


def sha256_of(path: Path, size: int | None = None) -> str:
    """SHA-256 of a file, or of its first `size` bytes. Raises OSError."""
    digest = hashlib.sha256()
    left = path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while left > 0 and (block := file.read(min(BLOCK, left))):
            digest.update(block)
            left -= len(block)
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
    stat = await asyncio.to_thread(local.stat)
    checksum = await asyncio.to_thread(sha256_of, local, stat.st_size)
    request = {"path": remote, "size": stat.st_size, "mode": stat.st_mode & 0o777}
    upload, offset = await _begin(call, local, {**request, "sha256": checksum})
    try:
        await _send(call_with_bytes, local, upload, offset, stat.st_size, progress)
        await call("put_commit", timeout=120, upload=upload)
    except LinkDown:
        raise
    except BaseException as error:
        # A refusal makes the part worthless; whoever was only interrupted will want it.
        with suppress(AgentError, TimeoutError):
            await call("put_abort", upload=upload, keep=not isinstance(error, RemoteError))
        raise
    return checksum


async def _begin(call: Call, local: Path, request: dict[str, Any]) -> tuple[int, int]:
    """(upload, offset to go on from); a part whose bytes are not ours is thrown away."""
    while True:
        begun = await call("put_begin", timeout=CHECK_TIMEOUT, **request)
        upload, offset = int(begun["upload"]), int(begun["offset"])
        if not offset or begun.get("sha256") == await asyncio.to_thread(sha256_of, local, offset):
            return upload, offset
        await call("put_abort", upload=upload)


async def _send(
    call_with_bytes: CallWithBytes,
    local: Path,
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
        with local.open("rb") as file:
            file.seek(offset)
            while piece := await asyncio.to_thread(file.read, PIECE):
                pending.add(
                    asyncio.create_task(
                        call_with_bytes("put_data", piece, upload=upload, offset=sent)
                    )
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
