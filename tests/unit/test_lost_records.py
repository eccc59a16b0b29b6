"""A state file that is replaced, cut or removed under a running writer: nothing that was read is lost."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.test_state_guards import argv, gonogo, waits_for_lock
from tui.roadmap.errors import Conflict, ReadOnly
from tui.roadmap.journal import Journal, Syscalls
from tui.roadmap.workspace import Workspace

ROOT = Path(__file__).parents[2]
ANA = "user:ana"
BOXES = ("S0.T1", "S0.T2", "S0.T3", "S0.T4")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Workspace.create(tmp_path / "w", settings_text='title = "T"\nuser = "ana"\n')
    return tmp_path / "w"


def ticked(root: Path) -> Workspace:
    ws = Workspace.open(root)
    for box in BOXES:
        ws.tick(box, ANA)
    return ws


def swap(path: Path, content: bytes) -> None:
    """Another inode under the same name, as git and most editors leave it."""
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)


def overwrite(path: Path, content: bytes) -> None:
    """The same inode with other bytes."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def first(path: Path, count: int) -> bytes:
    return b"".join(path.read_bytes().splitlines(keepends=True)[:count])


DAMAGES: dict[str, Callable[[Path], None]] = {
    "another inode": lambda path: swap(path, first(path, 2)),
    "cut in place": lambda path: overwrite(path, first(path, 2)),
    "cut inside a line": lambda path: os.truncate(path, path.stat().st_size - 30),
    "emptied": lambda path: os.truncate(path, 0),
    "removed": lambda path: path.unlink(),
    "another, longer file": lambda path: overwrite(
        path, first(path, 1) + b"".join(
            json.dumps({"do": "note", "item": "S0", "new": f"n{n}" * 90}).encode() + b"\n"
            for n in range(12)
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", DAMAGES)
@pytest.mark.parametrize("polled", [True, False])
def test_what_was_read_and_is_gone_stops_the_writing_and_is_kept_beside(
    root: Path, way: str, polled: bool
) -> None:
    ws = ticked(root)
    path = root / "state.jsonl"
    whole = path.read_bytes()
    DAMAGES[way](path)
    left = path.read_bytes() if path.exists() else None
    if polled:
        ws.refresh()
        assert "no longer" in ws.journal.problem
        assert ws.read_only
    with pytest.raises(ReadOnly, match=r"state\.kept-\w{12}\.jsonl"):
        ws.tick("S0.S1", ANA)
    assert (path.read_bytes() if path.exists() else None) == left
    copies = list(root.glob("state.kept-*"))
    assert [copy.read_bytes() for copy in copies] == [whole]
    assert copies[0].stat().st_mode & 0o777 == 0o600
    with pytest.raises(ReadOnly):  # asking again makes no second copy
        ws.tick("S0.S1", ANA)
    assert list(root.glob("state.kept-*")) == copies

    record = ws.put_back(f"hand:{ws.settings.user}")
    assert (record.do, ws.journal.problem) == ("hand_edit", "")
    again = Workspace.open(root)
    assert [again.state.value("tick", box) for box in BOXES] == ["done"] * 4
    assert set(whole.splitlines()) <= set(path.read_bytes().splitlines())
    ws.tick("S0.S1", ANA)
    ws.untick("S0.T1", ANA)
    last = Workspace.open(root)
    assert (last.state.value("tick", "S0.S1"), last.state.value("tick", "S0.T1")) == (
        "done",
        "open",
    )
    assert (last.journal.chain.lines_of_work, last.journal.chain.missing) == (1, {})
    assert [w for w in last.warnings if "kept" in w or "taken out" in w] == []


def test_going_on_without_them_is_a_persons_word_and_their_copy_stays(root: Path) -> None:
    ws = ticked(root)
    path = root / "state.jsonl"
    whole = path.read_bytes()
    swap(path, first(path, 3))
    ws.refresh()
    record = ws.go_on_without("hand:ana")
    assert (record.do, record.by, record.item) == ("hand_edit", "hand:ana", copy_of(root).name)
    assert copy_of(root).read_bytes() == whole
    ws.tick("S0.S1", ANA)
    again = Workspace.open(root)
    assert [again.state.value("tick", box) for box in BOXES] == ["done", "done", "open", "open"]
    assert again.warnings == []
    again.undo(ANA)  # what a person agreed to is no action to be undone
    assert again.state.value("tick", "S0.S1") == "open"
    taken = gonogo(root, "recover", copy_of(root).name, "--json")
    assert taken.returncode == 0, taken.stdout
    assert json.loads(taken.stdout)["taken"] == 2
    assert Workspace.open(root).state.value("tick", "S0.T4") == "done"


def copy_of(root: Path) -> Path:
    (found,) = root.glob("state.kept-*")
    return found


@pytest.mark.parametrize("order", ["same", "turned", "more"])
def test_a_replacement_that_has_all_records_is_legal(root: Path, order: str) -> None:
    ws = ticked(root)
    path = root / "state.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if order == "turned":
        lines = lines[:1] + lines[:0:-1]
    if order == "more":  # as a union merge brings them
        lines.insert(2, b'{"do":"tick","item":"S0.S2","new":"done"}\n')
    swap(path, b"".join(lines))
    ws.refresh()
    assert (ws.journal.problem, ws.journal.generation) == ("", 1)
    ws.tick("S0.S1", ANA)
    assert Workspace.open(root).state.value("tick", "S0.S1") == "done"
    assert not list(root.glob("state.kept-*"))


def test_putting_the_old_file_back_settles_it_by_itself(root: Path) -> None:
    ws = ticked(root)
    path = root / "state.jsonl"
    whole = path.read_bytes()
    path.unlink()
    ws.refresh()
    assert ws.read_only
    ws.refresh()  # still away
    swap(path, first(path.parent / "gonogo.toml", 0) + whole[:200])
    ws.refresh()
    assert ws.read_only
    swap(path, whole)
    ws.refresh()
    assert (ws.journal.problem, ws.read_only) == ("", False)
    assert [ws.state.value("tick", box) for box in BOXES] == ["done"] * 4
    ws.tick("S0.S1", ANA)


def test_a_byte_changed_in_what_was_read_is_seen_although_a_record_follows(root: Path) -> None:
    ws = ticked(root)
    path = root / "state.jsonl"
    raw = path.read_bytes().replace(b'"item":"S0.T1"', b'"item":"S0.T9"', 1)
    overwrite(path, raw)
    with path.open("ab") as file:
        file.write(b'{"do":"tick","item":"S0.S2","new":"done"}\n')
    ws.refresh()
    assert "line 2" in ws.journal.problem


def test_a_hand_edited_line_is_asked_about_as_damage_first(root: Path) -> None:
    ws = ticked(root)
    path = root / "state.jsonl"
    swap(path, path.read_bytes().replace(b'"item":"S0.T2"', b'"item":"S0.S2"', 1))
    ws.refresh()
    assert ws.journal.bad_line is not None
    assert not ws.journal.lost
    ws.accept_bad_line("hand:ana")
    assert (ws.journal.problem, ws.state.value("tick", "S0.S2")) == ("", "done")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_that_changes_under_the_very_write_is_no_saved_record(
    root: Path, moment: str
) -> None:
    path = root / "state.jsonl"
    calls = 0

    def write(fd: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1 and moment == "before":
            swap(path, path.read_bytes())
        done = os.write(fd, data)
        if calls == 1 and moment == "after":
            swap(path, path.read_bytes())
            os.truncate(path, path.stat().st_size - len(data))
        return done

    ws = Workspace.open(root, syscalls=Syscalls(write=write))
    with pytest.raises(Conflict, match="changed this very moment"):
        ws.tick("S0.T1", ANA)
    assert Workspace.open(root).state.value("tick", "S0.T1") == "open"
    ws.tick("S0.T1", ANA)
    assert Workspace.open(root).state.value("tick", "S0.T1") == "done"


def test_a_command_that_waits_for_the_lock_notices_it(root: Path) -> None:
    ticked(root)
    path = root / "state.jsonl"
    whole = path.read_bytes()
    with Journal(path).exclusive():
        late = subprocess.Popen(
            argv(root, "tick", "S0.S1", "--json"), stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        while not waits_for_lock(late.pid):
            assert late.poll() is None
        swap(path, first(path, 2))
    out, _ = late.communicate(timeout=60)
    error = json.loads(out)["error"]
    assert (late.returncode, error["kind"]) == (6, "ReadOnly")
    assert f"gonogo recover {copy_of(root).name}" in error["message"]
    assert copy_of(root).read_bytes() == whole
    status = json.loads(gonogo(root, "status", "--json").stdout)
    assert f"gonogo recover {copy_of(root).name}" in " ".join(status["warnings"])
    listed = json.loads(gonogo(root, "recover", "--json").stdout)
    assert listed["kept"] == [{"file": copy_of(root).name, "records": 3}]
    assert gonogo(root, "recover", str(copy_of(root))).returncode == 0
    status = json.loads(gonogo(root, "status", "--json").stdout)
    assert (status["done"], status["warnings"]) == (4, [])
    before = path.read_bytes()
    again = json.loads(gonogo(root, "recover", copy_of(root).name, "--json").stdout)
    assert (again["taken"], again["record"], path.read_bytes()) == (0, None, before)


def test_records_made_meanwhile_and_those_put_back_are_both_there_and_clashes_are_said(
    root: Path,
) -> None:
    ws = ticked(root)
    path = root / "state.jsonl"
    swap(path, first(path, 1))
    Workspace.open(root).tick("S0.T1", "cli:bob")
    ws.refresh()
    ws.put_back("hand:ana")
    again = Workspace.open(root)
    assert [again.state.value("tick", box) for box in BOXES] == ["done"] * 4
    assert {r.by for r in again.state.records if r.item == "S0.T1"} == {ANA, "cli:bob"}
    assert "S0.T1 was changed twice" in " ".join(again.warnings)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nonsense\n", "line 1"), (b"", "no record"), (b"\0" * 100, "no record"),
        (b'{"v":2,"id":"x","at":1,"do":"fly"}\n', "newer"), (None, "o such file"),
    ],
)  # fmt: skip
def test_what_is_no_copy_is_refused(root: Path, content: bytes | None, said: str) -> None:
    before = (root / "state.jsonl").read_bytes()
    if content is not None:
        (root / "copy.jsonl").write_bytes(content)
    refused = gonogo(root, "recover", "copy.jsonl", "--json")
    assert refused.returncode == 2
    assert said in json.loads(refused.stdout)["error"]["message"]
    os.mkfifo(root / "pipe")
    assert gonogo(root, "recover", "pipe").returncode == 2
    assert (root / "state.jsonl").read_bytes() == before


def test_a_read_only_look_keeps_nothing_and_a_full_disk_is_said(root: Path) -> None:
    ws = ticked(root)
    closed = Workspace.open(root, read_only=True)
    (root / "state.jsonl").unlink()
    closed.refresh()
    assert closed.journal.lost
    assert not list(root.glob("state.kept-*"))
    root.chmod(0o500)
    try:
        ws.refresh()
        if os.geteuid():
            with pytest.raises(ReadOnly):
                ws.tick("S0.S1", ANA)
    finally:
        root.chmod(0o700)
    assert len(ws.journal.lost) == 5


def test_an_accepted_line_comes_back_with_its_acceptance(root: Path) -> None:
    path = root / "state.jsonl"
    path.write_bytes(path.read_bytes() + b"<<<<<<< HEAD\n")
    ws = Workspace.open(root)
    ws.accept_bad_line("hand:ana")
    ws.tick("S0.T1", ANA)
    whole = path.read_bytes()
    swap(path, first(path, 1))
    ws.refresh()
    ws.put_back("hand:ana")
    again = Workspace.open(root)
    assert (again.journal.problem, again.state.value("tick", "S0.T1")) == ("", "done")
    assert set(whole.splitlines()) <= set(path.read_bytes().splitlines())
