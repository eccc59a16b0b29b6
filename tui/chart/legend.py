"""The chart's words: which curve is which, what the crosshair reads, what the difference means."""

from __future__ import annotations

from tui.chart.axes import clock, duration, label
from tui.chart.difference import Difference
from tui.chart.plot import Plot, color_role
from tui.chart.view import AXIS_NAMES, LETTERS, CurveLine, View, pair_of, value_at

Run = tuple[str, str]


def legend(
    lines: tuple[CurveLine, ...], view: View, title: str, plot: Plot, plain: bool, width: int
) -> list[Run]:
    """Title, every curve with its letter, newest value and troubles, and how it is looked at."""
    runs: list[Run] = [(f" {title} ", "title")]
    shown = [(i, line) for i, line in enumerate(lines) if len(line.series)]
    for index, line in shown:
        series = line.series
        last = label(float(series.smooth[-1] if view.weight else series.y[-1]))
        letter = f"{LETTERS[index % 26]} " if len(shown) > 1 else ""
        sign = "--" if plain else "──"
        runs.append((f"  {letter}{sign} {line.name} {last}", color_role("line", line)))
        facts = []
        if series.rewinds:
            facts.append(f"attempt {series.rewinds + 1}")
        if series.bad:
            facts.append(f"{series.bad} NaN/Inf")
        if index in plot.floored:
            facts.append(
                f"{plot.floored[index]} ≤ 0" if not plain else f"{plot.floored[index]} <= 0"
            )
        if facts:
            runs.append((f" {', '.join(facts)}", "mark"))
    down = bool(plot.bands)
    modes = [
        "log y" if view.log_y else "",
        f"smooth {view.weight:g}" if view.weight else "raw",
        "robust y" if view.robust else "",
        "dots: link down" if down else "",
        ("zoomed, following" if view.tail else "zoomed (f shows all)") if view.zoom else "",
    ]
    runs.append(("   " + "  ".join(mode for mode in modes if mode), "note"))
    return runs


def position(value: float, axis: str) -> str:
    """A place on the x axis, exact enough to be typed again."""
    if axis == "relative":
        return duration(value)
    if axis == "wall":
        return clock(value, 1.0)
    return f"{value:,.0f}" if value == round(value) else label(value)


def readout(lines: tuple[CurveLine, ...], view: View) -> list[Run]:
    """Under the crosshair: each curve, smoothed and raw, and the second of the pair minus the first."""
    at = view.cross
    if at is None:
        return []
    runs: list[Run] = [(f" {AXIS_NAMES[view.axis]} {position(at, view.axis)}", "title")]
    values: dict[int, float] = {}
    for index, line in enumerate(lines):
        x = line.positions(view.axis)
        raw = value_at(x, line.series.y, at) if len(x) else None
        smooth = value_at(x, line.series.smooth, at) if len(x) else None
        shown = smooth if view.weight else raw
        text = (
            f"  {LETTERS[index % 26]} {line.name} {'no value' if shown is None else label(shown)}"
        )
        if view.weight and raw is not None:
            text += f" (raw {label(raw)})"
        runs.append((text, color_role("line", line)))
        if shown is not None:
            values[id(line)] = shown
    pair = pair_of(lines)
    if pair is not None and all(id(line) in values for line in pair):
        first, second = (values[id(line)] for line in pair)
        a, b = (LETTERS[lines.index(line) % 26] for line in pair)
        part = f" ({100 * (second - first) / abs(first):+.1f} %)" if first else ""
        sign = "+" if second >= first else ""
        runs.append((f"   {b} - {a} = {sign}{label(second - first)}{part}", "difference"))
    return runs


def difference_line(found: Difference | None, width: int) -> list[Run]:
    """What the lower panel shows, with the newest figures."""
    if found is None:
        return [(" difference: needs two curves with at least five common steps", "note")]
    mean, low, high = (float(part[-1]) for part in (found.mean, found.low, found.high))
    newest = (
        f"{'+' if mean >= 0 else ''}{label(mean)} [{label(low)}, {label(high)}]"
        if mean == mean
        else "no value"
    )
    text = f" experiment - control  {newest}"
    how = f"  mean of the last {found.window} common steps, 95 % t interval"
    return [(text, "difference"), (how if len(text + how) <= width else "", "note")]
