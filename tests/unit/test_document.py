"""Ids, fields and kinds of the shipped roadmap, and how they survive edits and other documents."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tui.roadmap.document import Document
from tui.roadmap.labels import repair_mojibake, section_code, slug, strip_emoji
from tui.roadmap.naming import TEMPLATE

TEXT = TEMPLATE.read_bytes().decode()
DOC = Document.parse(TEXT)

GROUPS = {
    "PT": (25, 10), "S0.T": (45, 7), "S0.S": (54, 4), "S0.L": (60, 5), "S0.C": (67, 3),
    "S1.K": (81, 7), "S1.C": (90, 4), "S2.D": (108, 4), "S2.TC": (114, 4), "S2.TE": (120, 4),
    "S2.E": (126, 3), "S2.C": (131, 4), "S3.D": (153, 4), "S3.TC": (159, 5), "S3.TE": (166, 5),
    "S3.E": (173, 9), "S3.A": (184, 4), "S3.C": (190, 6), "S3.G": (204, 2), "P1.R": (220, 7),
    "P1.X": (229, 6), "P1.C": (237, 6), "P1.M": (247, 6), "P1.Q": (255, 5), "P1.S": (262, 7),
    "P1.U": (271, 4), "P1.V": (277, 4), "P2.S": (294, 4), "P2.TC": (300, 6), "P2.VC": (308, 4),
    "P2.TE": (316, 6), "P2.VE": (324, 4), "P2.Q": (330, 4), "P2.V": (336, 4), "P3.S": (355, 4),
    "P3.A": (377, 5), "P3.D": (386, 4), "P3.R": (392, 4), "P3.F": (398, 4), "P3.V": (404, 4),
    "P4.S": (424, 4), "P4.B": (430, 5), "P4.D": (439, 4), "P4.P": (445, 5), "P4.X": (452, 4),
    "P4.V": (458, 4), "P5.M": (476, 4), "P5.R": (482, 4), "P5.D": (488, 5), "P5.F": (497, 4),
    "P5.K": (503, 4), "P5.L": (509, 5), "P5.O": (516, 5), "P5.V": (523, 5), "SC": (589, 9),
    "NX": (627, 7),
}  # fmt: skip
"""Prefix to the line of its first box and their number, as counted in the document by hand."""


def expected_ids() -> dict[str, int]:
    out = {}
    for prefix, (line, count) in GROUPS.items():
        for n in range(count):
            out[f"{prefix}{n + 1}"] = line + n
    out.update({"P3.E1": 361, "P3.E2": 372, "P3.E2.1": 373, "P3.E3": 374})
    out.update({f"P3.E1.{n}": 361 + n for n in range(1, 11)})
    return out


def test_every_box_has_its_id_on_its_line() -> None:
    assert {box.id: box.line for box in DOC.boxes.values()} == expected_ids()
    assert DOC.box_count == 288
    assert list(DOC.boxes) == [b.id for s in DOC.sections for b in s.boxes]


def test_sections_and_groups() -> None:
    ids = ["PT", "S0", "S1", "S2", "S3", "P1", "P2", "P3", "P4", "P5", "SC", "NX"]
    assert [section.id for section in DOC.sections] == ids
    tower = DOC.sections[1].groups[0]
    assert (tower.id, tower.title) == ("S0.T", "Gaming Tower (RTX 4070Ti)")
    stage = DOC.section("S3")
    assert stage is not None
    assert stage.short == "Stage 3: Full Pipeline Test (5 hours, $12) - GO/NO-GO GATE"
    assert stage.title.startswith("🎯")
    assert stage.goal == "Full validation with 100 samples, one scenario (React Components)"
    assert DOC.title == "AI Training Demo - Implementation Roadmap"


def test_kinds_and_countable() -> None:
    kinds = Counter(box.kind for box in DOC.boxes.values())
    assert kinds == {"task": 269, "tracker": 10, "estimate": 4, "cost": 3, "radio": 2}
    informational = {b.id for b in DOC.boxes.values() if b.informational}
    assert informational == {"S2.E2", "S3.TC2", "S3.TE2", "S3.E9", "P2.TC3", "P2.TE3", "P3.E3"}
    targets = {b.id: b.target for b in DOC.boxes.values() if b.kind == "tracker"}
    assert targets["PT1"] == "S0"
    assert targets["PT5"] == "GATE"
    assert targets["PT10"] == "P5"
    assert {b.id for b in DOC.boxes.values() if b.optional} == {
        "P4.X1",
        "P4.X2",
        "P4.X3",
        "P4.X4",
        "P4.V2",
    }
    assert DOC.boxes["P3.E1"].children == tuple(f"P3.E1.{n}" for n in range(1, 11))


def test_fields() -> None:
    blanks = [item for item in DOC.fields.values() if not item.implicit]
    assert DOC.blank_count == len(blanks) == 85
    assert Counter(item.type for item in blanks) == {
        "float": 27, "percent": 22, "money": 14, "date": 11, "url": 4, "hours": 3, "gb": 2, "text": 2,
    }  # fmt: skip
    assert len(DOC.fields) - len(blanks) == 28
    for name in (
        "S0.date", "S1.loss_start", "S1.loss_end", "S1.date", "S2.control_accuracy", "S3.G.improvement",
        "S3.G.p_value", "S3.decision_date", "P2.TC6.train", "P2.VC3.vram_peak", "P4.dashboard_url",
        "BT.S2.actual", "BT.total.actual", "KM.code_accuracy.control", "KM.pass_at_k.improvement",
        "KM.p_value", "NL.went_well.3", "S3.notes", "final_outcome", "start_date",
    ):  # fmt: skip
        assert name in DOC.fields, name
    assert (DOC.fields["S1.loss_start"].line, DOC.fields["S1.loss_end"].line) == (96, 96)


def test_facts_join_the_places_that_ask_for_the_same_thing() -> None:
    places: dict[str, set[str]] = {}
    for item in DOC.fields.values():
        if item.fact:
            places.setdefault(item.fact, set()).add(item.id)
    assert places["cost.S2"] == {"S2.cost", "BT.S2.actual"}
    assert places["p_value"] == {"P3.p_value", "KM.p_value"}
    assert places["improvement"] == {"P3.improvement", "KM.average.improvement"}
    assert places["vram_peak"] == {"P2.VC3.vram_peak", "KM.vram_peak"}


@pytest.mark.parametrize(
    "edit",
    [
        ("\n", "\r\n"),
        ("- [ ] ", "* [ ] "),
        ("- [ ] ", "- [x] "),
        ("## 🔧 Stage 0", "## Stage 0"),
        ("### Checklist", "### Things to check"),
        ("(5 minutes, $0)", "(9 minutes, $0)"),
    ],
)
def test_ids_survive_changes_around_the_boxes(edit: tuple[str, str]) -> None:
    changed = Document.parse(TEXT.replace(*edit))
    assert list(changed.boxes) == list(DOC.boxes)
    assert set(changed.fields) == set(DOC.fields)


def test_insertion_removal_and_moves_keep_the_other_ids() -> None:
    line = "- [ ] CUDA 12.1+ detected\n"
    inserted = Document.parse(TEXT.replace(line, "- [ ] Check the fans\n" + line))
    assert set(inserted.boxes) - set(DOC.boxes) == {"S0.T.check_the_fans"}
    assert inserted.boxes["S0.T3"].label == "CUDA 12.1+ detected"
    removed = Document.parse(TEXT.replace(line, ""))
    assert set(DOC.boxes) - set(removed.boxes) == {"S0.T3"}
    assert removed.boxes["S0.T4"].label == DOC.boxes["S0.T4"].label
    moved = Document.parse(TEXT.replace(line, "").replace("**Laptop:**\n", "**Laptop:**\n" + line))
    assert moved.boxes["S0.T3"].line > DOC.boxes["S0.T3"].line


def test_rewording_is_noticed_and_never_jumps_to_another_container() -> None:
    changed = Document.parse(TEXT.replace("300+ GB storage", "500+ GB storage"))
    assert [r[0] for r in changed.reworded] == ["S0.S4"]
    assert "500+" in changed.boxes["S0.S4"].label
    # "Start training: … small-experiment" resembles the line of another stage far more than its own.
    swapped = Document.parse(TEXT.replace("- [ ] Spot-check improvement\n", ""))
    assert "P2.Q2" not in swapped.boxes
    assert list(swapped.boxes) == [i for i in DOC.boxes if i != "P2.Q2"]


def test_a_count_by_position_would_move_ticks() -> None:
    """The bug that anchoring guards against: ordinals shift when a box is inserted."""
    line = "- [ ] CUDA 12.1+ detected\n"
    text = TEXT.replace(line, "- [ ] Check the fans\n" + line)
    by_position = [n for n in text.splitlines() if n.startswith("- [ ]")][10 + 2]
    assert "fans" in by_position
    assert Document.parse(text).boxes["S0.T3"].label == DOC.boxes["S0.T3"].label


def test_any_other_document() -> None:
    text = (
        "# Shopping\n\nDate: ____\n\n## Food list\n- [ ] Milk\n- [x] Milk\n  * [ ] 2 litres\n"
        "## Übung\n1. [ ] Straße\n\n```\n- [ ] code ____\n```\n\nuse `____` here\n\n________\n"
    )
    doc = Document.parse(text)
    assert list(doc.boxes) == ["FL.milk", "FL.milk-2", "FL.milk-2.2_litres", "ÜBUNG.strasse"]
    assert doc.boxes["FL.milk-2"].checked
    assert doc.boxes["FL.milk-2.2_litres"].parent == "FL.milk-2"
    assert list(doc.fields) == ["DOC.date"]
    assert doc.fields["DOC.date"].type == "date"
    assert [s.id for s in doc.sections] == ["FL", "ÜBUNG"]
    assert Document.parse("").box_count == 0
    assert Document.parse("- [ ] alone").boxes["DOC.alone"].section_id == "DOC"


def test_ids_are_unique_whatever_repeats() -> None:
    text = "## A\n- [ ] x\n- [ ] x\n## A\n- [ ] x\n### B\n- [ ] x\n### B\n- [ ] x ____ ____\n"
    doc = Document.parse(text)
    assert doc.box_count == 5
    assert len(doc.fields) == 2


def test_mojibake_is_repaired_only_where_it_is_one() -> None:
    broken = TEXT.encode("utf-8").decode("mac_roman")
    assert repair_mojibake(broken) == TEXT
    assert repair_mojibake(TEXT) is None
    assert repair_mojibake("plain text, naïve") is None


def test_labels() -> None:
    assert strip_emoji("🖥️ Phase 2: Training") == "Phase 2: Training"
    assert slug("Final loss (train)") == "final_loss_train"
    assert section_code("🎯 Stage 3: Full Pipeline Test") == "S3"
    assert section_code("Progress Tracker") == "PT"
    assert DOC.boxes["SC1"].label == "Experiment model outperforms control by >10% average"


def test_parsing_is_quick() -> None:
    text = TEXT + "\n"  # not the template itself, which is kept
    Document.parse(text)
    began = time.perf_counter()
    Document.parse(text)
    assert time.perf_counter() - began < 0.5
