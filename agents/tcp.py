"""TCP to a name: all its addresses, none of which may use up the time of the others."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from weakref import WeakKeyDictionary

from aiohappyeyeballs import start_connection

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
        if not infos:
            raise OSError(f"{host} has no address")
        families = (socket.AF_INET, socket.AF_INET6)
        ours = [(of, socket.SOCK_STREAM, 0, "", (source, 0)) for of in families if source]
        return await start_connection(
            infos[:MAX_ADDRESSES], local_addr_infos=ours or None, happy_eyeballs_delay=STAGGER
        )


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
