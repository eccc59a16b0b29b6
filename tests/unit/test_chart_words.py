"""The words above the chart: they fit, name what they can, and say no number that is not there."""

from __future__ import annotations

import math
import random
from pathlib import Path
from xml.dom import minidom

import pytest
from rich.cells import cell_len

from tests.unit.test_chart_proofs import some_line
from tui.chart.axes import label
from tui.chart.fitting import clipped
from tui.chart.paint import Pen, picture
from tui.chart.save import plain, save
from tui.chart.series import Series
from tui.chart.view import CurveLine, View
from tui.tail import clean

NAMES = (
    "control",
    "r" * 60,
    "名前" * 30,
    "a\u0301" * 30,
    "é🎉" * 20,
    "$\\frac{a}$",
    "<b>&\"'",
    "[red]x",
)


def runs(count: int, name: str = "qlora-llama3-seed-{}", arm: str = "") -> tuple[CurveLine, ...]:
    made = []
    for number in range(count):
        series = Series("loss", 0.0)
        series.extend((step, 2.0 + number + 0.1 * math.sin(step)) for step in range(60))
        made.append(CurveLine(series, name.format(number), number, arm, 1_767_225_600_000))
    return tuple(made)


def drawn(
    lines: tuple[CurveLine, ...], view: View, width: int, plain_pen: bool = False
) -> list[str]:
    return plain(picture(lines, view, width, 24, title="loss", pen=Pen(plain_pen))).split("\n")


def test_no_row_is_wider_than_the_chart() -> None:
    for seed in range(150):
        rng = random.Random(seed)
        lines = tuple(
            CurveLine(line.series, rng.choice(NAMES), n, line.arm, line.origin_ms)
            for n, line in enumerate(
                some_line(rng, n) for n in range(rng.choice((1, 2, 3, 12, 30)))
            )
        )
        view = View(cross=20.0, difference=True, log_y=rng.random() < 0.5)
        width = rng.randint(30, 200)
        for row in drawn(lines, view, width, rng.random() < 0.5):
            assert cell_len(row) <= width, (seed, width, row)


def test_twelve_runs_leave_room_for_how_they_are_looked_at() -> None:
    view = View(cross=30.0, zoom=(10.0, 50.0), log_y=True, weight=0.0)
    head, reading, *_ = drawn(runs(12), view, 112)
    assert head.endswith("  log raw zoomed")
    shown = [letter for letter in "ABCDEFGHIJKL" if f" {letter} q" in head]
    assert len(shown) == 12
    assert "…0" in head  # the ends of the names tell the runs apart
    assert "+8 more  log raw zoomed" in drawn(runs(12), view, 64)[0]
    assert "log y  raw  zoomed (f shows all)" in drawn(runs(2), view, 80)[0]
    assert reading.endswith("  +2 more   B - A = +1")
    head, reading, *_ = drawn(runs(2), view, 150)
    assert "A ── qlora-llama3-seed-0 2" in head
    assert "A qlora-llama3-seed-0 " in reading
    assert "B - A = +1 (+" in reading


@pytest.mark.parametrize("room", range(0, 30))
def test_a_clipped_name_fits_and_keeps_its_end(room: int) -> None:
    for name in NAMES:
        assert cell_len(clipped(name, room)) <= room
    if room >= 4:
        assert clipped("control-seed-17", room).endswith("7")


def test_the_difference_is_named_after_the_curves_it_is_of() -> None:
    rows = drawn(runs(2), View(difference=True), 100)
    assert any(row.startswith(" B - A  +1") for row in rows)
    control, experiment = runs(2)
    pair = (CurveLine(control.series, "c", 0, "control"),
            CurveLine(experiment.series, "e", 1, "experiment"))  # fmt: skip
    assert any(
        row.startswith(" experiment - control  +1")
        for row in drawn(pair, View(difference=True), 100)
    )


@pytest.mark.parametrize(
    ("first", "second", "part"),
    [(1e-300, 1e300, "B - A = +1e300"), (2.0, 1.0, "(-50.0 %)"), (-2.0, -1.0, "(+50.0 %)"),
     (0.0, 3.0, "B - A = +3"), (1e-13, 2e-13, "A r 1e-13"), (1e-100, 1.0, "B - A = +1")],
)  # fmt: skip
def test_the_crosshair_says_the_values_and_no_endless_percentage(
    first: float, second: float, part: str
) -> None:
    pair = []
    for value in (first, second):
        series = Series("loss", 0.0)
        series.extend([(0, value), (1, value)])
        pair.append(CurveLine(series, "r", 0))
    row = drawn(tuple(pair), View(cross=1.0, weight=0.0), 100)[1]
    assert part in row
    assert "inf" not in row
    assert len(row) < 70


def test_a_small_value_is_not_called_zero() -> None:
    assert label(0.0) == label(-0.0) == "0"
    assert label(3e-13) == "3e-13"
    assert label(-1e-300) == "-1e-300"


def test_a_range_without_points_says_how_to_leave_it() -> None:
    rows = drawn(runs(1), View(zoom=(500.0, 600.0)), 80)
    assert rows == [" loss: nothing to draw here, f shows all"]


@pytest.mark.parametrize(
    "raw", ["run \ud800", "run \uffff", "\u202egnp.exe", "a\u2028b", "_x $y$ 名" * 9]
)
def test_any_name_of_a_run_can_be_saved(raw: str, tmp_path: Path) -> None:
    """JSON may hold half a surrogate pair, which no file takes, and what XML has no room for."""
    series = Series("loss", 0.0)
    series.extend([(0, 1.0), (1, 2.0)])
    lines = (CurveLine(series, clean(raw), 0),)
    rows = picture(lines, View(), 100, 20, title="loss")
    for kind in ("svg", "csv", "txt"):
        assert save(tmp_path / f"x.{kind}", lines, View(), rows, "loss")
    minidom.parse(str(tmp_path / "x.svg"))  # noqa: S318 (our own file)
    assert not {"\u202e", "\u2028"} & set((tmp_path / "x.csv").read_text("utf-8"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("log_y", [False, True])
def test_png_takes_what_has_no_logarithm_no_glyph_and_no_length(
    log_y: bool, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    for number, values in enumerate(([math.nan] * 3, [1.0], [-1.0, -2.0], [1e-300, 1e300, -1e300])):
        series = Series("loss", 0.0)
        series.extend(enumerate(values))
        lines, view = (CurveLine(series, "名 $x", 0, "", 0),), View(axis="wall", log_y=log_y)
        rows = picture(lines, view, 80, 20, title="loss")
        path = tmp_path / f"{number}.png"
        save(path, lines, view, rows, "loss")
        assert path.read_bytes().startswith(b"\x89PNG")
