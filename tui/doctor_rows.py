"""One row of `gonogo doctor`, how a check becomes one, and the exit code of them all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tui.roadmap.entries import VerdictWord
from tui.roadmap.redact import redact
from tui.roadmap.rules.base import Finding
from tui.roadmap.verify import finding_of, one_line

CHECK_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Row:
    """One check. `next` is the next step where something is wrong, "" otherwise."""

    id: str
    verdict: VerdictWord
    expected: str
    found: str
    seconds: float
    next: str

    def as_json(self) -> dict[str, Any]:
        """The object of `gonogo doctor --json`."""
        return {
            "id": self.id, "verdict": self.verdict, "expected": self.expected, "found": self.found,
            "seconds": round(self.seconds, 3), "next": self.next,
        }  # fmt: skip


Shown = Callable[[Row], None]


async def row(
    name: str, work: Awaitable[Finding], expected: str = "", seconds: float = CHECK_SECONDS
) -> Row:
    """Runs one check, at most `seconds` long; whatever goes wrong in it is its verdict."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(seconds):
            finding = await work
    except Exception as error:
        finding = finding_of(error)
    step = str(finding.data.get("next", ""))
    if finding.verdict == "UNREACHABLE":
        host = name.partition(".")[0]
        step = f"is {host} switched on, and does `ssh {host}` work?"
    if finding.verdict == "TIMEOUT" and not step:
        step = "try it there by hand; what hangs in the kernel and cannot be ended needs a reboot"
    found = finding.found or finding.reason
    if finding.verdict in ("WARN", "SKIP") and finding.reason:
        found = finding.reason
    return Row(
        name, finding.verdict, one_line(finding.expected or expected), one_line(redact(found)),
        time.monotonic() - began, one_line(step),
    )  # fmt: skip


def exit_code(rows: Iterable[Row]) -> int:
    """0 nothing wrong, 1 a check failed or broke, 5 hosts out of reach and nothing worse."""
    words = {row.verdict for row in rows}
    if words & {"FAIL", "ERROR", "TIMEOUT"}:
        return 1
    return 5 if "UNREACHABLE" in words else 0
