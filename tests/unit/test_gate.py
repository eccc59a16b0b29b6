"""The gate: six criteria, what the rule says, and what a decision keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui.roadmap.errors import Conflict, InvalidValue
from tui.roadmap.export import export_markdown
from tui.roadmap.gate import evaluate, needs_override
from tui.roadmap.results import PATH
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace

ANA = "user:ana"
METRICS = (
    "code_accuracy", "functional_correctness", "semantic_similarity", "pass_at_k", "code_vulnerability",
    "coherence", "fluency", "groundedness", "relevance", "f1",
)  # fmt: skip


def comparison(gain: float = 12.4, p: float | None = 0.031, **changes: Any) -> dict[str, Any]:
    """A comparison in which each metric improves by `gain` percent."""
    metrics = []
    for name in METRICS:
        lower = name == "code_vulnerability"
        metrics.append(
            {
                "name": name, "direction": "lower" if lower else "higher", "control": 0.5,
                "experiment": 0.5 * (1 - gain / 100 if lower else 1 + gain / 100), "n": 15,
            }
        )  # fmt: skip
    return {"v": 1, "n": 15, "metrics": metrics, "p_value": p, "effect_size": 0.62, **changes}


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    ws = Workspace.create(tmp_path / "w")
    passed = [Verdict(i, "PASS", evidence=f"sha256:{'a' * 64}") for i in ("S3.TC4", "S3.TE4")]
    ws.record_verdicts(passed, "probe:tower")
    return ws


def put(ws: Workspace, data: Any) -> None:
    path = ws.root / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))


def verdicts(ws: Workspace) -> dict[str, str]:
    return {c.id: c.verdict for c in evaluate(ws).criteria}


def test_without_data_the_rule_says_hold(tmp_path: Path) -> None:
    report = evaluate(Workspace.create(tmp_path / "w"))
    assert {c.verdict for c in report.criteria} == {"NO DATA"}
    assert len(report.criteria) == 6
    assert report.rule == report.strict.rule == "HOLD"
    assert "does not exist yet" in report.criteria[1].detail


def test_all_six_go(ws: Workspace) -> None:
    put(ws, comparison())
    report = evaluate(ws)
    assert set(verdicts(ws).values()) == {"GO"}
    assert report.rule == "GO"
    assert report.strict.rule == "HOLD"
    assert report.criteria[1].value == "+12.4 %"
    assert all(c.evidence.startswith("sha256:") for c in report.criteria)
    assert [c.box for c in report.criteria] == [f"S3.C{n}" for n in range(1, 7)]


@pytest.mark.parametrize(
    ("change", "criterion", "verdict"),
    [
        ({"gain": 10.0}, "C2", "NO-GO"), ({"gain": 10.001}, "C2", "GO"), ({"p": 0.05}, "C3", "NO-GO"),
        ({"p": 0.0499}, "C3", "GO"), ({"p": None}, "C3", "NO DATA"), ({"gain": -1.0}, "C4", "NO-GO"),
        ({"errors": 1}, "C5", "NO-GO"),
    ],
)  # fmt: skip
def test_thresholds_are_strict(
    ws: Workspace, change: dict[str, Any], criterion: str, verdict: str
) -> None:
    put(ws, comparison(**change))
    assert verdicts(ws)[criterion] == verdict


def test_plain_floats_would_pass_exactly_ten_percent() -> None:
    """The bug that rounding before the comparison guards against."""
    control, experiment = 0.5, 0.5 * (1 + 10.0 / 100)
    assert 100 * (experiment - control) / control > 10.0


def test_a_missing_row_or_metric_is_no_go(ws: Workspace) -> None:
    data = comparison()
    data["metrics"][0]["missing"] = 1
    put(ws, data)
    assert verdicts(ws)["C6"] == "NO-GO"
    data["metrics"] = data["metrics"][1:]
    put(ws, data)
    criterion = evaluate(ws).criteria[5]
    assert (criterion.verdict, criterion.value) == ("NO-GO", "9 of 10")


def test_a_control_of_zero_leaves_a_metric_undefined(ws: Workspace) -> None:
    data = comparison()
    data["metrics"][0]["control"] = 0
    put(ws, data)
    found = evaluate(ws).comparison
    assert found is not None
    average, defined = found.average()
    assert defined == 9
    assert average == pytest.approx(12.4)
    assert "9 of 10" in evaluate(ws).criteria[1].detail


def test_a_failed_training_or_probe_is_no_go(ws: Workspace) -> None:
    put(ws, comparison())
    ws.record_verdicts([Verdict("S3.TE4", "FAIL", reason="exit 137")], "probe:tower")
    assert (verdicts(ws)["C1"], verdicts(ws)["C5"], evaluate(ws).rule) == (
        "NO-GO",
        "NO-GO",
        "NO-GO",
    )


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"v":1}', '{"v":2,"n":1,"metrics":[]}',
     '{"v":1,"n":1,"metrics":[{"name":"a","control":NaN}]}',
     '{"v":1,"n":-1,"metrics":[]}', '{"v":1,"n":1,"metrics":[],"p_value":7}'],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_no_data_with_a_reason(ws: Workspace, text: str) -> None:
    put(ws, text)
    report = evaluate(ws)
    assert report.rule == "HOLD"
    assert report.criteria[1].detail.startswith("comparison.json: ")


def test_a_changed_file_is_read_again(ws: Workspace) -> None:
    put(ws, comparison())
    assert evaluate(ws).rule == "GO"
    put(ws, comparison(gain=2.25))
    assert evaluate(ws).rule == "NO-GO"


def test_the_strict_gate(ws: Workspace) -> None:
    data = comparison(seeds={"control": 3, "experiment": 3})
    primary = data["metrics"][1]
    primary.update({"p_adjusted": 0.02, "interval": [0.01, 0.2], "placebo": 0.5})
    put(ws, data)
    assert evaluate(ws).strict.rule == "GO"
    for change in ({"p_adjusted": 0.06}, {"interval": [-0.01, 0.2]}, {"placebo": 0.9}):
        saved = dict(primary)
        primary.update(change)
        put(ws, data)
        report = evaluate(ws)
        assert (report.rule, report.strict.rule) == ("GO", "NO-GO")
        primary.update(saved)
    put(ws, {**data, "seeds": {"control": 1, "experiment": 3}})
    assert evaluate(ws).strict.rule == "NO-GO"


def test_a_decision_pins_what_it_stands_on(ws: Workspace) -> None:
    put(ws, comparison())
    record = ws.decide("GO", "the numbers are clear", ANA)
    decision = ws.state.decision
    assert decision is not None
    assert (decision.outcome, decision.rule, decision.override, decision.by) == (
        "GO",
        "GO",
        False,
        ANA,
    )
    pinned = decision.pinned
    assert [c["verdict"] for c in pinned["criteria"]] == ["GO"] * 6
    assert pinned["criteria"][1]["threshold"] == "> 10 %"
    assert pinned["definitions"]["test"] == "paired-t"
    assert pinned["n"] == 15
    proof = pinned["files"]["evaluation/results/comparison.json"]
    assert ws.evidence_path(proof).read_bytes() == (ws.root / PATH).read_bytes()
    assert ws.state.fields["S3.G.improvement"].value == "12.4"
    out = export_markdown(ws.document, ws.state, ws.settings).split("\n")
    assert out[198:201] == [
        "**Experiment Model Improvement:** 12.4%",
        "**Statistical Significance (p-value):** 0.0310",
        "**Effect Size (Cohen's d):** 0.62",
    ]
    assert not evaluate(ws).changed
    put(ws, comparison(gain=30.0))
    assert evaluate(ws).changed
    assert ws.state.records[-1].id == record.id


def test_against_the_rule_only_with_the_word_and_a_long_reason(ws: Workspace) -> None:
    put(ws, comparison(p=0.18))
    count = len(ws.state.records)
    for reason, word in (
        ("short", "OVERRIDE"),
        ("a reason that is long enough", ""),
        ("x" * 30, "override"),
    ):
        with pytest.raises(InvalidValue, match="OVERRIDE"):
            ws.decide("GO", reason, ANA, override=word)
    assert len(ws.state.records) == count
    ws.decide("GO", "a reason that is long enough", ANA, override="OVERRIDE")
    decision = ws.state.decision
    assert decision is not None
    assert (decision.override, decision.rule) == (True, "NO-GO")


def test_what_goes_against_the_rule() -> None:
    table = {
        (rule, outcome): needs_override(rule, outcome)
        for rule in ("GO", "NO-GO", "HOLD")
        for outcome in ("GO", "NO-GO", "HOLD")
    }
    assert {pair for pair, needed in table.items() if needed} == {
        ("NO-GO", "GO"), ("HOLD", "GO"), ("GO", "NO-GO"),
    }  # fmt: skip


def test_decisions_are_superseded_never_edited(ws: Workspace) -> None:
    ws.decide("HOLD", "too early", ANA)
    first = ws.state.decision
    put(ws, comparison())
    ws.decide("GO", "now it is clear", ANA)
    assert first is not None
    assert [d.outcome for d in ws.state.decisions] == ["HOLD", "GO"]
    assert ws.state.decisions[1].supersedes == first.id
    assert ws.state.decisions[0] == first


def test_two_people_deciding_at_once(ws: Workspace) -> None:
    other = Workspace.open(ws.root)
    ws.decide("HOLD", "too early", ANA)
    with pytest.raises(Conflict, match="user:ana decided HOLD"):
        other.decide("NO-GO", "it failed", "cli:bob")
    assert len(other.state.decisions) == 1


def test_bad_outcomes_and_reasons(ws: Workspace) -> None:
    for outcome, reason in (("MAYBE", "x"), ("HOLD", " "), ("HOLD", "a ____ b")):
        with pytest.raises(InvalidValue):
            ws.decide(outcome, reason, ANA)


def test_a_plan_without_a_gate(tmp_path: Path) -> None:
    report = evaluate(Workspace.create(tmp_path / "w", roadmap_text="- [ ] x\n"))
    assert (report.criteria, report.rule) == ((), "HOLD")
