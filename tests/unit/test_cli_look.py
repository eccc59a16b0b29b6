"""`gonogo tail` and `gonogo evidence`: what the screens open with enter and `o`, without any host."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tui.cli import main
from tui.roadmap.entries import Verdict
from tui.roadmap.workspace import Workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "ws", settings_text='title = "x"\nuser = "ana"\n')
    for stamp, job in enumerate(("demo-20260101", "demo-20260102", "other-1")):
        folder = made.runs_dir / "tower" / job
        folder.mkdir(parents=True)
        lines = [f"{job} step {n}" for n in range(50)] + [
            "\x1b[31mError\x1b[0m: out of memory",
            "end",
        ]
        (folder / "log.txt").write_text("\n".join(lines) + "\n", "utf-8")
        os.utime(folder / "log.txt", (1000 + stamp, 1000 + stamp))
    return made


def gonogo(ws: Workspace, *words: str) -> Result:
    return CliRunner().invoke(main, ["-C", str(ws.root), *words])


def test_the_end_of_a_log(ws: Workspace) -> None:
    told = gonogo(ws, "tail", "demo-20260101", "-n", "2")
    assert told.stdout == "Error: out of memory\nend\n"
    newest = json.loads(gonogo(ws, "tail", "demo", "--json").stdout)
    assert (newest["host"], newest["job_id"], len(newest["lines"])) == (
        "tower",
        "demo-20260102",
        20,
    )


def test_lines_that_hold_a_text(ws: Workspace) -> None:
    assert gonogo(ws, "tail", "demo", "--find", "STEP 4", "-n", "3").stdout.splitlines() == [
        f"demo-20260102 step {n}" for n in (47, 48, 49)
    ]
    assert gonogo(ws, "tail", "demo", "--find", "ERROR").stdout == "Error: out of memory\n"
    assert "no line of demo-20260102 holds" in gonogo(ws, "tail", "demo", "--find", "zzz").stdout


@pytest.mark.parametrize("job", ["", "demo-2026010", "..", "../..", "*", "dem"])
def test_a_job_that_is_not_there(ws: Workspace, job: str) -> None:
    told = gonogo(ws, "tail", job)
    assert told.exit_code == 2
    assert (
        told.stderr.startswith("There is no log of a job called ")
        or "There is no log" in told.stderr
    )


def test_the_evidence_of_a_box(ws: Workspace) -> None:
    none = gonogo(ws, "evidence", "S0.T1")
    assert (none.exit_code, "gonogo verify S0.T1" in none.stderr) == (1, True)
    assert gonogo(ws, "evidence", "S0.T999").exit_code == 2
    kept = ws.put_evidence({"said": "a card\u202e"})
    ws.record_verdicts([Verdict("S0.T1", "PASS", evidence=kept)], "probe:tower")
    shown = gonogo(ws, "evidence", "S0.T1")
    assert "a card" in shown.stdout
    assert "\u202e" not in shown.stdout
    told = json.loads(gonogo(ws, "evidence", "S0.T1", "--json").stdout)
    assert (told["verdict"], told["evidence"]) == ("PASS", kept)
