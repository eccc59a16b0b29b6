"""nvidia-smi in loop mode: argv and the parser of its lines."""

from __future__ import annotations

import re

from agents.remote import throttle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRAMS = ("nvidia-smi", "/usr/lib/wsl/lib/nvidia-smi")
# Fields every driver of the last ten years knows; the name goes last, it may hold a comma.
FIELDS = (
    ("index", "index"),
    ("uuid", "uuid"),
    ("util", "utilization.gpu"),
    ("mem_used", "memory.used"),
    ("mem_total", "memory.total"),
    ("power_w", "power.draw"),
    ("power_limit_w", "power.limit"),
    ("temp_c", "temperature.gpu"),
    ("clock_mhz", "clocks.sm"),
    ("name", "name"),
)
# Not every driver knows these; then the whole query fails and is asked again with the next of them.
NEWER = (("throttle", "clocks_throttle_reasons.active"), ("clock_mem_mhz", "clocks.mem"))
RENAMED = (("throttle", "clocks_event_reasons.active"), NEWER[1])  # since driver 535
QUERIES: tuple[tuple[tuple[str, str], ...], ...] = (NEWER, RENAMED, ())
# What stands for a value that is not told; no card is called so.
PLACEHOLDERS = (
    "[",
    "Requested ",
    "N/A",
    "Not ",
    "ERR",
    "Unknown",
    "Unable",
    "Insufficient",
    "GPU is",
    "GPU req",
)
UNKNOWN_FIELD = "not a valid field"
UNTOLD = ("energy_j", "throttle", "clock_mem_mhz", "processes")
MIB = 1024 * 1024
MOST = 1e12


def argv(program: str, interval: float, query: int = 0) -> list[str]:
    """The command for the fields of QUERIES[query] and those that every driver knows."""
    fields = FIELDS[:-1] + QUERIES[query] + FIELDS[-1:]
    return [
        program,
        "--query-gpu=" + ",".join(name for _, name in fields),
        "--format=csv,noheader,nounits",
        "--loop-ms=%d" % max(100, int(interval * 1000)),
    ]


def parse_line(line: str) -> dict[str, Any] | None:
    """One card's reading, or None when the line is not one (an error text).

    A placeholder such as ``[N/A]`` or ``ERR!`` becomes None and stays as the reason.
    """
    fields = FIELDS
    parts = [part.strip() for part in line.split(",", len(FIELDS) + len(NEWER) - 1)]
    held = parts[len(FIELDS) - 1] if len(parts) == len(FIELDS) + len(NEWER) else ""
    if held.startswith(("0x", *PLACEHOLDERS)):
        fields = FIELDS[:-1] + NEWER + FIELDS[-1:]
    parts = [part.strip() for part in line.split(",", len(fields) - 1)]
    if len(parts) != len(fields) or not re.match(r"[0-9]{1,4}\Z", parts[0]):
        return None
    told = [key for key, _ in fields]
    untold = [key for key in UNTOLD if key not in told]
    reading: dict[str, Any] = {
        "reasons": dict.fromkeys(untold, "nvidia-smi does not tell it"),
        **dict.fromkeys(untold),
    }
    for (key, _), text in zip(fields, parts):  # noqa: B905
        if key == "index":
            reading[key] = int(text)
        elif key in ("uuid", "name"):
            reading[key] = text
        else:
            try:
                if key == "throttle":
                    reading[key] = throttle.words(int(text, 16))
                    continue
                value = float(text)
                if not abs(value) < MOST:  # nor is "nan" a number
                    raise ValueError
            except ValueError:
                reading[key] = None
                reading["reasons"][key] = text or "empty"
                continue
            reading[key] = int(value * MIB) if key.startswith("mem_") else value
    return reading
