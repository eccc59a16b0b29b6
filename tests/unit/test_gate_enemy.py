"""The gate with an enemy's eyes: no file, and no moment, turns missing or impossible numbers into a GO."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_gate import ANA, METRICS, comparison, put, verdicts
from tests.unit.test_state_guards import gonogo
from tui.roadmap.errors import Conflict
from tui.roadmap.gate import evaluate
from tui.roadmap.results import PATH, RESULTS
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace
from tui.settings import SettingsError, parse_settings

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    ws = Workspace.create(tmp_path / "w", settings_text='user = "ana"\n')
    ws.record_verdicts([Verdict(i, "PASS") for i in ("S3.TC4", "S3.TE4")], "probe:tower")
    return ws


def every(**changes: Any) -> Change:
    return lambda data: [metric.update(changes) for metric in data["metrics"]]


def first(**changes: Any) -> Change:
    return lambda data: data["metrics"][0].update(changes)


def top(**changes: Any) -> Change:
    return lambda data: data.update(changes)


def without(key: str) -> Change:
    return lambda data: [metric.pop(key) for metric in data["metrics"]]


def ten_times_one(data: dict[str, Any]) -> None:
    data["metrics"] = [dict(data["metrics"][4]) for _ in range(10)]


def one_twice(data: dict[str, Any]) -> None:
    data["metrics"].append({**data["metrics"][0], "experiment": 50.0})


def one_twice_but_for_case(data: dict[str, Any]) -> None:
    data["metrics"].append({**data["metrics"][0], "name": " Code_Accuracy "})


def one_by_another_name(data: dict[str, Any]) -> None:
    data["metrics"][0]["name"] = "bogus"


def a_bogus_one_besides(data: dict[str, Any]) -> None:
    for metric in data["metrics"]:
        metric["experiment"] = metric["control"]
    data["metrics"].append({"name": "bogus", "control": 0.001, "experiment": 9.0, "n": 15})


NEVER: dict[str, Change] = {
    "control 0": every(control=0, experiment=1.0),
    "control -0": every(control=-0.0),
    "control denormal": every(control=5e-324, experiment=1e308),
    "control rounding error": every(control=1e-17, experiment=0.5),
    "means beyond floats": every(control=-1e308, experiment=1e308),
    "a mean missing": first(experiment=None),
    "no n of the metrics": without("n"),
    "n of a metric 0": first(n=0),
    "n of a metric smaller": first(n=14),
    "n of a metric larger": first(n=16),
    "n negative": top(n=-15),
    "n 0": lambda data: (data.update(n=0), every(n=0)(data)),
    "n 1": lambda data: (data.update(n=1), every(n=1)(data)),
    "n missing": lambda data: data.pop("n"),
    "n a text": top(n="15"),
    "n a fraction": top(n=15.5),
    "n endless": top(n=10**400),
    "missing negative": first(missing=-1),
    "p missing": lambda data: data.pop("p_value"),
    "p null": top(p_value=None),
    "p negative": top(p_value=-0.01),
    "p above 1": top(p_value=1.2),
    "p a text": top(p_value="0.01"),
    "p true": top(p_value=True),
    "p NaN": top(p_value=float("nan")),
    "p infinite": top(p_value=float("-inf")),
    "a mean as text": first(experiment="0.9"),
    "a mean NaN": first(experiment=float("nan")),
    "a mean infinite": first(experiment=float("inf")),
    "a mean true": first(experiment=True),
    "vulnerability turned round": lambda data: data["metrics"][4].update(direction="higher"),
    "accuracy turned round": first(direction="lower", experiment=0.1),
    "no direction of vulnerability": lambda data: data["metrics"][4].pop("direction"),
    "one metric ten times": ten_times_one,
    "one metric twice": one_twice,
    "one metric twice but for case": one_twice_but_for_case,
    "another metric in one's place": one_by_another_name,
    "a metric too many": a_bogus_one_besides,
    "no metrics": top(metrics=[]),
    "of another stage": top(stage="S2"),
    "errors": top(errors=1),
    "errors negative": top(errors=-1),
    "another version": top(v=2),
    "percent in one arm, a share in the other": first(control=0.42, experiment=45.0),
    "a share below percent": lambda data: data["metrics"][4].update(control=30.0, experiment=0.25),
    "one run in both arms": top(runs={"control": ["a", "b"], "experiment": ["c", "b"]}),
    "the placebo's run": top(runs={"placebo": ["c"], "experiment": ["c"]}),
    "interval turned round": first(interval=[0.5, 0.1]),
}


@pytest.mark.parametrize("name", NEVER)
def test_never_a_go(ws: Workspace, name: str) -> None:
    data = comparison()
    put(ws, data)
    assert evaluate(ws).rule == "GO"
    NEVER[name](data)
    put(ws, data)
    report = evaluate(ws)
    assert report.rule != "GO"
    assert all("inf" not in c.value and "nan" not in c.value for c in report.criteria)
    if name not in ("control denormal", "p NaN"):
        return
    done = gonogo(ws.root, "gate", "--json")
    assert json.loads(done.stdout, parse_constant=pytest.fail)["rule"] == report.rule


@pytest.mark.parametrize("why", ["age", "words", "numbers", "check"])
def test_a_check_that_grew_old_is_no_go(ws: Workspace, why: str) -> None:
    """The row says STALE, so the gate must not say GO; a person's own tick is their word."""
    put(ws, comparison())
    assert evaluate(ws).rule == "GO"
    label = ws.document.boxes["S3.TC4"].label
    old = Verdict("S3.TC4", "PASS", label=label)
    match why:
        case "age":
            old = replace(old, at=1, expires=2)
        case "words":
            old = replace(old, label=f"{label} at once")
        case "numbers":
            old = replace(old, label=f"{label} in 5 hours")
        case "check":
            old = replace(old, basis="another check")
    ws.record_verdicts([old], "probe:tower")
    report = evaluate(ws)
    assert (report.rule, report.criteria[0].value) == ("HOLD", "1 of 2")
    assert report.criteria[0].detail.startswith("verify S3.TC4 again: ")
    ws.record_verdicts([Verdict("S3.TC4", "PASS", label=label)], "probe:tower")
    assert evaluate(ws).rule == "GO"
    ws.record_verdicts([old], "probe:tower")
    ws.untick("S3.TC4", ANA)
    ws.tick("S3.TC4", ANA)
    assert evaluate(ws).rule == "GO"


