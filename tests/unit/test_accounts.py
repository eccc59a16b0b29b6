"""Blanks, dates, waivers, pins and what wants attention."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from msgspec import structs

from tests.unit.test_gate import comparison, put
from tui.roadmap.appendix import MARK
from tui.roadmap.attention import attention
from tui.roadmap.budget import computed_fields
from tui.roadmap.computed import effective_fields
from tui.roadmap.dates import proposal, proposals
from tui.roadmap.derived import measured_values, metric_names
from tui.roadmap.errors import InvalidValue
from tui.roadmap.export import export_markdown
from tui.roadmap.gate import evaluate
from tui.roadmap.gate_lock import reason_wanted
from tui.roadmap.importer import read_filled
from tui.roadmap.pins import smallest_effect
from tui.roadmap.progress import box_status
from tui.roadmap.results import load_comparison
from tui.roadmap.state import FieldValue, Verdict
from tui.roadmap.waivers import DAY_MS, waiver_days
from tui.roadmap.workspace import Workspace

ANA = "user:ana"
SAMPLES = {
    "date": "2026-01-05", "url": "https://example.org/a", "text": "words", "money": "1.10",
    "percent": "12.5", "float": "0.5", "hours": "21", "gb": "6.5",
}  # fmt: skip
NONSENSE = {
    "date": "soon", "url": "example", "money": "ten", "percent": "12,5", "float": "x", "hours": "-1",
    "gb": "-2", "text": "a ____ b",
}  # fmt: skip


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def values(ws: Workspace) -> dict[str, FieldValue]:
    return effective_fields(ws.document, ws.state, ws.settings)


def test_all_85_blanks_are_typed_and_can_be_filled(ws: Workspace) -> None:
    blanks = [item for item in ws.document.fields.values() if not item.implicit]
    assert Counter(item.type for item in blanks) == {
        "date": 11, "url": 4, "text": 2, "money": 14, "percent": 22, "float": 27, "hours": 3, "gb": 2
    }  # fmt: skip
    ledger = computed_fields(ws.document)
    for item in blanks:
        with pytest.raises(InvalidValue):
            ws.set_field(item.id, NONSENSE[item.type], ANA)
        assert item.fact or item.id not in ws.state.fields
        if item.id not in ledger:
            ws.set_field(item.id, SAMPLES[item.type], ANA)
    for row in ("S0", "S1", "S2", "S3", "P1", "P2", "P3", "P4", "P5"):
        ws.add_cost(row, "1.10", ANA)
    assert "____" not in export_markdown(ws.document, ws.state, ws.settings)


def test_one_fact_feeds_every_place(ws: Workspace) -> None:
    facts = Counter(item.fact for item in ws.document.fields.values() if item.fact)
    assert facts["vram_peak"] == 2
    ws.set_field("P2.VC3.vram_peak", "6.4", ANA)
    ws.set_field("KM.control_loss", "0.41", ANA)
    lines = ["", *export_markdown(ws.document, ws.state, ws.settings).split("\n")]
    assert "6.4 GB" in lines[310]
    assert "6.4 GB" in lines[563]
    assert "0.41 (train)" in lines[305]


def test_a_date_before_the_start_is_refused(ws: Workspace) -> None:
    ws.set_field("start_date", "2026-02-01", ANA)
    with pytest.raises(InvalidValue, match="before the start date 2026-02-01"):
        ws.set_field("S0.date", "2026-01-31", ANA)
    ws.set_field("S0.date", "2026-02-01", ANA)


def later_by(days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every clock of the program goes on by so many days."""
    seconds, real, real_ns = days * 86_400, time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + seconds * 1_000_000_000)


# --- measured and by hand -------------------------------------------------------------------------


def test_hand_and_measured_stay_side_by_side_until_somebody_chooses(ws: Workspace) -> None:
    ws.set_field("S1.loss_start", "4.5", ANA)
    ws.store_measured(
        {"S1.loss_start": "4.71", "S1.loss_end": "3.2", "S0.date": "soon"}, ANA, "run 1"
    )
    both = values(ws)["S1.loss_start"]
    assert (both.value, both.measured, both.disputed) == ("4.5", "4.71", True)
    assert values(ws)["S1.loss_end"].value == "3.2"
    assert [a.item for a in attention(ws)] == ["S1.loss_start"]
    ws.choose_value("S1.loss_start", "hand", ANA)
    kept = values(ws)["S1.loss_start"]
    assert (kept.value, kept.disputed, kept.differs) == ("4.5", False, True)
    ws.record_verdicts([Verdict("S1.C2", "PASS", fills={"S1.loss_start": "4.71"})], "probe:tower")
    assert not values(ws)["S1.loss_start"].disputed, "the same measurement again is no news"
    ws.store_measured({"S1.loss_start": "4.80"}, ANA, "run 2")
    assert values(ws)["S1.loss_start"].disputed, "another measurement disputes it anew"
    ws.choose_value("S1.loss_start", "measured", ANA)
    assert values(ws)["S1.loss_start"].value == "4.80"
    ws.undo(ANA)
    again = values(Workspace.open(ws.root))["S1.loss_start"]
    assert (again.value, again.disputed) == ("4.5", True)
    with pytest.raises(InvalidValue, match="no hand-set value"):
        ws.choose_value("S1.loss_end", "hand", ANA)


