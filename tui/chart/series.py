"""Growing numeric columns of one curve, with a smoothed twin kept up to date while points arrive."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DEFAULT_WEIGHT = 0.6
"""TensorBoard's default smoothing weight."""


class Column:
    """A float64 array that grows by doubling; `view` is always exactly the filled part."""

    def __init__(self, capacity: int = 256) -> None:
        self._data: FloatArray = np.empty(max(1, capacity), dtype=np.float64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def view(self) -> FloatArray:
        """The filled part, shape (n,), not a copy."""
        return self._data[: self._size]

    def append(self, value: float) -> None:
        """Add one value."""
        if self._size == len(self._data):
            grown = np.empty(2 * len(self._data), dtype=np.float64)
            grown[: self._size] = self._data
            self._data = grown
        self._data[self._size] = value
        self._size += 1


@dataclass
class Ema:
    """Debiased exponential moving average.

    Source: TensorBoard's `resmoothDataset` (tf_line_chart / vz_line_chart2): `last = last*w + (1-w)*y`,
    divided by `1 - w**n`. Values that are not finite pass through and leave the state untouched.
    """

    weight: float = DEFAULT_WEIGHT
    last: float = 0.0
    debias: float = field(default=1.0, init=False)

    def push(self, value: float) -> float:
        """Smoothed value after `value`; `value` itself when it is not finite."""
        if not np.isfinite(value):
            return value
        self.last = self.last * self.weight + (1 - self.weight) * value
        self.debias *= self.weight
        return self.last / (1 - self.debias) if self.debias < 1 else value


class Series:
    """One curve: x (steps or seconds), y, and the smoothed y.

    `x` must not decrease; a point whose x goes back starts a new attempt and cuts the points it
    repeats (the rule TensorBoard applies to a run restarted from a checkpoint).
    """

    def __init__(self, name: str, weight: float = DEFAULT_WEIGHT) -> None:
        self.name = name
        self._x = Column()
        self._t = Column()
        self._y = Column()
        self._smooth = Column()
        self._ema = Ema(weight)
        self.rewinds = 0
        self.bad = 0
        """Points that are NaN or infinite."""

    def __len__(self) -> int:
        return len(self._x)

    @property
    def x(self) -> FloatArray:
        """Steps, shape (n,)."""
        return self._x.view

    @property
    def t(self) -> FloatArray:
        """Seconds since the run's start, shape (n,)."""
        return self._t.view

    @property
    def y(self) -> FloatArray:
        """Values as logged, shape (n,); NaN and infinities are kept."""
        return self._y.view

    @property
    def smooth(self) -> FloatArray:
        """Debiased EMA of `y`, shape (n,)."""
        return self._smooth.view

    @property
    def weight(self) -> float:
        """Smoothing weight, 0 (none) to below 1."""
        return self._ema.weight

    def append(self, x: float, y: float, t: float = 0.0) -> None:
        """Add a point; one that goes back in x drops the points at and after it."""
        if len(self._x) and x <= self._x.view[-1]:
            self.rewinds += 1
            keep = int(np.searchsorted(self._x.view, x, side="left"))
            self._rebuild(keep)
        self._x.append(x)
        self._t.append(t)
        self._y.append(y)
        self._smooth.append(self._ema.push(y))
        self.bad += not math.isfinite(y)

    def extend(self, points: Iterable[tuple[float, float]]) -> None:
        """Add `(x, y)` pairs in order."""
        for x, y in points:
            self.append(x, y)

    def resmooth(self, weight: float) -> None:
        """Smooth everything anew with another weight in [0, 1)."""
        if not 0 <= weight < 1:
            raise ValueError(f"smoothing weight must be in [0, 1), not {weight}")
        self._ema = Ema(weight)
        smooth = Column(len(self._y) or 1)
        for value in self._y.view:
            smooth.append(self._ema.push(float(value)))
        self._smooth = smooth

    def _rebuild(self, keep: int) -> None:
        x, t, y = self._x.view[:keep].copy(), self._t.view[:keep].copy(), self._y.view[:keep].copy()
        self._x, self._t, self._y, self._smooth = Column(), Column(), Column(), Column()
        self._ema = Ema(self._ema.weight)
        for px, pt, py in zip(x, t, y, strict=True):
            self._x.append(float(px))
            self._t.append(float(pt))
            self._y.append(float(py))
            self._smooth.append(self._ema.push(float(py)))
        self.bad = int((~np.isfinite(y)).sum())