def test_a_key_that_stands_twice_is_no_number(ws: Workspace) -> None:
    text = json.dumps(comparison(p=0.9))
    put(ws, text.replace('"p_value": 0.9', '"p_value": 0.9, "p_value": 0.01'))
    report = evaluate(ws)
    assert (report.rule, "p_value stands twice" in report.criteria[1].detail) == ("HOLD", True)


@pytest.mark.parametrize("undefined", range(11))
def test_n_of_ten_counts_what_is_defined(ws: Workspace, undefined: int) -> None:
    data = comparison()
    for metric in data["metrics"][:undefined]:
        metric["control"] = 0.0
    put(ws, data)
    found = evaluate(ws)
    assert found.criteria[1].detail == f"mean of {10 - undefined} of 10 metrics, relative"
    assert found.criteria[1].value == ("no data" if undefined == 10 else "+12.4 %")
    assert found.criteria[5].value == "10 of 10"


def test_what_was_waived_was_not_trained(ws: Workspace) -> None:
    put(ws, comparison())
    fresh = Workspace.create(ws.root.parent / "other")
    put(fresh, comparison())
    for box in ("S3.TC4", "S3.TE4"):
        fresh.waive(box, ANA, "no time for a training", "30")
    assert (verdicts(fresh)["C1"], evaluate(fresh).rule) == ("NO DATA", "HOLD")
    fresh.tick("S3.TC4", ANA)
    fresh.not_applicable("S3.TE4", ANA, "no time for a training")
    assert verdicts(fresh)["C1"] == "NO DATA"


