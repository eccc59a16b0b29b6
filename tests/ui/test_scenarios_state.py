"""The state file seen from the keyboard: the scenarios of a full disk, of other writers and of damage."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static, TextArea

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.journal import Syscalls
from tui.roadmap.workspace import Workspace
from tui.screens.conflict import ConflictScreen
from tui.screens.dialogs import FormScreen, LinesScreen
from tui.screens.lost import LostScreen
from tui.screens.recovery import RecoveryScreen
from tui.screens.room import Room
from tui.widgets.row_list import RowList
from tui.widgets.status_header import StatusHeader

ROOT = Path(__file__).parents[2]


def boxes(app: GonogoApp) -> RowList:
    return app.screen.query_one("#boxes", RowList)


def rows_of(rows: RowList) -> str:
    return "\n".join(row.draw(100).plain for row in rows.rows)


def header(app: GonogoApp) -> str:
    return app.screen.query_one(StatusHeader).render().plain


def banner(app: GonogoApp) -> str:
    widget = app.screen.query_one("#banner", Static)
    return str(widget.render()) if widget.display else ""


def gonogo(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tui.cli", "-C", str(root), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)


def lines(ws: Workspace) -> int:
    return len((ws.root / "state.jsonl").read_bytes().splitlines())


async def said(pilot: Pilot[None], app: GonogoApp, text: str) -> None:
    await until(
        pilot, lambda: any(text in n.message for n in app._notifications), 5, f"the notice {text!r}"
    )


async def test_scenario_03_a_tick_by_space(workspace: Workspace) -> None:
    app, before = GonogoApp(workspace), lines(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("space")
        await until(pilot, lambda: app.saved.startswith("saved"), 5, "saved")
        assert "[x] T1" in rows_of(boxes(app))
        assert "1/270" in header(app)
        assert lines(workspace) == before + 1
    record = json.loads((workspace.root / "state.jsonl").read_bytes().splitlines()[-1])
    assert (record["by"], record["old"], record["new"]) == ("user:ana", "open", "done")
    again = GonogoApp(Workspace.open(workspace.root))
    async with again.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        assert "[x] T1" in rows_of(boxes(again))
        assert "1/19" in rows_of(again.screen.query_one("#sections", RowList))


class FullDisk:
    """Writes that fail while `full`."""

    full = True

    def write(self, fd: int, data: bytes) -> int:
        if self.full:
            os.write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(fd, data)


async def press_until_full_then_free(
    workspace: Workspace, app: GonogoApp, free: Callable[[], None]
) -> None:
    before = (workspace.root / "state.jsonl").read_bytes()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("space")
        await until(pilot, lambda: "Not saved" in banner(app), 5, "the banner")
        assert "Not saved: no space left (state.jsonl unchanged)." in banner(app)
        assert "[ ] T1" in rows_of(boxes(app))
        assert "READ-ONLY" in header(app)
        assert (workspace.root / "state.jsonl").read_bytes() == before
        await pilot.press("down", "space")
        await said(pilot, app, "Nothing more is written")
        await pilot.press("r")
        await until(
            pilot,
            lambda: sum("no space left" in n.message for n in app._notifications) >= 2,
            5,
            "the second refusal",
        )
        assert "READ-ONLY" in header(app)
        free()
        await pilot.press("r")
        await until(pilot, lambda: not banner(app), 5, "the banner to go")
        await pilot.press("up", "space")
        await until(pilot, lambda: "[x] T1" in rows_of(boxes(app)), 5, "the tick")
        assert (workspace.root / "state.jsonl").read_bytes().startswith(before)
    assert Workspace.open(workspace.root).warnings == []


async def test_scenario_21_a_write_that_fails_half_way(workspace: Workspace) -> None:
    disk = FullDisk()
    calls = Syscalls(disk.write, os.fsync, os.ftruncate)
    app = GonogoApp(Workspace.open(workspace.root, syscalls=calls))
    await press_until_full_then_free(workspace, app, lambda: setattr(disk, "full", False))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tiny file system can only be mounted by root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def fill_up(ws: Workspace, filler: Path) -> None:
    """Fills the state file's last page with a record, then the rest of the disk."""
    path = ws.root / "state.jsonl"
    before = path.stat().st_size
    ws.note("S1", "x", "user:ana")
    overhead = path.stat().st_size - before - 1
    ws.note("S2", "x" * (8192 - path.stat().st_size % 4096 - overhead), "user:ana")
    assert path.stat().st_size % 4096 == 0
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))


