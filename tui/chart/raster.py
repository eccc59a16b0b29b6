"""Curves to braille cells: every pixel column carries the exact minimum and maximum of its points.

A braille character is a grid of 2 x 4 dots (Unicode block U+2800, "Braille Patterns"). A chart of
W x H cells therefore has 2W x 4H dots. The cost is that of one pass over the visible points plus
one over the columns, so 100,000 points cost hardly more than 1,000.
"""

from __future__ import annotations

import math
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
    """The visible part of the plane: x0 < x1, y0 < y1, in data units (log10 of them if log_y).

    With `bin` above 0 the columns are the bins [k * bin, (k + 1) * bin) from k = `first` on: the same
    numbers in every frame, so that nothing shimmers while points are appended.
    """

    x0: float
    x1: float
    y0: float
    y1: float
    log_y: bool = False
    bin: float = 0.0
    first: int = 0

    def edges(self, columns: int) -> FloatArray:
        """Borders of the columns, shape (columns + 1,)."""
        if self.bin:
            multiples = (self.first + np.arange(columns + 1, dtype=np.float64)) * self.bin
            return np.asarray(multiples, dtype=np.float64)
        span = self.x1 - self.x0
        even: FloatArray = self.x0 + span * np.arange(columns + 1) / columns
        return even


BIN_FACTORS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)


def anchored(x0: float, x1: float, columns: int, log_y: bool = False) -> Window:
    """The window of `columns` bins that shows [x0, x1], its y range still open (0 to 1).

    The bins' width is one of BIN_FACTORS times a power of ten and their borders are its multiples:
    both stay the same until the range has grown by a fifth or so.
    """
    raw = (x1 - x0) / max(1, columns - 1)
    # A width below the spacing of floating point numbers there could not be told apart.
    raw = max(raw, abs(x1) * 1e-13, 1e-300)
    power = 10.0 ** math.floor(math.log10(raw))
    widths = [f * power for f in (*BIN_FACTORS, 20.0, 25.0) if f * power >= raw * (1 - 1e-12)]
    for width in widths:
        first = math.floor(x0 / width + 1e-9)
        if first * width > x0:  # by rounding: the first point would lie before the first bin
            first -= 1
        if x1 <= (first + columns) * width:
            break
    return Window(first * width, (first + columns) * width, 0.0, 1.0, log_y, width, first)


def _plain(y: FloatArray, log_y: bool) -> FloatArray:
    if not log_y:
        return y
    with np.errstate(divide="ignore", invalid="ignore"):
        logs: FloatArray = np.log10(np.where(y > 0, y, np.nan))
    return logs


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
    edges = window.edges(columns)
    first = int(np.searchsorted(x, edges[0], side="left"))
    last = int(np.searchsorted(x, edges[-1], side="right"))
    if first >= last:
        return low, high
    xs, ys = x[first:last], _plain(y[first:last], window.log_y)
    if window.log_y or not finite:
        good = np.isfinite(ys)
        if not good.all():
            xs, ys = xs[good], ys[good]
    if not len(xs):
        return low, high
    starts = np.searchsorted(xs, edges[:-1], side="left")
    starts[0] = 0
    filled = np.flatnonzero(np.diff(np.append(starts, len(xs))) > 0)
    if len(filled):
        at = starts[filled]
        low[filled] = np.minimum.reduceat(ys, at)
        high[filled] = np.maximum.reduceat(ys, at)
    return low, high


def curve_bounds(
    x: FloatArray, y: FloatArray, window: Window, columns: int, *, finite: bool = False
) -> tuple[FloatArray, FloatArray]:
    """As `column_bounds`, but an empty bin between two points carries the line that joins them.

    A point that is not finite joins nothing: beside it there is a gap.
    """
    low, high = column_bounds(x, y, window, columns, finite=finite)
    empty = np.flatnonzero(np.isnan(low))
    if not len(empty) or len(x) < 2:
        return low, high
    edges = window.edges(columns)
    middle = (edges[empty] + edges[empty + 1]) / 2
    right = np.searchsorted(x, middle, side="right")
    inside = (right > 0) & (right < len(x))
    empty, middle, right = empty[inside], middle[inside], right[inside]
    left = right - 1
    ends = _plain(y[left], window.log_y), _plain(y[right], window.log_y)
    with np.errstate(invalid="ignore", over="ignore"):
        part = (middle - x[left]) / (x[right] - x[left])
        joined = ends[0] + part * (ends[1] - ends[0])
    joined[~np.isfinite(joined)] = np.nan
    low[empty] = joined
    high[empty] = joined
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


def raster_bounds(low: FloatArray, high: FloatArray, window: Window, height: int) -> BoolArray:
    """Dots of a curve given by its column bounds, each of shape (columns,); see `raster`.

    A column that lies clear of the one before it is drawn out to meet it, so that a steep curve stays
    one line. It is always the later one that gives, so that a new point leaves what stands alone.
    """
    rows, columns = 4 * height, len(low)
    dots = np.zeros((rows, columns), dtype=np.bool_)
    filled = ~np.isnan(low)
    if not filled.any():
        return dots
    scale = (rows - 1) / (window.y1 - window.y0)
    far = 4.0 * rows
    with np.errstate(over="ignore"):  # far off a small scale; the clip takes it back
        top = np.rint(np.clip((window.y1 - np.where(filled, high, 0)) * scale, -far, far))
        bottom = np.rint(np.clip((window.y1 - np.where(filled, low, 0)) * scale, -far, far))
    first, last = top.astype(np.int64), bottom.astype(np.int64)
    both = filled[:-1] & filled[1:]
    falls = both & (first[1:] > last[:-1] + 1)
    rises = both & (last[1:] < first[:-1] - 1)
    joined_first, joined_last = first.copy(), last.copy()
    joined_first[1:][falls] = last[:-1][falls] + 1
    joined_last[1:][rises] = first[:-1][rises] - 1
    at = np.flatnonzero(filled & (joined_last >= 0) & (joined_first < rows))
    grid = np.arange(rows)[:, None]
    dots[:, at] = (grid >= joined_first[at]) & (grid <= joined_last[at])
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
