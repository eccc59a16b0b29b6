"""What kind of file a file really is: its bytes are read, bounded, and nothing in it is run."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Literal
from xml.parsers import expat

Kind = Literal["any", "text", "json", "pdf", "png", "svg", "safetensors", "mp4"]
MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 200_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_STREAM = re.compile(rb"/ObjStm.{0,400}?stream\r?\n", re.S)


class NotThatKind(ValueError):
    """The file is not what its name says; the text says why."""


def look(path: Path, kind: Kind) -> str:
    """One short fact about a file of that kind ("3 pages"). Raises NotThatKind or OSError."""
    size = path.stat().st_size
    if not size:
        raise NotThatKind("is empty")
    if kind in ("any", "mp4", "safetensors"):
        return _STREAMED[kind](path, size)
    if size > MAX_BYTES:
        raise NotThatKind(f"is larger than {MAX_BYTES // 2**20} MiB")
    return _WHOLE[kind](path.read_bytes())


def _any(path: Path, size: int) -> str:
    del path
    return f"{size} bytes"


def _text(blob: bytes) -> str:
    try:
        words = len(blob.decode("utf-8").split())
    except UnicodeDecodeError as error:
        raise NotThatKind(f"is not UTF-8 (byte {error.start})") from None
    if not words:
        raise NotThatKind("holds no word")
    return f"{words} words"


def _json(blob: bytes) -> str:
    try:
        json.loads(blob)
    except (ValueError, RecursionError):
        raise NotThatKind("is not JSON") from None
    return f"{len(blob)} bytes of JSON"


def _pdf(blob: bytes) -> str:
    if not blob.startswith(b"%PDF-") or b"%%EOF" not in blob[-2048:]:
        raise NotThatKind("is no whole PDF")
    pages = len(_PAGE.findall(blob))
    for match in _STREAM.finditer(blob):  # from PDF 1.5 on the pages may stand in packed objects
        unpacker = zlib.decompressobj()
        try:
            pages += len(_PAGE.findall(unpacker.decompress(blob[match.end() :], 4 * 2**20)))
        except zlib.error:
            continue
    if not pages:
        raise NotThatKind("has no page")
    return f"{pages} page{'s' if pages > 1 else ''}"


def _png(blob: bytes) -> str:
    if not blob.startswith(_PNG):
        raise NotThatKind("is no PNG")
    place, size, packed = len(_PNG), (0, 0), zlib.decompressobj()
    while place + 12 <= len(blob):
        length, name = struct.unpack(">I4s", blob[place : place + 8])
        data = blob[place + 8 : place + 8 + length]
        check = blob[place + 8 + length : place + 12 + length]
        if len(check) < 4 or struct.unpack(">I", check)[0] != zlib.crc32(name + data):
            raise NotThatKind("is a damaged PNG")
        if name == b"IHDR":
            size = struct.unpack(">II", data[:8])
        elif name == b"IDAT":
            try:
                packed.decompress(data, MAX_BYTES)
            except zlib.error:
                raise NotThatKind("is a PNG that cannot be unpacked") from None
        elif name == b"IEND":
            if not all(size) or size[0] * size[1] > MAX_PIXELS:
                raise NotThatKind("is a PNG without a size that can be shown")
            return f"{size[0]}×{size[1]} pixels"
        place += 12 + length
    raise NotThatKind("is a PNG that ends too early")


def _svg(blob: bytes) -> str:
    roots: list[str] = []
    parser = expat.ParserCreate()

    def start(name: str, _attributes: dict[str, str]) -> None:
        if not roots:
            roots.append(name.rsplit(":", 1)[-1])

    def entity(*_: object) -> None:
        raise NotThatKind("declares entities")

    parser.StartElementHandler = start
    parser.EntityDeclHandler = entity
    try:
        parser.Parse(blob, True)
    except expat.ExpatError as error:
        raise NotThatKind(f"is no XML: {error}") from None
    if roots != ["svg"]:
        raise NotThatKind("is no SVG")
    return f"{len(blob)} bytes of SVG"


def _safetensors(path: Path, size: int) -> str:
    from tui.roadmap.rules.hosts import tensors

    with path.open("rb") as file:
        head = file.read(1 << 20)
    count = tensors(head, size)
    if count is None:
        raise NotThatKind("is no safetensors file")
    return f"{count} tensors"


def mp4_seconds(path: Path) -> float:
    """Length of an MP4 from its movie header. Raises NotThatKind. Source: ISO 14496-12, `mvhd`."""
    with path.open("rb") as file:
        end = path.stat().st_size
        place = 0
        for _ in range(1000):
            file.seek(place)
            head = file.read(16)
            if len(head) < 8 or place >= end:
                break
            size, name = struct.unpack(">I4s", head[:8])
            if size == 1 and len(head) == 16:
                size = struct.unpack(">Q", head[8:])[0]
            size = size or end - place
            if name == b"moov":
                place += 8
                continue
            if name == b"mvhd":
                file.seek(place + 8)
                body = file.read(32)
                if len(body) < 32:
                    break
                wide = body[0] == 1
                form = ">IQ" if wide else ">II"
                start = 20 if wide else 12
                scale, length = struct.unpack(form, body[start : start + (12 if wide else 8)])
                if not scale:
                    break
                return float(length) / float(scale)
            if size < 8:
                break
            place += size
    raise NotThatKind("is no MP4 with a readable length")


def _mp4(path: Path, size: int) -> str:
    del size
    return f"{mp4_seconds(path):.0f} s"


_STREAMED = {"any": _any, "mp4": _mp4, "safetensors": _safetensors}
_WHOLE = {"text": _text, "json": _json, "pdf": _pdf, "png": _png, "svg": _svg}
