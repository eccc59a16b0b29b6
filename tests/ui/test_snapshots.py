"""Pictures of the important screens: a change of looks is seen, accepted or mended on purpose.

`make test PYTEST_ARGS="tests/ui/test_snapshots.py --snapshot-update"` accepts new ones.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot

from tests.ui.conftest import until
from tui import overview_model
from tui.app import GonogoApp
from tui.roadmap.reanchor import shipped_text
from tui.roadmap.workspace import Workspace
from tui.screens import budget as budget_screen

SIZES = {"narrow": (80, 24), "usual": (120, 36), "wide": (200, 60)}


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Ticks that the plan itself shows, values and money: nothing that tells the time of day."""
    monkeypatch.setattr(budget_screen, "today", lambda: date(2026, 1, 10))
    monkeypatch.setattr(overview_model, "when", lambda _at: "2026-01-05 12:00:00")
    text = shipped_text()
    for words in (
        "Docker Desktop installed",
        "NVIDIA drivers installed",
        "Docker installed and running",
    ):
        assert f"- [ ] {words}" in text
        text = text.replace(f"- [ ] {words}", f"- [x] {words}", 1)
    settings = 'title = "AI Training Demo"\nuser = "ana"\n'
    ws = Workspace.create(tmp_path / "ws", settings_text=settings, roadmap_text=text)
    ws.add_cost("S3", "13.10", "user:ana", "judge", "2026-01-05")
    ws.add_cost("S2", "1.10", "user:ana", "", "2026-01-04")
    return ws


async def settle(pilot: Pilot[None]) -> None:
    app = cast("GonogoApp", pilot.app)
    await until(pilot, lambda: app.arrived, 60, "what the first frame did without is there")
    await pilot.pause()
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
def test_roadmap(snap_compare, filled: Workspace, size: str) -> None:
    assert snap_compare(GonogoApp(filled), terminal_size=SIZES[size], run_before=settle)


@pytest.mark.parametrize(
    ("key", "size"),
    [
        ("2", "narrow"),
        ("2", "usual"),
        ("3", "narrow"),
        ("3", "usual"),
        ("4", "usual"),
        ("7", "usual"),
        ("0", "narrow"),
        ("0", "usual"),
    ],
)
def test_screens(snap_compare, filled: Workspace, key: str, size: str) -> None:
    app = GonogoApp(filled)
    assert snap_compare(app, press=[key], terminal_size=SIZES[size], run_before=settle)


def test_monochrome(snap_compare, filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(GonogoApp(filled), terminal_size=(80, 24), run_before=settle)


def test_light(snap_compare, filled: Workspace) -> None:
    async def light(pilot: Pilot[None]) -> None:
        pilot.app.theme = "gonogo-light"
        await settle(pilot)

    assert snap_compare(GonogoApp(filled), terminal_size=(120, 36), run_before=light)


def test_reconcile(snap_compare, filled: Workspace) -> None:
    path: Path = filled.root / "ROADMAP.md"
    path.write_text(path.read_text("utf-8").replace("300+ GB storage", "500+ GB storage"), "utf-8")
    ws = Workspace.open(filled.root)
    assert snap_compare(GonogoApp(ws), terminal_size=(80, 24), run_before=settle)


def test_too_small(snap_compare, filled: Workspace) -> None:
    assert snap_compare(GonogoApp(filled), terminal_size=(50, 12), run_before=settle)


async def test_below_the_smallest_size_one_sentence_stands_there(filled: Workspace) -> None:
    app = GonogoApp(filled)
    async with app.run_test(size=(59, 15)) as pilot:
        await settle(pilot)
        shown = [w for w in app.screen.children if w.display]
        assert [w.id for w in shown] == ["too-small"]
        assert "60x16 needed, have 59x15" in app.export_screenshot().replace("&#160;", " ")
        await pilot.resize_terminal(60, 16)
        await settle(pilot)
        assert not app.screen.query_one("#too-small").display
        assert app.screen.query_one("#boxes").display
