"""Commands on the gate: what it says, and signing a decision."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from tui.cli_common import Run, common
from tui.roadmap.state import Decision

FAILED = 1


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.id, "sha256": decision.digest, "outcome": decision.outcome,
        "rule": decision.rule, "reason": decision.reason, "override": decision.override,
        "by": decision.by, "at": decision.at, "supersedes": decision.supersedes or None,
    }  # fmt: skip


def _line(decision: Decision) -> str:
    day = datetime.fromtimestamp(decision.at / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    against = "  AGAINST THE RULE" if decision.override else ""
    after = f"  supersedes {decision.supersedes[-8:]}" if decision.supersedes else ""
    return (
        f"{day}  {decision.outcome:<6} {decision.reason}{against}  {decision.by}"
        f"  {decision.id[-8:]} sha256 {decision.digest[:12]}{after}"
    )


@click.command()
@click.option(
    "--lock", "stage", metavar="STAGE", help="Say whether this stage may start; exit 1: no."
)
@common
def gate(run: Run, stage: str | None) -> None:
    """The six criteria, the rule's verdict, the strict gate, and every decision."""
    from tui.roadmap.gate import evaluate
    from tui.roadmap.gate_lock import gate_lock, stage_id

    ws = run.open(read_only=True)
    if stage is not None:
        stage = stage_id(ws.document, stage)
        reason = gate_lock(ws, stage)
        run.answer({"stage": stage, "locked": bool(reason), "reason": reason}, reason or "open")
        if reason:
            sys.exit(FAILED)
        return
    report = evaluate(ws)
    data = {
        "rule": report.rule,
        "criteria": [asdict(criterion) for criterion in report.criteria],
        "strict": {
            "rule": report.strict.rule,
            "criteria": [asdict(criterion) for criterion in report.strict.criteria],
        },
        "decision": _decision(report.decision) if report.decision else None,
        "changed": list(report.changes),
        "history": [_decision(decision) for decision in ws.state.decisions],
    }
    lines = [
        f"{c.id:<3} {c.label:<34} {c.verdict:<8} {c.value:<14} {c.threshold}"
        for c in report.criteria
    ]
    lines += ["", f"the rule says {report.rule}; the strict gate says {report.strict.rule}"]
    lines.append(f"decision: {report.decision.outcome if report.decision else 'none'}")
    lines += [f"! evidence changed since decision: {change}" for change in report.changes]
    lines += [_line(decision) for decision in reversed(ws.state.decisions)]
    run.answer(data, "\n".join(lines))


@click.command()
@click.argument("outcome", type=click.Choice(["GO", "NO-GO", "HOLD"], case_sensitive=False))
@click.option("--reason", required=True, help="Why.")
@click.option("--override", default="", help="The word OVERRIDE, to go against the rule.")
@common
def decide(run: Run, outcome: str, reason: str, override: str) -> None:
    """Sign GO, NO-GO or HOLD at the gate, pinned to the numbers of now."""
    ws = run.open()
    record = ws.decide(outcome.upper(), reason, run.actor(ws), override)
    new, decision = record.data["new"], ws.state.decision
    assert decision is not None  # noqa: S101 - it was signed just now
    against = " against the rule" if new["override"] else ""
    text = f"saved: {new['outcome']}{against} (the rule says {new['rule']}), {decision.digest[:12]}"
    run.answer({"record": dict(record.data), "decision": _decision(decision)}, text)
