"""The wire format, one implementation for both ends: see :mod:`agents.remote.frames`."""

from agents.remote.frames import (
    HEADER,
    MAGIC,
    MAX_BODY,
    PROTOCOL,
    FrameDecoder,
    FrameError,
    encode,
    parse_body,
)

__all__ = [
    "HEADER",
    "MAGIC",
    "MAX_BODY",
    "PROTOCOL",
    "FrameDecoder",
    "FrameError",
    "encode",
    "parse_body",
]
