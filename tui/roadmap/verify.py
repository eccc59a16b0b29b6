"""Runs the checks that are bound to boxes and writes what they looked at into evidence files.

A check that could not be made (no link, too slow, broken, nothing there yet) is never a FAIL. Checks run
beside each other; one that stands on other boxes waits for those of the same batch and sees their passes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.roadmap.bindings import Binding, bindings_of
from tui.roadmap.entries import Tick, Verdict
from tui.roadmap.errors import InvalidValue, no_such
from tui.roadmap.freshness import AGEING, MAX_LABEL
from tui.roadmap.public import Public
from tui.roadmap.redact import redact
from tui.roadmap.rules.base import Context, Finding, HostProbes, ProbeFailed, Unreachable
from tui.roadmap.rules.registry import RULES
from tui.roadmap.state import State

if TYPE_CHECKING:
    from tui.roadmap.workspace import Workspace

__all__ = ["HostProbes", "ProbeFailed", "Unreachable", "bound_items", "select", "verify"]

AT_ONCE = 24
"""Checks that work beside each other: more than a stage has of one host that does not answer."""
MAX_TEXT = 600
HOUR_MS = 3_600_000


def bound_items(ws: Workspace) -> tuple[str, ...]:
    """Ids of the boxes that have a check, in document order."""
    bound = bindings_of(ws).bound
    return tuple(item for item in ws.document.boxes if item in bound)


def select(ws: Workspace, names: Iterable[str]) -> list[str]:
    """Bound boxes that `names` (ids, groups, sections) mean, those with a broken binding included.

    Raises UnknownId or InvalidValue.
    """
    bindings = bindings_of(ws)
    bound = {*bindings.bound, *bindings.broken}
    wanted: set[str] = set()
    for name in names:
        ids = ws.document.select(name)
        if not ids:
            raise no_such("box, group or section", name, ws.document.names())
        checked = bound.intersection(ids)
        if not checked:
            raise InvalidValue(f"No check is bound to {name}; tick it by hand.")
        wanted |= checked
    return [item for item in ws.document.boxes if item in wanted]


def needs_runs(ws: Workspace, items: Iterable[str]) -> bool:
    """True where one of these boxes is judged on mirrored runs."""
    return "runs" in bindings_of(ws).needs(items)


def needs_hosts(ws: Workspace, items: Iterable[str]) -> bool:
    """True where the check of one of these boxes asks a host."""
    return "hosts" in bindings_of(ws).needs(items)


def finding_of(error: BaseException) -> Finding:
    """The finding behind an exception. What agents raises is known without importing it here."""
    agents: Any = sys.modules.get("agents")
    down = getattr(agents, "LinkDown", Unreachable)
    remote = getattr(agents, "RemoteError", ProbeFailed)
    text = str(error) or type(error).__name__
    if isinstance(error, TimeoutError):
        return Finding("TIMEOUT", reason=text if str(error) else "no answer in time")
    if isinstance(error, Unreachable | down):
        return Finding("UNREACHABLE", reason=text)
    if isinstance(error, ProbeFailed | remote):
        code = getattr(error, "code", "")
        return Finding("TIMEOUT" if code == "timeout" else "ERROR", reason=f"{code}: {text}")
    if isinstance(error, KeyError):
        return Finding("UNREACHABLE", reason=f"gonogo.toml names no host {text}")
    return Finding("ERROR", reason=f"{type(error).__name__}: {text}")


def one_line(text: str) -> str:
    """At most 600 characters without control or direction marks: they go to terminals and records."""
    kept = "".join(
        c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text[:MAX_TEXT]
    )
    return kept.strip()


def _overlay(state: State) -> State:
    """A copy of the state that can take the passes of a batch before they are stored."""
    found = state.copy()
    found.ticks, found.verdicts = dict(state.ticks), dict(state.verdicts)
    found.fields = dict(state.fields)
    return found


class _Verifier:
    def __init__(
        self, ws: Workspace, probes: HostProbes | None, batch: Sequence[str], offline: bool
    ) -> None:
        self.ws = ws
        self.bindings = bindings_of(ws)
        off = "this is an offline check" if offline else ""
        if not ws.settings.public.enabled:
            off = "gonogo.toml says [public] enabled = false"
        self.context = Context(ws, probes, self.other, _overlay(ws.state), Public(off))
        self.batch = frozenset(batch)
        self.found: dict[str, asyncio.Task[Finding]] = {}
        self.verdicts: dict[str, asyncio.Task[Verdict]] = {}
        self.gate = asyncio.Semaphore(AT_ONCE)

    async def other(self, item: str) -> Finding | None:
        """The finding of another box's own check, made once however many ask for it."""
        if item not in self.bindings.bound:
            return None
        return await self._shared(item)

    def _shared(self, item: str) -> asyncio.Task[Finding]:
        if item not in self.found:
            self.found[item] = asyncio.ensure_future(self._find(self.bindings.bound[item]))
        return self.found[item]

    def verdict(self, item: str) -> asyncio.Task[Verdict]:
        """The task that checks a box of the batch; the same one for all who wait for it."""
        if item not in self.verdicts:
            self.verdicts[item] = asyncio.ensure_future(self._one(item))
        return self.verdicts[item]

    async def _find(self, binding: Binding) -> Finding:
        below = [i for i in binding.params.boxes(self.ws.document) if i in self.batch]
        await asyncio.gather(*(self.verdict(item) for item in below if item != binding.item))
        check = RULES[binding.rule].check
        try:
            # A derived check waits for others; only those that work themselves take a place.
            if binding.rule == "same-as":
                return await check(self.context, binding.params)
            async with self.gate, asyncio.timeout(binding.params.timeout):
                return await check(self.context, binding.params)
        except Exception as error:
            finding = finding_of(error)
            return replace(finding, expected=binding.params.expects(self.ws.settings))

    async def _one(self, item: str) -> Verdict:
        """Runs the check of one box, stores its evidence, lets the rest of the batch see it."""
        problem = self.bindings.broken.get(item)
        if problem is not None:
            return self._told(Verdict(item, "ERROR", reason=str(problem), by="gonogo"))
        began = time.monotonic()
        finding = await self._shared(item)
        seconds = time.monotonic() - began
        binding = self.bindings.bound[item]
        if binding.hint and finding.verdict == "FAIL":
            finding = replace(finding, verdict="WARN")  # a hint judges nothing
        doubt = self.bindings.unconfirmed.get(item, "")
        if doubt and finding.verdict in AGEING:
            finding = replace(finding, verdict="STALE", reason=doubt, fills={})
        short = replace(
            finding,
            expected=one_line(finding.expected),
            found=one_line(redact(finding.found)),
            reason=one_line(redact(finding.reason)),
        )
        content = {
            "item": item, "rule": binding.rule, "parameters": binding.params.model_dump(mode="json"),
            "verdict": short.verdict, "expected": short.expected, "found": short.found,
            "reason": short.reason, "by": short.by, "fills": dict(short.fills), "data": dict(short.data),
        }  # fmt: skip
        evidence = ""
        if not self.ws.read_only:
            evidence = await asyncio.to_thread(self.ws.put_evidence, content)
        fills = {k: v for k, v in short.fills.items() if k in self.ws.document.fields}
        at = time.time_ns() // 1_000_000
        ttl = round(binding.params.ttl * HOUR_MS)
        verdict = Verdict(
            item, short.verdict, short.expected, short.found, seconds, short.reason, evidence, at,
            short.by or "probe:gonogo", fills, self.ws.document.boxes[item].label[:MAX_LABEL],
            binding.basis(self.ws.settings),
            at + ttl if ttl and short.verdict in AGEING else 0, binding.hint,
        )  # fmt: skip
        return self._told(verdict)

    def _told(self, verdict: Verdict) -> Verdict:
        state, box = self.context.state, self.ws.document.boxes[verdict.item]
        state.verdicts[box.id] = verdict
        if self.ws.ticks(verdict) and state.value("tick", box.id) == "open":
            state.ticks[box.id] = Tick(True, verdict.by, verdict.at, "verified", label=box.label)
        return verdict


