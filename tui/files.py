"""Writing a file that somebody asked for: whole or not at all, and never over another one unasked."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from tui.roadmap.errors import NotSaved


def write_file(target: Path, content: bytes, force: bool = False) -> None:
    """Writes `content` beside `target`, then renames. Raises NotSaved with one sentence."""
    if target.exists() and not force:
        raise NotSaved(f"{target} exists; --force overwrites it.")
    temporary = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise NotSaved(f"{target}: {error.strerror}.") from None
