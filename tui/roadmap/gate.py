"""The GO/NO-GO gate of Stage 3: six criteria, what the rule makes of them, and signing a decision.

The roadmap gate is the pass list as written: all six must be GO. Where a criterion has no data yet the
rule says HOLD. Beside it stands the strict gate, which asks what a reviewer would. Neither a small n nor a
NO-GO proves that there is no effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from tui.files import read_file
from tui.roadmap import evidence
from tui.roadmap.errors import Conflict, InvalidValue
from tui.roadmap.evidence import fingerprint
from tui.roadmap.pins import pinned_now, what_changed
from tui.roadmap.results import MAX_BYTES, PATH, Comparison, Loaded, load_comparison
from tui.roadmap.state import Decision
from tui.roadmap.values import clean_text

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes

Verdict = Literal["GO", "NO-GO", "NO DATA"]
Outcome = Literal["GO", "NO-GO", "HOLD"]
OUTCOMES = ("GO", "NO-GO", "HOLD")
OVERRIDE = "OVERRIDE"
MIN_OVERRIDE_REASON = 20
VULNERABILITY = "code_vulnerability"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the poll. `box` is the checkbox it stands for, `evidence` "sha256:…" or ""."""

    id: str
    label: str
    value: str
    threshold: str
    verdict: Verdict
    evidence: str = ""
    detail: str = ""
    box: str = ""
    at: int = 0
    """UTC ms of the evidence, 0 without any."""


@dataclass(frozen=True, slots=True)
class StrictReport:
    """The strict gate: its criteria and what follows from them."""

    criteria: tuple[Criterion, ...]
    rule: Outcome


@dataclass(frozen=True, slots=True)
class GateReport:
    """Everything the gate screen shows. `changes` says what differs from what was signed."""

    criteria: tuple[Criterion, ...]
    rule: Outcome
    decision: Decision | None
    strict: StrictReport
    changes: tuple[str, ...] = ()
    comparison: Comparison | None = None

    @property
    def changed(self) -> bool:
        """True where anything differs from what the decision in force stands on."""
        return bool(self.changes)


def rule_of(criteria: tuple[Criterion, ...]) -> Outcome:
    """HOLD while something has no data, GO when all are GO, else NO-GO."""
    verdicts = {criterion.verdict for criterion in criteria}
    if not verdicts or "NO DATA" in verdicts:
        return "HOLD"
    return "GO" if verdicts == {"GO"} else "NO-GO"


def needs_override(rule: str, outcome: str) -> bool:
    """True where an outcome goes against the rule. Holding never does, nor does stopping on a HOLD."""
    return outcome != "HOLD" and outcome != rule and not (outcome == "NO-GO" and rule == "HOLD")


def _judge(passed: bool | None) -> Verdict:
    return "NO DATA" if passed is None else "GO" if passed else "NO-GO"


def _box_verdict(ws: Changes, box_id: str) -> bool | None:
    """True for passed or ticked, False for failed, None while nothing is known."""
    verdict, tick = ws.state.verdicts.get(box_id), ws.state.ticks.get(box_id)
    if verdict is not None and verdict.verdict == "FAIL":
        return False
    if (verdict is not None and verdict.verdict == "PASS") or (tick is not None and tick.done):
        return True
    return None


def _trained(ws: Changes) -> Criterion:
    boxes = ("S3.TC4", "S3.TE4")
    results = [_box_verdict(ws, box) for box in boxes]
    passed = False if False in results else True if all(results) else None
    done = sum(result is True for result in results)
    known = [v for b in boxes if (v := ws.state.verdicts.get(b))]
    proofs = [v.evidence for v in known if v.evidence]
    return Criterion(
        "C1", "Both models trained", f"{done} of 2", "2 of 2", _judge(passed),
        proofs[-1] if proofs else "", f"boxes {' and '.join(boxes)}", "S3.C1",
        max((v.at for v in known), default=0),
    )  # fmt: skip


