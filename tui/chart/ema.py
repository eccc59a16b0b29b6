"""TensorBoard's smoothing: the debiased exponential moving average, many points at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

DEFAULT_WEIGHT = 0.6
"""TensorBoard's default smoothing weight."""

BLOCK = 64


@dataclass
class Ema:
    """Debiased exponential moving average that goes on where it stopped.

    Source: TensorBoard's `resmoothDataset` (vz_line_chart2) and `classicSmoothing`:
    `last = last * w + (1 - w) * y; n += 1; smoothed = last / (1 - w**n)`, beginning with last = 0.
    Values that are not finite pass through and advance neither `last` nor `n`.
    """

    weight: float = DEFAULT_WEIGHT
    last: float = field(default=0.0, init=False)
    count: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.weight < 1:
            raise ValueError(f"smoothing weight must be in [0, 1), not {self.weight}")

    def push(self, value: float) -> float:
        """Smoothed value after `value`; `value` itself when it is not finite."""
        if not math.isfinite(value):
            return value
        self.last = self.last * self.weight + (1 - self.weight) * value
        self.count += 1
        return self.last / float(1 - self.weight**self.count)

    def push_many(self, values: FloatArray) -> FloatArray:
        """Smoothed values after each of `values`, shape (n,); equal to n calls of `push` but for rounding.

        The recurrence is solved in blocks: inside a block it is a product with a triangular matrix,
        only the carry from block to block is a loop.
        """
        if len(values) < BLOCK:
            return np.array([self.push(float(value)) for value in values], dtype=np.float64)
        good = np.isfinite(values)
        clean = values if good.all() else values[good]
        if not len(clean):
            return values.copy()
        blocks = -(-len(clean) // BLOCK)
        padded = np.zeros(blocks * BLOCK)
        padded[: len(clean)] = clean
        exponent = np.arange(BLOCK) - np.arange(BLOCK)[:, None]
        step = np.where(
            exponent >= 0, (1 - self.weight) * self.weight ** np.maximum(exponent, 0), 0
        )
        local = padded.reshape(blocks, BLOCK) @ step
        carries = np.empty(blocks)
        carry, whole = self.last, self.weight**BLOCK
        for index, end in enumerate(local[:, -1].tolist()):
            carries[index] = carry
            carry = carry * whole + end
        powers = self.weight ** np.arange(1, BLOCK + 1)
        smooth = (local + carries[:, None] * powers).ravel()[: len(clean)]
        self.last = float(smooth[-1])
        smooth /= self._debias(len(clean))
        self.count += len(clean)
        if clean is values:
            return smooth
        out = values.copy()
        out[good] = smooth
        return out

    def _debias(self, count: int) -> FloatArray:
        """`1 - w**n` for the next `count` values; beyond double precision it is 1."""
        factors = np.ones(count)
        if self.weight:
            matter = math.ceil(-40 / math.log(self.weight)) - self.count  # w**n > 4e-18
            if matter > 0:
                first = np.arange(self.count + 1, self.count + 1 + min(matter, count))
                factors[: len(first)] = 1 - self.weight**first
        return factors
