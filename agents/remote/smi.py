"""nvidia-smi in loop mode: argv and the parser of its lines."""

from __future__ import annotations

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
UNTOLD = ("energy_j", "throttle", "processes")
MIB = 1024 * 1024


def argv(program: str, interval: float) -> list[str]:
    return [
        program,
        "--query-gpu=" + ",".join(name for _, name in FIELDS),
        "--format=csv,noheader,nounits",
        "--loop-ms=%d" % max(100, int(interval * 1000)),
    ]


def parse_line(line: str) -> dict[str, Any] | None:
    """One card's reading, or None when the line is not one (an error text).

    A placeholder such as ``[N/A]`` or ``ERR!`` becomes None and stays as the reason.
    """
    parts = [part.strip() for part in line.split(",", len(FIELDS) - 1)]
    if len(parts) != len(FIELDS) or not parts[0].isdigit():
        return None
    reading: dict[str, Any] = {
        "reasons": dict.fromkeys(UNTOLD, "nvidia-smi does not tell it"),
        **dict.fromkeys(UNTOLD),
    }
    for (key, _), text in zip(FIELDS, parts):  # noqa: B905
        if key == "index":
            reading[key] = int(text)
        elif key in ("uuid", "name"):
            reading[key] = text
        else:
            try:
                value = float(text)
            except ValueError:
                reading[key] = None
                reading["reasons"][key] = text or "empty"
                continue
            reading[key] = int(value * MIB) if key.startswith("mem_") else value
    return reading
