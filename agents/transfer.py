"""Copy a file to a host: pieces over the agent's channel, checksum, rename."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from agents.errors import AgentError

PIECE = 256 * 1024
AHEAD = 4


class Call(Protocol):
    async def __call__(self, op: str, *, timeout: float = ..., **params: Any) -> dict[str, Any]: ...


class CallWithBytes(Protocol):
    async def __call__(
        self, op: str, blob: bytes, *, timeout: float = ..., **params: Any
    ) -> dict[str, Any]: ...


async def put_file(
    call: Call,
    call_with_bytes: CallWithBytes,
    local: Path,
    remote: str,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Copy `local` to `remote` (absolute or below ~) and return its SHA-256.

    The target appears whole or not at all; permission bits come along. `progress(sent,
    size)` in bytes. Raises OSError (local file), LinkDown, RemoteError, TimeoutError; after
    any of them the target is as before.
    """
    stat = await asyncio.to_thread(local.stat)
    digest = hashlib.sha256()
    begun = await call("put_begin", path=remote, size=stat.st_size, mode=stat.st_mode & 0o777)
    upload = begun["upload"]
    pending: set[asyncio.Task[dict[str, Any]]] = set()
    sent = 0
    try:
        with local.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                digest.update(piece)
                pending.add(
                    asyncio.create_task(
                        call_with_bytes("put_data", piece, upload=upload, offset=sent)
                    )
                )
                # Tasks start in order of creation, so offsets arrive in order.
                await asyncio.sleep(0)
                sent += len(piece)
                if len(pending) >= AHEAD:
                    pending = await _settle(pending, asyncio.FIRST_COMPLETED)
                if progress is not None:
                    progress(sent, stat.st_size)
        await _settle(pending, asyncio.ALL_COMPLETED)
        checksum = digest.hexdigest()
        await call("put_commit", timeout=120, upload=upload, sha256=checksum)
    except BaseException:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        with suppress(AgentError, TimeoutError):
            await call("put_abort", upload=upload)
        raise
    return checksum


async def _settle(
    pending: set[asyncio.Task[dict[str, Any]]], when: str
) -> set[asyncio.Task[dict[str, Any]]]:
    if not pending:
        return pending
    done, rest = await asyncio.wait(pending, return_when=when)
    for task in done:
        task.result()
    return rest
