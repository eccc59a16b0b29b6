"""Bounded reading of values that came from a host: wrong type or size becomes None or less."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

MAX_INT = 2**62


def boolean_free_int(value: Any) -> int | None:
    """An int of sane size; True, 1.0 and "1" are not ints here."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < MAX_INT:
        return value
    return None


def number(value: Any, low: float = 0.0, high: float = 1e18) -> float | None:
    """A finite number within [low, high], else None: out of range is unknown, not clipped."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not math.isfinite(value) or not low <= value <= high:
        return None
    return float(value)


def count(value: Any) -> int | None:
    """A whole number of bytes or things, not negative."""
    checked = number(value)
    return None if checked is None else int(checked)


def short_text(value: Any, limit: int = 200) -> str:
    """Text without control characters, cut at `limit`; anything else is ""."""
    if not isinstance(value, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in value[:limit])


def strings(value: Any, limit: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    # A lone surrogate stands for a byte that is no UTF-8; no terminal takes it.
    texts = (item for item in value[:limit] if isinstance(item, str))
    return tuple(text.encode("utf-8", "replace").decode("utf-8") for text in texts)


def mapping_of_strings(value: Any, limit: int) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    pairs = list(value.items())[:limit]
    return {short_text(k, 80): short_text(v) for k, v in pairs if isinstance(v, str)}
