"""What the gate's criteria and its report are made of, and the rule that follows from a poll."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tui.roadmap.state import Decision

if TYPE_CHECKING:
    from tui.roadmap.comparison import Comparison

Verdict = Literal["GO", "NO-GO", "NO DATA"]
Outcome = Literal["GO", "NO-GO", "HOLD"]


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
    files: Mapping[str, str] = field(default_factory=dict)
    """Path to "sha256:…" of what was judged."""

    @property
    def shown(self) -> dict[str, Any]:
        """What a person sees of it, in the form in which a decision pins it."""
        strict = {"criteria": [asdict(criterion) for criterion in self.strict.criteria]}
        criteria = [asdict(criterion) for criterion in self.criteria]
        return {"criteria": criteria, "strict": strict, "files": dict(self.files)}

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


def judge(passed: bool | None) -> Verdict:
    """The word for a condition; None is unknown."""
    return "NO DATA" if passed is None else "GO" if passed else "NO-GO"
