"""What a person met who went through the screens at every size: Live, Jobs, dialogs, help, monochrome."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

import pytest
from textual.widgets import Label, OptionList, Static

from agents import JobState, JobStatus
from tests.ui.conftest import until
from tui import rows, vocabulary
from tui.app import GonogoApp
from tui.job_rows import JobFigures, figures_row, head_row, job_figures
from tui.live import RunView
from tui.overview_model import attention_block
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import ChoiceScreen
from tui.screens.help import HelpScreen
from tui.screens.live import LiveScreen
from tui.screens.log import LogScreen
from tui.screens.train import PlanScreen, TrainScreen
from tui.widgets.curve import Curve
from tui.widgets.hint import packed
from tui.widgets.row_list import RowList
from tui.widgets.status_header import StatusHeader

ID = "control-s0-20260101-000000-abcd"
AWAY = '[hosts.tower]\nssh = "127.0.0.1"\nport = 1\n[hosts.server]\nssh = "127.0.0.1"\nport = 1\n'


@pytest.fixture
def away(tmp_path: Path) -> Workspace:
    """Two hosts that nobody reaches, and a mirrored run of one of them."""
    ws = Workspace.create(tmp_path / "ws", settings_text=AWAY)
    now = int(time.time() * 1000)
    folder = ws.runs_dir / "tower" / ID
    folder.mkdir(parents=True)
    points = "".join(
        f'{{"v":1,"kind":"point","t":{now - 600_000 + n * 1000},"step":{n},"loss":{5 - n / 100}}}\n'
        for n in range(1, 241)
    )
    (folder / "run.jsonl").write_text(
        f'{{"v":1,"kind":"start","t":{now - 600_000},"name":"control","max_steps":1500}}\n{points}'
    )
    (folder / "log.txt").write_text("step 1\n")
    return ws


def screen_text(app: GonogoApp) -> list[str]:
    """The screen as it is seen."""
    app.screen.refresh()
    width, height = app.size
    return [
        "".join(segment.text for segment in app.screen._compositor.render_strips()[y])[:width]
        for y in range(height)
    ]


async def test_live_keeps_to_the_rules_of_all_rooms(
    away: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = GonogoApp(away)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("5")
        assert isinstance(app.screen, LiveScreen)
        assert not app.screen.query_one("#banner").display
        assert app.screen.query_one("#gauges").region.y == 2
        banner = app.screen.query_one("#banner")
        monkeypatch.setattr(GonogoApp, "banner", "Not saved: no space left")
        app.screen.update_header()
        await pilot.pause()
        assert banner.region.height == 1
        assert banner.styles.background.a == 1
        monkeypatch.setattr(GonogoApp, "banner", "")
        app.screen.update_header()
        await pilot.resize_terminal(50, 12)
        await until(pilot, lambda: app.screen.has_class("-too-small"), 5, "it is too small")
        await pilot.pause()
        assert app.screen.query_one("#too-small", Static).display
        assert not app.screen.query_one(StatusHeader).display


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 36)])
async def test_chart_axis_and_jobs_of_live_are_in_view(
    away: Workspace, size: tuple[int, int]
) -> None:
    app = GonogoApp(away)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("5")
        jobs, curve = app.screen.query_one("#jobs", RowList), app.screen.query_one("#curve", Curve)
        await until(pilot, lambda: jobs.rows and curve.lines, 20, "the mirrored run")
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: app.size == size, 5, "the size")
        keys = app.screen.query_one("KeyBar").region
        await until(pilot, lambda: jobs.region.bottom <= keys.y, 5, "jobs above the keys")
        assert jobs.size.height >= 2
        assert curve.region.bottom <= jobs.region.y
        shown = [text for row in curve.rows() for text, _ in row]
        assert any("step" in text for text in shown)
        assert len(curve.rows()) <= curve.size.height
        for panel in app.screen.query("GaugePanel"):
            assert app.screen.query_one("#gauges").region.contains_region(panel.region)
        await pilot.resize_terminal(120, 36)
        await until(
            pilot, lambda: app.screen.query("GaugePanel").first().size.height == 2, 5, "all"
        )


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


async def test_the_keys_of_a_log_stay_whole_beside_its_count(away: Workspace) -> None:
    app = GonogoApp(away)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("8")
        table = app.screen.query_one("#job-table", RowList)
        await until(pilot, lambda: table.key, 20, "the mirrored run")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LogScreen), 5, "the log")
        await pilot.press("slash", *"step", "enter")
        hint = app.screen.query_one("#log-hint", Label)
        await until(pilot, lambda: "1 of 1" in str(hint.content), 5, "the count")
        await pilot.pause()
        seen = screen_text(app)
        assert any("esc back" in line for line in seen), seen
        assert hint.region.height == 2


async def test_the_plan_says_that_the_host_is_away_in_the_words_of_the_header(
    away: Workspace,
) -> None:
    app = GonogoApp(away)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        view = app.fleet.store.hosts["tower"]
        await until(pilot, lambda: view.state == "backoff", 20, "the link is lost")
        await pilot.press("5", "t")
        await until(pilot, lambda: isinstance(app.screen, TrainScreen), 5, "the wizard")
        app.screen.query_one("#in-model").value = "~/model"  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen), 10, "the plan")
        text = str(app.screen.query_one("VerticalScroll Static", Static).content)
        assert "tower is DOWN: " in text
        assert "backoff" not in text
        assert "name a folder of that host" not in text
        assert "connect first: r tries again" in text


async def test_a_list_of_choices_begins_at_the_present_one(away: Workspace) -> None:
    app = GonogoApp(away)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("5", "m", "m", "comma")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 5, "the metrics")
        assert app.screen.query_one(OptionList).highlighted == 2
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen), 5, "back")
        assert app.screen.metric == "learning_rate"  # type: ignore[attr-defined]


async def test_the_cursor_is_more_than_a_shade_without_colours(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        boxes = app.screen.query_one("#boxes", RowList)
        await pilot.press("down")
        strip = boxes.render_line(boxes.cursor - boxes.scroll_offset.y)
        assert any(segment.style and segment.style.reverse for segment in strip)
        other = boxes.render_line(boxes.cursor - boxes.scroll_offset.y + 1)
        assert not any(segment.style and segment.style.reverse for segment in other)


def test_the_overview_does_not_call_a_lost_host_nothing() -> None:
    (line,) = attention_block(()).lines
    assert "".join(text for text, _ in line.parts) == "nothing in the plan"


async def test_help_says_what_each_verdict_and_each_key_of_the_chart_means(
    workspace: Workspace,
) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("5", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), 5, "help")
        drawn = [row.draw(110).plain.strip() for row in app.screen.query_one("#help", RowList).rows]
        for word, _ in vocabulary.VERDICTS.values():
            assert any(line.startswith(word) for line in drawn), word
        told = {line[:13].strip(): line[13:] for line in drawn}
        for key in ("l", "x", "y", "c", "d", "space", "M"):
            assert len(told[key].split()) > 2, told[key]
            assert not told[key][:1].isupper() or told[key][:2].isupper(), told[key]
