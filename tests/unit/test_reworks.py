"""Reworked plans, also one whose days repeat the same boxes: ticks land right, are asked, or wait aside."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.plan_reworks import reworked
from tui.roadmap import reanchor
from tui.roadmap.document import Document
from tui.roadmap.naming import MOST_COMPARED
from tui.roadmap.workspace import Workspace

TOWNS = ("Rome", "Naples", "Bari", "Turin", "Milan", "Pisa")
TRIP = "# Trip\n" + "".join(
    f"\n## Day {day}: {town}\n\n### Morning\n- [ ] Visit the museum in {town}\n"
    f"- [ ] See the cathedral in {town}\n- [ ] Buy tickets for the boat tour in {town}\n\n"
    "### Evening\n- [ ] Eat out\n- [ ] Write the diary\n- [ ] Pack for tomorrow: ____\n"
    for day, town in enumerate(TOWNS, 1)
)
SPRINTS = "# Work\n" + "".join(
    f"\n## Sprint {n}\n- [ ] Plan it\n- [ ] Build it\n- [ ] Show it\n" for n in range(1, 5)
)


@pytest.mark.parametrize(("text", "runs"), [(TRIP, 400), (reanchor.shipped_text(), 40)])
def test_reworks_land_right_or_ask(
    tmp_path: Path, text: str, runs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text=text)
    known, baseline = ws.document.boxes, ws.state.baseline
    right = asked = wrong = 0
    for seed in range(runs):
        edited, truth = reworked(ws.document, seed)
        reading = reanchor.read(ws.root / "evidence", edited, baseline)
        questions = {q.new: q.old for q in reading.questions}
        for got, true in zip(reading.document.boxes, truth, strict=True):
            if got in known:
                right, wrong = right + (got == true), wrong + (got != true)
            elif true:
                asked += questions.get(got) == true or true not in reading.document.boxes
    total = right + asked + wrong
    with capsys.disabled():
        print(f"\n{runs} reworks: {100 * right / total:.2f} % right, {100 * asked / total:.2f} %"
              f" asked or aside, {100 * wrong / total:.3f} % wrong")  # fmt: skip
    assert 100 * wrong / total <= 0.05
    assert 100 * (right + asked) / total >= 99


def edit(ws: Workspace, text: str) -> None:
    (ws.root / "ROADMAP.md").write_text(text, "utf-8")
    ws.refresh_plan()


def test_a_new_section_of_the_same_words_inherits_nothing_unasked(tmp_path: Path) -> None:
    """Sprint 1 is over and taken out, sprint 5 comes: its boxes are not done."""
    ws = Workspace.create(tmp_path / "w", roadmap_text=SPRINTS)
    for box in ws.document.select("S1"):
        ws.tick(box, "user:ana")
    head, _, rest = SPRINTS.partition("\n## Sprint 1\n")
    edit(
        ws,
        head
        + rest[rest.index("\n## Sprint 2") :]
        + "\n## Sprint 5\n- [ ] Plan it\n- [ ] Build it\n",
    )
    new = [b for b in ws.document.boxes.values() if "5" in b.section_id]
    assert len(new) == 2
    assert not any(box.id in ws.state.ticks for box in new)
    assert {q.new for q in ws.questions} == {box.id for box in new}
    ws.reconcile([q.old for q in ws.questions[:1]], "user:ana", confirmed=True)
    assert sum(box in ws.state.ticks for box in ws.document.boxes) == 1


def test_a_renamed_day_keeps_its_repeated_boxes_by_the_ones_that_are_its_own(
    tmp_path: Path,
) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text=TRIP)
    before = list(ws.document.boxes)
    edit(ws, TRIP.replace("## Day 3: Bari", "## Bari and the sea"))
    assert list(ws.document.boxes) == before
    assert not ws.questions
    edit(
        ws,
        TRIP.replace("Write the diary\n", "Write\n", 1)
        .replace(
            "### Evening\n- [ ] Eat out", "### Evening\n- [ ] Write the diary\n- [ ] Eat out", 1
        )
        .replace("- [ ] Pack", "- [ ] Phone\n- [ ] Pack"),
    )
    assert Document.parse(ws.document.text).box_count == len(before) + 7
    assert not {q.old for q in ws.questions} & set(ws.document.boxes)


def test_a_moved_box_that_others_repeat_is_asked_about(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text=TRIP)
    old = next(i for i in ws.document.boxes if i.startswith("D1") and "diary" in i)
    ws.tick(old, "user:ana")
    edit(
        ws, TRIP.replace("- [ ] Write the diary\n", "", 1) + "\n## At home\n- [ ] Write the diary\n"
    )
    assert old not in ws.document.boxes
    assert [(q.old, q.new_text) for q in ws.questions] == [(old, "Write the diary")]


def test_a_thousand_reworded_lines_of_one_list_are_not_all_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"- [ ] box {n} is here\n\nvalue {n}: ____\n\n" for n in range(1200)]
    ws = Workspace.create(tmp_path / "w", roadmap_text="# T\n" + "".join(lines))
    made = 0

    real = difflib.SequenceMatcher

    def counting(*args: Any) -> Any:
        nonlocal made
        made += 1
        return real(*args)

    monkeypatch.setattr(difflib, "SequenceMatcher", counting)
    changed = [line.replace("is", "was").replace("value", "worth") for line in lines[:1000]]
    edit(ws, "# T\n" + "".join(changed + lines[1000:]))
    assert len(ws.document.boxes) == 1200
    assert 0 < made <= 2 * MOST_COMPARED
