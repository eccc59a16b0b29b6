"""What a shell completes after tab, a folder removed under the shell, numbers that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from tui.cli import main
from tui.roadmap.workspace import Workspace


def completed(root: Path, words: str, begun: str) -> list[str]:
    shell = ShellComplete(main, {}, "gonogo", "_GONOGO_COMPLETE")
    return [c.value for c in shell.get_completions(["-C", str(root), *words.split()], begun)]


@pytest.mark.parametrize(
    ("words", "begun", "offered"),
    [
        ("tick", "s0.t1", "S0.T1"),
        ("untick", "S0.T", "S0.T2"),
        ("waive", "S0.T", "S0.T1"),
        ("na", "S0.T", "S0.T1"),
        ("verify S0.T1", "S", "S0"),
        ("status", "S1", "S1"),
        ("log", "S0.T", "S0.T1"),
        ("bindings", "S0.T", "S0.T1"),
        ("field", "S1.loss", "S1.loss_start"),
        ("note", "S", "S3"),
        ("dates", "S", "S3"),
        ("train --stage", "s", "S1"),
        ("train --host", "to", "tower"),
        ("doctor", "to", "tower"),
        ("curve", "run", "run-1"),
        ("stop", "run", "run-1"),
        ("fetch", "run", "run-1"),
        ("energy", "run", "run-1"),
    ],
)
def test_tab_completes_what_the_workspace_knows(
    tmp_path: Path, words: str, begun: str, offered: str
) -> None:
    workspace = Workspace.create(tmp_path / "w")
    (tmp_path / "w/gonogo.toml").write_text('[hosts.tower]\nssh = "tower"\nrole = "tower"\n')
    mirrored_runs(workspace)
    before = {p: p.stat().st_mtime_ns for p in (workspace.root, *workspace.root.rglob("*"))}
    found = completed(workspace.root, words, begun)
    assert offered in found
    assert all(word.casefold().startswith(begun.casefold()) for word in found)
    assert {p: p.stat().st_mtime_ns for p in (workspace.root, *workspace.root.rglob("*"))} == before


def mirrored_runs(workspace: Workspace) -> None:
    """Folders as a host may name them."""
    for name in ("run-1", "run; rm", "run-\x1b[31m"):
        folder = workspace.runs_dir / "tower" / name
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("x\n")


def test_words_that_a_shell_would_act_on_are_not_offered(tmp_path: Path) -> None:
    mirrored_runs(Workspace.create(tmp_path / "w"))
    assert completed(tmp_path / "w", "curve", "run") == ["run-1"]


def test_tab_is_silent_where_nothing_can_be_read(tmp_path: Path) -> None:
    assert completed(tmp_path, "tick", "S") == []
    Workspace.create(tmp_path / "w")
    (tmp_path / "w/gonogo.toml").write_text("[[[")
    assert completed(tmp_path / "w", "tick", "S") == []


@pytest.mark.parametrize("words", [["status"], ["init"], ["curve"], []])
def test_a_removed_current_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "cd to one that exists" in result.stderr
    if words:
        result = CliRunner().invoke(main, [*words, "--json"])
        assert json.loads(result.stdout)["error"]["kind"] == "NoFolder"


@pytest.mark.parametrize(
    "words", [("curve", "--at"), ("curve", "--smooth"), ("stop", "x", "--grace")]
)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400"])
def test_no_number_is_refused_as_one(tmp_path: Path, words: tuple[str, ...], number: str) -> None:
    Workspace.create(tmp_path / "w")
    (tmp_path / "w/gonogo.toml").write_text("")
    call = ["-C", str(tmp_path / "w"), *words[:-1], f"{words[-1]}={number}", "--json"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 2
    answer = json.loads(result.stdout)["error"]
    assert answer["kind"] == "UsageError"
    assert words[-1] in answer["message"]