async def test_scenario_21_a_file_system_that_is_really_full(small_disk: Path) -> None:
    text = 'title = "T"\nuser = "ana"\n'
    workspace = Workspace.create(small_disk / "w", settings_text=text)
    fill_up(workspace, small_disk / "filler")
    app = GonogoApp(Workspace.open(workspace.root))
    await press_until_full_then_free(app.ws, app, (small_disk / "filler").unlink)


async def test_scenario_22_a_change_by_the_command_line_appears(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("space")
        await until(pilot, lambda: "[x] T1" in rows_of(boxes(app)), 5, "the own tick")
        await pilot.press("slash", *"is:open", "enter", "down")
        await pilot.pause()
        key = boxes(app).key
        assert gonogo(workspace.root, "tick", "S0.S4").returncode == 0
        await said(pilot, app, "S0.S4 done by cli:ana")
        assert (boxes(app).key, app.screen.filter_text) == (key, "is:open")  # type: ignore[attr-defined]
        assert "S4 " not in rows_of(boxes(app))
        await pilot.press("u")
        await until(pilot, lambda: "[ ] T1" in rows_of(boxes(app)), 5, "the own tick undone")
        state = Workspace.open(workspace.root).state
        assert [state.value("tick", i) for i in ("S0.T1", "S0.S4")] == ["open", "done"]


@pytest.mark.parametrize(("key", "value"), [("k", "3.9"), ("a", "4.5"), ("escape", "3.9")])
async def test_scenario_23_both_sides_of_a_conflict(
    workspace: Workspace, key: str, value: str
) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.edit_field("S1.loss_start")
        await until(pilot, lambda: isinstance(app.screen, FormScreen), 5, "the form")
        await pilot.pause()
        assert gonogo(workspace.root, "field", "S1.loss_start", "3.9").returncode == 0
        before = lines(workspace)
        app.screen.query_one(Input).value = "4.5"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ConflictScreen), 5, "both sides")
        await pilot.pause()
        text = str(app.screen.query_one("#sides", Static).render())
        assert "S1.loss_start was set to 3.9 by cli:ana at " in text
        assert "4.5" in text
        assert lines(workspace) == before
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, Room), 5, "the room")
        await until(pilot, lambda: not app.writing, 5, "the end of the writing")
        await pilot.pause()
    assert Workspace.open(workspace.root).state.fields["S1.loss_start"].value == value
    assert lines(workspace) == before + (key == "a")


async def test_scenario_25_the_recovery_screen(workspace: Workspace) -> None:
    for box in ("S0.T1", "S0.T2", "S0.T3"):
        workspace.tick(box, "cli:ana")
    path = workspace.root / "state.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"item":"S0.T2"', b'"item":"S0.T\x1b"'))
    damaged = path.read_bytes()
    app = GonogoApp(Workspace.open(workspace.root))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen), 5, "the recovery screen")
        await pilot.pause()
        text = str(app.screen.query_one("#bad-line", Static).render())
        assert "state.jsonl line 3: " in text
        assert "\\x1b" in text
        assert "\x1b" not in text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Room), 5, "the room")
        assert "READ-ONLY" in header(app)
        assert "line 3" in banner(app)
        over, under = (
            app.screen.query_one(StatusHeader).region,
            app.screen.query_one("#banner").region,
        )
        assert over.bottom <= under.y, "the banner covers the header"
        await pilot.press("space")
        await said(pilot, app, "nothing is written until it is mended")
        assert path.read_bytes() == damaged
        await pilot.press("colon", *"recover", "enter")
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen), 5, "the screen again")
        await pilot.pause()
        await pilot.press("a")
        await until(pilot, lambda: not app.ws.read_only and not app.writing, 5, "to be writable")
        await until(pilot, lambda: isinstance(app.screen, Room) and not banner(app), 5, "no banner")
        assert "[x] T3" in rows_of(boxes(app))
    assert path.read_bytes().startswith(damaged)
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert (last["do"], last["by"]) == ("hand_edit", "hand:ana")