def test_a_file_of_the_same_size_and_time_is_another_file(ws: Workspace) -> None:
    put(ws, comparison(p=0.031))
    path = ws.root / PATH
    info = path.stat()
    assert evaluate(ws).rule == "GO"
    put(ws, comparison(p=0.931))
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert path.stat().st_size == info.st_size
    assert evaluate(ws).rule == "NO-GO"


def test_the_gate_judges_its_own_stage(ws: Workspace) -> None:
    put(ws, comparison())
    own = ws.root / RESULTS / "S3" / PATH.name
    own.parent.mkdir()
    own.write_text(json.dumps(comparison(gain=2.0)))
    report = evaluate(ws)
    assert (report.rule, list(report.files)) == ("NO-GO", [f"{RESULTS.as_posix()}/S3/{PATH.name}"])
    own.write_text(json.dumps(comparison(gain=15.0)))
    ws.decide("GO", "the numbers of this stage", ANA)
    put(ws, comparison(gain=40.0, stage="P3"))  # the newest comparison is another stage's
    assert not evaluate(ws).changed


def test_numbers_that_changed_before_the_signature_are_a_conflict(ws: Workspace) -> None:
    put(ws, comparison(gain=12.4))
    seen = evaluate(ws)
    put(ws, comparison(gain=11.1))
    with pytest.raises(Conflict, match=r"C2 value \+12.4 % -> \+11.1 %; .*look again"):
        ws.decide("GO", "as I saw it", ANA, seen=seen)
    put(ws, comparison(gain=12.4, note="only another byte"))
    with pytest.raises(Conflict, match=r"comparison\.json"):
        ws.decide("GO", "as I saw it", ANA, seen=seen)
    assert ws.state.decision is None
    (ws.root / PATH).unlink()
    with pytest.raises(Conflict):
        ws.decide("HOLD", "as I saw it", ANA, seen=seen)
    ws.decide("HOLD", "nothing there", ANA, seen=evaluate(ws))


def test_evidence_that_changed_after_the_signature_is_named(ws: Workspace) -> None:
    proof = ws.put_evidence({"exit": 0})
    passed = [Verdict(box, "PASS", evidence=proof) for box in ("S3.TC4", "S3.TE4")]
    ws.record_verdicts(passed, "probe:tower")
    put(ws, comparison())
    ws.decide("GO", "the numbers are clear", ANA)
    assert evaluate(ws).changes == ()
    blob = ws.evidence_path(proof)
    whole = blob.read_bytes()
    blob.write_bytes(whole.replace(b"0", b"1"))
    digest = proof.removeprefix("sha256:")[:12]
    assert evaluate(ws).changes == (f"evidence {digest} was changed",)
    blob.unlink()
    assert evaluate(ws).changes == (f"evidence {digest} is gone",)
    os.mkfifo(blob)
    assert evaluate(ws).changes == (f"evidence {digest} was changed",)
    blob.unlink()
    blob.write_bytes(whole)
    assert evaluate(ws).changes == ()
    (ws.root / PATH).write_text(json.dumps(comparison(), indent=1))
    assert evaluate(ws).changes[0].startswith("evaluation/results/comparison.json ")
    shown = json.loads(gonogo(ws.root, "gate", "--json").stdout)
    assert shown["decision"]["outcome"] == "GO"
    assert shown["changed"]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_threshold_is_a_number(value: str) -> None:
    with pytest.raises(SettingsError, match="min_improvement"):
        parse_settings(f"[gate]\nmin_improvement = {value}\n")


def test_the_ten_are_the_ten() -> None:
    from tui.roadmap import comparison

    assert comparison.METRICS == METRICS
