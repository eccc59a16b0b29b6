"""Files that are read because they have a name: pipes, devices, folders and huge ones end in a sentence."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.test_state_guards import ROOT, argv
from tui.roadmap.workspace import Workspace

GIB = 2**30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Workspace.create(tmp_path / "w", settings_text='user = "ana"\n').root


def run(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """A command that may neither wait nor grow."""
    return subprocess.run(
        argv(root, *args), capture_output=True, text=True, timeout=60, cwd=ROOT, check=False,
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 * GIB, 2 * GIB)),
    )  # fmt: skip


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 8 * GIB)


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "is a pipe"),
    "folder": (Path.mkdir, "is a folder"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "huge": (huge, "is larger than"),
}

READS: dict[str, tuple[str, tuple[str, ...], int]] = {
    "plan": ("ROADMAP.md", ("status",), 1),
    "settings": ("gonogo.toml", ("status",), 2),
    "bindings": ("bindings.toml", ("bindings",), 1),
    "state": ("state.jsonl", ("tick", "S0.T1"), 6),
    "comparison": ("evaluation/results/comparison.json", ("gate",), 0),
    "costs": ("in", ("cost", "import", "@"), 2),
    "import": ("in", ("import", "@"), 2),
    "as plan": ("in", ("import", "@", "--as-plan"), 2),
    "edit": ("in", ("edit", "@", "--yes"), 2),
    "copy": ("in", ("recover", "@"), 2),
    "init": ("in", ("init", "new", "--roadmap", "@"), 2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_of_a_sensible_size_is_said(root: Path, kind: str) -> None:
    make, said = KINDS[kind]
    for what, (name, args, code) in READS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name("aside")
        if path.exists():
            path.rename(aside)
        make(path)
        words = [str(path) if word == "@" else word for word in args]
        if what == "init":
            words[1] = str(root / "new")
        done = run(root, *words, "--json")
        answer = json.loads(done.stdout)
        text = json.dumps(answer)
        sealed = what == "settings" and kind != "huge"  # without the file it is no workspace
        assert (
            "no gonogo workspace" in text
            if sealed
            else said in text
            or (
                kind == "folder" and "is a directory" in text  # said by the command line itself
            )
        ), (what, text)
        assert done.returncode == code, (what, text)
        assert "Traceback" not in done.stderr
        path.rmdir() if kind == "folder" else path.unlink()
        if aside.exists():
            aside.rename(path)


def test_a_note_from_an_endless_pipe_ends(root: Path) -> None:
    pipe = subprocess.Popen(["yes", "words of a note"], stdout=subprocess.PIPE)
    try:
        done = subprocess.run(
            argv(root, "note", "S0", "-", "--json"), stdin=pipe.stdout, capture_output=True, text=True,
            timeout=60, cwd=ROOT, check=False,
        )  # fmt: skip
    finally:
        pipe.kill()
        pipe.wait()
    assert (done.returncode, json.loads(done.stdout)["error"]["kind"]) == (2, "InvalidValue")
