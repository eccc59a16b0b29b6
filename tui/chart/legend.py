"""The chart's words: which curve is which, what the crosshair reads, what the difference means."""

from __future__ import annotations

import math

from tui.chart.axes import clock, duration, label
from tui.chart.difference import Difference
from tui.chart.fitting import Entry, Run, clipped, fitted
from tui.chart.plot import Plot, color_role
from tui.chart.view import AXIS_NAMES, LETTERS, CurveLine, View, pair_of, value_at


def legend(
    lines: tuple[CurveLine, ...], view: View, title: str, plot: Plot, plain: bool, width: int
) -> list[Run]:
    """Title, every curve with its letter, newest value and troubles, and how it is looked at."""
    entries: list[Entry] = []
    shown = [(i, line) for i, line in enumerate(lines) if len(line.series)]
    for index, line in shown:
        series = line.series
        last = label(float(series.smooth[-1] if view.weight else series.y[-1]))
        letter = f"{LETTERS[index % 26]} " if len(shown) > 1 else ""
        sign = "--" if plain else "──"
        facts = []
        if series.rewinds:
            facts.append(f"attempt {series.rewinds + 1}")
        if series.bad:
            facts.append(f"{series.bad} NaN/Inf")
        if index in plot.floored:
            facts.append(
                f"{plot.floored[index]} ≤ 0" if not plain else f"{plot.floored[index]} <= 0"
            )
        forms = (f"  {letter}{sign} {{}} {last}", f" {letter}{{}} {last}", f" {letter}{{}}")
        marks = f" {', '.join(facts)}" if facts else ""
        entries.append(Entry(line.name, forms, color_role("line", line), marks))
    down = bool(plot.bands)
    modes = [
        "log y" if view.log_y else "",
        f"smooth {view.weight:g}" if view.weight else "raw",
        "robust y" if view.robust else "",
        "dots: link down" if down else "",
        ("zoomed, following" if view.tail else "zoomed (f shows all)") if view.zoom else "",
    ]
    short = [
        "log" if view.log_y else "",
        f"{view.weight:g}" if view.weight else "raw",
        "robust" if view.robust else "",
        "down" if down else "",
        "zoomed" if view.zoom else "",
    ]
    tails = [("   " + "  ".join(filter(None, modes)), "note"),
             ("  " + " ".join(filter(None, short)), "note")]  # fmt: skip
    return fitted((f" {title} ", "title"), entries, tails, width, "..." if plain else "…")


def position(value: float, axis: str) -> str:
    """A place on the x axis, exact enough to be typed again."""
    if axis == "relative":
        return duration(value)
    if axis == "wall":
        return clock(value, 1.0)
    return f"{value:,.0f}" if value == round(value) else label(value)


def readout(lines: tuple[CurveLine, ...], view: View, plain: bool, width: int) -> list[Run]:
    """Under the crosshair: each curve, smoothed and raw, and the second of the pair minus the first."""
    at = view.cross
    if at is None:
        return []
    entries: list[Entry] = []
    tails: list[Run] = []
    values: dict[int, float] = {}
    for index, line in enumerate(lines):
        x = line.positions(view.axis)
        raw = value_at(x, line.series.y, at) if len(x) else None
        smooth = value_at(x, line.series.smooth, at) if len(x) else None
        shown = smooth if view.weight else raw
        letter, value = LETTERS[index % 26], "no value" if shown is None else label(shown)
        beside = f" (raw {label(raw)})" if view.weight and raw is not None else ""
        forms = (f"  {letter} {{}} {value}{beside}", f"  {letter} {value}{beside}",
                 f"  {letter} {value}", f" {letter} {'-' if shown is None else value}")  # fmt: skip
        entries.append(Entry(line.name, forms, color_role("line", line)))
        if shown is not None:
            values[id(line)] = shown
    pair = pair_of(lines)
    if pair is not None and all(id(line) in values for line in pair):
        first, second = (values[id(line)] for line in pair)
        a, b = (LETTERS[lines.index(line) % 26] for line in pair)
        apart = second - first
        if abs(apart) < 1e-12 * max(abs(first), abs(second)):  # rounding of the smoothing
            apart = 0.0
        sign = "+" if apart >= 0 else ""
        part = f" ({share:+.1f} %)" if abs(share := _percent(first, second)) < 1e6 else ""
        text = f"   {b} - {a} = {sign}{label(apart)}"
        tails = [(text + part, "difference"), (text, "difference")]
    head = (f" {AXIS_NAMES[view.axis]} {position(at, view.axis)}", "title")
    return fitted(head, entries, tails or [("", "note")], width, "..." if plain else "…")


def _percent(first: float, second: float) -> float:
    """By how much `second` is larger, in percent of `first`; infinite where that says nothing."""
    return 100 * (second / abs(first) - first / abs(first)) if first else math.inf


def difference_line(
    found: Difference | None, lines: tuple[CurveLine, ...], width: int
) -> list[Run]:
    """What the lower panel shows, with the newest figures."""
    if found is None:
        why = " difference: needs two curves with at least five common steps"
        short = " difference: too few common steps"
        return [(clipped(why if len(why) <= width else short, width), "note")]
    pair = pair_of(lines)
    name, short = "experiment - control", "difference"
    if pair is not None and (pair[0].arm, pair[1].arm) != ("control", "experiment"):
        a, b = (LETTERS[lines.index(line) % 26] for line in pair)
        name = short = f"{b} - {a}"
    mean, low, high = (float(part[-1]) for part in (found.mean, found.low, found.high))
    newest = (
        f"{'+' if mean >= 0 else ''}{label(mean)} [{label(low)}, {label(high)}]"
        if mean == mean
        else "no value"
    )
    text = f" {name}  {newest}"
    if len(text) > width:
        text = f" {short}  {newest}"
    how = f"  mean of the last {found.window} common steps, 95 % t interval"
    return [(clipped(text, width), "difference"), (how if len(text + how) <= width else "", "note")]
