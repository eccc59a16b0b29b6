"""TCP to a name: all its addresses, none of which may use up the time of the others."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

STAGGER = 0.25
"""Seconds until the next address is tried beside one that does not answer (RFC 8305)."""
MAX_ADDRESSES = 8

Info = tuple[Any, Any, int, str, Any]
Lookups = dict[tuple[str, int, int], "asyncio.Future[list[Info]]"]
_lookups: WeakKeyDictionary[asyncio.AbstractEventLoop, Lookups] = WeakKeyDictionary()


async def tcp_connect(
    host: str, port: int, timeout: float, family: int = socket.AF_UNSPEC, source: str = ""
) -> socket.socket:
    """A connected non-blocking socket, from the address `source` if one is given.

    Raises OSError (also for a name that does not resolve) or TimeoutError.
    """
    async with asyncio.timeout(timeout):
        infos = await _lookup(host, port, family)
        return await _first(infos[:MAX_ADDRESSES], source, f"{host} has no address")


async def _lookup(host: str, port: int, family: int) -> list[Info]:
    """One look-up of a name at a time: a resolver that hangs holds one thread, not all of them."""
    loop = asyncio.get_running_loop()
    under_way = _lookups.setdefault(loop, {})
    key = (host, port, family)
    lookup = under_way.get(key)
    if lookup is None:
        lookup = asyncio.ensure_future(
            loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        under_way[key] = lookup

        def over(done: asyncio.Future[list[Info]]) -> None:
            under_way.pop(key, None)
            if not done.cancelled():
                done.exception()

        lookup.add_done_callback(over)
    return await asyncio.shield(lookup)


async def _first(infos: list[Info], source: str, nothing: str) -> socket.socket:
    waiting = list(infos)
    running: set[asyncio.Task[socket.socket]] = set()
    failure: OSError = OSError(nothing)
    won: socket.socket | None = None
    try:
        while won is None and (waiting or running):
            if waiting:
                running.add(asyncio.create_task(_connect(waiting.pop(0), source)))
            done, running = await asyncio.wait(
                running,
                timeout=STAGGER if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                error = task.exception()
                if isinstance(error, OSError):
                    failure = error
                elif error is not None:
                    raise error
                elif won is None:
                    won = task.result()
                else:
                    task.result().close()
    finally:
        for task in running:
            task.cancel()
        for rest in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(rest, socket.socket):
                rest.close()
    if won is None:
        raise failure
    return won


async def _connect(info: Info, source: str) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if source:
            sock.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        with suppress(OSError):
            sock.close()
        raise
    return sock
