"""The entries that a state is made of: ticks, verdicts, field values, costs and decisions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

VerdictWord = Literal["PASS", "WARN", "FAIL", "ERROR", "TIMEOUT", "UNREACHABLE", "SKIP", "STALE"]
VERDICT_WORDS = ("PASS", "WARN", "FAIL", "ERROR", "TIMEOUT", "UNREACHABLE", "SKIP", "STALE")
TICK_WORDS = ("open", "done", "waived", "na")


@dataclass(frozen=True, slots=True)
class Tick:
    """The hand- or probe-set state of one box. `expires` is a UTC ms for waivers, 0 for never."""

    done: bool
    by: str
    at: int
    why: str = ""
    state: str = "done"
    expires: int = 0
    label: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found. `seconds` it took, `evidence` is "sha256:<hex>" or "", `at` UTC ms.

    `fills` are values that a PASS writes into fields. `label` is the text of the box and `basis` the
    fingerprint of rule, parameters and thresholds at that time, `expires` a UTC ms or 0: what makes a
    verdict old. A `hint` never ticks.
    """

    item: str
    verdict: VerdictWord
    expected: str = ""
    found: str = ""
    seconds: float = 0.0
    reason: str = ""
    evidence: str = ""
    at: int = 0
    by: str = ""
    fills: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    basis: str = ""
    expires: int = 0
    hint: bool = False

    def as_json(self) -> dict[str, Any]:
        """The form in a record; empty parts are left out."""
        whole: dict[str, Any] = {
            "item": self.item, "verdict": self.verdict, "expected": self.expected,
            "found": self.found, "seconds": round(self.seconds, 3), "reason": self.reason,
            "evidence": self.evidence, "at": self.at, "by": self.by, "fills": dict(self.fills),
            "label": self.label, "basis": self.basis,
        }  # fmt: skip
        if self.expires:
            whole["expires"] = self.expires
        if self.hint:
            whole["hint"] = True
        return {
            key: value for key, value in whole.items() if value not in ("", {}) or key == "item"
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """Reads the form in a record; unknown keys and words are not trusted."""
        word = data.get("verdict")
        fills = data.get("fills")
        return cls(
            item=str(data.get("item", "")),
            verdict=word if word in VERDICT_WORDS else "ERROR",
            expected=str(data.get("expected", "")),
            found=str(data.get("found", "")),
            seconds=float(data.get("seconds", 0)),
            reason=str(data.get("reason", "")),
            evidence=str(data.get("evidence", "")),
            at=int(data.get("at", 0)),
            by=str(data.get("by", "")),
            fills={str(k): str(v) for k, v in fills.items()} if isinstance(fills, dict) else {},
            label=str(data.get("label", "")),
            basis=str(data.get("basis", "")),
            expires=int(data.get("expires", 0)),
            hint=data.get("hint") is True,
        )


@dataclass(frozen=True, slots=True)
class FieldValue:
    """The value that counts, and the `measured` one beside it where a hand set another."""

    value: str
    source: str
    by: str
    at: int
    measured: str | None = None
    settled: str | None = None
    """The measured value against which the hand-set one was chosen; another one disputes it anew."""

    @property
    def differs(self) -> bool:
        """True where a hand-set value is not the measured one; 12.40 and 12.4 are the same."""
        return self.measured is not None and not _same(self.measured, self.value)

    @property
    def disputed(self) -> bool:
        """True where a hand-set value differs from the measured one and nobody has chosen yet."""
        return self.differs and self.settled != self.measured

    def chosen(self, which: str, against: str) -> FieldValue:
        """After a person chose "hand" or "measured"; `against` is the measured value they saw."""
        if which == "hand":
            return replace(self, settled=against)
        if self.measured is None:
            return self
        return replace(self, value=self.measured, source="measured")


def next_value(
    known: FieldValue | None, new: str | None, source: str, by: str, at: int
) -> FieldValue | None:
    """A field after `new` came from `source`: a hand-set value and a measured one stay side by side."""
    measured = known.measured if known else None
    if source != "hand":
        if known is not None and known.source == "hand":
            return replace(known, measured=new)
        return known if new is None else FieldValue(new, source, by, at, new)
    if new is not None:
        return FieldValue(new, "hand", by, at, measured)
    return None if measured is None else FieldValue(measured, "measured", by, at, measured)


def _same(one: str, other: str) -> bool:
    try:
        return one == other or Decimal(one) == Decimal(other)
    except ArithmeticError:
        return False


@dataclass(frozen=True, slots=True)
class Cost:
    """One ledger entry. `row` is the name of the budget row, `date` a local YYYY-MM-DD.

    `kind` is one of `costs.KINDS` or "", `origin` the id that it had where it was imported from.
    """

    id: str
    row: str
    amount: Decimal
    currency: str
    by: str
    at: int
    note: str = ""
    date: str = ""
    voided: bool = False
    void_by: str = ""
    void_why: str = ""
    kind: str = ""
    origin: str = ""

    def with_void(self, voided: bool, by: str, why: str) -> Cost:
        """The entry taken out of the sums, or back into them."""
        return replace(
            self, voided=voided, void_by=by if voided else "", void_why=why if voided else ""
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """A recorded outcome with everything it stood on in `pinned`; never edited, only superseded."""

    id: str
    outcome: str
    rule: str
    reason: str
    override: bool
    by: str
    at: int
    supersedes: str
    pinned: Mapping[str, Any]
    digest: str = ""
    """SHA-256 of the record's content, in hex."""

    @property
    def remark(self) -> str:
        """What the roadmap's notes say of it, in one line."""
        day = datetime.fromtimestamp(self.at / 1000, UTC).astimezone().date().isoformat()
        against = f" Against the rule, which said {self.rule} (override)." if self.override else ""
        reason = " ".join(self.reason.split())
        return f"{self.outcome} on {day} by {self.by}: {reason}{against} Record {self.digest[:12]}."


def new_cost(cost_id: str, row: str, by: str, at: int, entry: Mapping[str, Any]) -> Cost:
    """A ledger entry from its form in a record. Raises ValueError or KeyError for nonsense."""
    amount = Decimal(entry["amount"])
    if not amount.is_finite():
        raise ValueError("no amount")
    void_why = str(entry.get("void_why", ""))
    return Cost(
        cost_id, row, amount, str(entry.get("currency", "USD")), by, at,
        str(entry.get("note", "")), str(entry.get("date", "")), bool(void_why),
        by if void_why else "", void_why, str(entry.get("kind", "")),
        str(entry.get("origin", "")),
    )  # fmt: skip


def digest(data: Mapping[str, Any]) -> str:
    """SHA-256 in hex of a record's content, whatever the order of its keys; its checksum left out."""
    content = {key: value for key, value in data.items() if key != "crc"}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
