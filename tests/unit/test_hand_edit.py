"""`gonogo edit` and `gonogo recover`: text in an editor, damaged lines, and that neither loses anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui.roadmap.describe import describe, notice, visible
from tui.roadmap.errors import Conflict, InvalidValue, ReadOnly
from tui.roadmap.journal import Journal
from tui.roadmap.records import Record
from tui.roadmap.textview import view
from tui.roadmap.workspace import Workspace

ANA, HAND = "cli:ana", "hand:ana"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Workspace.create(tmp_path / "w", settings_text='title = "T"\nuser = "ana"\n')
    return tmp_path / "w"


def gonogo(root: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tui.cli", "-C", str(root), *args]
    whole = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **env}
    return subprocess.run(
        argv,
        capture_output=True,
        text=True,
        timeout=60,
        env=whole,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def lines(root: Path) -> int:
    return len((root / "state.jsonl").read_bytes().splitlines())


def test_the_text_is_sorted_and_an_untouched_one_changes_nothing(root: Path) -> None:
    ws = Workspace.open(root)
    ws.note("S0", 'two\nlines "quoted" \\ ', ANA)
    text = view(ws.document, ws.state)
    boxes = [line.split('"')[1] for line in text.splitlines() if line.endswith("installed")]
    assert boxes == sorted(boxes)
    assert ws.read_edit(text) == []
    assert 'S0" = "two\\nlines \\"quoted\\" \\\\"' in text


def test_all_changes_are_one_record_and_one_undo(root: Path) -> None:
    ws = Workspace.open(root)
    text = view(ws.document, ws.state)
    text = text.replace('"S0.T1" = "open"', '"S0.T1" = "done"')
    text = text.replace('"S1.loss_start" = ""', '"S1.loss_start" = "4.50"')
    text = text.replace('"S0" = ""', '"S0" = "by hand"')
    before = lines(root)
    record = ws.apply_edit(ws.read_edit(text), HAND)
    assert (lines(root), record.by, record.do, len(record.data["ops"])) == (
        before + 1,
        HAND,
        "hand_edit",
        3,
    )
    again = Workspace.open(root)
    assert again.state.value("tick", "S0.T1") == "done"
    assert again.state.fields["S1.loss_start"].value == "4.50"
    assert again.state.notes["S0"] == "by hand"
    again.undo(ANA)
    assert (again.state.value("tick", "S0.T1"), again.state.notes) == ("open", {})
    again.redo(ANA)
    assert Workspace.open(root).state.notes["S0"] == "by hand"
    with pytest.raises(InvalidValue, match="nothing of yours"):
        again.undo("user:ana")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"S0.T1" = "open"', '"S0.T1" = "dune"', r"Line \d+: S0\.T1 is “open” or “done”"),
        ('"S0.T1" = "open"', '"S0.T1" = open', r"Line \d+: "),
        ('"S0.T1" = "open"', '"S0.T1" = 1', r"Line \d+: the value of S0\.T1 must stand in quotes"),
        ('"S0.T1" =', '"S0.T99" =', r"Line \d+: “S0\.T99” is nothing that can be set"),
        ('"S0.date" = ""', '"S0.date" = "soon"', r"Line \d+: .*YYYY-MM-DD"),
        ("[notes]", "[note]", r"no part \[note\]"),
        ("# base: ", "# bass: ", "base"),
    ],
)
def test_a_bad_text_names_its_line_and_writes_nothing(
    root: Path, old: str, new: str, said: str
) -> None:
    ws = Workspace.open(root)
    text = view(ws.document, ws.state)
    assert old in text
    before = (root / "state.jsonl").read_bytes()
    with pytest.raises(InvalidValue, match=said):
        ws.apply_edit(ws.read_edit(text.replace(old, new, 1)), HAND)
    assert (root / "state.jsonl").read_bytes() == before


def test_what_others_changed_meanwhile_is_neither_undone_nor_overwritten(root: Path) -> None:
    ws, other = Workspace.open(root), Workspace.open(root)
    text = view(ws.document, ws.state).replace('"S0.T1" = "open"', '"S0.T1" = "done"')
    other.tick("S0.T2", "cli:bob")
    ws.apply_edit(ws.read_edit(text), HAND)
    assert ws.state.value("tick", "S0.T2") == "done"
    other.set_field("S1.loss_start", "3.9", "cli:bob")
    late = text.replace('"S1.loss_start" = ""', '"S1.loss_start" = "4.5"')
    with pytest.raises(Conflict, match=r"3.9.* by cli:bob at"):
        ws.apply_edit(ws.read_edit(late), HAND)


def test_a_broken_operation_applies_none_of_its_record(root: Path) -> None:
    ws = Workspace.open(root)
    ops = [
        {"f": "tick", "item": "S0.T1", "old": "open", "new": "done"},
        {"f": "tick", "item": "S0.T2", "old": "open", "new": "levitating"},
    ]
    with ws.journal.exclusive():
        ws.journal.write({"by": HAND, "do": "hand_edit", "item": "2 values", "ops": ops})
    ws.refresh()
    assert ws.state.value("tick", "S0.T1") == "open"
    assert any("makes no sense" in warning for warning in ws.warnings)


def test_edit_as_a_command_keeps_the_typed_text_when_it_is_wrong(root: Path) -> None:
    before = (root / "state.jsonl").read_bytes()
    bad = gonogo(root, "edit", EDITOR='sed -i \'s/"S0.T1" = "open"/"S0.T1" = "dune"/\'')
    kept = list(root.glob("state.edit-*.toml"))
    assert (bad.returncode, len(kept)) == (2, 1), bad.stderr
    assert "Line " in bad.stderr
    assert f"gonogo edit {kept[0]}" in bad.stderr
    assert '"S0.T1" = "dune"' in kept[0].read_text()
    assert (root / "state.jsonl").read_bytes() == before
    kept[0].write_text(kept[0].read_text().replace("dune", "done"))
    good = gonogo(root, "edit", str(kept[0]), "--yes")
    assert (good.returncode, "S0.T1: open > done" in good.stdout) == (0, True), good.stderr
    none = gonogo(root, "edit", EDITOR="true")
    assert (none.returncode, none.stdout) == (0, "nothing was changed.\n")
    assert gonogo(root, "edit", EDITOR="/no/such/editor").returncode == 2


def test_scenario_25_a_changed_byte_in_the_middle_can_be_accepted_and_nothing_is_deleted(
    root: Path,
) -> None:
    ws = Workspace.open(root)
    for box in ("S0.T1", "S0.T2", "S0.T3"):
        ws.tick(box, ANA)
    path = root / "state.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"item":"S0.T2"', b'"item":"S0.T4"'))
    damaged = path.read_bytes()
    refused = gonogo(root, "tick", "S0.S1")
    assert (refused.returncode, "line 3" in refused.stderr) == (6, True)
    shown = json.loads(gonogo(root, "recover", "--json").stdout)
    assert (shown["line"], "S0.T4" in shown["text"], shown["newer"]) == (3, True, False)
    assert path.read_bytes() == damaged
    assert gonogo(root, "recover", "--accept").returncode == 0
    assert path.read_bytes().startswith(damaged)
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert (last["do"], last["by"], lines(root)) == ("hand_edit", HAND, 5)
    again = Workspace.open(root)
    assert not again.read_only
    assert [again.state.value("tick", f"S0.T{n}") for n in (1, 2, 3, 4)] == [
        "done",
        "open",
        "done",
        "done",
    ]
    assert again.warnings == ["state.jsonl: accepted without checksum: line 3."]
    again.tick("S0.S1", ANA)
    assert Workspace.open(root).warnings == again.warnings


def test_a_line_that_says_nothing_is_kept_without_effect(root: Path) -> None:
    path = root / "state.jsonl"
    path.write_bytes(path.read_bytes() + b"<<<<<<< HEAD\n\xff\xfe\n")
    ws = Workspace.open(root)
    for number in (2, 3):
        assert ws.journal.bad_line is not None
        assert ws.journal.bad_line.number == number
        ws.accept_bad_line(HAND)
    assert (ws.journal.problem, ws.journal.skipped) == ("", [2, 3])
    ws.tick("S0.T1", ANA)
    assert "kept without effect: line 2, 3" in " ".join(Workspace.open(root).warnings)
    assert b"<<<<<<< HEAD\n\xff\xfe\n" in path.read_bytes()


def test_an_acceptance_holds_for_that_line_only(root: Path) -> None:
    path = root / "state.jsonl"
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    Workspace.open(root).accept_bad_line(HAND)
    good = path.read_bytes()
    assert Workspace.open(root).journal.problem == ""
    path.write_bytes(good.replace(b"nonsense\n", b"nonsensf\n"))
    assert "line 2" in Workspace.open(root).journal.problem
    forged = good.rsplit(b"\n", 2)[0] + b"\n" + b'{"do":"hand_edit","accepts":["0"]}\n'
    path.write_bytes(forged)
    assert Workspace.open(root).journal.problem


def test_scenario_29_a_newer_file_is_read_only_and_cannot_be_accepted(root: Path) -> None:
    path = root / "state.jsonl"
    path.write_bytes(path.read_bytes() + b'{"v":2,"id":"x","at":1,"do":"levitate"}\n')
    before = path.read_bytes()
    refused = gonogo(root, "tick", "S0.T1")
    assert refused.returncode == 6
    assert "written by a newer version (needs >= 2)" in refused.stderr
    assert gonogo(root, "recover", "--accept").returncode == 6
    status = json.loads(gonogo(root, "status", "--json").stdout)
    assert status["read_only"]
    assert "needs >= 2" in " ".join(status["warnings"])
    with pytest.raises(ReadOnly):
        Workspace.open(root).accept_bad_line(HAND)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"), ("a\u202eb", "a\\u202eb"), ("a\u200bb", "a\\u200bb"),
        ("a\x9bb", "a\\x9bb"), ("é ★", "é ★"), ("a\u00a0b", "a b"), ("\ud800", "\\ud800"),
    ],
)  # fmt: skip
def test_control_characters_are_shown_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    record = Record("i", 0, "x", "tick", text, {"old": None, "new": text}, 1)
    assert shown in describe(record)
    assert shown in notice(record)


def test_the_log_lets_no_escape_sequence_through(root: Path) -> None:
    with (root / "state.jsonl").open("ab") as file:
        file.write(
            b'{"do":"tick","item":"S0.T1","new":"done","by":"\\u001b]0;x\\u0007","why":"\\u001b[2J"}\n'
        )
    shown = gonogo(root, "log")
    assert shown.returncode == 0
    assert "\x1b" not in shown.stdout
    assert "\\x1b[2J" in shown.stdout


def test_a_line_taken_out_is_said(root: Path) -> None:
    ws = Workspace.open(root)
    for box in ("S0.T1", "S0.T2", "S0.T3"):
        ws.tick(box, ANA)
    path = root / "state.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:2] + whole[3:]))
    journal = Journal(path)
    assert (journal.problem, list(journal.chain.missing.values())) == ("", [3])
    assert "a line that line 3 follows was taken out" in " ".join(Workspace.open(root).warnings)
