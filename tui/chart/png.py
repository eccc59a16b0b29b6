"""A chart drawn anew by matplotlib, for a document."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from tui.chart.axes import clock, duration
from tui.chart.ema import FloatArray
from tui.chart.view import AXIS_NAMES, CurveLine, View, extent

COLORS = ("#1f77b4", "#b8860b", "#2ca02c", "#d62728")


def picture_png(lines: tuple[CurveLine, ...], view: View, title: str) -> bytes:
    """The curves in 1600 x 900 dots: raw thin, smoothed thick, abandoned branches dotted.

    Raises ImportError without matplotlib.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a letter without a glyph, a scale at the ends of numbers
        return _drawn(lines, view, title)


def _drawn(lines: tuple[CurveLine, ...], view: View, title: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(16, 9), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    positive = False

    def plot(x: FloatArray, y: FloatArray, color: str, style: str = "-", **how: Any) -> None:
        nonlocal positive
        positive = positive or bool((y[np.isfinite(y)] > 0).any())
        # A single point has no line.
        axes.plot(x, y, style if len(x) > 1 else ".", color=color, **how)

    for line in lines:
        x, color = line.positions(view.axis), COLORS[line.color % len(COLORS)]
        if not len(x):
            continue
        for branch in line.series.branches:
            old = line.positions(view.axis, branch)
            if len(old):
                plot(old, branch.y, color, ":", alpha=0.5)
        plot(x, line.series.y, color, linewidth=0.8, alpha=0.4 if view.weight else 1.0)
        if view.weight:
            plot(x, line.series.smooth, color, linewidth=2)
        # The legend leaves out what begins with an underscore and reads $ as mathematics.
        name = line.name.replace("$", r"\$")
        axes.plot([], [], color=color, linewidth=2, label=f" {name}" if name[:1] == "_" else name)
    whole = extent(lines, view.axis)
    if whole is not None:
        low, high = view.visible(whole)
        axes.set_xlim(low, high)
        if view.axis == "wall":
            axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock(at, high - low)))
        elif view.axis == "relative":
            axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: duration(at)))
    if view.log_y and positive:
        axes.set_yscale("log", nonpositive="mask")
    smoothed = f", smoothing {view.weight:g}" if view.weight else ""
    axes.set(xlabel=AXIS_NAMES[view.axis], title=title + smoothed)
    axes.grid(alpha=0.3)
    axes.legend()
    out = io.BytesIO()
    canvas.print_png(out)  # type: ignore[no-untyped-call]
    return out.getvalue()