def _no_errors(ws: Changes, loaded: Loaded, trained: Criterion) -> Criterion:
    bad = sorted(
        item
        for item, verdict in ws.state.verdicts.items()
        if item.startswith("S3.")
        and not item.startswith("S3.C")
        and verdict.verdict in ("FAIL", "ERROR")
    )
    errors = loaded.comparison.errors if loaded.comparison else 0
    passed: bool | None = None
    if bad or errors:
        passed = False
    elif loaded.comparison and trained.verdict == "GO":
        passed = True
    value = "no data" if passed is None else f"{len(bad) + errors} errors"
    detail = f"failed: {', '.join(bad[:6])}" if bad else f"{errors} errors in the evaluation"
    return Criterion(
        "C5", "No crashes or errors", value, "0 errors", _judge(passed), _proof(loaded),
        detail if passed is not None else loaded.problem, "S3.C5", loaded.at,
    )  # fmt: skip


def _proof(loaded: Loaded) -> str:
    return f"sha256:{loaded.sha256}" if loaded.sha256 else ""


def _measured(ws: Changes, loaded: Loaded) -> tuple[Criterion, ...]:
    gate, found = ws.settings.gate, loaded.comparison
    proof, why = _proof(loaded), loaded.problem
    average, defined = found.average() if found else (None, 0)
    better = None if average is None else round(average, 9) > gate.min_improvement
    improvement = Criterion(
        "C2", "Average improvement", "no data" if average is None else f"{average:+.1f} %",
        f"> {gate.min_improvement:g} %", _judge(better), proof,
        why or f"mean of {defined} of {gate.metrics} metrics, relative", "S3.C2", loaded.at,
    )  # fmt: skip
    p = found.p_value if found else None
    significance = Criterion(
        "C3", "Significance", "no data" if p is None else f"p = {p:.3g}", f"p < {gate.alpha:g}",
        _judge(None if p is None else p < gate.alpha), proof,
        why or f"{gate.sided} {gate.test} over {found.n if found else 0} samples, composite",
        "S3.C3", loaded.at,
    )  # fmt: skip
    metric = found.metric(VULNERABILITY) if found else None
    known = metric is not None and metric.control is not None and metric.experiment is not None
    control = metric.control if metric and metric.control is not None else math.nan
    experiment = metric.experiment if metric and metric.experiment is not None else math.nan
    vulnerability = Criterion(
        "C4", "Vulnerability improves", f"{experiment:.3g}" if known else "no data",
        f"< {control:.3g}" if known else "< control", _judge(experiment < control if known else None),
        proof, why or "lower is better", "S3.C4", loaded.at,
    )  # fmt: skip
    metrics = found.metrics if found else ()
    whole = [m for m in metrics if m.missing == 0 and None not in (m.control, m.experiment)]
    complete = Criterion(
        "C6", "All metrics calculated", f"{len(whole)} of {gate.metrics}" if found else "no data",
        f"{gate.metrics} of {gate.metrics}", _judge(len(whole) >= gate.metrics if found else None), proof,
        why or "finite in both arms, no missing rows", "S3.C6", loaded.at,
    )  # fmt: skip
    return improvement, significance, vulnerability, complete


def _strict(ws: Changes, loaded: Loaded) -> StrictReport:
    gate, found, proof = ws.settings.gate, loaded.comparison, _proof(loaded)
    primary = found.metric(gate.primary) if found else None
    p = primary.p_adjusted if primary else None
    interval = primary.interval if primary else None
    seeds = [found.seeds.get(arm) for arm in ("control", "experiment")] if found else []
    fewest = min((s for s in seeds if s is not None), default=None) if None not in seeds else None
    missing = sum(m.missing for m in found.metrics) if found else None
    beats: bool | None = None
    if primary and primary.placebo is not None and primary.experiment is not None:
        gain = primary.experiment - primary.placebo
        beats = (gain if primary.direction == "higher" else -gain) > 0

    def line(
        number: int, label: str, value: str | None, threshold: str, ok: bool | None
    ) -> Criterion:
        shown = value if ok is not None and value is not None else "no data"
        return Criterion(
            f"X{number}", label, shown, threshold, _judge(ok), proof, loaded.problem, at=loaded.at
        )

    name = gate.primary.replace("_", " ")
    below = None if p is None else p < gate.alpha
    above = None if interval is None else interval[0] > 0
    enough = None if fewest is None else fewest >= gate.min_seeds
    criteria = (
        line(1, f"{name}, Holm-adjusted", f"p = {p}", f"p < {gate.alpha:g}", below),
        line(2, f"{name}, 95 % interval", f"{interval}", "above 0", above),
        line(3, "Seeds an arm", f"{fewest}", f">= {gate.min_seeds}", enough),
        line(4, "Missing rows", f"{missing}", "0", None if missing is None else missing == 0),
        line(5, "Better than placebo", "yes" if beats else "no", "yes", beats),
    )
    return StrictReport(criteria, rule_of(criteria))


