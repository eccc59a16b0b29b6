"""Axis limits and tick labels a person can read."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def nice_step(span: float, parts: int) -> float:
    """The largest of 1, 2, 2.5, 5 x 10^k that cuts `span` into about `parts` pieces (Heckbert 1990)."""
    if span <= 0 or not math.isfinite(span):
        return 1.0
    raw = span / max(1, parts)
    power = 10.0 ** math.floor(math.log10(raw))
    for factor in (1.0, 2.0, 2.5, 5.0, 10.0):
        if raw <= factor * power * (1 + 1e-9):
            return factor * power
    return 10.0 * power


def ticks(low: float, high: float, parts: int) -> list[float]:
    """Round values inside [low, high], about `parts` of them."""
    if high <= low:
        return [low]
    step = nice_step(high - low, parts)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float, parts: int) -> list[float]:
    """Exponents of round values on a log axis over [low, high]: powers of ten, else round numbers."""
    decades = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
    if len(decades) >= max(2, parts):
        return [float(decade) for decade in decades[:: -(-len(decades) // parts)]]
    low_value, high_value = 10.0 ** max(-300.0, low), 10.0 ** min(300.0, high)
    return [math.log10(value) for value in ticks(low_value, high_value, parts) if value > 0]


def clock(seconds: float, span: float) -> str:
    """Local time of day of UTC seconds; with its day where the axis spans more than one."""
    try:
        moment = datetime.fromtimestamp(seconds).astimezone()
    except (OverflowError, OSError, ValueError):
        return "?"
    form = "%H:%M:%S" if span < 600 else "%H:%M" if span < 86400 else "%d %b %H:%M"
    return moment.strftime(form)


def limits(
    arrays: list[FloatArray], *, log: bool = False, air: float = 0.04
) -> tuple[float, float] | None:
    """Smallest interval around all finite values with some air (a part of it), or None without any.

    On a log axis values at or below zero do not count and the result is in log10 units.
    """
    lows: list[float] = []
    highs: list[float] = []
    for values in arrays:
        good = values[np.isfinite(values)]
        if log:
            good = good[good > 0]
        if len(good):
            lows.append(float(good.min()))
            highs.append(float(good.max()))
    if not lows:
        return None
    low, high = min(lows), max(highs)
    if log:
        low, high = math.log10(low), math.log10(high)
    if high - low <= 1e-12 * max(1e-300, abs(high), abs(low)):
        room = abs(high) * 0.05 or 0.5
    else:
        room = (high - low) * air
    return low - room, high + room


WIDEST = 7
"""Characters of a label beside the y axis."""


def label(value: float) -> str:
    """A number in at most seven characters: 0.412, 7.64, 250, 12.5k, 2e-4."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if not size:
        return "0"
    if size < 1e-3 or size >= 0.9995e9:
        return _scientific(value)
    for digits in (4, 3, 2):
        text = _short(value, digits)
        if len(text) <= WIDEST:
            return text
    return _scientific(value)


def labels(values: list[float], widest: int = WIDEST) -> list[str]:
    """Labels of ticks: with as many digits as tell neighbours apart, where `widest` has room for them."""
    plain = [label(value) for value in values]
    if len(set(plain)) == len(plain):
        return plain
    for digits in range(4, 16):
        finer = [_short(value, digits) for value in values]
        if max(map(len, finer)) > widest:
            break
        if len(set(finer)) == len(finer):
            return finer
    return plain


def _short(value: float, digits: int) -> str:
    """With k for thousands and M for millions, to `digits` significant digits (one fewer with k and M)."""
    size = abs(float(f"{value:.{digits}g}"))
    if size >= 1e6:
        return f"{value / 1e6:.{digits - 1}g}M"
    if size >= 1e4:
        return f"{value / 1e3:.{digits - 1}g}k"
    return f"{value:.{digits}g}"


def _scientific(value: float) -> str:
    for digits in (1, 0):
        mantissa, exponent = f"{value:.{digits}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if digits else mantissa
        text = f"{mantissa}e{int(exponent)}"
        if len(text) <= WIDEST:
            break
    return text


def duration(seconds: float) -> str:
    """12 s, 3m 05s, 2h 05m, 1d 3h."""
    total = max(0, round(seconds))
    if total < 60:
        return f"{total} s"
    minutes, secs = divmod(total, 60)
    if minutes < 60:
        return f"{minutes}m {secs:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h"