def test_clearing_gives_way_to_the_measured_value(ws: Workspace) -> None:
    ws.store_measured({"S1.loss_start": "4.7"}, ANA, "run 1")
    ws.set_field("S1.loss_start", "4.5", ANA)
    ws.set_field("S1.loss_start", "", ANA)
    assert values(ws)["S1.loss_start"].value == "4.7"


def test_equal_numbers_written_otherwise_are_no_conflict() -> None:
    assert not FieldValue("12.40", "hand", ANA, 1, "12.4").differs
    assert FieldValue("12.41", "hand", ANA, 1, "12.4").differs
    assert FieldValue("Yes", "hand", ANA, 1, "No").differs


def test_what_follows_from_other_fields(ws: Workspace) -> None:
    ws.set_field("S2.control_accuracy", "60", ANA)
    ws.set_field("S2.experiment_accuracy", "67", ANA)
    ws.set_field("KM.control_time", "20.5", ANA)
    ws.set_field("KM.experiment_time", "21", ANA)
    ws.set_field("KM.code_vulnerability.control", "0.25", ANA)
    ws.set_field("KM.code_vulnerability.experiment", "0.20", ANA)
    ws.set_field("KM.coherence.control", "0", ANA)
    ws.set_field("KM.coherence.experiment", "4", ANA)
    found = values(ws)
    assert found["S2.improvement"].value == "11.7"
    assert found["P2.training_time"].value == "41.50"
    assert found["KM.code_vulnerability.improvement"].value == "20.0"
    assert "KM.coherence.improvement" not in found, "a control of 0 leaves it undefined"
    assert found["KM.average.improvement"].value == found["P3.improvement"].value == "20.0"
    assert found["P3.improvement"].source == "mean of 1 of 10"


def test_the_comparison_fills_all_ten_metrics(ws: Workspace) -> None:
    names = metric_names(ws.document)
    assert len(names) == 10
    data = comparison()
    for metric, name in zip(data["metrics"], names, strict=True):
        metric["name"] = name
    put(ws, data)
    loaded = load_comparison(ws.root).comparison
    assert loaded is not None
    ws.store_measured(measured_values(ws.document, loaded), ANA, "comparison")
    found = values(ws)
    for name in names:
        assert found[f"KM.{name}.improvement"].value == "12.4"
    assert found["KM.code_accuracy.control"].value == "50"
    assert found["KM.fluency.control"].value == "0.5"
    assert (found["KM.p_value"].value, found["KM.significant"].value) == ("0.031", "Yes")
    with pytest.raises(InvalidValue, match="No measured value is new"):
        ws.store_measured(measured_values(ws.document, loaded), ANA, "comparison")


# --- dates ----------------------------------------------------------------------------------------


