"""When a verdict is too old to count as present: by age, by a changed text, by a changed check.

The verdict itself stays in the state; what is shown says STALE with the reason, and verifying again
clears it. A check that could not be made does not grow old.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from tui.roadmap.entries import Verdict

MAX_LABEL = 200
"""Characters of a box's text that a verdict remembers."""
AGEING = ("PASS", "WARN", "FAIL")


_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def numbers(text: str) -> list[str]:
    """The numbers in a text, in order; where they change, a threshold may have to change as well."""
    return _NUMBER.findall(text)


def _age(ms: int) -> str:
    span = timedelta(milliseconds=ms)
    return f"{span.days} days" if span.days >= 2 else f"{span.total_seconds() / 3600:.0f} h"


def stale_because(verdict: Verdict, label: str, basis: str, now: int) -> str:
    """Why a verdict is old at `now` (UTC ms), "" for a fresh one.

    `label` is the box's text now, `basis` the fingerprint of its check now ("" where it is not known).
    """
    if verdict.verdict not in AGEING:
        return ""
    if verdict.label and verdict.label != label[:MAX_LABEL]:
        before, after = numbers(verdict.label), numbers(label[:MAX_LABEL])
        if before != after:
            was, now_ = ", ".join(before) or "none", ", ".join(after) or "none"
            return f"the numbers changed from {was} to {now_}: confirm what the check expects"
        return f"the text changed: “{verdict.label[:80]}” now reads “{label[:80]}”"
    if verdict.basis and basis and verdict.basis != basis:
        return f"its check changed since; it expected {verdict.expected[:80] or 'something else'}"
    if 0 < verdict.expires <= now:
        return f"older than {_age(verdict.expires - verdict.at)}"
    return ""


def as_now(verdict: Verdict, label: str, basis: str, now: int) -> Verdict:
    """The verdict as it counts now: itself, or STALE with the reason."""
    why = stale_because(verdict, label, basis, now)
    return replace(verdict, verdict="STALE", reason=why) if why else verdict
