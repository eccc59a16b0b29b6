"""The command line of gate, blanks, waivers and money: answers and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.test_gate import comparison, put
from tui.cli import main
from tui.energy import JobEnergy
from tui.roadmap.workspace import Workspace

Call = Callable[..., Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Workspace.create(tmp_path / "w")
    return tmp_path / "w"


@pytest.fixture
def run(root: Path) -> Call:
    def call(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(main, ["-C", str(root), *arguments, "--json"])
        assert result.exit_code == code, result.output
        answer = json.loads(result.stdout)
        assert answer["ok"] is (code in (0, 1))
        return answer

    return call


def test_a_phase_before_go_wants_a_reason(run: Call) -> None:
    assert "--why" in run("tick", "P1.R1", code=2)["error"]["message"]
    assert run("tick", "P1.R1", "--why", "prepared early")["record"]["why"] == "prepared early"
    assert run("gate", "--lock", "P2", code=1)["locked"] is True
    run("decide", "GO", "--reason", "short", "--override", "OVERRIDE", code=2)
    signed = run(
        "decide", "GO", "--reason", "a dry run of it all", "--override", "OVERRIDE", code=2
    )
    assert "20 characters" in signed["error"]["message"]
    reason = "a dry run of the whole plan"
    assert run("decide", "GO", "--reason", reason, "--override", "OVERRIDE")["decision"]["override"]
    assert run("gate", "--lock", "P2")["locked"] is False
    run("tick", "P1.R2")


def test_waivers_need_reason_and_end(run: Call, root: Path) -> None:
    for arguments in (
        ("--why", "too short", "--until", "5"),
        ("--why", "long enough now", "--until", "91"),
    ):
        run("waive", "S0.L4", *arguments, code=2)
    missing = CliRunner().invoke(
        main, ["-C", str(root), "waive", "S0.L4", "--why", "long enough now"]
    )
    assert (missing.exit_code, "--until" in missing.stderr) == (2, True)
    assert (
        run("waive", "S0.L4", "--why", "long enough now", "--until", "30")["record"]["expires"] > 0
    )
    assert (
        "expires"
        not in run("waive", "S0.L4", "--why", "long enough now", "--until", "permanent")["record"]
    )
    assert run("na", "S0.L3", "--why", "no extension needed")["record"]["new"] == "na"
    run("waive", "S3.G1", "--why", "long enough now", "--until", "3", code=2)
    run("na", "S9.X", "--why", "long enough now", code=2)


def test_fields_list_both_values_and_every_place(run: Call, root: Path) -> None:
    put(Workspace.open(root), comparison())
    run("field", "KM.p_value", "0.2")
    stored = run("field", "--fetch")["record"]
    assert stored["new"]["KM.p_value"] == "0.031"
    (entry,) = run("field", "--conflicts")["fields"][:1]
    assert (entry["value"], entry["measured"], entry["conflict"]) == ("0.2", "0.031", True)
    found = run("field", "KM.p_value")["fields"][0]
    assert found["printed_at"] == ["P3.p_value line 412", "KM.p_value line 581"]
    run("field", "KM.p_value", "--choose", "measured")
    assert run("field", "--conflicts")["fields"] == []
    run("field", "KM.p_value", "--choose", "hand", code=2)
    run("field", "BT.total.actual", "5", code=2)
    run("field", "nothing", "5", code=2)
    run("field", "--fetch", code=2)


def test_dates_are_listed_and_accepted(run: Call, root: Path) -> None:
    ws = Workspace.open(root)
    section = ws.document.section("S0")
    assert section is not None
    for box in section.boxes[:-1]:
        ws.tick(box.id, "user:ana")
    run("dates", "--accept", code=2)
    proposal = run("tick", section.boxes[-1].id)["proposal"]
    (found,) = run("dates")["dates"]
    assert (found["field"], found["date"]) == ("S0.date", proposal["date"])
    assert [a["kind"] for a in run("attention")["attention"]] == ["date"]
    assert run("dates", "S0", "--accept")["records"][0]["new"] == proposal["date"]
    assert run("dates")["dates"] == run("attention")["attention"] == []


def test_money_with_files_and_limits(run: Call, root: Path, tmp_path: Path) -> None:
    target = tmp_path / "costs.csv"
    run("cost", "S3", "13.10", "--note", "azure", "--kind", "api")
    assert run("cost", "S3", "-2.50")["record"]["new"]["kind"] == "refund"
    run("cost", "S3", "13,10", code=2)
    run("cost", "S3", "5", "--kind", "gift", code=2)
    assert run("cost", "export", str(target))["entries"] == 2
    run("cost", "export", str(target), code=6)
    answer = run("cost", "import", str(target))
    assert (answer["added"], answer["duplicates"], answer["record"]) == (0, 2, None)
    target.write_text("row,amount\nS3,x\n")
    assert "line 2:" in run("cost", "import", str(target), code=2)["error"]["message"]
    run("cost", "import", str(tmp_path / "missing.csv"), code=2)
    # 10.60 spent, 53.00 forecast for 75 samples, 3 + 2 + 10 as planned
    assert run("budget", "--check")["expected_total"] == "78.60"
    run("cost", "P3", "290")
    assert run("budget", "--check", code=1)["warnings"][1] == "OVER the limit $300.00"
    words = [a["kind"] for a in run("attention")["attention"]]
    assert words.count("OVER") == 1
    assert words.count("money") >= 2


def test_electricity_is_listed_and_booked(run: Call, root: Path) -> None:
    folder = root / "runs" / "tower" / "job-1"
    folder.mkdir(parents=True)
    job = JobEnergy("tower", "job-1", "control", "P2", 7_200_000.0, "counter", ended=True)
    content = {k: getattr(job, k) for k in JobEnergy.__dataclass_fields__}
    (folder / "energy.json").write_text(json.dumps(content))
    (found,) = run("energy")["jobs"]
    assert (found["kwh"], found["cost"], found["booked"]) == ("2.0000", None, False)
    assert "price_per_kwh" in run("energy", "job-1", "--book", code=2)["error"]["message"]
    settings = root / "gonogo.toml"
    settings.write_text(settings.read_text().replace("[budget]", "[budget]\nprice_per_kwh = 0.30"))
    assert run("energy", "--book")["records"][0]["new"]["amount"] == "0.60"
    assert run("energy", "--book")["records"] == []
    assert run("energy")["jobs"][0]["booked"] is True
    run("energy", "job-1", "--book", code=3)
    run("energy", "job-9", code=2)
