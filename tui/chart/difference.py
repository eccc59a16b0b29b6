"""Experiment minus control, step by step, with a moving interval.

d(s) = experiment(s) - control(s) at every step s that both runs logged. Over the last k of them
(k = a twentieth of all, at least 5, at most 101; trailing, so that a new point changes nothing that
stands):

    mean +- t(0.975, k - 1) * s / sqrt(k),    s = sample standard deviation of d in the window

It describes the noise of the curves and is no test of the arms: neighbouring losses of one run are
not independent of each other. The gate's statistics are computed on the test samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui.chart.ema import FloatArray
from tui.chart.series import Column, Series

Z = 1.959963984540054
FEWEST = 5


@dataclass(frozen=True, eq=False)
class Difference:
    """Arrays of shape (n,): positions, d, its moving mean, the ends of the 95 % interval (NaN at first)."""

    x: FloatArray
    value: FloatArray
    mean: FloatArray
    low: FloatArray
    high: FloatArray
    window: int


def t_quantile(df: FloatArray) -> FloatArray:
    """Student's t at 0.975 (Abramowitz and Stegun 26.7.5); within 0.2 % from 4 degrees of freedom on."""
    z = Z
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    g4 = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    quantile: FloatArray = z + g1 / df + g2 / df**2 + g3 / df**3 + g4 / df**4
    return quantile


def width_of(points: int) -> int:
    """k: how many common steps the moving window holds."""
    return max(FEWEST, min(101, points // 20))


def moving_interval(values: FloatArray, window: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Trailing mean over `window` values and its 95 % interval (mean, low, high), each of shape (n,).

    Values that are not finite do not count; fewer than five in a window give NaN.
    """
    good = np.isfinite(values)
    shift = float(np.median(values[good])) if good.any() else 0.0  # keeps the sums of squares exact
    with np.errstate(over="ignore"):
        clean = np.where(good, values, shift) - shift

    def trailing(part: FloatArray) -> FloatArray:
        # A window is the end of one block and the start of the next. The difference of two running
        # sums would carry the rounding of one spike through all that follows.
        blocks = np.zeros((-(-len(part) // window) + 1, window))
        blocks.ravel()[window : window + len(part)] = part
        heads = np.cumsum(blocks[1:], axis=1)
        tails = np.cumsum(blocks[:-1, :0:-1], axis=1)[:, ::-1]
        heads[:, :-1] += tails
        return heads.ravel()[: len(part)]

    count = trailing(good.astype(np.float64))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        mean = trailing(clean) / count
        spread = np.maximum(0.0, trailing(clean * clean) - count * mean * mean) / (count - 1)
        half = t_quantile(np.maximum(count - 1, 1)) * np.sqrt(spread / count)
    mean = np.where(count >= FEWEST, mean + shift, np.nan)
    return mean, mean - half, mean + half


class Comparison:
    """The difference of two growing curves; what was computed once is not computed again.

    The shift of `moving_interval` is taken from the newest part, so figures may differ from one go
    over everything by rounding.
    """

    def __init__(self, control: Series, experiment: Series) -> None:
        self.control, self.experiment = control, experiment
        self._clear()

    def _clear(self) -> None:
        self._seen = (self.control.generation, self.experiment.generation)
        self._taken = 0
        self._window = 0
        self._at: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._parts = [Column() for _ in range(4)]

    def update(self, positions: FloatArray) -> Difference | None:
        """Take in what came; `positions` says where the experiment's points lie on the x axis.

        None with fewer than five common steps.
        """
        if self._seen != (self.control.generation, self.experiment.generation):
            self._clear()
        value, mean, low, high = self._parts
        fresh = self._common()
        value.extend(fresh)
        if len(value) < FEWEST or len(positions) != len(self.experiment):
            return None
        window = width_of(len(value))
        done = len(mean) if window == self._window else 0
        self._window = window
        if done < len(value):
            first = max(0, done - window + 1)
            found = moving_interval(value.view[first:], window)
            for column, part in zip((mean, low, high), found, strict=True):
                column.truncate(done)
                column.extend(part[done - first :])
        whole = len(self._at) == len(positions)
        x = positions if whole else positions[self._at]
        return Difference(x, value.view, mean.view, low.view, high.view, window)

    def _common(self) -> FloatArray:
        """Differences at the common steps that came since the last time."""
        cx, ex = self.control.x, self.experiment.x
        if not len(cx):
            return np.zeros(0)
        end = int(np.searchsorted(ex, cx[-1], side="right"))
        if end <= self._taken:
            return np.zeros(0)
        steps = ex[self._taken : end]
        at = np.searchsorted(cx, steps)
        common = cx[at] == steps
        taken = np.flatnonzero(common) + self._taken
        self._at = np.concatenate([self._at, taken])
        self._taken = end
        with np.errstate(invalid="ignore"):
            fresh: FloatArray = self.experiment.y[taken] - self.control.y[at[common]]
        return fresh
