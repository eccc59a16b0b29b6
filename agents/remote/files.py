"""Small files of a job folder, whole or not at all."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_atomic(folder: str, name: str, data: bytes) -> None:
    """Write `folder/name` so that a reader sees the old or the new bytes, never a part."""
    path = os.path.join(folder, name)
    temporary = os.path.join(folder, ".%s.%d.tmp" % (name.lstrip("."), os.getpid()))
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    except OSError:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
    os.replace(temporary, path)


def write_json(folder: str, name: str, value: dict[str, Any]) -> None:
    write_atomic(folder, name, (json.dumps(value, indent=1) + "\n").encode("ascii"))
