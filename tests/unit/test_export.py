"""The laws of the export: nothing changes that was not filled in, and all that was can be read back."""

from __future__ import annotations

import string
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.roadmap.computed import effective_fields
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue
from tui.roadmap.export import export_markdown
from tui.roadmap.importer import read_filled
from tui.roadmap.naming import TEMPLATE
from tui.roadmap.parts import Field
from tui.roadmap.progress import CLOSED, box_status
from tui.roadmap.records import Record
from tui.roadmap.state import State
from tui.roadmap.values import check_value
from tui.roadmap.workspace import Workspace
from tui.settings import Settings

TEXT = TEMPLATE.read_bytes().decode()
DOC = Document.parse(TEXT)
ANA = "user:ana"
PLAIN = Settings()


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def lines(ws: Workspace) -> list[str]:
    return export_markdown(ws.document, ws.state, ws.settings).split("\n")


def line(ws: Workspace, number: int) -> str:
    return lines(ws)[number - 1]


@pytest.mark.parametrize(
    "change", [("", ""), ("\n", "\r\n"), ("- [ ]", "- [x]"), ("  - [ ]", "\t- [X]")]
)
def test_an_untouched_document_is_byte_identical(change: tuple[str, str]) -> None:
    text = TEXT.replace(*change) if change[0] else TEXT
    doc = Document.parse(text)
    checked = frozenset(box.id for box in doc.boxes.values() if box.checked)
    assert export_markdown(doc, State(checked=checked), PLAIN).encode() == text.encode()


def test_a_renderer_would_not_be_byte_identical() -> None:
    """The bug this guards against: parsing and rendering again rewrites rules, blanks and tables."""
    rendered = "\n".join(line.replace("_____", "\\_\\_\\_\\_\\_") for line in TEXT.split("\n"))
    assert rendered != TEXT
    with pytest.raises(InvalidValue):
        read_filled(DOC, rendered)


def test_ticks_and_blanks(ws: Workspace) -> None:
    ws.tick("S0.T1", ANA)
    ws.set_field("S0.date", "2026-01-02", ANA)
    ws.set_field("S1.loss_start", "4.5", ANA)
    ws.set_field("P2.TC6.val", "0.75", ANA)
    out = lines(ws)
    assert out[44] == "- [x] Docker Desktop installed"
    assert out[70] == "**Date Completed:** 2026-01-02"
    assert out[95] == "**Training Loss:** Start: 4.5 → End: _____"
    assert out[304] == "- [ ] Final loss: _____ (train) / 0.75 (val)"
    changed = [n for n, (a, b) in enumerate(zip(TEXT.split("\n"), out, strict=True), 1) if a != b]
    assert changed == [45, 71, 96, 305]


def test_signs_and_units(ws: Workspace) -> None:
    ws.set_field("KM.f1.improvement", "-3.1", ANA)
    ws.set_field("KM.relevance.improvement", "4", ANA)
    ws.set_field("KM.code_vulnerability.improvement", "25.9", ANA)
    ws.set_field("KM.significant", "no", ANA)
    assert line(ws, 577) == "| F1 Score | _____ | _____ | -3.1% |"
    assert line(ws, 576) == "| Relevance | _____ | _____ | +4% |"
    assert line(ws, 572) == "| Code Vulnerability | _____ | _____ | 25.9% |"
    assert line(ws, 583) == "- **Significant?** No"


