"""What the chart shows beyond the line: stable bins, crosshair, difference, attempts, marks, files."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.chart.difference import Comparison, moving_interval
from tui.chart.paint import Pen, picture
from tui.chart.plot import column_of, measure
from tui.chart.raster import anchored, curve_bounds
from tui.chart.save import CSV_HEAD, SaveError, plain, points_csv, save
from tui.chart.series import Series
from tui.chart.view import CurveLine, View, value_at

values = st.floats(-1e6, 1e6, allow_nan=False, width=32)


def line(data, name="run", arm="", color=0, start=0, **more) -> CurveLine:
    series = Series("loss", 0.8)
    for step, value in enumerate(data, start):
        series.append(step, value, float(step), tokens=10.0 * step)
    return CurveLine(series, name, color, arm, 1_700_000_000_000, **more)


def drawn(lines, view=None, pen=None, width=80, height=20) -> list[str]:
    return plain(picture(tuple(lines), view or View(), width, height, pen=pen or Pen())).split("\n")


@settings(deadline=None)
@given(st.lists(values, min_size=2, max_size=300), values, st.integers(10, 120))
def test_an_appended_point_changes_the_last_column_only(data, new, columns) -> None:
    """While the axis keeps its bin width; a doubling of the width joins whole columns."""
    x = np.arange(len(data) + 1, dtype=float)
    y = np.array([*data, new])
    before = anchored(0.0, x[-2], columns)
    after = anchored(0.0, x[-1], columns)
    if before.bin != after.bin or before.first != after.first:
        ratio = after.bin / before.bin
        assert ratio >= 1
        return
    old = curve_bounds(x[:-1], y[:-1], before, columns)
    now = curve_bounds(x, y, after, columns)
    touched = int((x[-2] - after.x0) / after.bin)
    for a, b in zip(old, now, strict=True):
        np.testing.assert_array_equal(a[:touched], b[:touched])


def test_the_interval_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    data = np.random.default_rng(3).normal(-0.4, 0.3, 400)
    mean, low, high = moving_interval(data, 20)
    for at in (19, 100, 399):
        part = data[at - 19 : at + 1]
        want = stats.t.interval(0.95, 19, part.mean(), stats.sem(part))
        np.testing.assert_allclose((low[at], high[at]), want, rtol=2e-3)
        assert mean[at] == pytest.approx(part.mean())


def test_the_difference_grows_like_one_computed_anew() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(3, 0.2, 300), rng.normal(2.5, 0.2, 300)
    control, experiment = Series("c"), Series("e")
    grown = Comparison(control, experiment)
    for step in range(300):
        control.append(step, a[step])
        if step % 3:
            experiment.append(step, b[step])
        if step % 7 == 0:
            grown.update(experiment.x)
    ours = grown.update(experiment.x)
    anew = Comparison(control, experiment).update(experiment.x)
    assert ours is not None
    assert anew is not None
    steps = [s for s in range(300) if s % 3]
    np.testing.assert_allclose(ours.value, [b[s] - a[s] for s in steps])
    for one, two in ((ours.mean, anew.mean), (ours.low, anew.low), (ours.high, anew.high)):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_the_crosshair_reads_both_runs_and_their_difference() -> None:
    control = line([4.0, 3.0, 2.0], "control", "control")
    experiment = line([4.0, 2.0, 1.0], "experiment", "experiment", 1)
    head = drawn([control, experiment], View(weight=0.0, cross=1.0), width=110)[1]
    assert "step 1" in head
    assert "A control 3" in head
    assert "B experiment 2" in head
    assert "B - A = -1 (-33.3 %)" in head
    assert value_at(control.series.x, control.series.y, 0.5) == 3.5
    assert value_at(control.series.x, control.series.y, 7.0) is None


def test_a_restart_dims_the_old_branch_and_marks_the_place() -> None:
    one = line([5.0, 4.0, 3.0, 2.0])
    one.series.append(1, 4.5, 9.0)
    one.series.append(2, 4.4, 10.0)
    assert one.series.rewinds == 1
    assert one.series.branches[0].y.tolist() == [4.0, 3.0, 2.0]
    roles = {role for row in picture((one,), View(), 80, 20) for text, role in row if text.strip()}
    assert "old-0" in roles
    assert any("↺" in row for row in drawn([one]))


def test_what_is_no_number_is_marked_and_leaves_a_gap() -> None:
    data = [3.0] * 40
    data[20], data[25] = math.nan, math.inf
    rows = drawn([line(data)], View(weight=0.0))
    assert any("×" in row for row in rows)
    assert any("▲" in row for row in rows)
    assert "nan" in rows[0].lower() or "2 not finite" in rows[0] or "NaN" in rows[0]


def test_robust_fit_marks_what_lies_off_the_scale() -> None:
    data = [1.0 + 0.01 * (i % 7) for i in range(400)]
    data[200] = 1e6
    everything = measure((line(data),), View(weight=0.0), 60)
    fitted = measure((line(data),), View(weight=0.0, robust=True), 60)
    assert everything is not None
    assert fitted is not None
    assert everything.window.y1 >= 1e6
    assert fitted.window.y1 < 10
    assert [m.kind for m in fitted.marks] == ["above"]


def test_a_link_that_was_down_is_a_band() -> None:
    one = line([3.0] * 100, outages=((40.0, 60.0),))
    plot = measure((one,), View(), 60)
    assert plot is not None
    first, last = plot.bands[0]
    assert (first, last) == tuple(column_of(plot.window, 120, x) for x in (40.0, 60.0))
    assert "link down" in drawn([one])[0]


@pytest.mark.parametrize(
    ("axis", "last"), [("step", 9.0), ("relative", 9.0), ("samples", 72.0), ("tokens", 90.0)]
)
def test_axes(axis, last) -> None:
    one = line([1.0] * 10, samples_per_step=8)
    assert one.positions(axis)[-1] == last
    assert len(drawn([one], View(axis=axis))) == 20


def test_an_axis_that_no_run_knows_is_said() -> None:
    assert "tell no samples" in drawn([line([1.0, 2.0])], View(axis="samples"))[0]


@pytest.mark.parametrize("log_y", [False, True])
def test_ascii_holds_no_other_character(log_y) -> None:
    data = [5.0, 4.0, math.nan, 0.0, 3.0, 2.0, 1.0, 0.5]
    pair = [line(data, "control", "control"), line(data[::-1], "experiment", "experiment", 1)]
    view = View(log_y=log_y, difference=True, cross=3.0, robust=True)
    rows = drawn(pair, view, Pen(ascii=True))
    assert all(ord(c) < 128 for row in rows for c in row)
    assert any("A" in row[8:] for row in rows[2:])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(width=64), max_size=40), st.integers(1, 200), st.integers(1, 60),
    st.sampled_from(["step", "relative", "wall", "tokens"]), st.booleans(), st.booleans(),
)  # fmt: skip
def test_any_curve_fits_its_cells(data, width, height, axis, log_y, robust) -> None:
    lines = [line(data), line(data[::-1], "b", color=1)]
    view = View(axis=axis, log_y=log_y, robust=robust, difference=True, cross=3.0)
    rows = picture(tuple(lines), view, width, height)
    assert len(rows) <= max(1, height)
    for row in rows[-2:] if len(rows) > 3 else ():
        assert sum(len(text) for text, _ in row) <= max(width, 16)


@given(st.lists(st.floats(allow_nan=True, width=64), min_size=1, max_size=30))
def test_points_read_back_exactly(data) -> None:
    rows = list(csv.DictReader(io.StringIO(points_csv((line(data, "=evil()"),)))))
    assert tuple(rows[0]) == CSV_HEAD
    back = [float(row["value"]) for row in rows]
    kept = [
        0.0 if abs(v) < 1e-300 else math.copysign(math.inf, v) if abs(v) > 1e300 else v
        for v in data
    ]
    np.testing.assert_array_equal(back, kept)
    assert rows[0]["run"] == "'=evil()"


def test_files(tmp_path: Path) -> None:
    lines, view = (line([3.0, 2.0, 1.0], "<b>&"),), View()
    rows = picture(lines, view, 80, 20)
    save(tmp_path / "x/a.svg", lines, view, rows, "loss")
    svg = (tmp_path / "x/a.svg").read_text()
    assert svg.startswith("<svg")
    assert "&lt;b&gt;&amp;" in svg.replace("&#60;", "&lt;").replace("&#62;", "&gt;")
    assert "@font-face" not in svg
    assert "url(http" not in svg
    for name in ("a.exe", "noformat"):
        with pytest.raises(SaveError, match="End the name"):
            save(tmp_path / name, lines, view, rows, "loss")
    with pytest.raises(SaveError, match="no point"):
        save(tmp_path / "a.csv", (line([]),), view, rows, "loss")
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="cannot be written"):
        save(tmp_path / "file/a.csv", lines, view, rows, "loss")


def test_the_command_draws_in_a_pipe_and_names_what_is_unknown(tmp_path: Path) -> None:
    from tui.roadmap.workspace import Workspace

    ws = Workspace.create(tmp_path / "ws", title="T")
    job = ws.root / "runs/tower/train-control-20260101-000000-abcd"
    job.mkdir(parents=True)
    lines = ['{"v":1,"kind":"start","t":1767225600000,"name":"c","arm":"control","seed":1}']
    lines += [
        f'{{"v":1,"kind":"point","t":{1767225600000 + 1000 * s},"step":{s},"loss":{5 - s / 10}}}'
        for s in range(1, 31)
    ]
    (job / "run.jsonl").write_text("\n".join(lines) + "\n")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tui.cli", "-C", str(ws.root), "curve", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("--width", "60", "--height", "14")
    assert done.returncode == 0
    assert "train loss" in done.stdout
    assert "\x1b" not in done.stdout
    assert run("nobody").returncode == 1
    assert "known: train-control" in run("nobody").stderr
    assert run("control", "--csv", str(tmp_path / "p.csv")).returncode == 0
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 31
