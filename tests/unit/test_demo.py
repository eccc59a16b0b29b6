"""When the headless demo may end with 0."""

from __future__ import annotations

from dataclasses import replace

from tui.demo import shortfalls
from tui.roadmap.state import Verdict
from tui.story import Outcome

BOXES = [f"S1.K{n}" for n in range(1, 8)] + [f"S1.C{n}" for n in range(1, 5)]


def whole() -> Outcome:
    counts = {"demo-control": 50, "demo-experiment": 50}
    return Outcome([Verdict(box, "PASS") for box in BOXES], dict(counts), dict(counts))


def test_all_of_it_is_enough() -> None:
    assert shortfalls(whole(), 50) == []


def test_a_missing_gpu_is_said_and_not_counted_as_a_failure() -> None:
    outcome = whole()
    outcome.verdicts[3] = Verdict("S1.K4", "SKIP", reason="needs a GPU: none here")
    outcome.verdicts[1] = Verdict("S1.K2", "FAIL", found="no such image")
    assert shortfalls(outcome, 50) == []


def test_everything_else_is() -> None:
    for change in (
        lambda o: o.verdicts.pop(),
        lambda o: o.verdicts.__setitem__(4, Verdict("S1.K5", "FAIL", found="7.0 -> 7.1")),
        lambda o: o.verdicts.__setitem__(6, Verdict("S1.K7", "SKIP", reason="no generation yet")),
        lambda o: o.verdicts.__setitem__(2, replace(o.verdicts[2], verdict="UNREACHABLE")),
        lambda o: o.points.__setitem__("demo-control", 49),
        lambda o: o.tracked.__setitem__("demo-experiment", 49),
        lambda o: o.points.pop("demo-control"),
    ):
        outcome = whole()
        change(outcome)
        assert shortfalls(outcome, 50), change
