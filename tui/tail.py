"""The end of a text file of any size, as clean lines."""

from __future__ import annotations

import re
from pathlib import Path

LIMIT = 512 * 1024
"""Bytes read from the end of a log."""

LINE = 4096
"""Characters kept of a line whose beginning was not read."""

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
CONTROLS = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""What moves the cursor or the text beside it, and what no file and no terminal can take."""


def clean(text: str) -> str:
    """`text` without escape sequences and control characters; a progress bar keeps its last state."""
    text = text.rstrip("\r").rsplit("\r", 1)[-1]
    return CONTROLS.sub("", ESCAPES.sub("", text)).expandtabs(4)


def tail_lines(path: Path, limit: int = LIMIT) -> list[str]:
    """The lines in the last `limit` bytes; a sentence in place of a file that is not there."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            data = file.read(limit)
    except FileNotFoundError:
        return ["nothing has been mirrored from the host yet"]
    lines = data.decode("utf-8", "replace").split("\n")
    if size > limit:
        # A progress bar may have written all of it into one line: then its end is what there is.
        rest = lines[1:] or [lines[0][-LINE:]]
        lines = [f"({size - limit:,} bytes before this)", *rest]
    if lines and not lines[-1]:
        lines.pop()
    return [clean(line) for line in lines] or ["(empty)"]
