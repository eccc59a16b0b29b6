"""Plans that are not the shipped one: words of any script, long ones, markup, and two thousand boxes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.widgets.row_list import RowList
from tui.widgets.status_header import StatusHeader

WORDS = """\
# 計画 🚀 Plan

## Stage 1: 準備 👩‍💻 a very long title that goes on and on and never seems to come to an end at all, really

**Goal:** 目標を達成する [/] [x] [red]not markup[/red]

### グループ ✅ one
- [ ] 日本語のタスクを実行するための非常に長い説明文がここに続きますので切り取られるべきです
- [x] Emoji 🎉 family 👨‍👩‍👧‍👦 and flag 🇩🇪
- [ ] [/etc/passwd] `rm -rf /` [bold]x[/bold]
  - [ ] nested 子 one
- 結果 (％): _____%

## Stage 2: العربية
- [ ] مرحبا بالعالم
"""


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 36), (200, 60)])
async def test_any_words_are_shown_and_cut_at_the_edge(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    settings = 'title = "計画の題名 🚀"\n'
    ws = Workspace.create(tmp_path / "ws", settings_text=settings, roadmap_text=WORDS)
    app = GonogoApp(ws)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        table = app.screen.query_one("#boxes", RowList)
        width = table.scrollable_content_region.width
        text = "\n".join(row.draw(width).plain for row in table.rows)
        for label in ("日本語のタスク", "Emoji ", "[/etc/passwd] rm -rf /", "nested 子 one"):
            assert label in text, "the label is shown, not the id made of it"
        for row in table.rows:
            shown = row.draw(width).truncate(width, pad=True)
            assert shown.cell_length == width
        header = app.screen.query_one(StatusHeader).render().plain.split("\n")
        assert len(header) == 2
        assert all(cell_len(line) <= size[0] - 2 for line in header)
        await pilot.press("enter", "j", "j", "escape", "right_square_bracket", "space")
        await until(pilot, lambda: app.saved.startswith("saved"), 5, "a tick in another script")
        for room in "23456781":
            await pilot.press(room, "j", "enter", "escape")
        assert app.is_running


async def test_two_thousand_boxes(tmp_path: Path) -> None:
    parts = ["# Big\n"]
    for stage in range(20):
        parts.append(f"\n## Stage {stage}: number {stage}\n")
        for group in range(5):
            parts.append(f"\n### Group {group}\n")
            parts += [f"- [ ] Task {stage}-{group}-{n} and words\n" for n in range(20)]
    ws = Workspace.create(tmp_path / "ws", roadmap_text="".join(parts))
    app = GonogoApp(ws)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.arrived, 20, "all is imported")
        table = app.screen.query_one("#boxes", RowList)
        assert "Task 0-0-0 and words" in table.rows[2].draw(60).plain
        began = time.process_time()
        for _ in range(5):
            app.screen.update_state()  # type: ignore[attr-defined]
        spent = (time.process_time() - began) / 5
        print(f"one stage of 2,000 boxes drawn anew: {1000 * spent:.1f} ms of CPU time")
        await pilot.press("slash", *"19-4 stage:all")
        await until(pilot, lambda: len(table.rows) < 60, 10, "found everywhere")
        assert any("Task 19-4-19" in row.draw(80).plain for row in table.rows)
        await pilot.press("enter", "G", "space")
        await until(pilot, lambda: app.saved.startswith("saved"), 5, "ticked")
