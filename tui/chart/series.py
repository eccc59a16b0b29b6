"""Growing numeric columns of one curve, with a smoothed twin kept up to date when it is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tui.chart.ema import DEFAULT_WEIGHT, Ema, FloatArray

BRANCHES = 16
"""Abandoned attempts that are kept for drawing; older ones are forgotten."""


GROWTH, SPARE = 1.25, 65_536
"""A full column is made so much longer, by at most so many values: little of it lies idle."""


class Column:
    """A float64 array that grows with what is appended; `view` is always exactly the filled part."""

    def __init__(self, capacity: int = 256) -> None:
        self._data: FloatArray = np.empty(max(1, capacity), dtype=np.float64)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def view(self) -> FloatArray:
        """The filled part, shape (n,), not a copy."""
        return self._data[: self._size]

    def _reserve(self, size: int) -> None:
        if size > len(self._data):
            grown = np.empty(
                max(size, min(int(GROWTH * len(self._data)), len(self._data) + SPARE) + 1),
                dtype=np.float64,
            )
            grown[: self._size] = self._data[: self._size]
            self._data = grown

    def append(self, value: float) -> None:
        """Add one value."""
        self._reserve(self._size + 1)
        self._data[self._size] = value
        self._size += 1

    def extend(self, values: FloatArray) -> None:
        """Add many values."""
        self._reserve(self._size + len(values))
        self._data[self._size : self._size + len(values)] = values
        self._size += len(values)

    def copy(self, size: int) -> Column:
        """The first `size` values in a column of their own."""
        made = Column(size)
        made.extend(self._data[:size])
        return made

    def truncate(self, size: int) -> None:
        """Keep the first `size` values."""
        self._size = min(self._size, size)


LARGEST, SMALLEST = 1e300, 1e-300
"""Beyond these a value counts as infinite or as 0: differences and steps of an axis must be numbers."""


@dataclass(frozen=True, eq=False)
class Branch:
    """The points of an attempt that a restart from a checkpoint repeated, each array of shape (n,)."""

    x: FloatArray
    t: FloatArray
    y: FloatArray
    tokens: FloatArray


class Series:
    """One curve: x (steps), t (seconds since the start), y, tokens seen, and the smoothed y.

    `x` does not decrease: a point whose x goes back starts a new attempt. The points it repeats leave
    the curve (the rule TensorBoard applies to a run restarted from a checkpoint) and are kept as a
    branch, so that the chart can show what was abandoned.
    """

    def __init__(self, name: str, weight: float = DEFAULT_WEIGHT) -> None:
        self.name = name
        self._x = Column()
        self._t = Column()
        self._y = Column()
        self._tokens: Column | None = None
        self._shared = False
        """Steps, times and tokens stand in columns that curves of the same points have together."""
        self._smooth = Column()
        self._ema = Ema(weight)
        self._bad: list[int] = []
        self.branches: list[Branch] = []
        self.rewinds = 0
        """Restarts from a checkpoint."""
        self.generation = 0
        """Changes whenever points that stood have been taken back."""

    def __len__(self) -> int:
        return len(self._y)

    @property
    def x(self) -> FloatArray:
        """Steps, shape (n,)."""
        return self._x.view[: len(self._y)]

    @property
    def t(self) -> FloatArray:
        """Seconds since the run's start, shape (n,), never going back."""
        return self._t.view[: len(self._y)]

    @property
    def y(self) -> FloatArray:
        """Values as logged, shape (n,); NaN and infinities are kept."""
        return self._y.view

    @property
    def tokens(self) -> FloatArray | None:
        """Tokens seen so far, shape (n,); None where the run does not count them."""
        return None if self._tokens is None else self._tokens.view[: len(self._y)]

    @property
    def smooth(self) -> FloatArray:
        """Debiased EMA of `y`, shape (n,); what came since the last look is smoothed now."""
        done = len(self._smooth)
        if done < len(self._y):
            self._smooth.extend(self._ema.push_many(self._y.view[done:]))
        return self._smooth.view

    @property
    def weight(self) -> float:
        """Smoothing weight, 0 (none) to below 1."""
        return self._ema.weight

    @property
    def bad(self) -> int:
        """How many points are NaN or infinite."""
        return len(self._bad)

    @property
    def bad_at(self) -> list[int]:
        """Indices of the points that are NaN or infinite."""
        return self._bad

    def append(self, x: float, y: float, t: float = 0.0, tokens: float | None = None) -> None:
        """Add a point; one that goes back in x starts a new attempt at that x."""
        self._own()
        if len(self._x) and x <= self._x.view[-1]:
            self._rewind(x)
        if tokens is not None or self._tokens is not None:
            counts = self._token_column()
            seen = float(counts.view[-1]) if len(counts) else 0.0
            counts.append(seen if tokens is None else max(seen, tokens))
        if not -LARGEST <= y <= LARGEST:
            y = y if math.isnan(y) else math.copysign(math.inf, y)
            self._bad.append(len(self._y))
        elif abs(y) < SMALLEST:
            y = 0.0
        self._t.append(max(t, float(self._t.view[-1])) if len(self._t) else t)
        self._x.append(x)
        self._y.append(y)

    def extend(self, points: Iterable[tuple[float, float]]) -> None:
        """Add `(x, y)` pairs in order."""
        for x, y in points:
            self.append(x, y)

    def extend_columns(
        self,
        x: FloatArray,
        y: FloatArray,
        t: FloatArray,
        tokens: FloatArray | None = None,
        like: Series | None = None,
    ) -> None:
        """Add many points at once; the arrays have shape (n,). Equal to n calls of `append`.

        `like` is a curve that has just taken the same x, t and tokens: where it has had the same ones all
        the time both stand on one copy of them.
        """
        if not len(x):
            return
        if like is not None and self._joins(like, len(x)):
            self._x, self._t, self._tokens = like._x, like._t, like._tokens
            self._shared = like._shared = True
            self._add_values(y)
            return
        rising = bool((np.diff(x) > 0).all()) and (not len(self) or x[0] > self.x[-1])
        if not rising:
            seen = [None] * len(x) if tokens is None else tokens.tolist()
            for point in zip(x.tolist(), y.tolist(), t.tolist(), seen, strict=True):
                self.append(*point)
            return
        if len(self._x) != len(self._y):  # another curve went on alone
            self._own()
        before = float(self._t.view[-1]) if len(self._t) else -math.inf
        if tokens is not None or self._tokens is not None:
            counts = self._token_column()
            reached = float(counts.view[-1]) if len(counts) else 0.0
            new = np.full(len(x), reached) if tokens is None else tokens
            counts.extend(np.maximum.accumulate(np.maximum(new, reached)))
        self._x.extend(x)
        self._t.extend(np.maximum.accumulate(np.maximum(t, before)))
        self._add_values(y)

    def _add_values(self, y: FloatArray) -> None:
        y = np.where(np.abs(y) > LARGEST, np.copysign(np.inf, y), y)
        y = np.where(np.abs(y) < SMALLEST, 0.0, y)
        self._bad += (np.flatnonzero(~np.isfinite(y)) + len(self._y)).tolist()
        self._y.extend(y)

    def _joins(self, like: Series, fresh: int) -> bool:
        """Whether all of both curves' points are the same but for y; `like` has taken `fresh` more."""
        if len(like._x) != len(like._y) or len(like) - fresh != len(self) or like.rewinds:
            return False
        return not len(self) or self._x is like._x

    def _own(self) -> None:
        """Columns of its own from here on."""
        if self._shared:
            size, self._shared = len(self._y), False
            self._x, self._t = self._x.copy(size), self._t.copy(size)
            self._tokens = None if self._tokens is None else self._tokens.copy(size)

    def _token_column(self) -> Column:
        if self._tokens is None:
            self._tokens = Column(len(self._x) + 1)
            self._tokens.extend(np.zeros(len(self._x)))
        return self._tokens

    def frozen(self) -> Series:
        """A copy that stays as it is, for another thread to read."""
        made, size = Series(self.name, self.weight), len(self._y)
        made._x, made._t, made._y = (c.copy(size) for c in (self._x, self._t, self._y))
        made._tokens = None if self._tokens is None else self._tokens.copy(size)
        made._smooth.extend(self.smooth)
        made._bad, made.branches = list(self._bad), list(self.branches)
        made.rewinds, made.generation = self.rewinds, self.generation
        return made

    def resmooth(self, weight: float) -> None:
        """Smooth everything anew with another weight. ValueError outside [0, 1)."""
        self._ema = Ema(weight)
        self._smooth = Column()

    def _rewind(self, x: float) -> None:
        keep = int(np.searchsorted(self._x.view, x, side="left"))
        tokens = np.zeros(0) if self._tokens is None else self._tokens.view[keep:].copy()
        x_old, t_old, y_old = (c.view[keep:].copy() for c in (self._x, self._t, self._y))
        self.generation += 1
        if len(x_old) > 1 or x_old[0] != x:  # a step that is only told again is no new attempt
            self.rewinds += 1
            self.branches = [*self.branches, Branch(x_old, t_old, y_old, tokens)][-BRANCHES:]
        for column in (self._x, self._t, self._y, self._tokens):
            if column is not None:
                column.truncate(keep)
        self._bad = [index for index in self._bad if index < keep]
        self.resmooth(self.weight)