def test_a_date_is_proposed_once_and_again_only_for_a_later_day(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = ws.document.section("S0")
    assert section is not None
    for box in section.boxes[:-1]:
        ws.tick(box.id, ANA)
    assert proposals(ws.document, ws.state) == ()
    ws.tick(section.boxes[-1].id, ANA)
    found = proposal(ws.document, ws.state, "S0")
    assert found is not None
    assert found.question == f"Stage 0 complete. Date Completed {found.date}?"
    ws.set_field("S0.date", found.date, ANA)
    assert proposal(ws.document, ws.state, "S0") is None
    ws.untick("S0.T1", ANA)
    assert ws.state.fields["S0.date"].value == found.date
    ws.tick("S0.T1", ANA)
    assert proposal(ws.document, ws.state, "S0") is None, "the same day again"
    ws.untick("S0.T1", ANA)
    later_by(2, monkeypatch)
    ws.tick("S0.T1", ANA)
    later = proposal(ws.document, ws.state, "S0")
    assert later is not None
    assert (later.date > found.date, later.before) == (True, found.date)


def test_a_no_go_still_completes_the_stage_of_the_gate(ws: Workspace) -> None:
    section = ws.document.section("S3")
    assert section is not None
    for box in section.boxes:
        if box.kind == "task" and not box.id.startswith("S3.C"):
            ws.tick(box.id, ANA)
    assert proposal(ws.document, ws.state, "S3") is None
    ws.decide("NO-GO", "the numbers are not there", ANA)
    assert proposal(ws.document, ws.state, "S3") is not None


# --- waivers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "0", "91", "-3", "Permanent", "soon", "2020-01-01", "1e1"])
def test_a_waiver_needs_an_end(text: str) -> None:
    with pytest.raises(InvalidValue, match="permanent"):
        waiver_days(text)


def test_waived_dropped_renewed_and_undone(ws: Workspace) -> None:
    now = int(time.time() * 1000)

    def tick(box: str, days: int = 0) -> str:
        return box_status(ws.document, ws.state, box, now + days * DAY_MS).tick

    with pytest.raises(InvalidValue, match="10 characters"):
        ws.waive("S0.L4", ANA, "too short", 5)
    ws.waive("S0.L4", ANA, "no VS Code on this laptop", 30)
    assert (tick("S0.L4", 29), tick("S0.L4", 31)) == ("waived", "open")
    ws.waive("S0.L4", ANA, "still no VS Code here", 60)
    assert (tick("S0.L4", 31), tick("S0.L4", 61)) == ("waived", "open"), "renewed"
    ws.undo(ANA)
    assert tick("S0.L4", 31) == "open", "the first end is back, and no waiver without an end"
    ws.waive("S0.L4", ANA, "no VS Code for ever", "permanent")
    assert tick("S0.L4", 4000) == "waived"
    ws.not_applicable("S0.L3", ANA, "no extension needed")
    assert tick("S0.L3", 4000) == "na"
    ws.untick("S0.L3", ANA)
    assert tick("S0.L3") == "open"


def test_a_probe_ticks_a_box_whose_waiver_ran_out(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws.waive("S0.T1", ANA, "not here for a day", 1)
    ws.record_verdicts([Verdict("S0.T1", "PASS")], "probe:tower")
    assert ws.state.ticks["S0.T1"].state == "waived", "a waiver in force stays"
    later_by(2, monkeypatch)
    ws.record_verdicts([Verdict("S0.T1", "PASS")], "probe:tower")
    assert ws.state.ticks["S0.T1"].state == "done"


@pytest.mark.parametrize("ending", ["\n", "", "\r\n"])
def test_an_export_with_an_appendix_reads_back(tmp_path: Path, ending: str) -> None:
    plan = ending.join(["- [ ] one", "- [ ] two"]) + ending if ending else "- [ ] one\n- [ ] two"
    ws = Workspace.create(tmp_path / "w", roadmap_text=plan)
    assert MARK not in export_markdown(ws.document, ws.state, ws.settings)
    first, second = ws.document.boxes
    ws.waive(first, ANA, "<!-- not ours to do", 5)
    text = export_markdown(ws.document, ws.state, ws.settings)
    assert MARK in text
    assert read_filled(ws.document, text).ticks == {first: True, second: False}


# --- the gate -------------------------------------------------------------------------------------


def test_the_gate_names_everything_that_changed(ws: Workspace) -> None:
    passed = [Verdict(i, "PASS", evidence=f"sha256:{'a' * 64}") for i in ("S3.TC4", "S3.TE4")]
    ws.record_verdicts(passed, "probe:tower")
    put(ws, comparison())
    ws.decide("GO", "clear numbers", ANA)
    assert evaluate(ws).changes == ()
    put(ws, comparison(gain=30.0))
    ws.record_verdicts([Verdict("S3.TC4", "PASS", evidence=f"sha256:{'b' * 64}")], "probe:tower")
    ws.settings = structs.replace(ws.settings, gate=structs.replace(ws.settings.gate, alpha=0.01))
    changes = "\n".join(evaluate(ws).changes)
    for part in (
        "C2 value +12.4 % -> +30.0 %", "C3 threshold p < 0.05 -> p < 0.01", "C3 verdict GO -> NO-GO",
        "definition of alpha 0.05 -> 0.01", "evaluation/results/comparison.json",
        f"evidence of S3.TC4 {'a' * 12} -> {'b' * 12}",
    ):  # fmt: skip
        assert part in changes
    assert attention(ws)[0].text.startswith("evidence changed since decision: ")


def test_a_decision_has_a_hash_that_any_change_breaks(ws: Workspace) -> None:
    ws.decide("HOLD", "too early", ANA)
    first = ws.state.decisions[0]
    assert len(first.digest) == 64
    assert Workspace.open(ws.root).state.decisions[0].digest == first.digest
    ws.decide("HOLD", "too early", ANA)
    assert ws.state.decisions[1].digest != first.digest
    assert ws.state.notes["S3"].count("HOLD on ") == 2


@pytest.mark.parametrize(("n", "least"), [(6, 1.0494), (15, 0.5538), (75, 0.2301)])
def test_the_smallest_effect_that_n_can_find(n: int, least: float) -> None:
    """Reference: scipy.stats.t.ppf(0.975, n - 1) / sqrt(n)."""
    found = smallest_effect(n, 0.05)
    assert found == pytest.approx(least, rel=3e-3)
    assert smallest_effect(2, 0.05) is None


def test_only_phases_behind_the_gate_ask_for_a_reason(ws: Workspace) -> None:
    assert reason_wanted(ws, "P1.R1") == "P1 is locked until the gate says GO"
    assert reason_wanted(ws, "S3.D1") == reason_wanted(ws, "NX1") == ""
    ws.decide("GO", "a dry run of the whole plan", ANA, override="OVERRIDE")
    assert reason_wanted(ws, "P1.R1") == ""
