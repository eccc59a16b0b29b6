"""The GO/NO-GO gate of Stage 3: six criteria, what the rule makes of them, and signing a decision.

The roadmap gate is the pass list as written: all six must be GO. Where a criterion has no data yet the
rule says HOLD. Beside it stands the strict gate, which asks what a reviewer would. Neither a small n nor a
NO-GO proves that there is no effect.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from tui.files import read_file
from tui.roadmap import evidence
from tui.roadmap.errors import Conflict, InvalidValue
from tui.roadmap.evidence import fingerprint
from tui.roadmap.pins import blobs_changed, blobs_there, pinned_now, what_changed
from tui.roadmap.poll import (
    Criterion,
    GateReport,
    Outcome,
    StrictReport,
    Verdict,
    judge,
    rule_of,
)
from tui.roadmap.results import MAX_BYTES, PATH, Loaded, stage_comparison
from tui.roadmap.trained import both_trained
from tui.roadmap.values import clean_text

if TYPE_CHECKING:
    from tui.roadmap.changes import Changes

OUTCOMES = ("GO", "NO-GO", "HOLD")
OVERRIDE = "OVERRIDE"
__all__ = [
    "OUTCOMES", "OVERRIDE", "Criterion", "GateReport", "Outcome", "StrictReport", "Verdict", "evaluate",
    "needs_override", "pin", "rule_of",
]  # fmt: skip

MIN_OVERRIDE_REASON = 20
LEAST_SAMPLES = 2
"""Fewer paired samples make no test, whatever p a file claims."""
VULNERABILITY = "code_vulnerability"


def needs_override(rule: str, outcome: str) -> bool:
    """True where an outcome goes against the rule. Holding never does, nor does stopping on a HOLD."""
    return outcome != "HOLD" and outcome != rule and not (outcome == "NO-GO" and rule == "HOLD")


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
        "C5", "No crashes or errors", value, "0 errors", judge(passed), _proof(loaded),
        detail if passed is not None else loaded.problem, "S3.C5", loaded.at,
    )  # fmt: skip


def _proof(loaded: Loaded) -> str:
    return f"sha256:{loaded.sha256}" if loaded.sha256 else ""


def _measured(ws: Changes, loaded: Loaded) -> tuple[Criterion, ...]:
    gate, found = ws.settings.gate, loaded.comparison
    proof, why = _proof(loaded), loaded.problem
    average, defined = found.average(gate.metrics) if found else (None, 0)
    better = None if average is None else round(average, 9) > gate.min_improvement
    improvement = Criterion(
        "C2", "Average improvement", "no data" if average is None else f"{average:+.1f} %",
        f"> {gate.min_improvement:g} %", judge(better), proof,
        why or f"mean of {defined} of {gate.metrics} metrics, relative", "S3.C2", loaded.at,
    )  # fmt: skip
    p = found.p_value if found and found.n >= LEAST_SAMPLES else None
    significance = Criterion(
        "C3", "Significance", "no data" if p is None else f"p = {p:.3g}", f"p < {gate.alpha:g}",
        judge(None if p is None else p < gate.alpha), proof,
        why or f"{gate.sided} {gate.test} over {found.n if found else 0} samples, composite",
        "S3.C3", loaded.at,
    )  # fmt: skip
    metric = found.metric(VULNERABILITY) if found else None
    known = metric is not None and metric.control is not None and metric.experiment is not None
    control = metric.control if metric and metric.control is not None else math.nan
    experiment = metric.experiment if metric and metric.experiment is not None else math.nan
    vulnerability = Criterion(
        "C4", "Vulnerability improves", f"{experiment:.3g}" if known else "no data",
        f"< {control:.3g}" if known else "< control", judge(experiment < control if known else None),
        proof, why or "lower is better", "S3.C4", loaded.at,
    )  # fmt: skip
    metrics = found.wanted(gate.metrics) if found else ()
    whole = [
        m for m in metrics
        if found and m.missing == 0 and 0 < m.n == found.n and None not in (m.control, m.experiment)
    ]  # fmt: skip
    complete = Criterion(
        "C6", "All metrics calculated", f"{len(whole)} of {gate.metrics}" if found else "no data",
        f"{gate.metrics} of {gate.metrics}", judge(len(whole) == gate.metrics if found else None), proof,
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
            f"X{number}", label, shown, threshold, judge(ok), proof, loaded.problem, at=loaded.at
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


def gate_comparison(ws: Changes) -> Loaded:
    """The comparison that the gate judges: that of its own stage."""
    return stage_comparison(ws.root, _gate_section(ws))


def evaluate(ws: Changes, loaded: Loaded | None = None) -> GateReport:
    """Judges the six criteria on what is measured now, or on `loaded`. Cheap: files are read only when
    they change."""
    loaded = loaded or gate_comparison(ws)
    decision = ws.state.decision
    if not any(box.kind == "radio" for box in ws.document.boxes.values()):
        return GateReport((), "HOLD", decision, StrictReport((), "HOLD"))
    trained = both_trained(ws)
    improvement, significance, vulnerability, complete = _measured(ws, loaded)
    errors = _no_errors(ws, loaded, trained)
    criteria = (trained, improvement, significance, vulnerability, errors, complete)
    report = GateReport(
        criteria,
        rule_of(criteria),
        decision,
        _strict(ws, loaded),
        (),
        loaded.comparison,
        _files(loaded),
    )
    if decision is None:
        return report
    now = pinned_now(ws, report)
    changes = what_changed(decision.pinned, now) + blobs_changed(ws.root, decision.pinned)
    return replace(report, changes=changes)


def _files(loaded: Loaded) -> dict[str, str]:
    return {loaded.path.as_posix(): _proof(loaded)} if loaded.sha256 else {}


def pin(
    ws: Changes, outcome: str, reason: str, override: str, seen: GateReport | None = None
) -> dict[str, Any]:
    """The content of a decision record: outcome and reason with values, thresholds and hashes.

    `seen` is the report that the person had before the eyes; where anything in it is otherwise by now a
    Conflict says what.
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
    loaded = gate_comparison(ws)
    report = evaluate(ws, loaded)
    pinned = pinned_now(ws, report)
    if seen is not None and (news := what_changed(seen.shown, pinned)):
        raise Conflict(f"Since you looked, {'; '.join(news[:3])}; look again before you sign.")
    against = needs_override(report.rule, outcome)
    if against and (override != OVERRIDE or len(why) < MIN_OVERRIDE_REASON):
        raise InvalidValue(
            f"The rule says {report.rule}; {outcome} goes against it and needs the word {OVERRIDE}"
            f" and a reason of at least {MIN_OVERRIDE_REASON} characters."
        )
    if loaded.sha256:
        try:
            blob = read_file(ws.root / loaded.path, MAX_BYTES)
        except OSError:
            blob = b""
        if f"sha256:{hashlib.sha256(blob).hexdigest()}" != _proof(loaded):
            raise Conflict(f"{PATH.name} changed this very moment; look at it and decide again.")
        evidence.keep(ws.root / "evidence", blob)
    return {
        "outcome": outcome,
        "rule": report.rule,
        "reason": why,
        "override": against,
        "note_on": _gate_section(ws),
        "fills": _fills(ws, report),
        "pinned": {
            **pinned,
            "blobs": blobs_there(ws.root, pinned),
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
