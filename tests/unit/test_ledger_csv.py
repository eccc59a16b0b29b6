"""The ledger as CSV: nothing lost on the way out and back, nothing half taken in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.roadmap.errors import InvalidValue
from tui.roadmap.ledger_csv import export_csv, import_csv
from tui.roadmap.state import Cost
from tui.roadmap.workspace import Workspace

ANA = "user:ana"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def write(ws: Workspace, text: str) -> Path:
    path = ws.root / "in.csv"
    path.write_bytes(text.encode())
    return path


def content(cost: Cost) -> tuple[object, ...]:
    return (cost.row, cost.amount, cost.date, cost.note, cost.kind, cost.voided, cost.void_why)


def test_round_trip_into_another_workspace_and_back(ws: Workspace, tmp_path: Path) -> None:
    ws.add_cost("S3", "13.10", ANA, 'azure, "usage"; two\tparts', kind="API")
    ws.add_cost("S3", "-2.50", ANA, "=1+1 is no formula")
    ws.add_cost("P2", "0.0312", ANA, "'-quoted")
    ws.void_cost(ws.state.costs[1].id, ANA, "typed twice")
    other = Workspace.create(tmp_path / "other")
    record, parsed = import_csv(other, write(ws, export_csv(ws.state.costs)), "cli:bob")
    assert record is not None
    assert (len(parsed.entries), parsed.duplicates) == (3, 0)
    assert [content(c) for c in other.state.costs] == [content(c) for c in ws.state.costs]
    back = import_csv(ws, write(ws, export_csv(other.state.costs)), ANA)
    assert (back[0], back[1].duplicates) == (None, 3), "the same entries under their first ids"


@given(st.text(max_size=40))
@settings(max_examples=150, deadline=None)
def test_no_note_becomes_a_formula_or_another_note(note: str) -> None:
    from tui.roadmap.ledger_csv import _plain, _safe

    assert _plain(_safe(note)) == note
    assert not _safe(note).startswith(("=", "+", "-", "@"))


def test_a_bad_line_stops_everything_and_is_named(ws: Workspace) -> None:
    text = (
        "date,row,amount,note\n2026-01-05,S3,1.50,fine\n2031-01-01,S3,1,later\n"
        '2026-01-05,S9,1,no row\n2026-01-05,S3,"13,10",comma\n2026-01-05,S3,,empty\n'
    )
    before = (ws.root / "state.jsonl").read_bytes()
    with pytest.raises(InvalidValue) as caught:
        import_csv(ws, write(ws, text), ANA)
    message = str(caught.value)
    for line, word in ((3, "YYYY-MM-DD"), (4, "S9"), (5, "point before"), (6, "write 0")):
        assert any(
            part.startswith(f"line {line}:") and word in part for part in message.split("\n")
        )
    assert "line 2" not in message
    assert (ws.root / "state.jsonl").read_bytes() == before


def test_duplicates_are_counted_not_merely_seen(ws: Workspace) -> None:
    """Two equal charges of one day are two; reading the file again adds none of them."""
    text = "date;row;amount;note\n2026-01-05;S3;1;api\n2026-01-05;S3;1;api\n"
    assert len(import_csv(ws, write(ws, text), ANA)[1].entries) == 2
    again = import_csv(ws, write(ws, text), ANA)[1]
    assert (again.entries, again.duplicates) == ((), 2)
    more = import_csv(ws, write(ws, text + "2026-01-05;S3;1;api\n"), ANA)[1]
    assert (len(more.entries), more.duplicates) == (1, 2)
    assert len(ws.state.costs) == 3


def test_many_lines_are_one_record_and_one_undo(ws: Workspace) -> None:
    text = "row,amount\n" + "".join(f"S3,{n}\n" for n in range(1, 51))
    before = len(ws.state.records)
    import_csv(ws, write(ws, text), ANA)
    assert len(ws.state.records) == before + 1
    assert sum(c.amount for c in ws.state.costs) == 1275
    ws.undo(ANA)
    assert all(cost.voided for cost in ws.state.costs)
    ws.redo(ANA)
    assert not any(cost.voided for cost in Workspace.open(ws.root).state.costs)


@pytest.mark.parametrize(
    ("text", "word"),
    [("", "no column amount"), ("row,note\nS3,x\n", "no column amount"), ("amount\n1\n", "no column row"),
     ("row,amount,currency\nS3,1,EUR\n", "EUR"), ('row,amount\nS3,"1\n', "line 2"),
     ("row,amount,kind\nS3,-1,API\n", "refund"), ("row,amount,kind\nS3,1,gift\n", "kind must be")],
)  # fmt: skip
def test_files_that_cannot_be_taken_in(ws: Workspace, text: str, word: str) -> None:
    with pytest.raises(InvalidValue, match=word):
        import_csv(ws, write(ws, text), ANA)
    assert ws.state.costs == []


def test_a_file_without_a_row_column_is_given_one(ws: Workspace) -> None:
    write(ws, "\ufeffDate,Cost\n2026-01-05T10:00:00,1.25\n")
    import_csv(ws, Path("in.csv"), ANA, "P3")
    assert [(c.row, c.date) for c in ws.state.costs] == [("Phase 3", "2026-01-05")]


def test_it_is_csv_for_others(ws: Workspace) -> None:
    ws.add_cost("S3", "1", ANA, "a, b\u2028c")
    text = export_csv(ws.state.costs)
    assert text.count("\r\n") == 2
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert (rows[0]["row"], rows[0]["amount"], rows[0]["note"]) == (
        "Stage 3",
        "1.00",
        "a, b\u2028c",
    )
