"""Plans of odd shapes: what is filled in stays inside its blank, deep lists and ten thousand like boxes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.roadmap.dates import proposals
from tui.roadmap.document import Document
from tui.roadmap.errors import InvalidValue
from tui.roadmap.escapes import guard, guard_box, unguard, unguard_box
from tui.roadmap.export import export_markdown
from tui.roadmap.importer import read_filled
from tui.roadmap.labels import Taken, unique
from tui.roadmap.progress import box_status, overall
from tui.roadmap.workspace import Workspace

ANA = "user:ana"
LONE = (Path(__file__).parents[1] / "corpus/lone_blanks.md").read_text("utf-8")
OPENERS = [
    "- [ ] x", "[x] y", "1) [ ] z", "12. z", "> q", "# h", "```", "~~~ py", "<!-- x", "<div>", "---", "===",
    "* * *", "- - [ ] x", "> - [ ] u", "* [ ] b\\", "\\- [ ] c", "\\\\[ ] d", "-", "1\\. e", "#tag", "5 GB",
    "*d*", "**e** f",
]  # fmt: skip


@pytest.mark.parametrize("value", OPENERS)
def test_a_value_alone_on_its_line_opens_nothing(tmp_path: Path, value: str) -> None:
    ws = Workspace.create(tmp_path / "w", roadmap_text=LONE)
    for item in ws.document.fields.values():
        ws.set_field(item.id, value, ANA)
    out = export_markdown(ws.document, ws.state, ws.settings)
    assert Document.parse(out).box_count == ws.document.box_count == 4, out
    assert set(read_filled(ws.document, out).fields.values()) == {value}
    plain = value[0] not in "[`~<>=-\\" and value[:2] not in ("# ", "* ", "1)", "12", "1\\")
    assert (f"- {value} (name)" in out) == plain, "what opens nothing is written as it is"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet="-*+[] x\\`#>|_1.)~<=", max_size=12))
def test_what_guards_a_value_is_taken_off_again(text: str) -> None:
    assert unguard(guard(text)) == text
    assert unguard_box(guard_box(text)) == text


@pytest.mark.parametrize("note", ["", "one line", "two\nlines", "> q\n\n- [ ] a"])
@pytest.mark.parametrize("below", ["> own\n> quote\n\n> more\n", "\n> own\n", "text\n", ""])
def test_a_quote_below_a_notes_line_is_the_plans_own(tmp_path: Path, note: str, below: str) -> None:
    text = f"## A\n- [ ] a\n\n**Notes:**\n{below}\n## B\n- [ ] b\n"
    ws = Workspace.create(tmp_path / "w", roadmap_text=text)
    if note:
        ws.note("A", note, ANA)
    filled = read_filled(ws.document, export_markdown(ws.document, ws.state, ws.settings))
    assert list(filled.notes.values()) == ([note] if note else [])
    assert len(filled.ticks) == 2


def test_a_list_of_hundreds_of_levels_is_rolled_up(tmp_path: Path) -> None:
    text = "\n".join(f"{'  ' * n}- [ ] {n}" for n in range(380))
    ws = Workspace.create(tmp_path / "w", roadmap_text=text)
    first, *_, last = ws.document.boxes
    assert box_status(ws.document, ws.state, first).tick == "open"
    ws.tick(last, ANA)
    assert box_status(ws.document, ws.state, first).tick == "done"
    assert overall(ws.document, ws.state) == (380, 380)


def test_ten_thousand_boxes_that_say_the_same_have_their_own_ids() -> None:
    document = Document.parse("# T\n" + "- [ ] TODO\n" * 10_000 + "\nx: ____\n" * 2_000)
    assert (len(document.boxes), len(document.fields)) == (10_000, 2_000)
    assert list(document.boxes)[-1].endswith(".todo-10000")
    taken = Taken(("a", "a-2"))
    assert [unique("a", taken) for _ in range(3)] == ["a-3", "a-4", "a-5"]
    assert taken.counted == {"a": 5}, "nothing is counted from the beginning again"


DATES = """\
# D

## Stage 0: a
- [ ] one

Completed on: ___________
Fertig, Datum: ___________
Deadline (date): ___________
"""


def test_dates_as_plans_name_them(tmp_path: Path) -> None:
    """Done is done by today; a deadline lies ahead. Weeks and other orders of the day are refused."""
    ws = Workspace.create(tmp_path / "w", roadmap_text=DATES)
    done, other, deadline = ws.document.fields.values()
    assert {item.type for item in (done, other, deadline)} == {"date"}
    for wrong in (
        "2099-01-01",
        "2026-W05-1",
        "20260105",
        "05.01.2026",
        "01/05/2026",
        "2023-02-29",
        "２０２６-01-05",
    ):
        with pytest.raises(InvalidValue, match="must be YYYY-MM-DD, not after today"):
            ws.set_field(done.id, wrong, ANA)
    for right in ("2024-02-29", "2000-02-29"):
        ws.set_field(other.id, right, ANA)
    ws.set_field(deadline.id, "2099-12-31", ANA)
    with pytest.raises(InvalidValue, match=r"must be YYYY-MM-DD\.$"):
        ws.set_field(deadline.id, "soon", ANA)
    ws.tick(next(iter(ws.document.boxes)), ANA)
    (found,) = proposals(ws.document, ws.state)
    assert found.field_id == done.id
    assert found.question.startswith("Stage 0 complete. Completed on 20")


def test_a_pipe_in_a_cell_is_a_pipe_and_no_link_hides_a_blank() -> None:
    line = '[____](u?q=____) <i title="____"> `____` Paid on: ____'
    text = f"| a | b |\n|---|---|\n| x \\| y | ____ |\n\n{line}\n"
    document = Document.parse(text)
    assert document.tables[0].rows[0].cells[0] == "x | y"
    assert [(f.label, f.type) for f in document.fields.values()] == [
        ("x | y b", "float"), ("blank", "float"), ("Paid on", "date"),
    ]  # fmt: skip
