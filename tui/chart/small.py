"""A small chart of a few numbers as text: braille where the terminal has it, blocks elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tui.chart.raster import Window, raster, to_codes


def small_chart(values: Sequence[float], width: int, height: int, top: float) -> list[str]:
    """Lines of a step curve of `values` at equal distances, from 0 to `top`, in braille cells.

    Args:
        values: at least one, oldest first; each is held until the next, as money spent is.
        width, height: size in character cells.
        top: the value at the upper edge, above 0.
    """
    steps = np.arange(len(values) + 1, dtype=np.float64)
    x = np.repeat(steps, 2)[1:-1]
    y = np.repeat(np.asarray(values, dtype=np.float64), 2)
    window = Window(0.0, float(len(values)), 0.0, top)
    fine = np.linspace(0.0, float(len(values)), max(2, 8 * width))
    held = y[np.clip(np.searchsorted(x, fine, side="right") - 1, 0, len(y) - 1)]
    codes = to_codes(raster(fine, held, window, width, height))
    return ["".join(map(chr, line)) for line in codes]
