"""The chart's numbers against numpy's on the raw data, and thousands of pictures that stay in their cells."""

from __future__ import annotations

import math
import random
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.test_chart import tensorboard
from tui.chart.axes import label, labels
from tui.chart.difference import moving_interval
from tui.chart.paint import LEFT, Pen, picture
from tui.chart.plot import Plot, measure
from tui.chart.raster import anchored
from tui.chart.series import Series
from tui.chart.view import AXES, CurveLine, View, extent

BAD = (math.nan, math.inf, -math.inf)
EXTREME = (0.0, 1e-300, -1e-300, 1e300, -1e300, 1e-310, 1.7e308, 5.0)


def curve(values: list[float], steps: list[float], seconds: list[float]) -> CurveLine:
    series = Series("loss", 0.8)
    for step, value, t in zip(steps, values, seconds, strict=True):
        series.append(step, value, t, 512.0 * step)
    return CurveLine(series, "run", 0, origin_ms=1_767_225_600_123, samples_per_step=8)


@st.composite
def curves(draw: st.DrawFn) -> CurveLine:
    number = st.one_of(st.floats(-1e6, 1e6), st.sampled_from(BAD), st.sampled_from(EXTREME))
    values = draw(st.lists(number, min_size=1, max_size=120))
    gaps = draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    waits = draw(st.lists(st.floats(0, 30), min_size=len(values), max_size=len(values)))
    start = draw(st.sampled_from([0, 1, 7, 15_000]))
    return curve(values, (start + np.cumsum(gaps)).tolist(), (0.3 + np.cumsum(waits)).tolist())


