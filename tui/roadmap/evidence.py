"""Evidence files: JSON values stored under the hash of their bytes, so that a verdict can be opened."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

from tui.files import open_file
from tui.roadmap.document import Document
from tui.roadmap.errors import NotSaved, UnknownId, WorkspaceError
from tui.roadmap.redact import redact, redacted

_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})$")
MAX_BYTES = 256 * 1024
"""Longer evidence keeps its beginning and its end, and says so."""
MAX_READ = 16 * 1024 * 1024
"""Evidence may also be a whole results file."""


def _cut(blob: bytes) -> bytes:
    """Head and tail of too long a text, as JSON of at most MAX_BYTES."""
    half = MAX_BYTES // 2
    while True:
        kept = {
            "cut": True,
            "bytes": len(blob),
            "head": blob[:half].decode("utf-8", "ignore"),
            "tail": blob[-half:].decode("utf-8", "ignore"),
        }
        short = json.dumps(kept, ensure_ascii=False).encode()
        if len(short) <= MAX_BYTES:
            return short
        half = half * MAX_BYTES // len(short) - 64  # quotes and line ends grow in JSON


def put(folder: Path, content: Any) -> str:
    """Writes `content`, redacted, as JSON to `folder/<sha256>`; returns "sha256:<hex>". Raises NotSaved."""
    text = json.dumps(
        redacted(content),
        ensure_ascii=False,
        indent=1,
        sort_keys=True,
        default=lambda v: redact(str(v)),
    )
    blob = text.encode("utf-8", "replace")
    return keep(folder, _cut(blob) if len(blob) > MAX_BYTES else blob)


def keep(folder: Path, blob: bytes) -> str:
    """Writes `blob` to `folder/<sha256>` unless it is there; returns "sha256:<hex>". Raises NotSaved."""
    digest = hashlib.sha256(blob).hexdigest()
    target = folder / digest
    if target.exists():
        return f"sha256:{digest}"
    temporary = folder / f".{digest}.{uuid4().hex[:8]}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NotSaved(f"Evidence not saved: {error.strerror}.") from None
    return f"sha256:{digest}"


def path(folder: Path, name: str) -> Path:
    """File of an evidence name. Raises UnknownId for anything that is no hash."""
    found = _HASH.match(name)
    if not found:
        raise UnknownId(f"“{name[:40]}” names no evidence.")
    return folder / found.group(1)


def read(folder: Path, name: str) -> str:
    """The text of an evidence file, JSON indented. Raises WorkspaceError where it is gone or changed."""
    target = path(folder, name)
    try:
        with open_file(target) as file:
            blob = file.read(MAX_READ + 1)
    except OSError as error:
        raise WorkspaceError(f"Evidence {target.name[:12]}: {error.strerror}.") from None
    if len(blob) > MAX_READ or hashlib.sha256(blob).hexdigest() != target.name:
        raise WorkspaceError(
            f"Evidence {target.name[:12]} was changed: it is no longer what was found."
        )
    text = blob.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text


def fingerprint(document: Document) -> dict[str, Any]:
    """What identifies the text of a roadmap: hash, number of boxes and blanks."""
    digest = hashlib.sha256(document.text.encode("utf-8")).hexdigest()
    return {"sha256": digest, "boxes": document.box_count, "blanks": document.blank_count}
