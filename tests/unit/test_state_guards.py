"""Where the state file refuses or warns: a held lock, a foreign owner, network folders, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tui import vocabulary
from tui.roadmap import folder
from tui.roadmap.journal import Journal
from tui.roadmap.lock import WriteLock
from tui.roadmap.query import parse
from tui.roadmap.workspace import Workspace

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Workspace.create(tmp_path / "w", settings_text='title = "T"\nuser = "ana"\n')
    return tmp_path / "w"


def argv(root: Path, *args: str) -> list[str]:
    return [sys.executable, "-m", "tui.cli", "-C", str(root), *args]


def gonogo(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(root, *args), capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )


def test_a_held_lock_is_exit_code_4_and_names_its_holder(root: Path) -> None:
    with WriteLock(root / "state.lock", 1):
        refused = gonogo(root, "tick", "S0.T1", "--json")
    error = json.loads(refused.stdout)["error"]
    assert (refused.returncode, error["exit_code"], error["kind"]) == (4, 4, "Locked")
    assert f"pid {os.getpid()}) since " in error["message"]
    assert gonogo(root, "tick", "S0.T1").returncode == 0


def test_scenario_23_the_second_of_two_commands_is_exit_code_3(root: Path) -> None:
    journal = Journal(root / "state.jsonl")
    with journal.exclusive():
        late = subprocess.Popen(
            argv(root, "field", "S1.loss_start", "3.9", "--json"),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        deadline = time.monotonic() + 20
        while not waits_for_lock(late.pid):  # it has read the file and what it believes
            assert time.monotonic() < deadline
            assert late.poll() is None
            time.sleep(0.01)
        fields = {"item": "S1.loss_start", "old": None, "new": "4.5", "source": "hand"}
        journal.write({"by": "user:ana", "do": "field", **fields})
        count = len((root / "state.jsonl").read_bytes().splitlines())
    out, _ = late.communicate(timeout=30)
    error = json.loads(out)["error"]
    assert (late.returncode, error["kind"]) == (3, "Conflict")
    assert "S1.loss_start was set to “4.5” by user:ana at " in error["message"]
    assert len((root / "state.jsonl").read_bytes().splitlines()) == count


def waits_for_lock(pid: int) -> bool:
    """True while a process has the lock file open."""
    try:
        return any(fd.readlink().name == "state.lock" for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("status",), 0), (("tick", "S9.X"), 2), (("field", "S0.date", "soon"), 2),
        (("--read-only", "tick", "S0.T1"), 6), (("undo",), 2), (("edit", "--print"), 0),
    ],
)  # fmt: skip
def test_exit_codes(root: Path, args: tuple[str, ...], code: int) -> None:
    before = (root / "state.jsonl").read_bytes()
    assert gonogo(root, *args).returncode == code
    assert (root / "state.jsonl").read_bytes() == before


def test_a_file_of_somebody_else_is_read_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.roadmap.reading.os.geteuid", lambda: 54321)
    ws = Workspace.open(root)
    assert ws.read_only
    assert "belongs to " in ws.journal.problem
    assert len(ws.state.records) == 1


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("nfs4", "network"),
        ("cifs", "network"),
        ("fuse.sshfs", "network"),
        ("ext4", ""),
        ("tmpfs", ""),
    ],
)
def test_network_folders_are_named(tmp_path: Path, kind: str, said: str) -> None:
    mounts = f"22 1 8:1 / / rw - ext4 /dev/a rw\n30 22 0:9 / {tmp_path} rw - {kind} host:/x rw\n"
    warned = folder.warnings(tmp_path / "w", mounts)
    assert (said in " ".join(warned)) if said else warned == []
    assert folder.warnings(Path("/elsewhere"), mounts) == []


def test_synchronised_folders_are_named() -> None:
    assert "Dropbox" in folder.warnings(Path("/home/ana/Dropbox/w"), "")[0]


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ({"LANG": "C"}, True), ({"LANG": "C.UTF-8"}, False), ({"LC_ALL": "POSIX", "LANG": "de.UTF-8"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, True), ({}, False), ({"GONOGO_ASCII": "1"}, True),
    ],
)  # fmt: skip
def test_which_locales_get_ascii(given: dict[str, str], plain: bool) -> None:
    assert vocabulary.wants_ascii(given) is plain
    code = "from tui import vocabulary; print(vocabulary.marks is vocabulary.ASCII)"
    env = {"PATH": os.environ["PATH"], **given}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT, check=False
    )
    assert done.stdout.strip() == str(plain), done.stderr


def test_a_filter_that_nothing_can_match_is_said() -> None:
    assert parse("docker is:open").problem == ""
    assert "is:flying is nothing" in parse("is:flying").problem
    assert [t.key for t in parse("gpu is:ok -who:bob stage:2 phase:1 http://x").terms] == [
        "", "is", "who", "stage", "stage", "",
    ]  # fmt: skip


def test_keys_are_listed_with_the_ids_that_bind_them(root: Path) -> None:
    path = root / "gonogo.toml"
    path.write_text(path.read_text() + '\n[keymap]\n"box.tick" = "t"\n')
    listed = {k["id"]: k["key"] for k in json.loads(gonogo(root, "keys", "--json").stdout)["keys"]}
    assert (listed["box.tick"], listed["room.journal"]) == ("t", "6")
    assert {"state.undo", "list.filter", "app.commands"} <= set(listed)
