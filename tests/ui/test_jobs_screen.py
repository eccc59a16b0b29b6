"""Key 8: the table of jobs, a log with its search, and the stop that asks."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path

from textual.widgets import Input, Label, Static

from agents import JobSpec, JobState, JobStatus
from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.energy import JobEnergy
from tui.job_rows import figures_row, head_row, job_figures
from tui.roadmap.workspace import Workspace
from tui.run_view import RunView
from tui.screens.dialogs import ConfirmScreen
from tui.screens.jobs import JobsScreen
from tui.screens.log import LogScreen
from tui.widgets.row_list import RowList

SETTINGS = '[hosts.tower]\nlocal = true\nsimulate_gpu = true\n[budget]\nprice_per_kwh = "0.5"\n'
ID = "control-s0-20260101-000000-abcd"


def table(app: GonogoApp) -> list[str]:
    """The rows as they are drawn."""
    rows = app.screen.query_one("#job-table", RowList)
    return [row.draw(rows.size.width).plain for row in rows.rows]


def test_figures_that_are_unknown_are_dashes_and_no_zeros(tmp_path: Path) -> None:
    job = JobStatus(ID, "control-s0", JobState.running, started_ms=1_000)
    bare = figures_row(job_figures("tower", job, None, None, Decimal("0.5"), 61_000))
    assert bare.draw(80).plain.split() == ["control-s0", "tower", "running", *"-----", "1m"]
    path = tmp_path / "run.jsonl"
    path.write_text(
        '{"v":1,"kind":"start","t":1,"max_steps":100}\n'
        '{"v":1,"kind":"point","t":9,"step":25,"loss":1.5,"seconds":50.0,"tokens_per_s":431.6}\n'
    )
    run = RunView("tower", ID, path)
    run.read()
    energy = JobEnergy("tower", ID, joules=7_200_000.0, method="counter")
    known = job_figures("tower", job, run, energy, Decimal("0.5"), 61_000)
    assert (known.eta, known.kwh, known.cost) == (150.0, Decimal(2), Decimal("1.00"))
    for width in (78, 118):
        assert head_row().draw(width).cell_length <= width
        assert figures_row(known).draw(width).cell_length <= width
    shown = figures_row(known).draw(78).plain.split()
    assert {"25/100", "432", "2.000", "1.00", "1m"} <= set(shown)
    over = JobStatus(ID, "control-s0", JobState.failed, code=7, started_ms=1_000)
    assert job_figures("tower", over, run, energy, None, 61_000).eta is None
    queue = JobStatus(ID, "pair", JobState.running, detail="1 of 2: one running", backend="queue")
    at = job_figures("tower", queue, None, None, None, 61_000)
    assert (at.step, at.max_steps) == (1, 2)


async def test_the_table_its_log_and_the_stop(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    ws = Workspace.create(tmp_path / "ws", settings_text=SETTINGS)
    app = GonogoApp(ws)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8")
        assert isinstance(app.screen, JobsScreen)
        link = app.fleet.links["tower"]
        await link.wait_live(20)
        script = "seq 300; echo '[red]Loss NaN'; seq 300; echo loss 2; exec sleep 300"
        steps = (JobSpec("one", ("sh", "-c", script)), JobSpec("two", ("true",)))
        queue = await app.fleet.start_job("tower", JobSpec("pair", (), steps=steps))
        await until(pilot, lambda: len(table(app)) == 3, 10, "both jobs in the table")
        await until(pilot, lambda: "running" in table(app)[1], 10, "it runs")
        app.screen.query_one("#job-table", RowList).select(f"tower/{queue.job_id}")
        detail = app.screen.query_one("#job-detail", Static)
        await until(
            pilot, lambda: "1 of 2: one running; then two" in str(detail.content), 10, "the queue"
        )
        one = next(j for _, j in app.fleet.store.sorted_jobs() if j.name == "one")
        app.screen.query_one("#job-table", RowList).select(f"tower/{one.job_id}")
        log = ws.runs_dir / "tower" / one.job_id / "log.txt"
        await until(pilot, lambda: log.exists() and "loss 2" in log.read_text(), 10, "the log")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LogScreen), 5, "the log is open")
        lines = app.screen.query_one("#lines", RowList)
        assert lines.cursor == 601
        await pilot.press("slash")
        app.screen.query_one("#search", Input).value = "LOSS"
        await pilot.press("enter")
        assert lines.cursor == 601
        await pilot.press("N")
        assert lines.rows[lines.cursor].draw(80).plain == "[red]Loss NaN"
        assert "1 of 2" in str(app.screen.query_one("#log-hint", Label).content)
        await pilot.press("n", "escape")
        await until(pilot, lambda: isinstance(app.screen, JobsScreen), 5, "back")
        app.screen.query_one("#job-table", RowList).select(f"tower/{queue.job_id}")
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), 5, "it asks")
        assert "nothing more of it starts" in str(app.screen.query_one(Static).screen.detail)
        await pilot.press("y")
        jobs = app.fleet.store.jobs
        key = ("tower", queue.job_id)
        await until(pilot, lambda: jobs[key].state is JobState.stopped, 15, "the queue stopped")
        assert "not started: two" in jobs[key].detail
        assert jobs["tower", one.job_id].state is JobState.stopped


async def test_jobs_of_hosts_that_are_away_are_listed_from_the_mirror(tmp_path: Path) -> None:
    text = '[hosts.tower]\nssh = "127.0.0.1"\nport = 1\n'
    ws = Workspace.create(tmp_path / "ws", settings_text=text)
    ago = int(time.time() * 1000) - 3 * 3_600_000
    for job, end in (
        ("cut-20260101-000000-aaaa", ""),
        ("over-20260101-000000-bbbb", f'{{"v":1,"kind":"end","t":{ago},"status":"succeeded"}}\n'),
        ("odd-20260101-000000-cccc", f'{{"v":1,"kind":"end","t":{ago},"status":"failed"}}\n'),
    ):
        folder = ws.runs_dir / "tower" / job
        folder.mkdir(parents=True)
        (folder / "run.jsonl").write_text(
            f'{{"v":1,"kind":"start","t":{ago},"name":"{job[:4]}","max_steps":9}}\n'
            f'{{"v":1,"kind":"point","t":{ago},"step":3,"loss":1.0}}\n{end}'
        )
    line = "step %06d\n"
    log = ws.runs_dir / "tower" / "cut-20260101-000000-aaaa" / "log.txt"
    log.write_text("the needle\n" + "".join(line % n for n in range(100_000)) + "Needle 2\n")
    app = GonogoApp(ws)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("8")
        await until(pilot, lambda: len(table(app)) == 4, 20, "three jobs in the table")
        rows = {row.split()[0]: row.split() for row in table(app)[1:]}
        assert {"unknown", "3/9"} <= set(rows["cut-"])
        assert "succeeded" in rows["over"]
        assert "failed" in rows["odd-"]
        app.screen.query_one("#job-table", RowList).select("tower/cut-20260101-000000-aaaa")
        detail = app.screen.query_one("#job-detail", Static)
        told = "last point 3h ago, link down"
        await until(pilot, lambda: told in str(detail.content), 10, "the age of what is known")
        await pilot.press("X")
        assert isinstance(app.screen, JobsScreen)

        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LogScreen), 5, "the log is open")
        screen = app.screen
        lines, hint = screen.query_one("#lines", RowList), screen.query_one("#log-hint", Label)
        await pilot.press("slash")
        screen.query_one("#search", Input).value = "needle"
        await pilot.press("enter")
        await until(pilot, lambda: "2 of 2" in str(hint.content), 20, "all of it is searched")
        assert lines.rows[lines.cursor].draw(80).plain == "Needle 2"
        await pilot.press("N")
        assert lines.rows[lines.cursor].draw(80).plain == "the needle"
        assert "1 of 2" in str(hint.content)
        assert "bytes after this" in lines.rows[-1].draw(80).plain
        await pilot.press("n")
        assert lines.rows[lines.cursor].draw(80).plain == "Needle 2"
        await pilot.press("N", "f")
        assert lines.cursor == len(lines.rows) - 1


async def test_an_empty_table_says_that_nobody_could_be_asked(tmp_path: Path) -> None:
    text = '[hosts.tower]\nssh = "127.0.0.1"\nport = 1\n'
    app = GonogoApp(Workspace.create(tmp_path / "ws", settings_text=text))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8")
        shown = str(app.screen.query_one("#job-detail", Static).content)
        assert "tower cannot be reached" in shown
        assert "no job on any host" not in shown