async def test_damage_while_the_app_runs_is_noticed(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        with (workspace.root / "state.jsonl").open("ab") as file:
            file.write(b"nonsense\n")
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen), 5, "the recovery screen")


@pytest.mark.parametrize("answer", ["p", "g", "escape"])
async def test_a_file_that_loses_records_under_the_app_is_asked_about(
    workspace: Workspace, answer: str
) -> None:
    for box in ("S0.T1", "S0.T2"):
        workspace.tick(box, "user:ana")
    path = workspace.root / "state.jsonl"
    whole = path.read_bytes()
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        path.unlink()
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
        await until(pilot, lambda: isinstance(app.screen, LostScreen), 30, "the question")
        await pilot.pause()
        text = str(app.screen.query_one("#lost", Static).render())
        assert "no longer holds 1 of the 3 records read before" in text
        (copy,) = workspace.root.glob("state.kept-*")
        assert copy.read_bytes() == whole
        assert copy.name in text
        await pilot.press(answer)
        await until(pilot, lambda: isinstance(app.screen, Room), 30, "the room")
        if answer == "escape":
            await until(pilot, lambda: "no longer holds" in banner(app), 30, "the banner")
            await pilot.press("space")
            await said(pilot, app, "nothing is written until that is settled")
            path.write_bytes(whole)
        await until(pilot, lambda: not app.ws.read_only and not banner(app), 30, "no banner")
        await until(pilot, lambda: not app.writing, 30, "the end of the writing")
        await pilot.pause()
    again = Workspace.open(workspace.root)
    assert again.state.value("tick", "S0.T1") == "done"
    assert again.state.value("tick", "S0.T2") == ("open" if answer == "g" else "done")
    assert [w for w in again.warnings if "kept" in w] == []
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert (last["do"] == "hand_edit") == (answer != "escape")


def test_scenario_27_two_git_branches(workspace: Workspace) -> None:
    root = workspace.root

    def git(*args: str) -> None:
        name = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
        subprocess.run(["git", *name, *args], cwd=root, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-qm", "start")
    git("switch", "-qc", "other")
    assert gonogo(root, "tick", "S0.T2").returncode == 0
    git("commit", "-qam", "other")
    git("switch", "-q", "main")
    assert gonogo(root, "tick", "S0.T1").returncode == 0
    git("commit", "-qam", "main")
    git("merge", "-q", "other", "-m", "merged")
    both = json.loads(gonogo(root, "status", "--json").stdout)
    assert both["done"] == 2
    assert "state.jsonl: merged 2 lines of work." in both["warnings"]
    assert gonogo(root, "tick", "S0.T3").returncode == 0
    sealed = json.loads(gonogo(root, "status", "--json").stdout)
    assert (sealed["done"], sealed["warnings"]) == (3, [])
    last = json.loads((root / "state.jsonl").read_bytes().splitlines()[-1])
    assert len(last["prev"].split(",")) == 2


async def test_scenario_29_a_newer_file_in_the_app(workspace: Workspace) -> None:
    path = workspace.root / "state.jsonl"
    path.write_bytes(path.read_bytes() + b'{"v":2,"id":"x","at":1,"do":"levitate"}\n')
    before = path.read_bytes()
    app = GonogoApp(Workspace.open(workspace.root))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, RecoveryScreen), 5, "the recovery screen")
        await pilot.pause()
        assert "written by a newer version (needs >= 2)" in str(
            app.screen.query_one("#bad-line", Static).render()
        )
        await pilot.press("a")
        assert isinstance(app.screen, RecoveryScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Room), 5, "the room")
        await pilot.press("space")
        await until(pilot, lambda: "needs >= 2" in banner(app), 5, "the reason")
    assert path.read_bytes() == before


# --- journal, notes, command line, filter -----------------------------------------------------


