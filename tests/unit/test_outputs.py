"""Files that commands write where somebody says: never over what a workspace stands on, nor a device."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.unit.test_state_guards import gonogo
from tui.chart.save import SaveError, save
from tui.chart.series import Series
from tui.chart.view import CurveLine, View
from tui.files import check_folder, check_target
from tui.roadmap.errors import NotSaved
from tui.roadmap.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with everything that must not be overwritten, and names that lead there."""
    text = 'title = "T"\nuser = "ana"\nroadmap = "plan/own.md"\n'
    ws = Workspace.create(tmp_path / "w", settings_text=text, roadmap_text="- [ ] one\n- [ ] two\n")
    ws.put_evidence({"a": 1})
    root = ws.root
    (root / "bindings.toml").write_text("")
    for name in ("runs/tower/j/run.jsonl", "evaluation/results/comparison.json", "models/a.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}")
    for name, target in (
        ("link.svg", "state.jsonl"), ("again.svg", "link.svg"), ("plan.svg", "plan/own.md"),
        ("ring.svg", "ring.svg"), ("x.svg.part", "state.jsonl"),
    ):  # fmt: skip
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe.svg")
    (root / "dir.svg").mkdir()
    (root / "inside").mkdir()
    (root / "inside" / "up.svg").symlink_to("../gonogo.toml")
    return root


def everything(root: Path) -> dict[str, object]:
    return {
        str(p.relative_to(root)): (
            p.lstat().st_ino, stat.S_IFMT(p.lstat().st_mode), p.is_file() and p.read_bytes()
        )
        for p in root.rglob("*")
    }  # fmt: skip


REFUSED = {
    "state.jsonl": "the state file", "gonogo.toml": "the settings", "plan/own.md": "the plan",
    "bindings.toml": "the bindings", "state.kept-0.jsonl": "kept for", "evidence/new": "evidence/",
    "runs/tower/j/run.jsonl": "runs/", "evaluation/results/comparison.json": "the pipeline",
    "models/a.json": "the pipeline", "link.svg": "the state file", "again.svg": "the state file",
    "plan.svg": "the plan", "ring.svg": "ring.svg", "pipe.svg": "a pipe", "dir.svg": "",
    "inside/up.svg": "the settings", "inside/../state.jsonl": "the state file", "": "no name",
    "no/such/folder": "no such file", "x" * 300: "name too long",
}  # fmt: skip


@pytest.mark.parametrize("command", [("export",), ("cost", "export")])
def test_what_a_workspace_stands_on_is_never_an_output(
    root: Path, command: tuple[str, ...]
) -> None:
    before = everything(root)
    for name, said in REFUSED.items():
        target = f"{root}/{name}" if name else ""
        done = gonogo(root, *command, target, "--force", "--json")
        error = json.loads(done.stdout)["error"]
        assert done.returncode in (2, 6), name
        assert said in error["message"], (name, error)
        assert "\n" not in error["message"]
        assert everything(root) == before, name
    good = root / "exports" / "good.md"
    assert gonogo(root, *command, str(good)).returncode == 0
    good.chmod(0o640)
    assert gonogo(root, *command, str(good)).returncode == 6
    (root / "exports" / "way.md").symlink_to("good.md")
    assert gonogo(root, *command, str(root / "exports" / "way.md"), "--force").returncode == 0
    assert (root / "exports" / "way.md").is_symlink()
    assert stat.S_IMODE(good.stat().st_mode) == 0o640


def test_a_chart_takes_no_place_that_is_not_its_own(root: Path) -> None:
    series = Series("run")
    series.extend([(1.0, 3.0), (2.0, 2.0)])
    lines = (CurveLine(series, "run", 0, "control"),)
    before = everything(root)
    for name in (n for n in REFUSED if n.endswith(".svg")):
        with pytest.raises(SaveError):
            save(root / name, lines, View(), ((("x", "axis"),),), "loss", root)
        assert everything(root) == before, name
    save(root / "x.svg", lines, View(), ((("x", "axis"),),), "loss", root)
    assert (root / "state.jsonl").read_bytes() == before["state.jsonl"][2]  # type: ignore[index]
    outside = root.parent / "plan.csv"
    outside.symlink_to(root / "plan" / "own.md")
    with pytest.raises(SaveError, match="the plan"):
        save(outside, lines, View(), (), "loss")


def test_a_plan_outside_of_its_workspace_is_known_to_it(tmp_path: Path) -> None:
    (tmp_path / "plan.md").write_text("- [ ] one\n")
    ws = Workspace.create(tmp_path / "w", settings_text='roadmap = "../plan.md"\n')
    done = gonogo(ws.root, "export", str(tmp_path / "plan.md"), "--force")
    assert (done.returncode, "the plan" in done.stderr) == (6, True)
    assert (tmp_path / "plan.md").read_text() == "- [ ] one\n"


@pytest.mark.parametrize("name", ["state.jsonl", "gonogo.toml", "bindings.toml", "", "evidence/x"])
def test_the_plan_is_a_file_of_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / "gonogo.toml").write_text(f'roadmap = "{name}"\n')
    done = gonogo(tmp_path, "status", "--json")
    assert done.returncode == 2
    assert "gonogo.toml:1: roadmap: " in json.loads(done.stdout)["error"]["message"]


def test_what_is_fetched_takes_the_place_of_nothing_else(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "models" / "adapters" / "job").mkdir(parents=True)
    (root / "mine").mkdir()
    monkeypatch.setenv("HOME", str(root.parent / "home" / "ana"))
    (root.parent / "home" / "ana").mkdir(parents=True)
    for name in (".", "..", "/", "evidence", "models", "models/adapters", "runs/tower", "pipe.svg",
                 "state.jsonl", "link.svg", "../home", "../home/ana"):  # fmt: skip
        with pytest.raises(NotSaved):
            check_folder(root / name, root)
    for name in ("models/adapters/job", "mine", "new", "../elsewhere"):
        check_folder(root / name, root)
    done = gonogo(root, "fetch", "job", str(root), "--replace", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (6, "NotSaved")


def test_where_a_name_leads(root: Path) -> None:
    assert check_target(root / "inside" / ".." / "new.md") == root.resolve() / "new.md"
    for name in ("a\0b", ".."):
        with pytest.raises(NotSaved):
            check_target(root / name)
