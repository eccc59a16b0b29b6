"""Probes of what answers: a port of this host, a server as this host reaches it."""

from __future__ import annotations

import re
import socket

from agents.remote.machine import SHOWN, Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ADDRESS = re.compile(r"[A-Za-z0-9._:-]{1,255}\Z")


def port(params: dict[str, Any]) -> dict[str, Any]:
    """{port, listening}: does anything on 127.0.0.1 take connections there."""
    number = int(params.get("port", 0))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asking:
        asking.settimeout(3)
        return {"port": number, "listening": asking.connect_ex(("127.0.0.1", number)) == 0}


def reach(params: dict[str, Any]) -> dict[str, Any]:
    """{status, body, error} of GET /health at `address`:`port`, as a training on this host would ask."""
    address, number = str(params.get("address", "")), int(params.get("port", 0))
    if not ADDRESS.match(address):
        raise Failed("invalid", "%r is no address" % address)
    found: dict[str, Any] = {"status": None, "body": "", "error": ""}
    try:
        with socket.create_connection((address, number), 5) as asking:
            asking.sendall(
                b"GET /health HTTP/1.0\r\nHost: %s:%d\r\n\r\n" % (address.encode(), number)
            )
            data = b""
            while len(data) < SHOWN:
                more = asking.recv(SHOWN)
                if not more:
                    break
                data += more
    except OSError as error:
        return dict(found, error=error.strerror or str(error))
    head, _, body = data.partition(b"\r\n\r\n")
    fields = head.split(b" ", 2)
    if not head.startswith(b"HTTP/") or len(fields) < 2 or not fields[1].isdigit():
        return dict(found, error="the answer is not HTTP")
    return dict(found, status=int(fields[1]), body=body.decode("utf-8", "replace")[:500])


PROBES = {
    "port": port,
    "reach": reach,
}
