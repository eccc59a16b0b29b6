"""Curves: every drawn column is what numpy says, smoothing is TensorBoard's formula."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.chart.axes import duration, label, limits, nice_step, ticks
from tui.chart.raster import Window, column_bounds, raster, to_codes
from tui.chart.series import Series
from tui.curves import Points

values = st.floats(-1e6, 1e6, allow_nan=False, width=32)


def tensorboard(data: list[float], weight: float) -> list[float]:
    """The reference, written from the formula and not from our code."""
    last, count, out = 0.0, 0, []
    for value in data:
        if not math.isfinite(value):
            out.append(value)
            continue
        last = last * weight + (1 - weight) * value
        count += 1
        out.append(last / (1 - weight**count))
    return out


@given(
    st.lists(st.one_of(values, st.just(math.nan)), max_size=60), st.sampled_from([0.0, 0.6, 0.97])
)
def test_smoothing_is_the_debiased_ema(data: list[float], weight: float) -> None:
    series = Series("loss", weight)
    series.extend(enumerate(data))
    np.testing.assert_allclose(series.smooth, tensorboard(data, weight), rtol=1e-6, atol=1e-6)


def test_smoothing_anew_equals_smoothing_while_appending() -> None:
    grown, anew = Series("a", 0.9), Series("b", 0.2)
    data = list(enumerate(np.random.default_rng(1).normal(size=300)))
    grown.extend(data)
    anew.extend(data)
    anew.resmooth(0.9)
    np.testing.assert_array_equal(grown.smooth, anew.smooth)
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        anew.resmooth(1.0)


def test_a_step_that_goes_back_cuts_the_repeated_points() -> None:
    series = Series("loss")
    series.extend([(0, 5.0), (1, 4.0), (2, 3.0), (3, 2.5)])
    series.append(2, 9.0)
    assert series.x.tolist() == [0, 1, 2]
    assert series.y.tolist() == [5.0, 4.0, 9.0]
    assert series.rewinds == 1


@settings(deadline=None)
@given(st.lists(values, min_size=1, max_size=400), st.integers(1, 90))
def test_every_column_holds_the_minimum_and_maximum_of_its_points(
    data: list[float], columns: int
) -> None:
    x, y = np.arange(len(data), dtype=float), np.array(data)
    window = Window(0.0, float(max(1, len(data) - 1)), 0, 1)
    low, high = column_bounds(x, y, window, columns)
    edges = window.x0 + (window.x1 - window.x0) * np.arange(columns + 1) / columns
    home = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, columns - 1)
    for column in range(columns):
        inside = y[home == column]
        if len(inside):
            assert low[column] == inside.min()
            assert high[column] == inside.max()
        else:
            assert np.isnan(low[column])
            assert np.isnan(high[column])


def test_a_nan_is_a_gap_and_never_a_bridge() -> None:
    x = np.arange(9, dtype=float)
    whole = np.linspace(0, 1, 9)
    broken = whole.copy()
    broken[4] = np.nan
    window = Window(0, 8, -0.1, 1.1)
    drawn = raster(x, broken, window, 40, 6).any(axis=0)
    assert (
        raster(x, whole, window, 40, 6).any(axis=0)[2:78].all()
    )  # the control: no gap without a NaN
    assert not drawn[34:46].any()
    assert drawn[:28].all()
    assert drawn[52:].all()


def test_a_log_axis_leaves_out_what_has_no_logarithm() -> None:
    x, y = np.arange(4, dtype=float), np.array([0.0, 1.0, 10.0, 100.0])
    low, high = column_bounds(x, y, Window(0, 3, 0, 2, log_y=True), 4)
    assert np.isnan(low[0])
    assert high[-1] == 2


def test_one_appended_point_leaves_the_earlier_columns_alone() -> None:
    rng = np.random.default_rng(3)
    x, y = np.arange(5000, dtype=float), rng.normal(size=5000)
    window = Window(0, 6000, -4, 4)  # the axis is wider than the data, as while a run goes on
    before = column_bounds(x, y, window, 120)
    after = column_bounds(np.append(x, 5000.0), np.append(y, 3.5), window, 120)
    changed = [
        i for i in range(120) if not np.array_equal(before[1][i : i + 1], after[1][i : i + 1], True)
    ]
    assert changed in ([], [int(5000 / 6000 * 120)])


def test_braille_dots_land_in_their_cells() -> None:
    dots = np.zeros((4, 4), dtype=bool)
    dots[0, 0] = dots[3, 3] = True
    assert "".join(map(chr, to_codes(dots)[0])) == "\u2801\u2880"


def test_limits_ignore_what_is_not_finite_and_never_collapse() -> None:
    assert limits([np.array([np.nan, np.inf])]) is None
    low, high = limits([np.array([2.0, 2.0])]) or (0, 0)
    assert low < 2 < high
    assert limits([np.array([-1.0, 0.0])], log=True) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.4123456, "0.4123"),
        (250, "250"),
        (12500, "12.5k"),
        (2e-4, "2e-4"),
        (3.2e6, "3.2M"),
    ],
)
def test_labels_are_short(value: float, text: str) -> None:
    assert label(value) == text
    assert len(label(value)) <= 7


@given(st.floats(-1e6, 1e6), st.floats(1e-2, 1e9), st.integers(2, 12))
def test_ticks_lie_inside_and_are_few(low: float, span: float, parts: int) -> None:
    marks = ticks(low, low + span, parts)
    assert len(marks) <= parts + 1
    step = nice_step(span, parts)
    assert all(low - step * 1e-6 <= m <= low + span + step * 1e-6 for m in marks)


def test_durations_read_like_a_clock() -> None:
    assert [duration(s) for s in (0, 59, 65, 7500, 100_000)] == [
        "0 s",
        "59 s",
        "1m 05s",
        "2h 05m",
        "1d 3h",
    ]


@pytest.mark.parametrize("seed", range(8))
def test_curves_of_the_same_points_share_their_steps_and_stay_right(seed: int) -> None:
    """Against curves that share nothing: metrics that miss points, start late, restarts, no tokens."""
    rng = random.Random(seed)
    shared, alone = {}, {}
    points, step = Points(), 0
    names = ("loss", "learning_rate", "grad_norm", "tokens_per_s")
    for batch in range(12):
        for _ in range(rng.randint(1, 30)):
            step = rng.randint(0, step) if rng.random() < 0.01 else step + 1
            event: dict[str, object] = {"kind": "point", "step": step, "t": 1000 * step}
            if seed % 2:
                event["tokens"] = 10 * step
            for number, name in enumerate(names):
                often = 1.0 if number < 3 or batch > 4 else 0.9
                if rng.random() < often and not (
                    name == "grad_norm" and batch == 0 and seed % 3 == 0
                ):
                    event[name] = rng.choice([rng.random(), rng.random(), float("nan")])
            points.take(event, 0)
        rows = {k: tuple(list(part) for part in row) for k, row in points._rows.items()}
        points.flush(shared)
        for key, (x, y, t, tokens) in rows.items():
            known = None if np.isnan(tokens).all() else np.nan_to_num(tokens)
            arrays = [np.array(part, dtype=float) for part in (x, y, t)]
            alone.setdefault(key, Series(key)).extend_columns(*arrays, known)
        for key, curve in shared.items():
            other = alone[key]
            for name in ("x", "y", "t", "smooth"):
                np.testing.assert_array_equal(getattr(curve, name), getattr(other, name), key)
            assert (curve.tokens is None) == (other.tokens is None)
            if curve.tokens is not None and other.tokens is not None:
                np.testing.assert_array_equal(curve.tokens, other.tokens)
            assert (curve.bad_at, curve.rewinds) == (other.bad_at, other.rewinds)


def test_curves_of_the_same_points_hold_one_copy_of_their_steps() -> None:
    series: dict[str, Series] = {}
    points = Points()
    for step in range(1000):
        points.take({"step": step, "t": step, "loss": 1.0, "grad_norm": 2.0, "tokens": 4.0}, 0)
        if step % 100 == 99:
            points.flush(series)
    loss, norm = series["loss"], series["grad_norm"]
    assert np.shares_memory(loss.x, norm.x)
    assert len(loss) == len(norm) == 1000
    assert np.shares_memory(loss.t, norm.t)
    assert np.shares_memory(loss.tokens, norm.tokens)
    norm.append(2000, 1.0)
    assert (len(loss), len(norm)) == (1000, 1001)
    assert not np.shares_memory(loss.x, norm.x)