def test_money_cells_follow_the_ledger(ws: Workspace) -> None:
    ws.add_cost("S3", "13.10", ANA)
    ws.add_cost("Phase 3", "-2", ANA)
    assert line(ws, 544) == "| Stage 3 | $12 | $13.10 | Full pipeline test |"
    assert line(ws, 547) == "| Phase 3 | $242 | -$2.00 | Evaluation (Azure SDK) |"
    assert line(ws, 410) == "**Total Evaluation Cost:** -$2.00"
    assert line(ws, 541) == "| Stage 0 | $0 | $____ | Hardware validation |"
    assert line(ws, 550) == "| **Total** | **$269** | **$11.10** | 7 rows unknown |"
    assert line(ws, 552) == "**Budget Status:** $257.90 under budget"
    ws.add_cost("P3", "400", ANA)
    assert line(ws, 552) == "**Budget Status:** $142.10 over budget"
    assert "$0 |" not in "\n".join(lines(ws)[540:549]).replace("| $0 |", "", 9)


def test_a_voided_ledger_leaves_the_blanks(ws: Workspace) -> None:
    ws.add_cost("S3", "13.10", ANA)
    ws.undo(ANA)
    assert "\n".join(lines(ws)) == TEXT


def test_decision_boxes_are_a_radio(ws: Workspace) -> None:
    ws.decide("GO", "the gate was passed in a dry run", ANA, override="OVERRIDE")
    assert line(ws, 204).startswith("- [x] ✅ **GO**")
    assert line(ws, 205).startswith("- [ ] ❌")
    assert line(ws, 29).startswith("- [x] **GO/NO-GO")
    assert line(ws, 208).startswith("**Decision Date:** 20")
    ws.decide("NO-GO", "the dry run was wrong", ANA)
    assert (line(ws, 204)[:5], line(ws, 205)[:5], line(ws, 29)[:5]) == ("- [ ]", "- [x]", "- [ ]")


def test_notes_never_become_structure(ws: Workspace) -> None:
    ws.note("S0", "one line", ANA)
    ws.note("S2", "two\n---\n- [ ] no box\n```\n# no heading", ANA)
    out = "\n".join(lines(ws))
    assert "**Notes:** one line\n\n---" in out
    again = Document.parse(out)
    assert again.box_count == 288
    assert [s.id for s in again.sections] == [s.id for s in DOC.sections]
    assert read_filled(DOC, out).notes == {
        "S0.notes": "one line", "S2.notes": "two\n---\n- [ ] no box\n```\n# no heading",
    }  # fmt: skip


def test_a_note_right_above_text_keeps_its_distance() -> None:
    doc = Document.parse("## A\n- [ ] x\n**Notes:**\ntext below\n")
    state = State()
    state.notes["A"] = "one\ntwo"
    out = export_markdown(doc, state, PLAIN)
    assert out == "## A\n- [ ] x\n**Notes:**\n> one\n> two\n\ntext below\n"
    assert read_filled(doc, out).notes == {"A.notes": "one\ntwo"}


def test_bullets_and_cells(ws: Workspace) -> None:
    ws.set_field("NL.went_well.2", "[ ] all | good", ANA)
    ws.set_field("KM.average.control", "a | b", ANA)
    out = lines(ws)
    assert out[603:606] == ["-", "- \\[ ] all | good", "-"]
    assert out[577].startswith("| **Average** | a \\| b | |")
    assert Document.parse("\n".join(out)).box_count == 288


def test_exporting_twice_changes_nothing(ws: Workspace) -> None:
    ws.tick("S0.T1", ANA)
    ws.note("S0", "a\nb", ANA)
    assert lines(ws) == lines(ws)
    again = Document.parse("\n".join(lines(ws)))
    checked = frozenset(box.id for box in again.boxes.values() if box.checked)
    assert export_markdown(again, State(checked=checked), PLAIN) == again.text


def test_what_is_not_this_roadmap_is_refused() -> None:
    with pytest.raises(InvalidValue, match="line 45"):
        read_filled(DOC, TEXT.replace("- [ ] Docker Desktop installed", "- [ ] Podman installed"))
    with pytest.raises(InvalidValue, match="not in the roadmap"):
        read_filled(DOC, TEXT + "\nmore\n")


# --- the round trip over random states ------------------------------------------------------------

