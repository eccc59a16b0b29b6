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
        try:
            os.unlink(temporary)
        except OSError:
            pass  # the reason why it could not be written says more
        raise
    finally:
        os.close(fd)
    os.replace(temporary, path)


def write_json(folder: str, name: str, value: dict[str, Any]) -> None:
    write_atomic(folder, name, (json.dumps(value, indent=1) + "\n").encode("ascii"))


def write_order(folder: str, order: dict[str, Any]) -> None:
    """Leave stop.json; on a full disk an empty one, without which a job could not be stopped there.

    Whoever reads it takes the usual grace then. On a read-only disk there is only the signal.
    """
    try:
        write_json(folder, "stop.json", order)
    except OSError:
        try:
            path = os.path.join(folder, "stop.json")
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError:
            pass
