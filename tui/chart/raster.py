"""Curves to braille cells: every pixel column carries the exact minimum and maximum of its points.

A braille character is a grid of 2 x 4 dots (Unicode block U+2800, "Braille Patterns"). A chart of
W x H cells therefore has 2W x 4H dots. The cost is that of one pass over the visible points plus
one over the columns, so 100,000 points cost hardly more than 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint16)
"""Bit of each dot, by row and column inside a cell."""

BLANK = 0x2800


@dataclass(frozen=True, eq=False)
class Window:
    """The visible part of the plane: x0 < x1, y0 < y1, in data units (log10 of them if log_y)."""

    x0: float
    x1: float
    y0: float
    y1: float
    log_y: bool = False


def column_bounds(
    x: FloatArray, y: FloatArray, window: Window, columns: int, *, finite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Minimum and maximum of y in each of `columns` equal bins of x.

    Args:
        x: positions in ascending order, shape (n,).
        y: values, shape (n,); only finite ones count (and only positive ones on a log axis).
        window: the visible part; its y range does not matter here.
        columns: number of bins over [x0, x1]; a point at x1 falls into the last.
        finite: True where y is known to hold no NaN and no infinity, which saves looking.

    Returns:
        Two arrays of shape (columns,), NaN where a bin holds no value.
    """
    low = np.full(columns, np.nan)
    high = np.full(columns, np.nan)
    first = int(np.searchsorted(x, window.x0, side="left"))
    last = int(np.searchsorted(x, window.x1, side="right"))
    if first >= last:
        return low, high
    xs, ys = x[first:last], y[first:last]
    if window.log_y:
        with np.errstate(divide="ignore", invalid="ignore"):
            ys = np.log10(np.where(ys > 0, ys, np.nan))
    if window.log_y or not finite:
        good = np.isfinite(ys)
        if not good.all():
            xs, ys = xs[good], ys[good]
    if not len(xs):
        return low, high
    span = window.x1 - window.x0
    edges = window.x0 + span * np.arange(columns + 1) / columns
    starts = np.searchsorted(xs, edges[:-1], side="left")
    starts[0] = 0
    filled = np.flatnonzero(np.diff(np.append(starts, len(xs))) > 0)
    if len(filled):
        at = starts[filled]
        low[filled] = np.minimum.reduceat(ys, at)
        high[filled] = np.maximum.reduceat(ys, at)
    return low, high


def _interpolate(
    x: FloatArray, y: FloatArray, window: Window, columns: int
) -> tuple[FloatArray, FloatArray]:
    """Bounds of a sparse curve: bins between two points lie on the line that joins them."""
    low, high = column_bounds(x, y, window, columns)
    filled = np.flatnonzero(~np.isnan(low))
    if len(filled) < 2:
        return low, high
    middle = (low + high) / 2
    inside = np.arange(filled[0], filled[-1] + 1)
    missing = inside[np.isnan(low[inside])]
    line = np.interp(missing, filled, middle[filled])
    low[missing] = line
    high[missing] = line
    bad = np.flatnonzero(~np.isfinite(y))
    for index in bad:  # a NaN is a gap, never a bridge
        left = x[index - 1] if index else x[index]
        right = x[index + 1] if index + 1 < len(x) else x[index]
        scale = columns / (window.x1 - window.x0)
        gap = missing[
            (missing > (left - window.x0) * scale) & (missing < (right - window.x0) * scale)
        ]
        low[gap] = np.nan
        high[gap] = np.nan
    return low, high


def raster(x: FloatArray, y: FloatArray, window: Window, width: int, height: int) -> BoolArray:
    """Dots of one curve.

    Args:
        x, y: the curve, shape (n,), x ascending.
        window: the visible part of the plane.
        width, height: size in character cells.

    Returns:
        Array of shape (4 * height, 2 * width), True where a dot is set; row 0 is the top.
    """
    if not len(x) or window.x1 <= window.x0 or window.y1 <= window.y0:
        return np.zeros((4 * height, 2 * width), dtype=np.bool_)
    low, high = curve_bounds(x, y, window, 2 * width)
    return raster_bounds(low, high, window, height)


def curve_bounds(
    x: FloatArray, y: FloatArray, window: Window, columns: int, *, finite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """As `column_bounds`, but a sparse curve is joined by straight lines between its points."""
    if len(x) > 4 * columns:
        return column_bounds(x, y, window, columns, finite=finite)
    return _interpolate(x, y, window, columns)


def raster_bounds(low: FloatArray, high: FloatArray, window: Window, height: int) -> BoolArray:
    """Dots of a curve given by its column bounds, each of shape (columns,); see `raster`."""
    rows, columns = 4 * height, len(low)
    dots = np.zeros((rows, columns), dtype=np.bool_)
    filled = ~np.isnan(low)
    if not filled.any():
        return dots
    scale = (rows - 1) / (window.y1 - window.y0)
    top = np.where(filled, (window.y1 - high) * scale, np.nan)
    bottom = np.where(filled, (window.y1 - low) * scale, np.nan)
    # Neighbouring columns are joined halfway, so that a steep curve stays one line.
    both = filled[:-1] & filled[1:]
    falls = both & (top[1:] > bottom[:-1])
    rises = both & (bottom[1:] < top[:-1])
    with np.errstate(invalid="ignore"):
        middle_fall = (top[1:] + bottom[:-1]) / 2
        middle_rise = (bottom[1:] + top[:-1]) / 2
    bottom[:-1] = np.where(falls, middle_fall, bottom[:-1])
    top[1:] = np.where(falls, middle_fall, top[1:])
    top[:-1] = np.where(rises, middle_rise, top[:-1])
    bottom[1:] = np.where(rises, middle_rise, bottom[1:])
    visible = filled & (bottom > -0.5) & (top < rows - 0.5)
    at = np.flatnonzero(visible)
    first = np.clip(np.rint(top[at]), 0, rows - 1).astype(np.int64)
    last = np.clip(np.rint(bottom[at]), 0, rows - 1).astype(np.int64)
    grid = np.arange(rows)[:, None]
    dots[:, at] = (grid >= first) & (grid <= last)
    return dots


def to_codes(dots: BoolArray) -> NDArray[np.uint16]:
    """Braille code points of a dot grid.

    Args:
        dots: shape (4 * height, 2 * width).

    Returns:
        Code points, shape (height, width); U+2800 where no dot is set.
    """
    height, width = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(height, 4, width, 2).astype(np.uint16)
    bits = np.einsum("hrwc,rc->hw", cells, DOTS)
    codes: NDArray[np.uint16] = (bits + BLANK).astype(np.uint16)
    return codes
