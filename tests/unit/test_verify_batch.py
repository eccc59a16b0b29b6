"""Batches of checks: order, hints, old verdicts, what is stored, and a whole stage made of real files."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.rule_kit import (
    COMMENTS,
    METRICS,
    SVG,
    lines,
    pdf,
    png,
    results,
    sample,
    sha,
    training,
    write,
)
from tests.unit.test_rules_web import Services, server, web  # noqa: F401 - fixtures
from tui.cli import main
from tui.roadmap.progress import box_status
from tui.roadmap.state import Verdict
from tui.roadmap.verify import exit_code, verify
from tui.roadmap.workspace import Workspace

HOUR = 3_600_000


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w")


def bind(ws: Workspace, text: str) -> None:
    (ws.root / "bindings.toml").write_text(text)


def check(item: str, **more: Any) -> str:
    extra = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    return f'["{item}"]\nrule = "file"\npath = "{item}.txt"\n{extra}'


async def test_a_roll_up_sees_the_passes_of_its_own_batch(ws: Workspace) -> None:
    items = ws.document.select("S1.C")
    chain = '["S1.C2"]\nrule = "all-done"\nitems = ["S1.C1"]\n["S1.C3"]\nrule = "same-as"\nitem = "S1.C2"\n'
    bind(ws, check("S1.C1") + chain + '["S1.C4"]\nrule = "all-pass"\nitems = ["S1.C1", "S1.C3"]\n')
    write(ws.root / "S1.C1.txt", "x")
    verdicts = await verify(ws, ["S1.C"], None)
    assert {v.item: v.verdict for v in verdicts} == dict.fromkeys(items, "PASS")
    assert ws.state.ticks == {}, "nothing is stored by looking"
    (alone,) = await verify(ws, ["S1.C2"], None)
    assert (alone.verdict, alone.reason) == ("SKIP", "waits for S1.C1")


async def test_what_could_not_be_asked_is_not_free_of_errors(ws: Workspace) -> None:
    far = '["S1.K2"]\nrule = "docker-image"\nhost = "tower"\n'
    for rule, box in (("no-errors", "S1.C2"), ("all-pass", "S1.C3")):
        text = f'["{box}"]\nrule = "{rule}"\nitems = ["S1.K1", "S1.K2"]\n'
        bind(ws, check("S1.K1") + far + text)
        write(ws.root / "S1.K1.txt", "x")
        words = {v.item: v for v in await verify(ws, ["S1.K1", "S1.K2", box], None)}
        assert words["S1.K2"].verdict == "UNREACHABLE"
        assert (words[box].verdict, words[box].reason) == ("SKIP", "waits for S1.K2")
        bind(ws, check("S1.K1") + check("S1.K2") + text)
        assert (await verify(ws, [box, "S1.K1", "S1.K2"], None))[2].reason == "waits for S1.K2"
        write(ws.root / "S1.K2.txt", "")
        found = (await verify(ws, [box, "S1.K1", "S1.K2"], None))[2]
        assert (found.verdict, found.reason) == ("FAIL", "S1.K2 FAIL")
        ws.waive("S1.K2", "user:ana", "there is no such thing here")
        assert (await verify(ws, [box, "S1.K1", "S1.K2"], None))[2].verdict == "PASS"
        ws.undo("user:ana")
        (ws.root / "S1.K2.txt").unlink()


async def test_what_was_found_is_one_printable_line(ws: Workspace) -> None:
    bind(ws, '["S1.K1"]\nrule = "section"\npath = "a.md"\ntitles = ["x"]\n')
    write(ws.root / "a.md", "# x \x1b[31m\u202eevil\n" + "w " * 100)
    (one,) = await verify(ws, ["S1.K1"], None)
    assert one.found == "“x \ufffd[31m\ufffdevil”, 100 words"


async def test_a_trackers_line_passes_with_the_last_box_of_its_stage(ws: Workspace) -> None:
    items = [i for i in ws.document.select("S1") if i != "S1.K1"]
    for item in items:
        ws.tick(item, "user:ana")
    bind(ws, check("S1.K1"))
    assert (await verify(ws, ["PT2"], None))[0].reason == "waits for S1.K1"
    write(ws.root / "S1.K1.txt", "x")
    words = {v.item: v.verdict for v in await verify(ws, ["PT2", "S1.K1"], None)}
    assert words == {"PT2": "PASS", "S1.K1": "PASS"}


async def test_a_hint_is_shown_and_never_ticks(ws: Workspace) -> None:
    bind(ws, check("S1.K1", hint=True) + check("S1.K2", hint=True, kind="png"))
    write(ws.root / "S1.K1.txt", "x")
    write(ws.root / "S1.K2.txt", "no picture")
    verdicts = await verify(ws, ["S1.K1", "S1.K2"], None)
    assert [(v.verdict, v.hint) for v in verdicts] == [("PASS", True), ("WARN", True)]
    assert exit_code([replace(v, verdict="FAIL") for v in verdicts]) == 0
    ws.record_verdicts(verdicts, "user:ana")
    assert ws.state.ticks == {}
    again = Workspace.open(ws.root)
    assert again.state.verdicts["S1.K1"].hint


async def test_a_later_failure_never_unticks(ws: Workspace) -> None:
    bind(ws, check("S1.K1"))
    file = write(ws.root / "S1.K1.txt", "x")
    ws.record_verdicts(await verify(ws, ["S1.K1"], None), "user:ana")
    at = ws.state.ticks["S1.K1"].at
    file.write_text("")
    ws.record_verdicts(await verify(ws, ["S1.K1"], None), "user:ana")
    status = box_status(ws.document, ws.state, "S1.K1")
    assert status.verdict is not None
    assert (status.tick, status.verdict.verdict, status.at) == ("done", "FAIL", at)


def shown(ws: Workspace, item: str, later: int = 0) -> Verdict:
    found = box_status(ws.document, ws.state, item, int(time.time() * 1000) + later).verdict
    assert found is not None
    return found


async def test_a_verdict_grows_old_and_a_new_check_clears_it(ws: Workspace) -> None:
    bind(ws, check("S1.K1", ttl_hours=24))
    write(ws.root / "S1.K1.txt", "x")
    ws.record_verdicts(await verify(ws, ["S1.K1"], None), "user:ana")
    assert shown(ws, "S1.K1", 23 * HOUR).verdict == "PASS"
    old = shown(ws, "S1.K1", 25 * HOUR)
    assert (old.verdict, old.reason) == ("STALE", "older than 24 h")
    assert box_status(ws.document, ws.state, "S1.K1").tick == "done"
    bind(ws, check("S1.K1", ttl_hours=24, count=2))
    old = shown(ws, "S1.K1")
    assert (old.verdict, "expected at least 1 file" in old.reason) == ("STALE", True)
    write(ws.root / "S1.K1.txt", "y")
    ws.record_verdicts(await verify(ws, ["S1.K1"], None), "user:ana")
    assert shown(ws, "S1.K1").verdict == "FAIL"


async def test_a_changed_text_makes_its_verdict_old(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "w")
    bind(ws, check("S0.S4"))
    write(ws.root / "S0.S4.txt", "x")
    ws.record_verdicts(await verify(ws, ["S0.S4"], None), "user:ana")
    plan = ws.root / "ROADMAP.md"
    plan.write_text(plan.read_text("utf-8").replace("300+ GB storage", "500+ GB storage"), "utf-8")
    again = Workspace.open(ws.root)
    again.reconcile(["S0.S4"], "user:ana")
    old = shown(again, "S0.S4")
    assert old.verdict == "STALE"
    assert old.reason.index("300") < old.reason.index("500")
    again.record_verdicts(await verify(again, ["S0.S4"], None), "user:ana")
    assert shown(again, "S0.S4").verdict == "PASS"


async def test_a_changed_threshold_of_the_gate_makes_its_boxes_old(ws: Workspace) -> None:
    results(ws.root, "S3", 15)
    source = ws.root / "evaluation" / "results" / "S3" / "comparison.json"
    write(ws.root / "evaluation" / "results" / "comparison.json", source.read_bytes())
    ws.record_verdicts(await verify(ws, ["S3.C2", "S3.C3"], None), "user:ana")
    text = (ws.root / "gonogo.toml").read_text()
    (ws.root / "gonogo.toml").write_text(text.replace("[gate]\n", "[gate]\nmin_improvement = 12\n"))
    again = Workspace.open(ws.root)
    assert [shown(again, i).verdict for i in ("S3.C2", "S3.C3")] == ["STALE", "PASS"]


async def test_what_nobody_asked_for_is_stored_when_it_changes_or_hourly(ws: Workspace) -> None:
    bind(ws, check("S1.K1") + check("S1.K2"))
    file = write(ws.root / "S1.K1.txt", "x")
    first = await verify(ws, ["S1.K1", "S1.K2"], None)
    record = ws.record_changes(first, "probe:gonogo")
    assert record is not None
    assert len(record.data["verdicts"]) == 2
    assert ws.record_changes(await verify(ws, ["S1.K1", "S1.K2"], None), "probe:gonogo") is None
    file.write_text("")
    record = ws.record_changes(await verify(ws, ["S1.K1", "S1.K2"], None), "probe:gonogo")
    assert record is not None
    assert [v["item"] for v in record.data["verdicts"]] == ["S1.K1"]
    count = len(ws.state.records)
    cli, args = CliRunner().invoke, ["-C", str(ws.root), "verify", "S1.K1", "--offline"]
    done = await asyncio.to_thread(cli, main, [*args, "--changes"])
    assert done.exit_code == 1
    assert "1 of 1" in done.stdout
    assert len(Workspace.open(ws.root).state.records) == count
    await asyncio.to_thread(cli, main, args)
    assert len(Workspace.open(ws.root).state.records) == count + 1, "who asks gets a record"
    ws.refresh()
    for item, verdict in ws.state.verdicts.items():
        ws.state.verdicts[item] = replace(verdict, at=verdict.at - HOUR)
    record = ws.record_changes(await verify(ws, ["S1.K1", "S1.K2"], None), "probe:gonogo")
    assert record is not None
    assert len(record.data["verdicts"]) == 2


async def test_one_broken_check_does_not_take_the_others_along(ws: Workspace) -> None:
    bind(ws, check("S1.K1") + '["S1.K2"]\nrule = "field"\nfields = ["nothing"]\n')
    write(ws.root / "S1.K1.txt", "x")
    heard: list[str] = []
    verdicts = await verify(ws, ["S1.K1", "S1.K2"], None, lambda v: heard.append(v.item))
    assert [v.verdict for v in verdicts] == ["PASS", "ERROR"]
    assert verdicts[1].expected == "nothing filled in"
    assert sorted(heard) == ["S1.K1", "S1.K2"]


# --- whole stages out of real files ---------------------------------------------------------------


def dataset(root: Path, services: Services) -> None:
    """Everything that Phase 1 leaves behind: 500 samples an arm with their reports."""
    data, scenarios = root / "datasets", ("react", "express", "python", "bugfix", "sql")
    repos = {s: [f"{s}/r{n}" for n in range(3)] for s in scenarios[:3]}
    write(data / "sources.json", {"v": 1, "scenarios": {s: {"repos": r} for s, r in repos.items()}})
    for name in (name for names in repos.values() for name in names):
        services.repo(name)
    everything = []
    for scenario in scenarios:
        rows = [sample(n, scenario) for n in range(100)]
        everything += rows
        folder = data / "scenarios" / scenario
        lines(folder / "extracted.jsonl", rows)
        lines(folder / "control.jsonl", rows)
        lines(folder / "experiment.jsonl", [row | {"comments": COMMENTS} for row in rows])
        if scenario in ("bugfix", "sql"):
            found = [{"url": f"https://example.org/{n}"} for n in range(100)]
            lines(data / "candidates" / f"{scenario}.jsonl", found)
    digests: dict[str, dict[str, str]] = {}
    for arm in ("control", "experiment"):
        rows = [row | ({"comments": COMMENTS} if arm == "experiment" else {}) for row in everything]
        for name, part in (
            ("train", rows[:350]),
            ("validation", rows[350:425]),
            ("test", rows[425:]),
        ):
            path = lines(data / arm / f"{name}.jsonl", part)
            digests.setdefault(arm, {})[f"{arm}/{name}.jsonl"] = sha(path)
    write(data / "split.json", {"v": 1, "seed": 7})
    write(data / "export.json", {"tool": "export_comments", "arguments": {"format": "jsonl"}, "lines": 500,
                                 "sha256": "a" * 64})  # fmt: skip
    back = [{"name": n, "status": 200, "equal": True} for arm in digests.values() for n in arm]
    write(
        data / "publish.json",
        {"account": {"provisioning_state": "Succeeded"}, "read_back": back, **digests},
    )
    both = {"checked": 500, "passed": 500}
    reports = {
        "syntax": {"checked": 500, "failed": 0}, "completeness": {"records": 500, "complete": 500},
        "lint": {"eslint": {"errors": 0}, "pylint": {"errors": 0}, "sql": {"errors": 0}},
        "quality": {"control": both, "experiment": both, "open": 0},
        "statistics": {"total": 500, "train": 350, "validation": 75, "test": 75},
    }  # fmt: skip
    for name, report in reports.items():
        write(data / "reports" / f"{name}.json", report)


MANUAL_P1 = {"P1.Q3", "P1.Q4"}


@pytest.fixture
def launched(tmp_path: Path, web: Services) -> Workspace:  # noqa: F811 - the fixture
    text = f'[public]\ngithub = "{web.base}"\n'
    return Workspace.create(tmp_path / "w", settings_text=text)


async def test_the_whole_of_phase_1_passes_on_real_files(
    launched: Workspace,
    web: Services,  # noqa: F811
) -> None:
    dataset(launched.root, web)
    verdicts = await verify(launched, ["P1"], None)
    bad = [(v.item, v.verdict, v.reason) for v in verdicts if v.verdict != "PASS"]
    assert bad == []
    launched.record_verdicts(verdicts, "user:ana")
    done = {item for item, tick in launched.state.ticks.items() if tick.done}
    assert done == set(launched.document.select("P1")) - MANUAL_P1
    assert len(done) == 43
    names = [path for path, _ in web.seen]
    assert len(names) == len(set(names)) == 9, "five boxes, nine repositories, one question each"
    evidence = json.loads(launched.read_evidence(launched.state.verdicts["P1.R7"].evidence))
    assert evidence["data"]["repositories"]["react/r0"] == {"license": "MIT", "stars": 9000}
    (launched.root / "datasets" / "control" / "test.jsonl").write_text("")
    words = {v.item: v.verdict for v in await verify(launched, ["P1"], None)}
    hit = {item for item, word in words.items() if word == "FAIL"}
    assert hit == {"P1.S1", "P1.S4", "P1.S7", "P1.U2", "P1.V1"}


async def test_the_evaluation_of_phase_3_passes_on_real_files(ws: Workspace) -> None:
    folder = results(ws.root, "P3", 75)
    top = ws.root / "evaluation" / "results" / "comparison.json"
    write(top, (folder / "comparison.json").read_bytes())
    for arm in ("control", "experiment"):
        lines(ws.root / "datasets" / arm / "test.jsonl", [sample(n) for n in range(75)])
    write(ws.root / "evaluation" / "checks.json", {"passed": 10, "failed": 0})
    write(folder / "tables.json", {"rows": list(METRICS), "average": {"improvement": 30.0}})
    write(folder / "charts" / "a.png", png())
    write(folder / "charts" / "a.svg", SVG)
    write(folder / "report.pdf", pdf())
    write(folder / "summary.md", f"results {sha(folder / 'comparison.json')[:12]}")
    write(folder / "dashboard.json", (folder / "comparison.json").read_bytes())
    write(folder / "significance.json", {"p_value": 0.004, "cohens_d": 0.9})
    verdicts = await verify(ws, ["P3", "SC1", "SC2", "SC3", "SC4"], None)
    words = {v.item: (v.verdict, v.reason) for v in verdicts}
    for item in ("P3.S1", "P3.S2"):
        words.pop(item)  # what is installed and set here is not this test's
    hints = {item for item in words if ws.bindings.bound[item].hint}
    assert {item: w for item, w in words.items() if w[0] != "PASS" and item not in hints} == {}
    assert len(words) - len(hints) == 32


async def test_the_trainings_of_phase_2(ws: Workspace) -> None:
    training(ws, "P2", "control", samples=350)
    training(ws, "P2", "experiment", samples=350)
    training(ws, "S1", "micro")
    results(ws.root, "P2", 10)
    for arm in ("control", "experiment"):
        rows = [{"prompt": "p", "completion": "c", "parses": n > 1} for n in range(10)]
        lines(ws.root / "evaluation" / "samples" / f"production-{arm}.jsonl", rows)
        adapter = write(
            ws.root / "models" / f"production-{arm}" / "adapter_model.safetensors", b"x"
        )
        write(adapter.parent / "manifest.json", {"files": {adapter.name: sha(adapter)}})
    verdicts = await verify(ws, ["P2"], None)
    words = {v.item: v.verdict for v in verdicts}
    hosts = {"P2.TC2", "P2.TE2", "P2.S3", "P2.V3"}
    assert {words.pop(item) for item in hosts} == {"UNREACHABLE"}
    assert {words.pop(item) for item in ("P2.S1", "P2.S4")} == {"SKIP"}
    assert set(words.values()) == {"PASS"}, words
    ws.record_verdicts(verdicts, "user:ana")
    filled = {
        i: ws.state.fields[i].value for i in ("P2.TC6.train", "P2.TC6.val", "KM.control_time")
    }
    assert filled == {"P2.TC6.train": "1.0000", "P2.TC6.val": "1.1000", "KM.control_time": "1.00"}
