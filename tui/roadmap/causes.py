"""What a program's bad output means and what to do next, from the table `known.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent / "known.toml"
MAX_TEXT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause and one next step; `source` is where it is written about."""

    cause: str
    next: str
    texts: tuple[str, ...] = ()
    source: str = ""

    def __str__(self) -> str:
        return f"{self.cause}. Next: {self.next}" if self.next else self.cause


@cache
def known() -> tuple[Cause, ...]:
    """All known causes, the exact ones first."""
    entries = tomllib.loads(TABLE.read_text("utf-8"))["known"]
    return tuple(Cause(e["cause"], e["next"], tuple(e["texts"]), e["source"]) for e in entries)


def explain(text: str) -> Cause | None:
    """The first known cause whose text stands in an output, None where none does."""
    low = text[:MAX_TEXT].casefold()
    return next((c for c in known() if any(t.casefold() in low for t in c.texts)), None)


def because(text: str, otherwise: str, step: str = "") -> Cause:
    """The known cause behind an output, else `otherwise` with the output's last line."""
    found = explain(text)
    if found is not None:
        return found
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return Cause(f"{otherwise}: {lines[-1][:200]}" if lines else otherwise, step)
