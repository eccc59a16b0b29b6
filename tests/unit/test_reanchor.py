"""An edited plan: what keeps its place by itself, what is asked, and that nothing lands wrongly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.plan_edits import moderate, tagged
from tui.roadmap import reanchor
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue, UnknownId
from tui.roadmap.progress import box_status
from tui.roadmap.rules.base import Finding
from tui.roadmap.rules.registry import RULES
from tui.roadmap.state import Verdict
from tui.roadmap.verify import exit_code, verify
from tui.roadmap.workspace import Workspace

TEXT = reanchor.shipped_text()
DOC = Document.parse(TEXT)
BASELINE = {"sha256": reanchor.sha256(TEXT), "baseline": ""}
RUNS = 60
Outcome = tuple[int, int, int]
"""Boxes that are right, asked about, wrong."""


def score(given: list[str], truth: list[str], asked: set[tuple[str, str]]) -> Outcome:
    """`given` is the id of each box of the edited text as the matcher has it."""
    right = ask = wrong = 0
    for got, true in zip(given, truth, strict=True):
        if got in DOC.boxes:
            right, wrong = right + (got == true), wrong + (got != true)
        elif true and (got, true) in asked:
            right += 1
        elif true:
            ask += 1
    return right, ask, wrong


def ours(text: str) -> tuple[list[str], set[tuple[str, str]]]:
    reading = reanchor.read(Path("/nowhere"), text, BASELINE)
    return list(reading.document.boxes), {(q.new, q.old) for q in reading.questions}


def by_line(text: str) -> tuple[list[str], set[tuple[str, str]]]:
    at = {number: box for number, (_, box) in enumerate(tagged(DOC), 1)}
    return [at.get(b.line, "") or "?" for b in Document.parse(text).boxes.values()], set()


def by_text(text: str) -> tuple[list[str], set[tuple[str, str]]]:
    left: dict[str, list[str]] = {}
    for box in DOC.boxes.values():
        left.setdefault(box.label, []).append(box.id)
    boxes = Document.parse(text).boxes.values()
    return [left[b.label].pop(0) if left.get(b.label) else "?" for b in boxes], set()


def shares(matcher) -> tuple[float, float, float]:
    totals = [0, 0, 0]
    for seed in range(RUNS):
        text, truth = moderate(DOC, seed)
        given, asked = matcher(text)
        totals = [a + b for a, b in zip(totals, score(given, truth, asked), strict=True)]
    whole = sum(totals)
    return tuple(100 * part / whole for part in totals)  # type: ignore[return-value]


def test_the_edits_are_what_they_say():
    same = edited = 0
    for seed in range(5):
        text, truth = moderate(DOC, seed)
        labels = {b.id: b.label for b in DOC.boxes.values()}
        for box, true in zip(Document.parse(text).boxes.values(), truth, strict=True):
            if true:
                same, edited = (
                    same + (box.label == labels[true]),
                    edited + (box.label != labels[true]),
                )
    assert 0.10 < edited / (same + edited) < 0.20


def test_sixty_moderate_edits_land_right_or_ask(capsys):
    right, ask, wrong = shares(ours)
    with capsys.disabled():
        print(f"\n{RUNS} edits: {right:.2f} % right, {ask:.2f} % asked, {wrong:.3f} % wrong")
    assert wrong <= 0.05
    assert right >= 99.0


@pytest.mark.parametrize("weak", [by_line, by_text])
def test_the_measure_catches_weak_matchers(weak):
    assert shares(weak)[2] > 0.05


# --- through the workspace -------------------------------------------------------------------------


@pytest.fixture
def ws(tmp_path) -> Workspace:
    return Workspace.create(tmp_path / "ws", title="T")


def rewrite(ws: Workspace, old: str, new: str) -> None:
    path = ws.root / "ROADMAP.md"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_reworded_box_waits_for_an_answer_and_then_keeps_its_tick(ws):
    ws.tick("S0.S4", "user:ana")
    rewrite(ws, "300+ GB storage", "500+ GB storage")
    assert "1 to reconcile" in ws.refresh_plan()
    assert ws.refresh_plan() == ""
    question = ws.questions[0]
    assert (question.old, question.numbers) == ("S0.S4", ("300", "500"))
    assert "S0.S4" not in ws.document.boxes
    with pytest.raises(InvalidValue, match="reconcile"):
        ws.tick(question.new, "user:ana")
    record = ws.reconcile(["S0.S4"], "user:ana")
    assert (record.do, record.data["new"]["accepted"]) == ("reanchor", {"S0.S4": question.new})
    assert "500" in ws.document.boxes["S0.S4"].label
    assert ws.state.ticks["S0.S4"].done
    again = Workspace.open(ws.root)
    assert not again.questions
    assert "500" in again.document.boxes["S0.S4"].label
    assert again.state.ticks["S0.S4"].done


def test_a_verdict_is_old_once_the_numbers_changed(ws):
    label = ws.document.boxes["S0.S4"].label
    ws.record_verdicts([Verdict("S0.S4", "PASS", label=label)], "probe:server")
    rewrite(ws, "300+ GB storage", "500+ GB storage")
    ws.refresh_plan()
    ws.reconcile(["S0.S4"], "user:ana")
    status = box_status(ws.document, ws.state, "S0.S4")
    assert status.verdict is not None
    assert status.verdict.verdict == "STALE"
    assert "300 to 500" in status.verdict.reason


async def test_a_check_made_for_other_numbers_proves_nothing_until_it_is_confirmed(ws, monkeypatch):
    async def enough(context, params):
        return Finding("PASS", expected=params.expects(context.ws.settings), found="320 GB free")

    monkeypatch.setitem(RULES, "disk", replace(RULES["disk"], check=enough))
    assert [v.verdict for v in await verify(ws, ["S0.S4"], None)] == ["PASS"]
    rewrite(ws, "300+ GB storage", "500+ GB storage")
    ws.refresh_plan()
    ws.reconcile(["S0.S4"], "user:ana")
    (verdict,) = await verify(ws, ["S0.S4"], None)
    assert verdict.verdict == "STALE", "320 GB are not the 500 that the plan asks for"
    assert "says 500 where its check was made for 300: bind S0.S4" in verdict.reason
    assert exit_code([verdict]) == 1
    ws.record_verdicts([verdict], "user:ana")
    assert ws.state.value("tick", "S0.S4") == "open"
    own = '["S0.S4"]\nrule = "disk"\nhost = "server"\nat_least_gb = 300\n'
    (ws.root / "bindings.toml").write_text(own, "utf-8")
    assert "S0.S4" not in ws.bindings.unconfirmed


def test_a_refused_question_keeps_the_data_aside(ws):
    ws.tick("S0.S4", "user:ana")
    rewrite(ws, "300+ GB storage", "500+ GB storage")
    ws.refresh_plan()
    new = ws.questions[0].new
    ws.reconcile([], "user:ana")
    assert not ws.questions
    assert "S0.S4" not in ws.document.boxes
    assert [o.id for o in ws.orphans] == ["S0.S4"]
    ws.tick(new, "user:ana")
    assert Workspace.open(ws.root).state.ticks[new].done


def test_additions_and_moves_ask_nothing_and_are_taken_with_the_next_change(ws):
    ws.tick("S0.T1", "user:ana")
    line = next(t for t in ws.document.lines if "300+ GB storage" in t)
    rewrite(ws, line + "\n", f"- [ ] Check the fans\n{line}\n")
    assert "1 new" in ws.refresh_plan()
    assert not ws.needs_reconcile
    added = ws.reading.added[0]
    ws.tick(added, "user:ana")
    assert [r.do for r in ws.state.records][-2:] == ["reanchor", "tick"]
    rewrite(ws, "Check the fans", "Check the two fans")
    ws.refresh_plan()
    assert [q.old for q in ws.questions] == [added], "an own box has a place of its own by now"


def test_many_lost_boxes_want_a_yes(ws):
    path = ws.root / "ROADMAP.md"
    text = path.read_text("utf-8")
    path.write_text(text[: len(text) // 3], "utf-8")
    ws.refresh_plan()
    with pytest.raises(InvalidValue, match="type yes"):
        ws.reconcile([], "user:ana")
    ws.reconcile([], "user:ana", confirmed=True)
    path.write_text(text, "utf-8")
    ws.refresh_plan()
    assert len(ws.document.boxes) == 288


def test_strange_answers_are_refused(ws):
    with pytest.raises(InvalidValue, match="nothing to reconcile"):
        ws.reconcile([], "user:ana")
    rewrite(ws, "300+ GB storage", "500+ GB storage")
    ws.refresh_plan()
    with pytest.raises(UnknownId):
        ws.reconcile(["S0.T1"], "user:ana")


def test_any_plan_keeps_its_ids(tmp_path):
    text = "# Move\n\n## Flat\n\n- [ ] Call the landlord\n- [ ] Pack 12 boxes\n\n## Van\n\n- [ ] Book\n"
    ws = Workspace.create(tmp_path / "m", title="M", roadmap_text=text)
    box = next(b.id for b in ws.document.boxes.values() if "landlord" in b.label)
    ws.tick(box, "user:ana")
    rewrite(ws, "Call the landlord", "Call the landlord again")
    rewrite(ws, "## Flat", "## The flat")
    again = Workspace.open(ws.root)
    assert [q.old for q in again.questions] == [box]
    again.reconcile([box], "user:ana")
    assert Workspace.open(ws.root).document.boxes[box].label == "Call the landlord again"
    assert again.state.ticks[box].done


def test_a_missing_text_of_the_baseline_is_said(tmp_path):
    ws = Workspace.create(tmp_path / "m", title="M", roadmap_text="## A\n- [ ] one\n- [ ] two\n")
    for path in (ws.root / "evidence").iterdir():
        path.unlink()
    again = Workspace.open(ws.root)
    assert any("plan's ids" in warning for warning in again.warnings)
    assert len(again.document.boxes) == 2
