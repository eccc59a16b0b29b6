"""Redrawing the loss chart: milliseconds beside the design's limits, and what a plain redraw would cost.

make bench
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from textual.app import App, ComposeResult

from tui.chart.series import Column, Series
from tui.widgets.curve import Curve, CurveLine

LIMITS_MS = {100_000: 5.0, 1_000_000: 10.0}


def series(name: str, points: int, seed: int) -> Series:
    """A noisy falling curve of `points` points, filled in bulk."""
    rng = np.random.default_rng(seed)
    x = np.arange(points, dtype=float)
    y = 6 * np.exp(-x / points * 5) + rng.normal(scale=0.2, size=points)
    made = Series(name, 0.8)
    for attribute, values in (("_x", x), ("_t", x / 10), ("_y", y), ("_smooth", y)):
        column = Column(points)
        column._data[:] = values
        column._size = points
        setattr(made, attribute, column)
    return made


class Alone(App[None]):
    def compose(self) -> ComposeResult:
        yield Curve("loss", id="curve")


@pytest.mark.parametrize("points", sorted(LIMITS_MS))
async def test_redraw(points: int) -> None:
    app = Alone()
    async with app.run_test(size=(120, 30)) as pilot:
        curve = app.query_one(Curve)
        lines = tuple(
            CurveLine(series(n, points, k), n, k) for k, n in enumerate(("control", "experiment"))
        )
        curve.show(lines)
        await pilot.pause()
        times = []
        for _ in range(30):
            start = time.perf_counter()
            curve._draw()
            times.append((time.perf_counter() - start) * 1000)
    median = statistics.median(times)
    limit = LIMITS_MS[points]
    print(
        f"\nredraw 2 x {points:,} points at 120x30: {median:.2f} ms,"
        f" {median / limit:.2f} of the {limit:g} ms limit"
    )
    assert curve._strips
