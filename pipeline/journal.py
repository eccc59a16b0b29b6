"""The run journal: what a training or generation job tells about itself, one JSON object a line.

The job appends to `run.jsonl` in its own folder and needs nobody to read along. Readers mirror the
bytes and parse whole lines; the last line without its newline is not there yet.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1
FILE_NAME = "run.jsonl"
LINE_LIMIT = 256 * 1024
"""Bytes of one line; a longer one is damage, counted and skipped."""

KINDS = frozenset(
    {"start", "model", "point", "eval", "checkpoint", "saved", "generated", "end", "note"}
)
REQUIRED: dict[str, dict[str, type]] = {
    "point": {"step": int},
    "eval": {"step": int},
    "checkpoint": {"step": int, "path": str},
    "saved": {"path": str, "files": list},
    "generated": {"completion": str},
    "end": {"status": str},
}
"""Fields without which an event of that kind says nothing; such a line counts as damaged."""

_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode_number(value: float) -> float | str:
    """A number as JSON can hold it: NaN and the infinities become their names."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def number(value: object) -> float | None:
    """The float behind a journal value, None when it is not a number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return _NAMES.get(value) if isinstance(value, str) else None


def _clean(value: Any) -> Any:
    if isinstance(value, float):
        return encode_number(value)
    if isinstance(value, dict):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


class RunJournal:
    """Appends events. Every event is one `write` on an O_APPEND descriptor; fsync at most once a second."""

    def __init__(self, path: Path, fsync_seconds: float = 1.0) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._every = fsync_seconds
        self._synced = time.monotonic()
        size = os.fstat(self._fd).st_size
        if size and not path.read_bytes().endswith(b"\n"):
            os.write(self._fd, b"\n")  # a killed predecessor tore its last line: close it off

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one event; returns it as written.

        Raises OSError when the disk does not take it and ValueError when the line would be longer than
        LINE_LIMIT, which every reader skips.
        """
        event = {"v": VERSION, "kind": kind, "t": int(time.time() * 1000), **_clean(fields)}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        # A lone surrogate (an undecodable byte of a file name) must not cost the whole event.
        data = line.encode("utf-8", "replace")
        if len(data) > LINE_LIMIT:
            raise ValueError(f"a {kind} event of {len(data)} bytes is longer than {LINE_LIMIT}")
        written = os.write(self._fd, data)
        if written < len(data):
            os.write(self._fd, b"\n")  # close the torn line off, so that it cannot spoil the next
            raise OSError(f"{self.path}: the disk took {written} of {len(data)} bytes")
        now = time.monotonic()
        if kind == "end" or now - self._synced >= self._every:
            os.fsync(self._fd)
            self._synced = now
        return event

    def close(self) -> None:
        """Flush to the disk and close."""
        if self._fd >= 0:
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The event of one complete line, None when it is not one.

    Damage, foreign text, a newer version and an event without its REQUIRED fields are not. Unknown
    fields are kept.
    """
    if not line.strip() or len(line) > LINE_LIMIT:
        return None
    try:
        event = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("v") != VERSION:
        return None
    kind = event.get("kind")
    if not isinstance(kind, str) or kind not in KINDS or not _is(event.get("t"), int):
        return None
    if not all(_is(event.get(name), wanted) for name, wanted in REQUIRED.get(kind, {}).items()):
        return None
    return event


def _is(value: object, wanted: type) -> bool:
    """Whether a JSON value is of that type; true and false are no integers here."""
    return isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))


class RunReader:
    """Parses a journal that arrives in pieces of any size."""

    def __init__(self) -> None:
        self.bad_lines = 0
        self._rest = b""
        self._skipping = False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Events completed by `data`; an unfinished line waits, a damaged one is counted."""
        return self.parse(self.lines(data))

    def lines(self, data: bytes) -> list[bytes]:
        """Whole lines completed by `data`, without newlines; what is left of an overlong one is not."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if lines and self._skipping:
            self._skipping = False
            del lines[0]
        if len(self._rest) > LINE_LIMIT:
            if not self._skipping:
                self.bad_lines += 1
            self._rest, self._skipping = b"", True
        return lines

    def parse(self, lines: list[bytes]) -> list[dict[str, Any]]:
        """The events of whole lines; a damaged line is counted."""
        events = []
        for line in lines:
            event = parse_line(line)
            if event is not None:
                events.append(event)
            elif line.strip() or len(line) > LINE_LIMIT:
                self.bad_lines += 1
        return events


@dataclass
class RunRecord:
    """One journal, sorted by kind. Lists are in the order written."""

    start: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    points: list[dict[str, Any]] = field(default_factory=list)
    evals: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    saved: dict[str, Any] = field(default_factory=dict)
    generated: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    bad_lines: int = 0

    def losses(self) -> list[float]:
        """Finite training losses by step; a step logged again by a later attempt counts once, the newest."""
        by_step: dict[int, float] = {}
        for point in self.points:
            loss, step = number(point.get("loss")), point.get("step")
            if loss is not None and math.isfinite(loss) and isinstance(step, int):
                by_step[step] = loss
        return [by_step[step] for step in sorted(by_step)]


def read_run(path: Path) -> RunRecord:
    """A whole journal file. Raises OSError when it cannot be read."""
    record, reader = RunRecord(), RunReader()
    lists = {"point": record.points, "eval": record.evals, "checkpoint": record.checkpoints}
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            for event in reader.feed(data):
                kind = event["kind"]
                if kind in lists:
                    lists[kind].append(event)
                elif kind == "start":  # a resumed run starts again: its end is still to come
                    record.start, record.end = event, {}
                elif kind in ("model", "saved", "generated", "end"):
                    setattr(record, kind, event)
    record.bad_lines = reader.bad_lines
    return record
