"""What a person met who went through the screens at every size: Live, Jobs, dialogs, help, monochrome."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from textual.actions import parse
from textual.pilot import Pilot
from textual.widgets import Label, OptionList, Static

from agents import JobSpec, JobState, JobStatus
from tests.ui.conftest import until
from tui import vocabulary
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import ChoiceScreen, ConfirmScreen, DetailScreen
from tui.screens.help import HelpScreen
from tui.screens.live import LiveScreen
from tui.screens.log import LogScreen
from tui.screens.room import Room
from tui.screens.train import PlanScreen, TrainScreen
from tui.train_plan import Check, TrainPlan
from tui.widgets.curve import Curve
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


async def open_log(app: GonogoApp, pilot: Pilot[None]) -> None:
    """Over the table of jobs to the log of the mirrored run."""
    await until(pilot, lambda: app.arrived, 20, "all is imported")
    await pilot.press("8")
    table = app.screen.query_one("#job-table", RowList)
    await until(pilot, lambda: table.key, 20, "the mirrored run")
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, LogScreen), 5, "the log")


async def test_the_keys_of_a_log_stay_whole_beside_its_count(away: Workspace) -> None:
    app = GonogoApp(away)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_log(app, pilot)
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


async def test_every_key_that_a_screen_names_or_binds_does_something(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(200, 60)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        for room in "012345678":
            await pilot.press(room)
            await pilot.pause()
            screen = app.screen
            assert isinstance(screen, Room)
            bound = screen._bindings.key_to_bindings.values()
            actions = {key.action for key in screen.shown_keys()}
            actions |= {binding.action for bindings in bound for binding in bindings}
            for action in actions:
                place, name, _ = parse(action)
                node = app if place == "app" else screen
                assert hasattr(node, f"action_{name}"), (room, action)


async def test_attention_opens_from_every_screen(workspace: Workspace) -> None:
    workspace.add_cost("S3", "300", "user:ana", "judge", "2026-01-05")
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        for room in "012345678":
            await pilot.press(room, "exclamation_mark")
            await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 5, f"on {room}")
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(app.screen, Room), 5, "back")


async def test_live_does_not_ask_to_stop_what_is_over(away: Workspace) -> None:
    app = GonogoApp(away)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        app.fleet.store.jobs["tower", ID] = JobStatus(ID, "control", JobState.succeeded, code=0)
        await pilot.press("5")
        jobs = app.screen.query_one("#jobs", RowList)
        await until(pilot, lambda: jobs.key, 20, "the job")
        await pilot.press("X")
        told = f"{ID} is over: succeeded."
        await until(pilot, lambda: told in [n.message for n in app._notifications], 5, "told")
        assert isinstance(app.screen, LiveScreen)
        app.fleet.store.jobs["tower", ID] = JobStatus(ID, "control", JobState.running)
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), 5, "it asks")


async def test_a_line_of_a_log_that_is_cut_can_be_read_and_copied_whole(away: Workspace) -> None:
    text = "Traceback: " + "x" * 200 + " needle at the end"
    (away.runs_dir / "tower" / ID / "log.txt").write_text(f"step 1\n{text}\n")
    app = GonogoApp(away)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_log(app, pilot)
        lines = app.screen.query_one("#lines", RowList)
        shown = lines.rows[1].draw(lines.size.width)
        assert shown.cell_length <= lines.size.width
        assert shown.plain.endswith(("…", "."))
        await pilot.press("slash", *"needle", "enter", "y")
        assert app.clipboard == text
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), 5, "the whole line")
        await pilot.pause()
        assert any("needle" in line for line in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LogScreen), 5, "the log again")
        assert lines.cursor == 1


async def test_the_difference_says_where_it_has_no_room(away: Workspace) -> None:
    app = GonogoApp(away)
    told = "The difference needs a taller chart: z shows the chart alone."
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        await pilot.press("5")
        curve = app.screen.query_one("#curve", Curve)
        await until(pilot, lambda: curve.lines and curve.size.height, 20, "the mirrored run")
        await pilot.press("d")
        await until(pilot, lambda: told in [n.message for n in app._notifications], 5, "told")
        await pilot.press("z")
        await until(pilot, lambda: curve.size.height > 10, 5, "the chart alone")
        seen = "".join(text for row in curve.rows() for text, _ in row)
        assert "difference: " in seen


async def test_a_warning_of_the_plan_is_seen_without_scrolling(workspace: Workspace) -> None:
    job = JobSpec("control", ("python", "x" * 900))
    checks = (Check("gate", "PASS", "may start"), Check("VRAM", "WARN", "unknown"))
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        app.push_screen(PlanScreen(TrainPlan("tower", job, checks)))
        await until(pilot, lambda: isinstance(app.screen, PlanScreen), 5, "the plan")
        await pilot.pause()
        assert any("warns: VRAM" in line for line in screen_text(app))