async def verify(
    ws: Workspace,
    ids: Sequence[str],
    probes: HostProbes | None,
    on_result: Callable[[Verdict], None] | None = None,
    *,
    offline: bool = False,
) -> list[Verdict]:
    """Verdicts of the bound boxes among `ids` (boxes, groups, sections), in document order.

    `on_result` hears of each as it comes. Only evidence files are written; `Workspace.record_verdicts`
    stores the verdicts. Ids without a check are left out; a box whose binding is wrong gets an ERROR that
    names file and line. `offline` asks no public service.
    """
    wanted = {i for name in ids for i in ws.document.select(name)}
    bindings = bindings_of(ws)
    items = [i for i in ws.document.boxes if i in wanted]
    items = [i for i in items if i in bindings.bound or i in bindings.broken]
    verifier = _Verifier(ws, probes, items, offline)

    async def run(item: str) -> Verdict:
        verdict = await verifier.verdict(item)
        if on_result is not None:
            on_result(verdict)
        return verdict

    try:
        return list(await asyncio.gather(*(run(item) for item in items)))
    finally:
        for task in (*verifier.found.values(), *verifier.verdicts.values()):
            task.cancel()
        verifier.context.close()


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 nothing wrong, 1 a check failed, broke or wants its threshold confirmed, 5 hosts out of reach and
    nothing worse."""
    words = {verdict.verdict for verdict in verdicts if not verdict.hint}
    if words & {"FAIL", "ERROR", "TIMEOUT", "STALE"}:
        return 1
    return 5 if "UNREACHABLE" in words else 0
