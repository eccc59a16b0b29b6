"""Writers that are killed with SIGKILL at every step of a commit, and several writers at once.

Each check runs against our journal and against the obvious wrong way of doing it, which must fail.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tui.roadmap.journal import Journal

WRITER = """
import json, os, signal, sys
from pathlib import Path

path, kind, when, nth = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
counts = {"write": 0, "fsync": 0}

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def hit(name):
    counts[name] += 1
    return name == kind and counts[name] == nth

def write(fd, data):
    if hit("write"):
        if when == "before":
            die()
        if when == "half":
            os.write(fd, data[: len(data) // 2])
            die()
        os.write(fd, data)
        die()
    return os.write(fd, data)

def fsync(fd):
    if hit("fsync"):
        if when == "before":
            die()
        os.fsync(fd)
        die()
    os.fsync(fd)
"""

OURS = """
from tui.roadmap.journal import Journal, Syscalls
journal = Journal(path, syscalls=Syscalls(write, fsync, os.ftruncate))
for n in range(3):
    with journal.exclusive():
        journal.write({"by": "t", "do": "field", "item": f"F{n}", "old": None, "new": "x" * 50})
    print(n, flush=True)
"""

NAIVE = """
state = json.loads(path.read_text()) if path.exists() else {}
for n in range(3):
    state[f"F{n}"] = "x" * 50
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    write(fd, json.dumps(state).encode())
    fsync(fd)
    os.close(fd)
    print(n, flush=True)
"""

POINTS = [
    (kind, when, nth)
    for kind, moments in (("write", ("before", "half", "after")), ("fsync", ("before", "after")))
    for when in moments
    for nth in (1, 2, 3)
]


def killed(body: str, path: Path, point: tuple[str, str, int]) -> int:
    """Runs a writer that dies at `point`; returns how many commits it acknowledged."""
    kind, when, nth = point
    argv = [sys.executable, "-c", WRITER + body, str(path), kind, when, str(nth)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return len(done.stdout.split())


@pytest.mark.parametrize("point", POINTS, ids=lambda p: "-".join(map(str, p)))
def test_nothing_acknowledged_is_lost(tmp_path: Path, point: tuple[str, str, int]) -> None:
    path = tmp_path / "state.jsonl"
    acknowledged = killed(OURS, path, point)
    assert acknowledged == point[2] - 1
    reader = Journal(path)
    assert reader.problem == ""
    items = [record.item for record in reader.records]
    assert items[:acknowledged] == [f"F{n}" for n in range(acknowledged)]
    assert len(items) <= acknowledged + 1
    with reader.exclusive():
        reader.write({"by": "t", "do": "field", "item": "next", "old": None, "new": "y"})
    again = Journal(path)
    assert [record.item for record in again.records] == [*items, "next"]
    assert (again.problem, again.torn) == ("", 0)


def test_a_truncating_writer_would_be_caught(tmp_path: Path) -> None:
    lost = 0
    for number, point in enumerate([("write", "before", 2), ("write", "half", 3)]):
        path = tmp_path / f"{number}.json"
        acknowledged = killed(NAIVE, path, point)
        try:
            kept = json.loads(path.read_text())
        except ValueError:
            kept = {}
        lost += len(kept) < acknowledged
    assert lost == 2


ACTIONS = 50

MANY = """
import sys
from pathlib import Path
from tui.roadmap.workspace import Workspace
ws = Workspace.open(Path(sys.argv[1]))
me = sys.argv[2]
for n in range(int(sys.argv[3])):
    ws.add_cost("S3", "0.01", me, f"{me} {n}")
    print(n, flush=True)
"""

MANY_NAIVE = """
import json, sys
from pathlib import Path
path, me = Path(sys.argv[1]) / "naive.json", sys.argv[2]
for n in range(20 * int(sys.argv[3])):
    state = json.loads(path.read_text() or "[]") if path.exists() else []
    state.append(f"{me} {n}")
    new = path.with_name(me)
    new.write_text(json.dumps(state))
    new.replace(path)
    print(n, flush=True)
"""


def race(code: str, folder: Path) -> list[int]:
    """Two processes at once; how many actions each acknowledged."""
    argvs = [[sys.executable, "-c", code, str(folder), me, str(ACTIONS)] for me in ("a", "b")]
    both = [
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for argv in argvs
    ]
    out = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], out
    return [len(stdout.split()) for stdout, _ in out]


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    from tui.roadmap.budget import summarize
    from tui.roadmap.workspace import Workspace

    Workspace.create(tmp_path / "w")
    assert race(MANY, tmp_path / "w") == [ACTIONS, ACTIONS]
    ws = Workspace.open(tmp_path / "w")
    assert len({cost.note for cost in ws.state.costs}) == 2 * ACTIONS
    assert len({record.id for record in ws.state.records}) == 2 * ACTIONS + 1
    assert str(summarize(ws.settings, ws.document, ws.state).spent) == "1.00"
    times = [record.at for record in ws.state.records]
    assert times == sorted(set(times))


def test_two_writers_without_a_lock_would_be_caught(tmp_path: Path) -> None:
    acknowledged = race(MANY_NAIVE, tmp_path)
    kept = json.loads((tmp_path / "naive.json").read_text())
    assert len(kept) < sum(acknowledged)