def bounds_by_numpy(
    plot: Plot, x: np.ndarray, y: np.ndarray, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Minimum and maximum of the raw data by column, one mask a column; NaN where there is none."""
    window, low, high = plot.window, np.full(columns, np.nan), np.full(columns, np.nan)
    for column in range(columns):
        left, right = (window.first + column) * window.bin, (window.first + column + 1) * window.bin
        inside = (x >= left) & ((x <= right) if column == columns - 1 else (x < right))
        inside &= np.isfinite(y) & ((y > 0) if window.log_y else True)
        if inside.any():
            part = np.log10(y[inside]) if window.log_y else y[inside]
            low[column], high[column] = part.min(), part.max()
    return low, high


@settings(deadline=None, max_examples=150)
@given(
    curves(), st.sampled_from(AXES), st.booleans(), st.integers(8, 90),
    st.none() | st.tuples(st.floats(0, 1), st.floats(0.01, 1)),
)  # fmt: skip
def test_every_drawn_column_is_numpys_minimum_and_maximum(
    line: CurveLine, axis: str, log_y: bool, width: int, zoom: tuple[float, float] | None
) -> None:
    whole = extent((line,), axis)
    assert whole is not None
    view = View(axis=axis, log_y=log_y, weight=0.0)
    if zoom is not None:
        view.zoom_at(zoom[1], whole, whole[0] + zoom[0] * (whole[1] - whole[0]))
    plot = measure((line,), view, width)
    x, y = line.positions(axis), line.series.y
    low, high = view.visible(whole)
    usable = np.isfinite(y) & ((y > 0) if log_y else True) & (x >= low) & (x <= high)
    if plot is None:
        assert not usable.any()
        return
    want = bounds_by_numpy(plot, x, y, 2 * width)
    edges = plot.window.edges(2 * width)
    assert edges[0] <= x[usable].min(initial=np.inf)  # nothing that is asked for lies outside
    assert edges[-1] >= x[usable].max(initial=-np.inf)
    for got, expected in zip((plot.layers[0].low, plot.layers[0].high), want, strict=True):
        told = ~np.isnan(expected)
        np.testing.assert_array_equal(got[told], expected[told])
        between = got[~told & ~np.isnan(got)]  # on the line between two points
        logs = np.log10(y[np.isfinite(y) & (y > 0)]) if log_y else y[np.isfinite(y)]
        slack = 1e-9 * (1 + np.abs(logs).max(initial=0.0))
        assert ((between >= logs.min() - slack) & (between <= logs.max() + slack)).all()


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 400))
def test_the_range_that_is_asked_for_lies_in_the_columns(
    low: float, span: float, columns: int
) -> None:
    edges = anchored(low, low + span, columns).edges(columns)
    assert edges[0] <= low
    assert low + span <= edges[-1]


def test_the_first_point_is_drawn_where_its_place_is_no_round_number() -> None:
    edges = anchored(0.3, 8.1, 79).edges(79)  # 3 * 0.1 is more than 0.3
    assert edges[0] <= 0.3


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.one_of(st.floats(-1e3, 1e3), st.sampled_from(BAD)), max_size=300),
    st.sampled_from([0.0, 0.3, 0.6, 0.9, 0.99]), st.integers(1, 200),
)  # fmt: skip
def test_smoothing_in_pieces_is_tensorboards_across_what_is_no_number(
    data: list[float], weight: float, piece: int
) -> None:
    series = Series("loss", weight)
    for first in range(0, len(data), piece):
        part = np.array(data[first : first + piece])
        x = np.arange(first, first + len(part), dtype=float)
        series.extend_columns(x, part, x)
        assert len(series.smooth) == len(series)
    np.testing.assert_allclose(series.smooth, tensorboard(data, weight), rtol=1e-9, atol=1e-9)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-9, 9)), max_size=60), st.integers(1, 20))
def test_steps_that_repeat_or_go_back_start_an_attempt(
    points: list[tuple[int, int]], piece: int
) -> None:
    """Against a list: what a restart repeats is taken off its end."""
    kept: list[tuple[int, int]] = []
    rewinds = 0
    for step, value in points:
        cut = [point for point in kept if point[0] >= step]
        rewinds += bool(cut) and (len(cut) > 1 or cut[0][0] != step)
        kept = [point for point in kept if point[0] < step] + [(step, value)]
    one, many = Series("a"), Series("b")
    one.extend(points)
    for first in range(0, len(points), piece):
        part = points[first : first + piece]
        x, y = (np.array([point[n] for point in part], dtype=float) for n in (0, 1))
        many.extend_columns(x, y, np.zeros(len(part)))
    for series in (one, many):
        assert list(zip(series.x.tolist(), series.y.tolist(), strict=True)) == kept
        assert series.rewinds == rewinds
        want = tensorboard([value for _, value in kept], series.weight)
        np.testing.assert_allclose(series.smooth, want, rtol=1e-9, atol=1e-9)


def test_one_spike_does_not_spoil_the_interval_of_what_follows() -> None:
    data = np.random.default_rng(5).normal(0.2, 0.01, 300)
    data[40] = 1e12
    mean, low, high = moving_interval(data, 20)
    for at in (100, 299):
        part = data[at - 19 : at + 1]
        half = 2.093024 * part.std(ddof=1) / math.sqrt(20)  # t(0.975, 19)
        assert mean[at] == pytest.approx(part.mean(), rel=1e-9)
        assert (high[at] - low[at]) / 2 == pytest.approx(half, rel=2e-3)


@given(st.one_of(st.floats(-1e300, 1e300), st.floats(-1e10, 1e10), st.floats(-1.0, 1.0)))
def test_a_label_has_seven_characters_at_most_and_says_the_number(value: float) -> None:
    text = label(value)
    assert len(text) <= 7
    factor = {"k": 1e3, "M": 1e6}.get(text[-1], 1.0)
    assert float(text.rstrip("kM")) * factor == pytest.approx(value, rel=0.5, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([15_000.0, 15_020.0, 15_040.0], ["15k", "15.02k", "15.04k"]),
        ([12.3401, 12.3402], ["12.3401", "12.3402"]),
        ([0.0, 5000.0, 10_000.0], ["0", "5000", "10k"]),
    ],
)
def test_ticks_beside_each_other_have_names_of_their_own(
    values: list[float], names: list[str]
) -> None:
    assert labels(values) == names


def some_values(rng: random.Random, count: int) -> list[float]:
    kind = rng.randrange(7)
    if kind == 0:
        return [rng.choice((1.5, -3.0, 0.0, 1e300, 1e-300))] * count
    if kind == 1:
        return [rng.choice(BAD) for _ in range(count)]
    if kind == 2:
        return [rng.choice(EXTREME + BAD) for _ in range(count)]
    if kind == 3:
        return [rng.choice((-1, 1)) * 10 ** rng.uniform(-300, 300) for _ in range(count)]
    scale = 10 ** rng.uniform(-6, 6)
    data = [scale * (math.exp(-n / 20) + rng.gauss(0, 0.1)) for n in range(count)]
    return [rng.choice(BAD) if rng.random() < 0.03 else value for value in data]


def some_line(rng: random.Random, number: int) -> CurveLine:
    count, at = (
        rng.choice((0, 1, 2, 5, 40, 200)),
        rng.choice((0, 1, 90, 10_000, 10**9, 10**12 - 300)),
    )
    steps, seconds, now = [], [], rng.choice((0.0, 0.3, 86_400.0))
    for _ in range(count):
        at += -rng.randint(0, 5) if rng.random() < 0.02 else rng.choice((1, 1, 1, 10))
        now += rng.choice((0.0, 0.1, 5.0, 3600.0))
        steps.append(float(max(0, at)))
        seconds.append(now)
    outages = tuple(
        (begin, rng.choice((None, begin + 50))) for begin in (rng.uniform(0, 900),) if rng.random() < 0.3
    )  # fmt: skip
    series = curve(some_values(rng, count), steps, seconds).series
    name, arm = rng.choice(("control", "r" * 60)), rng.choice(("control", "experiment", ""))
    origin, samples = rng.choice((None, 1_767_225_600_000)), rng.choice((None, 8))
    return CurveLine(series, name, number, arm, origin, samples, outages, rng.random() < 0.2)


def one_picture(seed: int) -> None:
    """Draw one and look at its edges."""
    rng = random.Random(seed)
    lines = tuple(some_line(rng, n) for n in range(rng.choice((0, 1, 2, 2, 3, 30))))
    view = View(
        axis=rng.choice(AXES), log_y=rng.random() < 0.4, weight=rng.choice((0.0, 0.6, 0.99)),
        robust=rng.random() < 0.4, difference=rng.random() < 0.5,
    )  # fmt: skip
    for line in lines:
        line.series.resmooth(view.weight)
    whole = extent(lines, view.axis)
    if whole is not None:
        for _ in range(rng.choice((0, 0, 1, 4))):
            view.zoom_at(
                rng.choice((0.5, 2.0, 0.01)), whole, rng.choice((None, rng.uniform(*whole)))
            )
            view.pan(rng.uniform(-1, 1) * (whole[1] - whole[0]), whole)
        view.cross = rng.choice((None, rng.uniform(*whole), whole[0], whole[1]))
    small = rng.random() < 0.5
    width = rng.randint(1, 40) if small else rng.randint(20, 160)
    height = rng.randint(1, 12) if small else rng.randint(5, 50)
    rows = picture(
        lines, view, width, height, title="loss", pen=Pen(rng.random() < 0.3, rng.random() < 0.3)
    )
    assert 1 <= len(rows) <= height
    if len(rows) == 1:
        return
    assert len(rows) == height
    head = 1 + (view.cross is not None)
    for number, row in enumerate(rows[head:], head):
        text = "".join(part for part, _ in row)
        assert "\n" not in text
        if len(text) > LEFT and text[LEFT - 1] in "│┤└|+":
            assert len(text) == width, (number, text)
        assert len(text) <= max(width, 70), (number, text)


@pytest.mark.parametrize("seed", [10_204, 10_237, 10_274, 11_593])
def test_pictures_that_once_failed(seed: int) -> None:
    """A zoom without a width beside a large position; a log axis beyond 1e308; far off a small scale."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one_picture(seed)


@pytest.mark.parametrize("part", range(4))
def test_any_picture_stays_in_its_cells(part: int) -> None:
    for seed in range(part * 150, part * 150 + 150):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning of numpy would be written over the screen
            try:
                one_picture(seed)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error