WORDS = st.text(alphabet=string.ascii_letters + "äé |\\[]()*`#>-.:$%+x1", min_size=1, max_size=30)
NOTES = st.lists(WORDS, min_size=1, max_size=4).map("\n".join)


def _value(item: Field) -> st.SearchStrategy[str]:
    match item.type:
        case "date":
            return st.dates(max_value=date(2026, 1, 1)).map(lambda d: d.isoformat())
        case "url":
            return st.sampled_from(["https://a.b/c", "http://localhost:3000/x?y=1"])
        case "text":
            return st.sampled_from(["Yes", "No"]) if item.kind == "choice" else WORDS
        case "money":
            return st.decimals(-500, 500, places=2).map(str)
    low = 0 if item.id.endswith("p_value") or item.type in ("hours", "gb") else -500
    high = 1 if item.id.endswith("p_value") else 500
    return st.decimals(low, high, places=3).map(str)


@st.composite
def states(draw: st.DrawFn) -> State:
    """A state with random ticks, values, notes and costs, made of records like a real one."""
    facts: dict[str, list[str]] = {}
    for item in DOC.fields.values():
        if item.fact:
            facts.setdefault(item.fact, []).append(item.id)
    state = State({i: tuple(ids) for ids in facts.values() for i in ids})
    records: list[tuple[str, str, object]] = []
    tickable = [box.id for box in DOC.boxes.values() if not box.computed]
    for box in draw(st.lists(st.sampled_from(tickable), max_size=12, unique=True)):
        records.append(("tick", box, "done"))
    open_fields = [
        i for i in DOC.fields.values() if not i.fact.startswith("cost.") and i.kind != "notes"
    ]
    open_fields = [i for i in open_fields if not i.id.startswith("BT.")]
    for item in draw(st.lists(st.sampled_from(open_fields), max_size=12, unique_by=lambda f: f.id)):
        try:
            value = check_value(item, draw(_value(item)))
        except InvalidValue:
            continue
        if value:
            records.append(("field", item.id, value))
    for section in draw(
        st.lists(st.sampled_from(["S0", "S2", "S3", "P5"]), max_size=3, unique=True)
    ):
        note = draw(NOTES).strip()
        if note:
            records.append(("note", section, note))
    for amount in draw(st.lists(st.decimals(-50, 300, places=2), max_size=3)):
        row = draw(st.sampled_from(["Stage 0", "Stage 3", "Phase 3"]))
        records.append(("cost", row, {"amount": str(amount), "currency": "USD"}))
    state.fold(
        Record(f"id{n}", n, ANA, do, item, {"do": do, "item": item, "new": new}, n)
        for n, (do, item, new) in enumerate(records, start=1)
    )
    assert state.bad == []
    return state


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(states())
def test_reading_an_export_gives_the_same_ticks_values_and_notes(state: State) -> None:
    out = export_markdown(DOC, state, PLAIN)
    filled = read_filled(DOC, out)
    assert filled.ticks == {i: box_status(DOC, state, i).tick in CLOSED for i in DOC.boxes}
    wanted = {i: v.value for i, v in effective_fields(DOC, state, PLAIN).items()}
    for name, value in wanted.items():
        if DOC.fields[name].type in ("text", "date", "url"):
            assert filled.fields[name] == value
        else:
            assert Decimal(filled.fields[name]) == Decimal(value)
    assert set(filled.fields) == set(wanted)
    assert {i.removesuffix(".notes"): t for i, t in filled.notes.items()} == state.notes
    again = Document.parse(out)
    assert again.box_count == 288
    touched = {DOC.fields[i].line for i in wanted}
    touched |= {DOC.fields[f"{s}.notes"].line for s in state.notes}
    touched |= {box.line for box in DOC.boxes.values() if filled.ticks[box.id]}
    kept = [text for n, text in enumerate(DOC.lines, start=1) if n not in touched]
    remaining = iter(out.split("\n"))
    assert all(text in remaining for text in kept)
