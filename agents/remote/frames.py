"""Frames between laptop and host: a 16-byte header, then a body of at most 1 MiB.

Header, network order: magic ``GN``, u16 check of the rest of the header, u32 body length,
u32 sequence number, u32 CRC-32 of the body. The header's own check finds a damaged length
at once, where a body CRC alone would wait for bytes that never come.

Body: a JSON object, or ``B``, u32 length of a JSON object, the object, raw bytes.
Used unchanged on both sides; see agents.frames.
"""

from __future__ import annotations

import json
import struct
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAGIC = b"GN"
HEADER = struct.Struct("!2sHIII")
REST = struct.Struct("!III")
LENGTH = struct.Struct("!I")
MAX_BODY = 1 << 20
PROTOCOL = 1


class FrameError(Exception):
    """The byte stream is not a valid sequence of frames; the connection must end."""


def _refuse_constant(text: str) -> float:
    raise ValueError("%s is not JSON" % text)


def encode(seq: int, message: dict[str, Any], blob: bytes | None = None) -> bytes:
    """One frame. Raises FrameError when the body would pass 1 MiB, ValueError for NaN."""
    text = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    if blob is None:
        body = text
    else:
        body = b"B" + LENGTH.pack(len(text)) + text + bytes(blob)
    if len(body) > MAX_BODY:
        raise FrameError("a frame of %d bytes is over the limit of %d" % (len(body), MAX_BODY))
    rest = REST.pack(len(body), seq & 0xFFFFFFFF, zlib.crc32(body))
    return MAGIC + struct.pack("!H", zlib.crc32(rest) & 0xFFFF) + rest + body


def parse_body(body: bytes) -> tuple[dict[str, Any], bytes | None]:
    """Split a body into its JSON object and its raw bytes (None for a JSON-only frame)."""
    blob: bytes | None = None
    text = body
    if body[:1] == b"B":
        if len(body) < 5:
            raise FrameError("a binary frame ends inside its header")
        (length,) = LENGTH.unpack_from(body, 1)
        if 5 + length > len(body):
            raise FrameError("a binary frame is shorter than its header says")
        text = body[5 : 5 + length]
        blob = body[5 + length :]
    try:
        message = json.loads(text.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame holds no valid JSON: %s" % error) from None
    if not isinstance(message, dict):
        raise FrameError("a frame holds no JSON object")
    return message, blob


class FrameDecoder:
    """Bytes in, frames out, in order; any damage raises FrameError and stays fatal."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._seq = 0

    def feed(self, data: bytes) -> list[tuple[dict[str, Any], bytes | None]]:
        """Frames completed by `data`. An incomplete last frame waits for more bytes."""
        buffer = self._buffer
        buffer += data
        frames = []
        start = 0
        while len(buffer) - start >= HEADER.size:
            magic, check, length, seq, crc = HEADER.unpack_from(buffer, start)
            rest = bytes(buffer[start + 4 : start + 16])
            if magic != MAGIC or check != zlib.crc32(rest) & 0xFFFF:
                raise FrameError(
                    "bytes that are no frame arrived: %r" % bytes(buffer[start : start + 16])
                )
            if length > MAX_BODY:
                raise FrameError("a frame of %d bytes is over the limit of %d" % (length, MAX_BODY))
            if seq != self._seq & 0xFFFFFFFF:
                raise FrameError("frame %d arrived where %d was due" % (seq, self._seq))
            end = start + HEADER.size + length
            if len(buffer) < end:
                break
            body = bytes(buffer[start + HEADER.size : end])
            if zlib.crc32(body) != crc:
                raise FrameError("the checksum of frame %d does not match its body" % seq)
            frames.append(parse_body(body))
            self._seq += 1
            start = end
        if start:
            del buffer[:start]
        return frames
