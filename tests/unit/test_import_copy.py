"""`gonogo import`: a filled-in copy gives its ticks and values, another plan takes the plan's place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.cli import main
from tui.roadmap.copyback import copy_changes
from tui.roadmap.errors import InvalidValue
from tui.roadmap.export import export_markdown
from tui.roadmap.workspace import Workspace

ANA = "user:ana"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w", settings_text='user = "ana"\n')


def run(ws: Workspace, *words: str) -> Result:
    return CliRunner().invoke(main, ["-C", str(ws.root), *words])


def copy_of(ws: Workspace, tmp_path: Path, *edits: tuple[str, str]) -> Path:
    text = export_markdown(ws.document, ws.state, ws.settings)
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "copy.md"
    path.write_text(text, "utf-8")
    return path


def test_a_filled_copy_is_taken_over_as_one_action(ws: Workspace, tmp_path: Path) -> None:
    ws.tick("S0.T2", ANA)
    path = copy_of(
        ws, tmp_path, ("- [ ] Docker Desktop", "- [x] Docker Desktop"),
        ("**P-value:** _____", "**P-value:** 0.04"),
    )  # fmt: skip
    ws.tick("S0.T3", ANA)
    lines = len((ws.root / "state.jsonl").read_bytes().splitlines())
    done = run(ws, "import", str(path))
    assert done.exit_code == 0, done.output
    assert "2 values from copy.md" in done.output
    now = Workspace.open(ws.root)
    assert [now.state.value("tick", f"S0.T{n}") for n in (1, 2, 3)] == ["done"] * 3
    assert now.state.fields["KM.p_value"].value == "0.04"
    assert len((ws.root / "state.jsonl").read_bytes().splitlines()) == lines + 1
    assert "nothing new" in run(ws, "import", str(path)).output
    assert run(ws, "undo").exit_code == 0
    now = Workspace.open(ws.root)
    assert now.state.value("tick", "S0.T1") == "open"
    assert now.state.value("tick", "S0.T3") == "done", "an older copy unticks nothing"


def test_a_copy_that_does_not_fit_is_refused_whole(ws: Workspace, tmp_path: Path) -> None:
    before = (ws.root / "state.jsonl").read_bytes()
    bad = copy_of(
        ws, tmp_path, ("- [ ] Docker Desktop", "- [x] Docker Desktop"),
        ("**Date Completed:** ___________", "**Date Completed:** next year"),
    )  # fmt: skip
    done = run(ws, "import", str(bad), "--json")
    assert done.exit_code == 2
    assert "S0.date" in json.loads(done.output)["error"]["message"]
    (tmp_path / "other.md").write_text("# Else\n- [x] a\n", "utf-8")
    done = run(ws, "import", str(tmp_path / "other.md"))
    assert done.exit_code == 2
    assert "--as-plan" in done.output
    assert run(ws, "import", str(tmp_path / "none.md")).exit_code == 2
    assert (ws.root / "state.jsonl").read_bytes() == before


def test_ticks_behind_the_gate_want_a_reason(ws: Workspace, tmp_path: Path) -> None:
    label = ws.document.boxes["P1.R1"].raw
    path = copy_of(ws, tmp_path, (f"- [ ] {label}", f"- [x] {label}"))
    done = run(ws, "import", str(path))
    assert done.exit_code == 2
    assert "--why" in done.output
    done = run(ws, "import", str(path), "--why", "prepared while we wait")
    assert done.exit_code == 0, done.output
    assert Workspace.open(ws.root).state.records[-1].data["why"] == "prepared while we wait"


def test_two_blanks_of_one_fact_must_agree(ws: Workspace) -> None:
    text = export_markdown(ws.document, ws.state, ws.settings)
    one = text.replace("**P-value:** _____", "**P-value:** 0.04", 1)
    both = one.replace("**p-value:** _____", "**p-value:** 0.05", 1)
    assert both != one != text
    changes = copy_changes(ws.document, ws.state, ws.settings, one)
    assert [c.new for c in changes] == ["0.04"]
    with pytest.raises(InvalidValue, match="the same thing"):
        copy_changes(ws.document, ws.state, ws.settings, both)


def test_another_plan_takes_the_plans_place_and_the_old_one_is_kept(
    ws: Workspace, tmp_path: Path
) -> None:
    ws.tick("S0.T1", ANA)
    old = (ws.root / "ROADMAP.md").read_bytes()
    text = old.decode().replace("- [ ] CUDA 12.1+ detected\n", "")
    path = tmp_path / "next.md"
    path.write_bytes(text.encode("utf-8").decode("mac_roman").encode("utf-8"))
    done = run(ws, "import", str(path), "--as-plan")
    assert done.exit_code == 0, done.output
    assert "Decoded Mac Roman mojibake (34 runs). 287 checkboxes" in done.output
    assert (ws.root / "ROADMAP.md").read_text("utf-8") == text
    (kept,) = (ws.root / "exports").glob("ROADMAP-*.md")
    assert kept.read_bytes() == old
    now = Workspace.open(ws.root)
    assert now.state.ticks["S0.T1"].done
    assert (now.document.box_count, now.needs_reconcile) == (287, False)
    assert "already" in run(ws, "import", str(ws.root / "ROADMAP.md"), "--as-plan").output
    closed = CliRunner().invoke(
        main, ["-C", str(ws.root), "--read-only", "import", str(kept), "--as-plan"]
    )
    assert closed.exit_code == 6
    assert (ws.root / "ROADMAP.md").read_text("utf-8") == text


BOXES = ["S0.T1", "S0.S4", "S1.K5", "P1.Q4", "SC1", "P3.E1.3"]
VALUES = {"S0.date": "2026-01-02", "KM.p_value": "0.04", "KM.f1.control": "-0.5", "S3.notes": "a | b",
          "NL.went_well.2": "[x] odd", "final_outcome": "good", "KM.f1.improvement": "-3.1",
          "KM.significant": "Yes"}  # fmt: skip


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    ticks=st.sets(st.sampled_from(BOXES)),
    names=st.sets(st.sampled_from(sorted(VALUES))),
    note=st.sampled_from(["", "one line", "two\nlines", "- [ ] a list\n---\nend"]),
)
def test_an_export_read_back_says_nothing_new(
    tmp_path_factory: pytest.TempPathFactory, ticks: set[str], names: set[str], note: str
) -> None:
    ws = Workspace.create(tmp_path_factory.mktemp("law") / "w", title="T")
    fresh = Workspace.create(tmp_path_factory.mktemp("law") / "w", title="T")
    for box in ticks:
        ws.tick(box, ANA, why="a test of the law")
    for name in names:
        ws.set_field(name, VALUES[name], ANA)
    if note:
        ws.note("S0", note, ANA)
    text = export_markdown(ws.document, ws.state, ws.settings)
    assert copy_changes(ws.document, ws.state, ws.settings, text) == []
    changes = copy_changes(fresh.document, fresh.state, fresh.settings, text)
    if changes:
        fresh.apply_edit(changes, ANA)
    assert export_markdown(fresh.document, fresh.state, fresh.settings) == text