def evaluate(ws: Changes) -> GateReport:
    """Judges the six criteria on what is measured now. Cheap: files are read only when they change."""
    loaded = load_comparison(ws.root)
    decision = ws.state.decision
    if not any(box.kind == "radio" for box in ws.document.boxes.values()):
        return GateReport((), "HOLD", decision, StrictReport((), "HOLD"))
    trained = _trained(ws)
    improvement, significance, vulnerability, complete = _measured(ws, loaded)
    errors = _no_errors(ws, loaded, trained)
    criteria = (trained, improvement, significance, vulnerability, errors, complete)
    report = GateReport(
        criteria, rule_of(criteria), decision, _strict(ws, loaded), (), loaded.comparison
    )
    if decision is None:
        return report
    now = pinned_now(ws, report, _files(loaded))
    return replace(report, changes=what_changed(decision.pinned, now))


def _files(loaded: Loaded) -> dict[str, str]:
    return {PATH.as_posix(): _proof(loaded)} if loaded.sha256 else {}


def pin(ws: Changes, outcome: str, reason: str, override: str) -> dict[str, Any]:
    """The content of a decision record: outcome and reason with values, thresholds and hashes.

    Raises InvalidValue for an unknown outcome, a missing reason, or an outcome against the rule without
    the word OVERRIDE and a reason of 20 characters.
    """
    if outcome not in OUTCOMES:
        raise InvalidValue(f"The outcome must be {', '.join(OUTCOMES)}, not “{outcome[:20]}”.")
    why = clean_text(reason, "The reason", lines=True)
    if not why:
        raise InvalidValue("A decision needs a reason.")
    if "____" in why:
        raise InvalidValue("The reason may not contain “____”: it would read as a blank.")
    report = evaluate(ws)
    against = needs_override(report.rule, outcome)
    if against and (override != OVERRIDE or len(why) < MIN_OVERRIDE_REASON):
        raise InvalidValue(
            f"The rule says {report.rule}; {outcome} goes against it and needs the word {OVERRIDE}"
            f" and a reason of at least {MIN_OVERRIDE_REASON} characters."
        )
    loaded = load_comparison(ws.root)
    if loaded.sha256:
        kept = evidence.keep(ws.root / "evidence", read_file(ws.root / PATH, MAX_BYTES))
        if kept != _proof(loaded):
            raise Conflict(f"{PATH.name} changed this very moment; look at it and decide again.")
    return {
        "outcome": outcome,
        "rule": report.rule,
        "reason": why,
        "override": against,
        "note_on": _gate_section(ws),
        "fills": _fills(ws, report),
        "pinned": {
            **pinned_now(ws, report, _files(loaded)),
            "n": report.comparison.n if report.comparison else None,
            "roadmap": fingerprint(ws.document),
        },
    }


def _gate_section(ws: Changes) -> str:
    return next((b.section_id for b in ws.document.boxes.values() if b.kind == "radio"), "")


def _fills(ws: Changes, report: GateReport) -> dict[str, str]:
    """The blanks of the gate that a decision fills in."""
    found = report.comparison
    today = date.today().isoformat()  # noqa: DTZ011 - a local calendar day
    values = {"S3.decision_date": today}
    if found is not None:
        average, p, effect = found.average()[0], found.p_value, found.effect_size
        if average is not None:
            values["S3.G.improvement"] = f"{average:.1f}"
        if p is not None:
            values["S3.G.p_value"] = f"{p:.4f}"
        if effect is not None:
            values["S3.G.effect_size"] = f"{effect:.2f}"
    return {item: value for item, value in values.items() if item in ws.document.fields}