async def test_the_journal_shows_filters_opens_and_undoes(workspace: Workspace) -> None:
    workspace.tick("S0.T1", "user:ana", "seen")
    workspace.tick("S0.T2", "cli:bob")
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("6")
        await until(pilot, lambda: bool(app.screen.query("#records")), 5, "the journal")
        await pilot.pause()
        records = app.screen.query_one("#records", RowList)
        first, second, third = rows_of(records).splitlines()
        assert "S0.T2: open > done" in first
        assert "cli:bob" in first
        assert "S0.T1: open > done  (seen)" in second
        assert "import" in third
        await pilot.press("slash", *"who:ana is:tick", "enter")
        await pilot.pause()
        assert rows_of(records).splitlines() == [second]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LinesScreen), 5, "the record")
        assert '"why": "seen"' in rows_of(app.screen.query_one("#lines", RowList))
        await pilot.press("escape")
        await pilot.pause()
        await pilot.press("u")
        await until(pilot, lambda: workspace.state.value("tick", "S0.T1") == "open", 5, "the undo")


async def test_a_note_is_saved_when_it_is_left(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: bool(app.screen.query("#note")), 5, "the notes")
        await pilot.pause()
        app.screen.query_one("#note-list", RowList).select("S1")
        await pilot.pause()
        await pilot.press("enter", *"one q", "enter", *"two")
        assert not workspace.state.notes
        await pilot.press("escape")
        await until(pilot, lambda: workspace.state.notes.get("S1") == "one q\ntwo", 5, "the note")
        await pilot.press("enter")
        app.screen.query_one("#note", TextArea).load_text("typed and left by ctrl+q")
        await pilot.press("ctrl+q")
    assert Workspace.open(workspace.root).state.notes["S1"] == "typed and left by ctrl+q"
    assert gonogo(workspace.root, "note", "S1").stdout == "typed and left by ctrl+q\n"


async def test_the_command_line_runs_completes_and_keeps_what_cannot_run(
    workspace: Workspace,
) -> None:
    app = GonogoApp(workspace)

    async def typed(pilot: Pilot[None], text: str) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: bool(app.screen.query("#command-line")), 5, "the line")
        app.screen.query_one("#command-line", Input).value = text
        await pilot.press("enter")

    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        await typed(pilot, "cost 1.10 stage2 api calls")
        await until(pilot, lambda: len(workspace.state.costs) == 1, 5, "the cost")
        cost = workspace.state.costs[0]
        assert (str(cost.amount), cost.row, cost.note) == ("1.10", "Stage 2", "api calls")
        await typed(pilot, "stage 3")
        await until(pilot, lambda: getattr(app.screen, "section_id", "") == "S3", 5, "stage 3")
        await typed(pilot, "export")
        await until(pilot, (workspace.root / "exports" / "ROADMAP.md").exists, 5, "the export")
        await typed(pilot, "ro")
        await until(pilot, lambda: "READ-ONLY" in header(app), 5, "read-only")
        await typed(pilot, "tick S0.T1")
        await until(pilot, lambda: bool(app.screen.query("#command-line")), 5, "the line again")
        await until(
            pilot,
            lambda: "Read-only" in str(app.screen.query_one("#command-hints", Static).render()),
            5,
            "the reason",
        )
        assert app.screen.query_one("#command-line", Input).value == "tick S0.T1"
        await pilot.press("escape")
        await typed(pilot, "ro")
        await until(pilot, lambda: "READ-ONLY" not in header(app), 5, "writable")
        await pilot.press("colon", *"ver", "tab", *"S0.T", "tab")
        line = app.screen.query_one("#command-line", Input)
        assert line.value == "verify S0.T"
        await pilot.press("2", "tab")
        assert line.value == "verify S0.T2 "
        await pilot.press("escape")
        await typed(pilot, "fly me")
        await until(
            pilot,
            lambda: (
                "no command :fly" in str(app.screen.query_one("#command-hints", Static).render())
            ),
            5,
            "the complaint",
        )
        await pilot.press("escape")
        await typed(pilot, "q")
        await until(pilot, lambda: not app.is_running or app._exit, 5, "the end")
    assert not workspace.state.ticks


async def test_rebound_keys_work(workspace: Workspace) -> None:
    path = workspace.root / "gonogo.toml"
    path.write_text(path.read_text() + '\n[keymap]\n"box.tick" = "y"\n"room.journal" = "f6"\n')
    app = GonogoApp(Workspace.open(workspace.root))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("space")
        await pilot.press("y")
        await until(pilot, lambda: app.ws.state.value("tick", "S0.T1") == "done", 5, "the tick")
        await pilot.press("f6")
        await until(pilot, lambda: app.current_mode == "journal", 5, "the journal")
    assert lines(workspace) == 2
