"""The one place that says which glyph, word and colour a state has.

A state is always readable as a word or a bracket: colour only repeats what the text says already.
Styles are Textual content styles built from theme variables.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PASS = "$success"  # noqa: S105
FAIL = "bold $error"
WARN = "$warning"
DIM = "$foreground 60%"
STRONG = "bold"
HEAD = "bold $primary"
STALE = "italic $foreground 60%"

TICKS: dict[str, tuple[str, str]] = {
    "open": ("[ ]", ""),
    "done": ("[x]", PASS),
    "partial": ("[-]", WARN),
    "waived": ("[w]", WARN),
    "na": ("[/]", DIM),
}
"""Box state to its literal bracket and style."""

VERDICTS: dict[str, tuple[str, str]] = {
    "PASS": ("ok", PASS),
    "WARN": ("WARN", WARN),
    "FAIL": ("FAIL", FAIL),
    "ERROR": ("ERR", FAIL),
    "TIMEOUT": ("SLOW", WARN),
    "UNREACHABLE": ("no link", WARN),
    "SKIP": ("skip", DIM),
    "STALE": ("old", STALE),
}
"""Probe verdict to the short word of a row and its style."""

LINKS: dict[str, tuple[str, str]] = {
    "connecting": ("connecting", WARN),
    "authenticating": ("logging in", WARN),
    "bootstrapping": ("starting", WARN),
    "live": ("up", PASS),
    "suspect": ("silent", WARN),
    "backoff": ("DOWN", FAIL),
    "needs-user": ("NEEDS YOU", FAIL),
    "closed": ("closed", DIM),
}
"""Link state to the word of the header and its style."""

JOBS: dict[str, str] = {
    "requested": DIM,
    "starting": WARN,
    "running": "bold $primary",
    "succeeded": PASS,
    "failed": FAIL,
    "oom": FAIL,
    "stopped": WARN,
    "lost": FAIL,
    "unknown": STALE,
}
"""Job state to its style; the word is the state itself."""

OUTCOMES: dict[str, str] = {"GO": PASS, "NO-GO": FAIL, "HOLD": WARN, "NO DATA": DIM}
"""Gate outcome to its style."""


@dataclass(frozen=True)
class Marks:
    """Characters that exist twice: for UTF-8 terminals and for plain ASCII."""

    full: str
    empty: str
    ellipsis: str
    cursor: str
    bullet: str
    spark: str
    rule: str
    other: str
    """The part of a bar that belongs to somebody else."""
    line: str
    """A limit inside a bar."""


UNICODE = Marks("█", "░", "…", "▸", "•", "▁▂▃▄▅▆▇█", "─", "▒", "┃")
ASCII = Marks("#", "-", "..", ">", "*", "_.-=+*##", "-", "=", "|")


def _as_started() -> dict[str, str]:
    """The environment as this program was given it.

    Where the locale is C or unknown, Python itself sets LC_CTYPE to a UTF-8 one (PEP 538), which says
    nothing of the terminal.
    """
    env = dict(os.environ)
    try:
        given = b"\0LC_CTYPE=" in b"\0" + Path("/proc/self/environ").read_bytes()
    except OSError:  # no /proc: only where the locale named is C is it sure to be Python's
        given = env.get("LANG") not in ("C", "POSIX")
    if not given:
        env.pop("LC_CTYPE", None)
    return env


def wants_ascii(environ: dict[str, str] | None = None) -> bool:
    """True where the locale names no UTF-8 (LC_ALL, LC_CTYPE, LANG in that order) or is asked for."""
    env = _as_started() if environ is None else environ
    if env.get("GONOGO_ASCII"):
        return True
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or "C.UTF-8"
    return "utf" not in locale.lower()


marks: Marks = ASCII if wants_ascii() else UNICODE


def clip(text: str, width: int) -> str:
    """`text` cut to `width` characters, its last ones replaced by the ellipsis when it is longer."""
    if len(text) <= width:
        return text
    if width <= len(marks.ellipsis):
        return text[:width]
    return text[: width - len(marks.ellipsis)] + marks.ellipsis


def age(seconds: float) -> str:
    """Two to four characters: 4s, 12m, 3h, 5d."""
    if seconds < 60:
        return f"{max(0, int(seconds))}s"
    if seconds < 3600:
        return f"{int(seconds // 60)}m"
    if seconds < 86400:
        return f"{int(seconds // 3600)}h"
    return f"{int(seconds // 86400)}d"


def size(amount: float) -> str:
    """Bytes in the unit that fits: `512 B`, `3.4 MB`, `16.1 GB`."""
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def gib(amount: int | None) -> str:
    """Bytes as GiB with one decimal, or a dash where the host could not say."""
    return "—" if amount is None else f"{amount / 2**30:.1f}"


def bar(fraction: float | None, width: int) -> str:
    """A bar of `width` characters; nothing but dots where the value is unknown."""
    if fraction is None:
        return "·" * width if marks is UNICODE else "." * width
    filled = round(min(1.0, max(0.0, fraction)) * width)
    return marks.full * filled + marks.empty * (width - filled)


def split_bar(fraction: float | None, own: float | None, limit: float | None, width: int) -> str:
    """As `bar`, with the own part full and the rest of the filled part shaded; a line at `limit`.

    All are parts of the whole, 0 to 1; an unknown `own` leaves the filled part undivided.
    """
    cells = list(bar(fraction, width))
    if fraction is not None and own is not None:
        filled = round(min(1.0, max(0.0, fraction)) * width)
        mine = min(filled, round(min(1.0, max(0.0, own)) * width))
        cells[: filled - mine] = marks.other * (filled - mine)
    if limit is not None and 0 < limit < 1:
        cells[min(width - 1, round(limit * width))] = marks.line
    return "".join(cells)


def rate(per_second: float | None) -> str:
    """Bytes a second in two digits (<10 kB/s is told as that): 42 kB/s, 1.2 MB/s; a dash if unknown."""
    if per_second is None:
        return "—"
    if per_second < 1e4:
        return "<10 kB/s"
    for unit, size in (("kB/s", 1e3), ("MB/s", 1e6), ("GB/s", 1e9)):
        value = per_second / size
        if value < 9.95:
            return f"{value:.1f} {unit}"
        if value < 995 or unit == "GB/s":
            return f"{float(f'{value:.2g}'):.0f} {unit}"
    return "—"


def sparkline(values: list[float | None], width: int, top: float) -> str:
    """The last `width` values as one line of blocks scaled to 0..top; a missing value is a gap."""
    cells = []
    for value in values[-width:]:
        if value is None:
            cells.append(" ")
            continue
        level = min(len(marks.spark) - 1, int(max(0.0, value) / top * len(marks.spark)))
        cells.append(marks.spark[level])
    return "".join(cells).rjust(width)
