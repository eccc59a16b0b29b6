"""Lines in a narrow terminal: what has no room is left out as a whole, what matters most stays."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from itertools import combinations
from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from agents import JobState, JobStatus, LinkDown
from tui import rows, vocabulary
from tui.account_rows import metric_head, metric_row
from tui.job_rows import JobFigures, figures_row, head_row, job_figures
from tui.lights import Light, TunnelView, look
from tui.live import RunView
from tui.overview_model import attention_block, mlflow_line
from tui.theme import DARK, LIGHT
from tui.widgets.curve import Curve
from tui.widgets.gauges import GaugeModel, panel_lines
from tui.widgets.hint import packed
from tui.widgets.status_header import HeaderModel, header_lines
from tui.words import counted

ID = "control-s0-20260101-000000-abcd"


def job(state: JobState = JobState.running, **more: object) -> JobStatus:
    began = int(time.time() * 1000) - 164_000
    return JobStatus(ID, "demo-control", state, started_ms=began, **more)  # type: ignore[arg-type]


def run(tmp_path: Path, *points: str) -> RunView:
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join(points) + "\n")
    view = RunView("tower", ID, path)
    view.read()
    return view


@pytest.mark.parametrize("plain", [False, True])
def test_a_job_row_leaves_out_whole_facts_and_never_half_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool
) -> None:
    monkeypatch.setattr(vocabulary, "marks", vocabulary.ASCII if plain else vocabulary.UNICODE)
    view = run(
        tmp_path,
        '{"v":1,"kind":"start","t":1,"max_steps":1500}',
        '{"v":1,"kind":"point","t":9,"step":240,"loss":4.672,"seconds":240.0}',
    )
    told = "last point 52s ago, link down"
    for width in range(58, 130):
        line = rows.job_row("tower", job(), view).draw(width)
        assert line.cell_length == width
        assert "step 240/1500" in line.plain, width
        assert "ETA 21m" in line.plain or width < 76, width
        assert ("loss" not in line.plain) or "loss 4.672" in line.plain
        lost = rows.job_row("tower", job(JobState.unknown, detail=told), view).draw(width).plain
        assert "step 240/1500" in lost
    assert "last point" in lost


def test_the_table_of_jobs_leaves_out_whole_columns(tmp_path: Path) -> None:
    figures = JobFigures(
        "tower", ID, "demo-control-of-a-long-name", "running", "process", 240, 1500, 856.0, 817.0,
        Decimal("12.345"), Decimal("1.23"), True, 100.0,
    )  # fmt: skip
    for width in range(58, 200):
        head, line = head_row().draw(width), figures_row(figures).draw(width)
        assert head.cell_length <= width
        assert line.cell_length == head.cell_length
        names = head.plain.split()
        assert {"name", "host", "state", "step", "ETA", "age"} <= set(names)
        assert ("~12.3 " in line.plain) == ("kWh" in names)
    assert figures.name in figures_row(figures).draw(120).plain
    other = run(tmp_path, '{"v":1,"kind":"start","t":1,"name":"generate"}')
    shown = job_figures("tower", job(), other, None, None, 61_000)
    assert shown.step is None  # a job without steps has no "0/?" of them


def test_a_hint_breaks_between_its_entries() -> None:
    hint = "enter draw, take away   / search   R running only   o browser   esc back"
    for width in range(22, 80):
        lines = packed(hint, width)
        assert "   ".join(lines) == hint
        assert all(len(line) <= width for line in lines)
    assert packed("a word\nother", 4) == ["a", "word", "othe", "r"]


def test_the_overview_does_not_call_a_lost_host_nothing() -> None:
    (line,) = attention_block(()).lines
    assert "".join(text for text, _ in line.parts) == "nothing in the plan"


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_header_names_the_screen_at_every_width(width: int) -> None:
    model = HeaderModel(
        "AI Training Demo", "Overview", 8, 270, "not reached", "$0.00", "$269", False
    )
    assert "Overview" in header_lines(model, width - 2).plain
    assert ("AI Training Demo" in header_lines(model, width - 2).plain) == (width > 60)


def test_a_metric_keeps_its_improvement_in_a_narrow_terminal() -> None:
    for width in range(58, 130):
        head = metric_head().draw(width).plain
        line = metric_row("f1", "F1 Score", ("71.25%", "80.50%", "+12.98%"), None, "hand").draw(
            width
        )
        assert "Improve" in head
        assert head.rstrip().endswith("source") == (width >= 76)
        assert "+12.98%" in line.plain
        assert line.cell_length == width


def test_the_next_step_for_mlflow_stands_before_a_long_reason() -> None:
    why = "nothing answers on port 49543: [Errno 111] Connect call failed ('127.0.0.1', 49543)"
    tunnel = TunnelView("server", "http://127.0.0.1:5000", (Light("socket", False, why),))
    assert "M starts it" in mlflow_line("server", tunnel, True).text[:30]


def test_one_thing_is_no_plural() -> None:
    assert [counted(n, "box", "boxes") for n in (0, 1, 2)] == ["0 boxes", "1 box", "2 boxes"]
    assert counted(1, "row") == "1 row"
    assert counted(12, "row") == "12 rows"


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_no_two_of_four_curves_have_nearly_one_colour(theme: Theme) -> None:
    names = re.findall(r"curve--line-\d \{ color: \$(\w+)", Curve.DEFAULT_CSS)
    assert len(names) == 4
    colours = [Color.parse(str(getattr(theme, name))) for name in names]
    for a, b in combinations(colours, 2):
        far = sum((x - y) ** 2 for x, y in zip(a.rgb, b.rgb, strict=True)) ** 0.5
        assert far > 60, (a, b)


async def test_why_a_service_is_away_stands_without_an_error_number() -> None:
    class Gone:
        async def open_connection(self, port: int) -> tuple[object, object]:
            raise LinkDown(f"nothing answers on port {port}: [Errno 111] Connect call failed")

    class Aim:
        remote_port = 5000

    (socket, *_) = await look(Gone(), Aim())  # type: ignore[arg-type]
    assert (socket.ok, socket.text) == (False, "nothing answers on port 5000")
    tunnel = TunnelView("server", "http://127.0.0.1:5000", (socket,))
    model = GaugeModel("server", "server", "live", "", 0, False, tunnel=tunnel)
    assert "nothing answers on port 5000   M starts it" in panel_lines(model, 120)[0].plain
