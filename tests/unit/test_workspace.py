"""What can be done in a workspace: preconditions, undo, verdicts, and folders that are not in order."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tui.roadmap.errors import Conflict, InvalidValue, NotSaved, ReadOnly, UnknownId, WorkspaceError
from tui.roadmap.naming import TEMPLATE
from tui.roadmap.progress import box_status, overall, section_progress
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace

ANA, BOB = "user:ana", "cli:bob"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Workspace.create(tmp_path / "w", title="Test")
    return tmp_path / "w"


@pytest.fixture
def ws(root: Path) -> Workspace:
    return Workspace.open(root)


def lines(root: Path) -> int:
    return len((root / "state.jsonl").read_bytes().splitlines())


def tick(ws: Workspace, box: str) -> str:
    return box_status(ws.document, ws.state, box).tick


def test_create_makes_the_files_and_overwrites_none(root: Path) -> None:
    assert (root / "ROADMAP.md").read_bytes() == TEMPLATE.read_bytes()
    assert (root / ".gitattributes").read_text() == "state.jsonl merge=union\n"
    assert "state.lock" in (root / ".gitignore").read_text()
    assert lines(root) == 1
    with pytest.raises(InvalidValue, match="already"):
        Workspace.create(root)
    other = root.parent / "other"
    other.mkdir()
    (other / "ROADMAP.md").write_text("- [ ] mine\n")
    assert Workspace.create(other).document.box_count == 1


def test_one_action_is_one_record_and_survives_a_restart(ws: Workspace, root: Path) -> None:
    before = lines(root)
    record = ws.tick("S0.T1", ANA)
    assert lines(root) == before + 1
    assert (record.data["old"], record.data["new"], record.by) == ("open", "done", ANA)
    again = Workspace.open(root)
    assert tick(again, "S0.T1") == "done"
    assert overall(again.document, again.state) == (1, 270)
    assert section_progress(again.document, again.state, "S0") == (1, 19)


def test_same_value_twice_is_no_new_record(ws: Workspace, root: Path) -> None:
    first = ws.tick("S0.T1", ANA)
    count = lines(root)
    assert ws.tick("S0.T1", ANA).id == first.id
    assert lines(root) == count
    with pytest.raises(InvalidValue, match="open already"):
        ws.untick("S0.T2", ANA)


def test_a_second_writer_gets_a_conflict_and_overwrites_nothing(root: Path) -> None:
    one, two = Workspace.open(root), Workspace.open(root)
    one.set_field("S1.loss_start", "4.5", ANA)
    count = lines(root)
    with pytest.raises(Conflict, match=r"“4\.5” by user:ana at \d{4}-"):
        two.set_field("S1.loss_start", "3.9", BOB)
    assert lines(root) == count
    assert two.state.fields["S1.loss_start"].value == "4.5"
    two.set_field("S1.loss_start", "3.9", BOB)
    assert one.refresh()[-1].by == BOB


def test_without_the_precondition_the_second_writer_would_win(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Workspace.open(root), Workspace.open(root)
    one.set_field("S1.loss_start", "4.5", ANA)

    def change(kind: str, item: str, new: str | None, by: str, extra: object = None) -> object:
        return two._commit(
            lambda: {"by": by, "do": kind, "item": item, "new": new, "source": "hand"}
        )

    monkeypatch.setattr(two, "_change", change)
    two.set_field("S1.loss_start", "3.9", BOB)
    one.refresh()
    assert one.state.fields["S1.loss_start"].value == "3.9"


def test_different_items_never_conflict_and_are_seen(root: Path) -> None:
    one, two = Workspace.open(root), Workspace.open(root)
    one.tick("S0.T1", ANA)
    two.tick("S0.S4", BOB)
    seen = one.refresh()
    assert [(r.item, r.by) for r in seen] == [("S0.S4", BOB)]
    assert one.refresh() == ()


def test_looking_changes_nothing(root: Path) -> None:
    Workspace.open(root).tick("S0.T1", ANA)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.iterdir() if p.is_file()}
    reader = Workspace.open(root)
    reader.refresh()
    overall(reader.document, reader.state)
    assert {
        p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.iterdir() if p.is_file()
    } == before


def test_computed_boxes_cannot_be_ticked(ws: Workspace) -> None:
    for box, words in (("PT1", "computed from S0"), ("S3.G1", "gate"), ("P3.E1", "10 items")):
        with pytest.raises(InvalidValue, match=words):
            ws.tick(box, ANA)
    with pytest.raises(UnknownId, match=r"S9\.X1"):
        ws.tick("S9.X1", ANA)


def test_nested_boxes_roll_up(ws: Workspace) -> None:
    for n in range(1, 10):
        ws.tick(f"P3.E1.{n}", ANA)
        assert tick(ws, "P3.E1") == "partial"
    ws.tick("P3.E1.10", ANA)
    assert tick(ws, "P3.E1") == "done"


def test_tracker_follows_its_stage(ws: Workspace) -> None:
    stage = [b.id for b in ws.document.boxes.values() if b.section_id == "S1"]
    for box in stage:
        ws.tick(box, ANA)
        assert tick(ws, "PT2") == ("partial" if box != stage[-1] else "done")


def test_later_phases_are_not_complete_before_go(ws: Workspace) -> None:
    for box in ws.document.boxes.values():
        if box.section_id == "P1":
            ws.tick(box.id, ANA)
    assert tick(ws, "PT6") == "partial"
    ws.decide("GO", "the gate was passed in a dry run", ANA, override="OVERRIDE")
    assert (tick(ws, "PT6"), tick(ws, "PT5"), tick(ws, "S3.G1"), tick(ws, "S3.G2")) == (
        "done", "done", "done", "open",
    )  # fmt: skip


def test_waiver_counts_until_it_expires(ws: Workspace) -> None:
    with pytest.raises(InvalidValue, match="10 characters"):
        ws.waive("S0.L4", ANA, "no")
    ws.waive("S0.L4", ANA, "no VS Code on this laptop", 30)
    now = int(time.time() * 1000)
    assert box_status(ws.document, ws.state, "S0.L4", now + 29 * 86_400_000).tick == "waived"
    assert box_status(ws.document, ws.state, "S0.L4", now + 31 * 86_400_000).tick == "open"
    assert section_progress(ws.document, ws.state, "S0")[0] == 1


# --- undo -----------------------------------------------------------------------------------------


def test_undo_takes_back_only_ones_own_last_action(ws: Workspace, root: Path) -> None:
    ws.tick("S0.T1", ANA)
    ws.tick("S0.T2", BOB)
    ws.set_field("S0.date", "2026-01-02", ANA)
    assert ws.undo(ANA).item == "S0.date"
    assert "S0.date" not in ws.state.fields
    assert ws.undo(ANA).item == "S0.T1"
    assert (tick(ws, "S0.T1"), tick(ws, "S0.T2")) == ("open", "done")
    with pytest.raises(InvalidValue, match="nothing of yours to undo"):
        ws.undo(ANA)
    again = Workspace.open(root)
    assert again.redo(ANA).item == "S0.T1"
    assert again.redo(ANA).item == "S0.date"
    assert again.state.fields["S0.date"].value == "2026-01-02"
    with pytest.raises(InvalidValue, match="nothing of yours to redo"):
        again.redo(ANA)
    assert again.undo(ANA).item == "S0.date"


def test_undo_is_refused_after_somebody_elses_change(ws: Workspace) -> None:
    ws.set_field("S1.loss_start", "4", ANA)
    ws.set_field("S1.loss_start", "5", BOB)
    with pytest.raises(Conflict, match="cli:bob"):
        ws.undo(ANA)
    assert ws.state.fields["S1.loss_start"].value == "5"


def test_a_new_action_ends_redo(ws: Workspace) -> None:
    ws.tick("S0.T1", ANA)
    ws.undo(ANA)
    ws.tick("S0.T2", ANA)
    with pytest.raises(InvalidValue):
        ws.redo(ANA)


def test_undo_of_money_voids_and_of_a_decision_is_refused(ws: Workspace) -> None:
    ws.add_cost("S3", "5", ANA)
    ws.undo(ANA)
    assert [c.voided for c in ws.state.costs] == [True]
    ws.redo(ANA)
    assert [c.voided for c in ws.state.costs] == [False]
    ws.void_cost(ws.state.costs[0].id, ANA, "typed twice")
    ws.undo(ANA)
    assert [c.voided for c in ws.state.costs] == [False]
    ws.decide("HOLD", "not yet", ANA)
    with pytest.raises(InvalidValue, match="supersedes"):
        ws.undo(ANA)


def test_undo_of_note_and_waiver(ws: Workspace) -> None:
    ws.note("S0", "first", ANA)
    ws.note("S0", "second", ANA)
    ws.undo(ANA)
    assert ws.state.notes["S0"] == "first"
    ws.undo(ANA)
    assert "S0" not in ws.state.notes
    ws.waive("S0.L4", ANA, "no VS Code on this laptop")
    ws.undo(ANA)
    assert tick(ws, "S0.L4") == "open"


# --- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "typed", "kept"),
    [
        ("S0.date", "2026-01-02", "2026-01-02"), ("KM.f1.improvement", "-3.1 %", "-3.1"),
        ("KM.f1.improvement", "+4", "4"), ("KM.control_time", "2.5 hours", "2.5"),
        ("KM.vram_peak", "6.6 GB", "6.6"), ("S1.loss_start", "1e-3", "0.001"),
        ("P4.dashboard_url", "http://server:3000", "http://server:3000"), ("KM.significant", "yes", "Yes"),
        ("P5.blog_urls", "https://a.b/x https://c.d", "https://a.b/x, https://c.d"),
        ("final_outcome", "  naïve cafe\u0301 ", "naïve café"),
    ],
)  # fmt: skip
def test_values_are_brought_into_one_form(ws: Workspace, field: str, typed: str, kept: str) -> None:
    ws.set_field(field, typed, ANA)
    assert ws.state.fields[field].value == kept


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("S0.date", "2031-01-01"), ("S0.date", "soon"), ("S0.date", "20260102"), ("S1.loss_start", "NaN"),
        ("S1.loss_start", "high"), ("KM.p_value", "1.2"), ("KM.control_time", "-1"),
        ("P4.dashboard_url", "javascript:alert(1)"), ("P5.arxiv_url", "http://a.b http://c.d"),
        ("final_outcome", "a ____ b"), ("final_outcome", "two\nlines"), ("final_outcome", "a\x1b[31mb"),
        ("KM.significant", "maybe"), ("final_outcome", "x" * 3000), ("S1.loss_start", "9" * 30),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused(
    ws: Workspace, root: Path, field: str, typed: str
) -> None:
    count = lines(root)
    with pytest.raises(InvalidValue):
        ws.set_field(field, typed, ANA)
    assert lines(root) == count
    assert field not in ws.state.fields


def test_fields_of_one_fact_change_together(ws: Workspace) -> None:
    ws.set_field("KM.p_value", "0.04", ANA)
    assert ws.state.fields["P3.p_value"].value == "0.04"
    ws.set_field("P3.p_value", "", ANA)
    assert "KM.p_value" not in ws.state.fields


def test_cells_that_the_ledger_fills_take_no_value(ws: Workspace) -> None:
    for field in ("BT.S2.actual", "S2.cost", "BT.total.actual", "BT.status"):
        with pytest.raises(InvalidValue, match="ledger"):
            ws.set_field(field, "3", ANA)


def test_a_hand_value_beside_a_measured_one(ws: Workspace) -> None:
    measured = Verdict("S1.K5", "PASS", by="pipeline:x", fills={"S1.loss_start": "4.5000"})
    ws.set_field("S1.loss_start", "4.4", ANA)
    ws.record_verdicts([measured], ANA)
    value = ws.state.fields["S1.loss_start"]
    assert (value.value, value.measured, value.source, value.disputed) == (
        "4.4",
        "4.5000",
        "hand",
        True,
    )
    ws.set_field("S1.loss_start", "", ANA)
    assert ws.state.fields["S1.loss_start"].value == "4.5000"


# --- verdicts -------------------------------------------------------------------------------------


def test_a_pass_ticks_and_a_later_fail_never_unticks(ws: Workspace, root: Path) -> None:
    count = lines(root)
    record = ws.record_verdicts(
        [
            Verdict("S1.K1", "PASS", "5", "5", 0.1, by="probe:tower", at=5),
            Verdict("S1.K2", "FAIL", "image", "none", 0.1, "no image"),
            Verdict("S1.C4", "SKIP", reason="needs a GPU: none here"),
        ],
        ANA,
    )
    assert lines(root) == count + 1
    assert list(record.data["ticked"]) == ["S1.K1"]
    status = box_status(ws.document, ws.state, "S1.K1")
    assert (status.tick, status.by) == ("done", "probe:tower")
    assert (tick(ws, "S1.K2"), tick(ws, "S1.C4")) == ("open", "open")
    ws.record_verdicts([Verdict("S1.K1", "FAIL", reason="gone")], ANA)
    status = box_status(ws.document, ws.state, "S1.K1")
    assert status.tick == "done"
    assert status.verdict is not None
    assert status.verdict.verdict == "FAIL"


def test_a_pass_does_not_tick_without_auto_tick(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w", settings_text="auto_tick = false\n")
    ws.record_verdicts([Verdict("S1.K1", "PASS")], ANA)
    assert tick(ws, "S1.K1") == "open"


def test_fills_are_checked_like_anything_else(ws: Workspace) -> None:
    verdicts = [
        Verdict(
            "S1.K5", "PASS", fills={"S1.loss_start": "nan", "S1.loss_end": "2.5", "nowhere": "1"}
        ),
        Verdict("S1.K3", "FAIL", fills={"S1.date": "2026-01-01"}),
    ]
    ws.record_verdicts(verdicts, ANA)
    assert set(ws.state.fields) == {"S1.loss_end"}


def test_many_verdicts_are_cut_into_lines_that_fit(ws: Workspace, root: Path) -> None:
    verdicts = [Verdict(i, "PASS", "e" * 500, "f" * 500) for i in list(ws.document.boxes)[:200]]
    ws.record_verdicts(verdicts, ANA)
    assert max(map(len, (root / "state.jsonl").read_bytes().splitlines())) < 65536
    assert len(Workspace.open(root).state.verdicts) == 200


def test_evidence_can_be_opened(ws: Workspace) -> None:
    name = ws.put_evidence({"found": "x", "n": 3})
    assert json.loads(ws.evidence_path(name).read_text()) == {"found": "x", "n": 3}
    assert ws.put_evidence({"n": 3, "found": "x"}) == name
    big = ws.evidence_path(ws.put_evidence({"log": "y" * 400_000}))
    assert big.stat().st_size < 300_000
    assert json.loads(big.read_text())["cut"] is True
    for bad in ("../../etc/passwd", "sha256:zz", ""):
        with pytest.raises(UnknownId):
            ws.evidence_path(bad)


# --- folders out of order -------------------------------------------------------------------------


def test_read_only_writes_nothing(root: Path) -> None:
    ws = Workspace.open(root, read_only=True)
    count = lines(root)
    for act in (
        lambda: ws.tick("S0.T1", ANA),
        lambda: ws.put_evidence({}),
        lambda: ws.undo(ANA),
    ):
        with pytest.raises(ReadOnly):
            act()
    assert lines(root) == count


def test_a_damaged_state_is_shown_and_not_written(root: Path) -> None:
    Workspace.open(root).tick("S0.T1", ANA)
    path = root / "state.jsonl"
    path.write_bytes(path.read_bytes().replace(b"ROADMAP.md", b"ROADMAP.mm", 1))
    ws = Workspace.open(root)
    assert ws.read_only
    assert "line 1" in ws.warnings[0]
    with pytest.raises(ReadOnly):
        ws.tick("S0.T2", ANA)


def test_hand_edits_are_taken_and_said(root: Path) -> None:
    with (root / "state.jsonl").open("a") as file:
        file.write('{"do":"tick","item":"S0.S1","new":"done"}\n')
        file.write('{"do":"field","item":"S0.date","new":7}\n')
    ws = Workspace.open(root)
    assert tick(ws, "S0.S1") == "done"
    assert any("without checksum" in w for w in ws.warnings)
    assert any("makes no sense" in w for w in ws.warnings)
    ws.tick("S0.S2", ANA)


def test_branches_merged_by_union(root: Path) -> None:
    ws = Workspace.open(root)
    ws.tick("S0.T1", ANA)
    base = (root / "state.jsonl").read_bytes()
    ws.tick("S0.T2", ANA)
    ws.untick("S0.T1", ANA)
    left = (root / "state.jsonl").read_bytes()[len(base) :]
    (root / "state.jsonl").write_bytes(base)
    other = Workspace.open(root)
    other.tick("S0.T3", BOB)
    right = (root / "state.jsonl").read_bytes()[len(base) :]
    for merged in (left + right, right + left):
        (root / "state.jsonl").write_bytes(base + merged)
        both = Workspace.open(root)
        assert [tick(both, f"S0.T{n}") for n in (1, 2, 3)] == ["open", "done", "done"]
        assert both.warnings == ["state.jsonl: merged 2 lines of work."]
    both.tick("S0.T4", ANA)


def test_clashing_branches_are_said(root: Path) -> None:
    base = (root / "state.jsonl").read_bytes()
    Workspace.open(root).set_field("S1.loss_start", "1", ANA)
    left = (root / "state.jsonl").read_bytes()[len(base) :]
    (root / "state.jsonl").write_bytes(base)
    Workspace.open(root).set_field("S1.loss_start", "2", BOB)
    with (root / "state.jsonl").open("ab") as file:
        file.write(left)
    ws = Workspace.open(root)
    assert ws.state.fields["S1.loss_start"].value == "2"
    assert any("changed twice" in w for w in ws.warnings)


def test_ticks_of_the_document_itself_count(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text="# T\n- [x] a\n- [ ] b\n")
    assert overall(ws.document, ws.state) == (1, 2)
    ws.untick("T.a", ANA)
    assert overall(ws.document, ws.state) == (0, 2)
    ws.undo(ANA)
    assert overall(ws.document, ws.state) == (1, 2)


def test_missing_and_broken_files_are_one_sentence(root: Path) -> None:
    (root / "ROADMAP.md").write_bytes(b"\xff\xfe")
    with pytest.raises(WorkspaceError, match="not UTF-8"):
        Workspace.open(root)
    (root / "ROADMAP.md").unlink()
    with pytest.raises(WorkspaceError, match="No such file"):
        Workspace.open(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_file_without_write_permission(root: Path) -> None:
    (root / "state.jsonl").chmod(0o400)
    before = (root / "state.jsonl").read_bytes()
    with pytest.raises(NotSaved, match="permission denied"):
        Workspace.open(root).tick("S0.T1", ANA)
    assert (root / "state.jsonl").read_bytes() == before
    (root / "state.jsonl").chmod(0o600)
    root.chmod(0o500)  # nothing new can be made in the folder, but the file takes lines
    try:
        Workspace.open(root).tick("S0.T1", ANA)
    finally:
        root.chmod(0o700)
    assert "S0.T1" in (root / "state.jsonl").read_text()


def test_a_thousand_records_open_quickly(root: Path) -> None:
    ws = Workspace.open(root)
    with ws.journal.exclusive():
        for n in range(1000):
            ws.journal.write({"by": ANA, "do": "note", "item": "S0", "old": None, "new": f"{n}"})
    began = time.perf_counter()
    again = Workspace.open(root)
    took = time.perf_counter() - began
    assert len(again.state.records) == 1001
    assert took < 1.0, took
