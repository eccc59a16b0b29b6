"""The command line: what it answers, with which exit code, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tui.cli import main
from tui.roadmap.naming import TEMPLATE

Call = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "w")])
    assert result.exit_code == 0, result.output
    return tmp_path / "w"


@pytest.fixture
def run(root: Path) -> Call:
    return lambda *args, **more: CliRunner().invoke(main, ["-C", str(root), *args], **more)


def data(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_init_says_what_it_found(tmp_path: Path) -> None:
    answer = data(CliRunner().invoke(main, ["init", str(tmp_path / "w"), "--json"]))
    assert (answer["ok"], answer["boxes"], answer["blanks"]) == (True, 288, 85)
    again = CliRunner().invoke(main, ["init", str(tmp_path / "w")])
    assert (again.exit_code, "already" in again.stderr) == (2, True)


def test_init_takes_over_a_plan_and_repairs_it(tmp_path: Path) -> None:
    broken = tmp_path / "plan.md"
    broken.write_bytes(TEMPLATE.read_bytes().decode().encode().decode("mac_roman").encode())
    before = broken.read_bytes()
    answer = data(
        CliRunner().invoke(main, ["init", str(tmp_path / "w"), "--roadmap", str(broken), "--json"])
    )
    assert answer["boxes"] == 288
    assert "Mac Roman" in answer["repaired"]
    assert broken.read_bytes() == before
    assert (tmp_path / "w" / "ROADMAP.md").read_bytes() == TEMPLATE.read_bytes()


def test_tick_untick_undo_redo(run: Call) -> None:
    record = data(run("tick", "S0.T1", "--json"))["record"]
    assert (record["do"], record["item"], record["new"]) == ("tick", "S0.T1", "done")
    assert record["by"].startswith("cli:")
    assert data(run("status", "--json"))["done"] == 1
    assert run("undo").exit_code == 0
    assert data(run("status", "S0.T1", "--json"))["boxes"][0]["tick"] == "open"
    assert run("redo").exit_code == 0
    assert run("untick", "S0.T1", "--why", "it broke").exit_code == 0
    assert data(run("status", "--json"))["done"] == 0


def test_options_may_stand_on_either_side(root: Path) -> None:
    assert CliRunner().invoke(main, ["tick", "S0.T1", "-C", str(root)]).exit_code == 0


def test_the_workspace_is_found_from_below(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "datasets")
    assert CliRunner().invoke(main, ["status"]).exit_code == 0


@pytest.mark.parametrize(
    ("args", "code", "kind"),
    [
        (["tick", "S9.T1"], 2, "UnknownId"),
        (["tick", "PT1"], 2, "InvalidValue"),
        (["field", "S0.date", "soon"], 2, "InvalidValue"),
        (["cost", "S3"], 2, "InvalidValue"),
        (["cost", "S9", "1"], 2, "UnknownId"),
        (["decide", "GO", "--reason", "x"], 2, "InvalidValue"),
        (["verify", "P5.O"], 2, "InvalidValue"),
        (["undo"], 2, "InvalidValue"),
        (["note", "S99", "x"], 2, "UnknownId"),
    ],
)
def test_errors_have_a_code_and_a_sentence(
    run: Call, args: list[str], code: int, kind: str
) -> None:
    answer = data(run(*args, "--json"), code)
    assert (answer["ok"], answer["error"]["kind"], answer["error"]["exit_code"]) == (
        False,
        kind,
        code,
    )
    plain = run(*args)
    assert plain.exit_code == code
    assert plain.stderr.startswith("gonogo: ")
    assert plain.stderr.count("\n") == 1
    assert plain.stdout == ""


def test_conflict_locked_and_corrupt_have_their_codes(
    root: Path, run: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui.roadmap.errors import Conflict
    from tui.roadmap.journal import Journal
    from tui.roadmap.workspace import Workspace

    run("tick", "S0.T1")
    other = Workspace.open(root)
    monkeypatch.setattr(Workspace, "open", classmethod(lambda cls, *a, **k: other))
    run_other = other.untick("S0.T1", "user:bob")
    assert run_other.item == "S0.T1"
    monkeypatch.setattr(other, "_inverse", lambda by, do: (_ for _ in ()).throw(Conflict("theirs")))
    assert run("undo").exit_code == 3
    monkeypatch.undo()
    monkeypatch.setattr("tui.roadmap.journal.Journal.__init__", _impatient(Journal.__init__))
    holder = Journal(root / "state.jsonl")
    with holder.exclusive():
        assert data(run("tick", "S0.T2", "--json"), 4)["error"]["kind"] == "Locked"
    path = root / "state.jsonl"
    path.write_bytes(path.read_bytes().replace(b"S0.T1", b"S0.T3", 1))
    assert data(run("tick", "S0.T2", "--json"), 6)["error"]["kind"] == "ReadOnly"
    status = data(run("status", "--json"))
    assert status["read_only"] is True
    assert "line 2" in status["warnings"][0]


def _impatient(original: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, path: Path, **kwargs: Any) -> None:
        original(self, path, **{**kwargs, "lock_seconds": 0.1})

    return init


def test_bad_settings_are_one_sentence(root: Path, run: Call) -> None:
    (root / "gonogo.toml").write_text("[hosts.tower]\nport = 0\n")
    result = run("status")
    assert (
        result.exit_code,
        result.stderr.startswith("gonogo: gonogo.toml:2: hosts.tower.port"),
    ) == (2, True)


def test_outside_a_workspace(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["-C", str(tmp_path)])
    assert result.exit_code == 2
    assert "gonogo init" in result.output
    assert "gonogo demo" in result.output
    assert (
        data(CliRunner().invoke(main, ["status", "-C", str(tmp_path), "--json"]), 2)["ok"] is False
    )


def test_fields_costs_notes(run: Call) -> None:
    assert run("field", "S1.loss_start", "4.5").exit_code == 0
    fields = {f["id"]: f["value"] for f in data(run("field", "--json"))["fields"]}
    assert len(fields) == 113
    assert fields["S1.loss_start"] == "4.5"
    assert run("field", "S1.loss_start", "--clear").exit_code == 0
    assert data(run("field", "S1.loss_start", "--json"))["fields"][0]["value"] is None
    run("cost", "S3", "13.10", "--note", "api", "--date", "2026-01-02")
    ledger = data(run("cost", "--json"))
    assert (ledger["spent"], ledger["left"], ledger["entries"][0]["date"]) == (
        "13.10",
        "255.90",
        "2026-01-02",
    )
    assert (
        run("cost", "--void", ledger["entries"][0]["id"][-6:], "--why", "typed twice").exit_code
        == 0
    )
    assert data(run("cost", "--json"))["spent"] == "0.00"
    run("note", "S0", "-", input="two\nlines\n")
    assert data(run("note", "S0", "--json"))["note"] == "two\nlines"


def test_decide_and_log(run: Call) -> None:
    assert run("decide", "hold", "--reason", "too early").exit_code == 0
    assert data(run("status", "--json"))["gate"]["decision"] == "HOLD"
    run("tick", "S0.T1")
    records = data(run("log", "--json"))["records"]
    assert [r["do"] for r in records] == ["import", "decision", "tick"]
    assert len(data(run("log", "S0.T", "--json"))["records"]) == 1
    assert "S0.T1: open > done" in run("log").stdout


def test_export(run: Call, root: Path, tmp_path: Path) -> None:
    result = run("export")
    assert result.stdout_bytes == TEMPLATE.read_bytes()
    target = tmp_path / "out.md"
    run("tick", "S0.T1")
    assert run("export", str(target)).exit_code == 0
    assert b"- [x] Docker Desktop installed" in target.read_bytes()
    assert run("export", str(target)).exit_code == 6
    assert run("export", str(target), "--force").exit_code == 0
    assert data(run("export", "--json"))["markdown"].encode() == target.read_bytes()
    assert (root / "ROADMAP.md").read_bytes() == TEMPLATE.read_bytes()


def test_verify_offline_records_verdicts(run: Call, root: Path) -> None:
    result = run("verify", "S1.K1", "S1.K2", "--offline", "--json")
    answer = data(result, 5)
    words = {v["item"]: v["verdict"] for v in answer["verdicts"]}
    assert words == {"S1.K1": "SKIP", "S1.K2": "UNREACHABLE"}
    assert len(data(run("log", "--json"))["records"]) == 2
    folder = root / "datasets" / "micro"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text("{}\n")
    assert run("verify", "S1.K1").exit_code == 1
    assert run("verify", "S1.K1", "--dry-run").exit_code == 1
    assert len(data(run("log", "--json"))["records"]) == 3


def test_verify_of_a_host_that_cannot_be_reached(
    run: Call, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.cli_verify.CONNECT_SECONDS", 0.5)
    settings = '[hosts.tower]\nssh = "127.0.0.1"\nport = 1\nrole = "tower"\n'
    (root / "gonogo.toml").write_text(settings)
    answer = data(run("verify", "S1.K2", "--json"), 5)
    assert answer["verdicts"][0]["verdict"] == "UNREACHABLE"


def test_looking_is_not_writing(run: Call, root: Path) -> None:
    run("tick", "S0.T1")
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")}
    for args in (
        ["status"],
        ["log"],
        ["export"],
        ["field"],
        ["cost"],
        ["note", "S0"],
        ["status", "S0"],
    ):
        assert run(*args).exit_code == 0
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in root.rglob("*")} == before


def test_help_lists_everything_without_importing_it() -> None:
    result = CliRunner().invoke(main, ["--help"])
    for name in ("init", "status", "tick", "untick", "field", "cost", "decide", "note", "undo", "redo",
                 "export", "verify", "log", "demo"):  # fmt: skip
        assert f"\n  {name} " in result.output


HEAVY = ("textual", "torch", "pandas", "asyncssh", "mlflow", "numpy")


@pytest.mark.parametrize(
    "args", [["--help"], ["status"], ["tick", "S0.T1"], ["verify", "S1.K1", "--offline"]]
)
def test_commands_import_nothing_heavy(root: Path, args: list[str]) -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom tui.cli import main\n"
        f"r = CliRunner().invoke(main, ['-C', {str(root)!r}, *{args!r}])\n"
        "assert r.exit_code == 0, r.output\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
