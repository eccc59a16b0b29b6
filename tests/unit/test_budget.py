"""Money: decimal sums, unknown rows, and the limits."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.test_state_guards import gonogo
from tui.roadmap.attention import attention
from tui.roadmap.budget import BudgetRow, BudgetSummary, amount_in, find_row, summarize
from tui.roadmap.errors import Conflict, InvalidValue, UnknownId
from tui.roadmap.forecast import limit_warnings
from tui.roadmap.workspace import Workspace

ANA = "user:ana"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def summary(ws: Workspace) -> BudgetSummary:
    return summarize(ws.settings, ws.document, ws.state)


def row(ws: Workspace, name: str) -> BudgetRow:
    return next(r for r in summary(ws).rows if r.name == name)


def test_the_plan_adds_up(ws: Workspace) -> None:
    rows = summary(ws).rows
    assert [(r.name, int(r.planned), r.section_id) for r in rows] == [
        ("Stage 0", 0, "S0"), ("Stage 1", 0, "S1"), ("Stage 2", 3, "S2"), ("Stage 3", 12, "S3"),
        ("Phase 1", 0, "P1"), ("Phase 2", 2, "P2"), ("Phase 3", 242, "P3"), ("Phase 4", 0, "P4"),
        ("Phase 5", 10, "P5"),
    ]  # fmt: skip
    assert summary(ws).planned_total == Decimal(269)
    assert summary(ws).limit == Decimal(300)


def test_unknown_is_not_zero(ws: Workspace) -> None:
    assert summary(ws).unknown_rows == 9
    assert row(ws, "Stage 3").actual is None
    ws.add_cost("Stage 3", "0", ANA)
    assert row(ws, "Stage 3").actual == 0
    assert summary(ws).unknown_rows == 8


def test_tenths_add_up_exactly(ws: Workspace) -> None:
    assert 0.1 + 0.2 != 0.3  # what a float would do
    ws.add_cost("S3", "0.1", ANA)
    ws.add_cost("S3", "0.2", ANA)
    assert summary(ws).spent == Decimal("0.30")


def test_a_row_over_its_plan(ws: Workspace) -> None:
    ws.add_cost("s3", "$13.10", ANA, "api")
    found = row(ws, "Stage 3")
    assert (found.left, found.over, found.entries) == (Decimal("-1.10"), True, 1)
    assert found.used == pytest.approx(109.17, abs=0.01)
    assert summary(ws).status_sentence == "$255.90 under budget so far; 8 rows unknown"


def test_near_the_limit_of_a_row(ws: Workspace) -> None:
    ws.add_cost("S3", "9.59", ANA)
    assert not row(ws, "Stage 3").near
    ws.add_cost("S3", "0.01", ANA)
    assert row(ws, "Stage 3").near


def test_past_the_limit(ws: Workspace) -> None:
    ws.add_cost("P3", "305", ANA)
    text = summary(ws).status_sentence
    assert text == "$36.00 over budget, $5.00 past the limit so far; 8 rows unknown"


@pytest.mark.parametrize("name", ["1", "", " ", "-", "00000", "0"])
def test_a_letter_of_an_id_voids_nothing(ws: Workspace, name: str) -> None:
    only = ws.add_cost("S3", "1.00", ANA)
    with pytest.raises(UnknownId):
        ws.void_cost(name or only.id[-1], ANA, "a slip")
    with pytest.raises(
        UnknownId, match=rf"shorter than 6 .* could be {only.id[-8:]} \(Stage 3 1.00\)"
    ):
        ws.void_cost(only.id[-5:], ANA, "a slip")
    for part in (only.id[-6:], only.id[:13].upper(), only.id):
        ws.void_cost(part, ANA, "meant")
        ws.undo(ANA)
    for n in range(6):
        ws.add_cost("S3", f"{n}.00", ANA)
    with pytest.raises(
        UnknownId, match=r"could be (\w{8} \(Stage 3 \d.00\), ){3}.* and 3 more; name"
    ):
        ws.void_cost(only.id[:6], ANA, "which")
    assert not any(cost.voided for cost in ws.state.costs)


def test_voiding_keeps_the_entry(ws: Workspace) -> None:
    ws.add_cost("S3", "13.10", ANA)
    cost = ws.state.costs[0]
    ws.void_cost(cost.id[-8:], ANA, "typed twice")
    assert summary(ws).spent == 0
    assert row(ws, "Stage 3").actual is None
    assert [(c.voided, c.void_why) for c in ws.state.costs] == [(True, "typed twice")]
    with pytest.raises(Conflict, match="voided"):
        ws.void_cost(cost.id, ANA, "again")
    with pytest.raises(UnknownId):
        ws.void_cost("nothing", ANA, "why")
    with pytest.raises(InvalidValue):
        ws.void_cost(cost.id, ANA, " ")


@pytest.mark.parametrize("amount", ["", "ten", "NaN", "Infinity", "1e99", "1.23456", "--3", "$"])
def test_amounts_that_are_none(ws: Workspace, amount: str) -> None:
    with pytest.raises(InvalidValue):
        ws.add_cost("S3", amount, ANA)
    assert ws.state.costs == []


def test_rows_are_found_by_name_and_stage(ws: Workspace) -> None:
    assert find_row(ws.document, " phase 3 ") == find_row(ws.document, "p3") == "Phase 3"
    with pytest.raises(UnknownId, match="the rows are Stage 0, "):
        find_row(ws.document, "Phase 9")


def test_another_plan_has_its_own_table(tmp_path: Path) -> None:
    table = "| What | Planned | Spent |\n|--|--|--|\n| Food | $1,200.50 | $____ |\n| Sum | $9 | $____ |\n"
    text = f"## A\n- [ ] x\n\n{table}"
    ws = Workspace.create(tmp_path / "w", roadmap_text=text)
    ws.add_cost("food", "3", ANA)
    assert summary(ws).planned_total == Decimal("1200.50")
    assert row(ws, "Food").actual == 3
    none = Workspace.create(tmp_path / "v", roadmap_text="- [ ] x\n")
    assert summary(none).rows == ()
    assert summary(none).planned_total == Decimal(269)
    with pytest.raises(UnknownId, match="no budget table"):
        none.add_cost("x", "1", ANA)


@pytest.mark.parametrize(
    ("cell", "amount"),
    [("$1,000", "1000"), ("1.234,56 €", "1234.56"), ("€1,234.56", "1234.56"), ("1 234.50", "1234.50"),
     ("1'000 CHF", "1000"), ("12,50", "12.50"), ("12,500", "12500"), ("1.234.567", "1234567"), ("-$5", "-5"),
     ("($20)", "-20"), ("$-5.50", "-5.50"), ("~$2k", "2000"), ("Azure - $50", "50"), ("(est. $20)", "20"),
     ("$0.50 (2 runs)", "0.50"), ("3-5", "3"), ("0", "0"), ("TBD", None), ("____", None), ("", None)],
)  # fmt: skip
def test_amounts_as_people_write_them(cell: str, amount: str | None) -> None:
    assert amount_in(cell) == (None if amount is None else Decimal(amount))


def test_a_row_without_a_plan_is_unknown_and_not_over(tmp_path: Path) -> None:
    rows = "| A | TBD | $____ |\n| B | $0 | $____ |\n| C | $200 | $____ |\n"
    text = f"## Money\n- [ ] a\n\n| Item | Budget | Actual |\n|---|---|---|\n{rows}"
    settings = "[budget]\nwarn_at = 0.55\n"
    ws = Workspace.create(tmp_path / "w", roadmap_text=text, settings_text=settings)
    for row, amount in (("A", "5"), ("B", "5"), ("C", "110")):
        ws.add_cost(row, amount, "user:ana")
    a, b, c = summarize(ws.settings, ws.document, ws.state).rows
    assert (a.unplanned, a.left, a.used, a.over) == (True, None, None, False)
    assert (b.unplanned, b.left, b.over) == (False, Decimal(-5), True)
    assert (c.used, c.near) == (55.0, True), "exactly at the share"


def test_another_currency_is_named_wherever_money_is_said(tmp_path: Path) -> None:
    settings = 'user = "ana"\n[budget]\ncurrency = "EUR"\nlimit = 10\n'
    ws = Workspace.create(tmp_path / "w", settings_text=settings)
    ws.add_cost("S3", "13.10", ANA)
    total = summary(ws)
    said = [total.status_sentence, *limit_warnings(total, 0.8), *(a.text for a in attention(ws))]
    for words in (("status",), ("cost", "S2", "-2.50", "--kind", "refund"), ("budget",), ("cost",)):
        done = gonogo(ws.root, *words)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    own = [line for text in said for line in text.split("\n") if not line.startswith("  ")]
    assert not [line for line in own if "$" in line], "only the plan's own headings say $"
    assert any("EUR 3.10 past the limit" in text for text in said)
    assert any("saved: -EUR 2.50 to Stage 2" in text for text in said)


def test_entries_in_another_currency_are_left_out_and_said(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w")
    ws.add_cost("S3", "13.10", ANA)
    path = ws.root / "gonogo.toml"
    path.write_text("[budget]\ncurrency = 'EUR'\n", "utf-8")
    ws = Workspace.open(ws.root)
    ws.add_cost("S3", "2", ANA)
    total = summary(ws)
    assert total.spent == total.rows[3].actual == Decimal(2)
    assert total.status_sentence.endswith("; 1 entry in another currency left out")
