"""Several writers, damaged bytes, one write per action, and readers that leave no trace."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tui.roadmap.journal import Journal, Syscalls
from tui.roadmap.records import Record
from tui.roadmap.workspace import Workspace

ROOT = Path(__file__).parents[2]
ACTIONS = 150

WRITER = """
import sys
import time
from pathlib import Path
from tui.roadmap.errors import Conflict, InvalidValue
from tui.roadmap.workspace import Workspace
ws, me, own = Workspace.open(Path(sys.argv[1])), sys.argv[2], sys.argv[3].split(",")
made = 0
for n in range(int(sys.argv[4])):
    box = own[n % len(own)] if n % 3 else "S0.T1"
    while True:
        before = len(ws.state.records)
        try:
            open_ = ws.state.value("tick", box) == "open"
            record = ws.tick(box, me) if open_ else ws.untick(box, me)
        except (Conflict, InvalidValue):
            continue
        if record.by == me and record.id not in {r.id for r in ws.state.records[:before]}:
            break
    print(record.id, flush=True)
"""


def race(root: Path) -> list[list[str]]:
    """Two processes at once; the ids that each acknowledged."""
    boxes = {"a": "S0.T2,S0.T3", "b": "S0.S1,S0.S2"}
    argvs = [
        [sys.executable, "-c", WRITER, str(root), f"cli:{me}", own, str(ACTIONS)]
        for me, own in boxes.items()
    ]
    both = [
        subprocess.Popen(a, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        for a in argvs
    ]
    out = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], out
    return [stdout.split() for stdout, _ in out]


def test_scenario_24_two_writers_with_150_actions_each_lose_none(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "w")
    acknowledged = race(tmp_path / "w")
    assert [len(ids) for ids in acknowledged] == [ACTIONS, ACTIONS]
    ws = Workspace.open(tmp_path / "w")
    ids = [record.id for record in ws.state.records]
    assert len(ids) == len(set(ids)) == 2 * ACTIONS + 1
    assert set(acknowledged[0] + acknowledged[1]) <= set(ids)
    times = [record.at for record in ws.state.records]
    assert times == sorted(set(times))
    assert (ws.journal.chain.lines_of_work, ws.journal.chain.missing, ws.state.clashes) == (
        1,
        {},
        [],
    )
    last: dict[str, str] = {}
    for record in ws.state.records[1:]:
        assert record.data["old"] == last.get(record.item, "open"), record
        last[record.item] = record.data["new"]
    assert {by for record in ws.state.records if record.item == "S0.T1" for by in [record.by]} == {
        "cli:a", "cli:b",
    }  # fmt: skip


# --- damage -----------------------------------------------------------------------------------


def meaning(journal: Journal) -> list[tuple[object, ...]]:
    return [(r.id, r.item, r.data.get("new"), r.by, r.at, r.do) for r in journal.records]


def damage(path: Path, times: int, seed: int) -> tuple[int, int, int]:
    """Random single-byte changes; how many were found, harmless, silently wrong."""
    good, whole = path.read_bytes(), meaning(Journal(path))
    rng = random.Random(seed)
    found = harmless = wrong = 0
    for _ in range(times):
        place, byte = rng.randrange(len(good)), rng.randrange(255)
        byte = byte if byte < good[place] else byte + 1
        path.write_bytes(good[:place] + bytes([byte]) + good[place + 1 :])
        journal = Journal(path)
        kept = meaning(journal)
        if journal.problem:
            found += 1
            wrong += kept != whole[: len(kept)]
        elif kept == whole and not journal.torn:
            harmless += 1
        else:
            wrong += 1
    path.write_bytes(good)
    return found, harmless, wrong


def filled(path: Path, count: int = 12) -> None:
    journal = Journal(path)
    for n in range(count):
        with journal.exclusive():
            journal.write(
                {"by": "t", "do": "tick", "item": f"S0.T{n}", "old": "open", "new": "done"}
            )


def test_2000_random_bytes_are_never_silently_wrong(tmp_path: Path) -> None:
    filled(tmp_path / "state.jsonl")
    found, harmless, wrong = damage(tmp_path / "state.jsonl", 2000, seed=20261122)
    print(
        f"\n2,000 single-byte changes: {found} found, {harmless} harmless, {wrong} silently wrong"
    )
    assert wrong == 0
    assert found + harmless == 2000
    assert found > 1900


def test_without_the_checksum_the_same_damage_is_silently_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "state.jsonl")
    monkeypatch.setattr("tui.roadmap.records.is_sealed", lambda _raw: True)
    assert damage(tmp_path / "state.jsonl", 200, seed=1)[2] > 20


# --- what a tick costs, and what looking costs ------------------------------------------------


def test_a_tick_is_one_write_and_one_fsync(tmp_path: Path) -> None:
    Workspace.create(tmp_path / "w")
    calls: list[tuple[str, bytes]] = []

    def write(fd: int, data: bytes) -> int:
        calls.append(("write", data))
        return os.write(fd, data)

    def fsync(fd: int) -> None:
        calls.append(("fsync", b""))
        os.fsync(fd)

    ws = Workspace.open(tmp_path / "w", syscalls=Syscalls(write, fsync, os.ftruncate))
    before = (tmp_path / "w" / "state.jsonl").read_bytes()
    ws.tick("S0.T1", "user:ana")
    assert [name for name, _ in calls] == ["write", "fsync"]
    assert (tmp_path / "w" / "state.jsonl").read_bytes() == before + calls[0][1]


@pytest.mark.parametrize(
    "args", [("status",), ("status", "S0"), ("log",), ("log", "--json"), ("recover",)]
)
def test_looking_changes_no_byte_and_no_mtime(tmp_path: Path, args: tuple[str, ...]) -> None:
    root = tmp_path / "w"
    ws = Workspace.create(root)
    ws.tick("S0.T1", "user:ana")
    with (root / "state.jsonl").open("ab") as file:
        file.write(b'{"v":1,"torn')
    before = {
        p: (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in root.rglob("*")
    }
    argv = [sys.executable, "-m", "tui.cli", "-C", str(root), *args]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    after = {
        p: (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in root.rglob("*")
    }
    assert after == before


# --- one state for the screen, another for the writer -----------------------------------------


def tick_record(n: int) -> Record:
    data = {"old": "open", "new": "done"}
    return Record(f"id{n}", n, "t", "tick", f"S0.T{n}", data, n)


def test_a_screen_that_draws_while_a_thread_commits_sees_a_whole_state(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w")
    ws.tick("S0.T1", "user:ana")
    drawn = ws.state
    rows = iter(drawn.ticks.items())
    next(rows)
    ws.tick("S0.T2", "cli:bob")
    assert list(rows) == []
    assert "S0.T2" not in drawn.ticks
    assert "S0.T2" in ws.state.ticks
    assert len(drawn.records) == len(ws.state.records) - 1
    broken = drawn.copy()
    rows = iter(broken.ticks.items())
    next(rows)
    broken.fold([tick_record(2 * 10**12)])
    with pytest.raises(RuntimeError, match="changed size"):
        next(rows)


def test_a_copy_shares_nothing_that_a_fold_changes(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w")
    ws.tick("S0.T1", "user:ana")
    ws.note("S0", "n", "user:ana")
    ws.add_cost("S3", "1", "user:ana")
    copy = ws.state.copy()
    frozen = json.dumps({k: repr(v) for k, v in vars(ws.state).items()})
    for record in (
        ws.untick("S0.T1", "user:ana"),
        ws.note("S0", "", "user:ana"),
        ws.undo("user:ana"),
    ):
        copy.fold([record])
    copy.fold([r for r in ws.state.records if r.do == "cost"])
    fresh = Workspace.open(tmp_path / "w").state
    assert copy.value("tick", "S0.T1") == fresh.value("tick", "S0.T1") == "open"
    assert json.dumps({k: repr(v) for k, v in vars(drawn_of(ws, 4)).items()}) == frozen


def drawn_of(ws: Workspace, count: int) -> object:
    state = ws.state.copy()
    state.clear()
    state.fold(ws.state.records[:count])
    return state


@pytest.mark.parametrize("order", ["ours first", "theirs first"])
def test_after_a_merge_with_a_fast_clock_what_is_done_next_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    """One laptop is an hour ahead; the other's next action follows it in time, as in the file."""
    for name in ("a", "b"):
        Workspace.create(tmp_path / name)
    base = (tmp_path / "a/state.jsonl").read_bytes()
    (tmp_path / "b/state.jsonl").write_bytes(base)
    now = time.time_ns()
    monkeypatch.setattr("tui.roadmap.journal.time.time_ns", lambda: now + 3600 * 10**9)
    Workspace.open(tmp_path / "a").tick("S0.T1", "user:ana")
    monkeypatch.setattr("tui.roadmap.journal.time.time_ns", lambda: now)
    Workspace.open(tmp_path / "b").tick("S0.T2", "user:bob")
    ana, bob = (
        (tmp_path / name / "state.jsonl").read_bytes().removeprefix(base) for name in ("a", "b")
    )
    merged = base + (bob + ana if order == "ours first" else ana + bob)
    (tmp_path / "b/state.jsonl").write_bytes(merged)
    ws = Workspace.open(tmp_path / "b")
    assert ws.journal.chain.lines_of_work == 2
    ws.untick("S0.T1", "user:bob")
    again = Workspace.open(tmp_path / "b")
    assert ws.state.value("tick", "S0.T1") == again.state.value("tick", "S0.T1") == "open"
    assert not again.state.clashes
    again.undo("user:bob")
    assert Workspace.open(tmp_path / "b").state.value("tick", "S0.T1") == "done"
