"""Runs the checks that are bound to boxes and writes what they looked at into evidence files.

A check that could not be made (no link, too slow, broken, nothing there yet) is never a FAIL.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tui.roadmap.bindings import RULES, Binding, load_bindings
from tui.roadmap.errors import InvalidValue, UnknownId
from tui.roadmap.rules.base import Context, Finding, HostProbes, ProbeFailed, Unreachable
from tui.roadmap.rules.plan import SameAsParams
from tui.roadmap.rules.runs import RunParams
from tui.roadmap.state import Verdict

if TYPE_CHECKING:
    from tui.roadmap.workspace import Workspace

__all__ = ["HostProbes", "ProbeFailed", "Unreachable", "bound_items", "select", "verify"]

AT_ONCE = 8
MAX_TEXT = 600


def bound_items(ws: Workspace) -> tuple[str, ...]:
    """Ids of the boxes that have a check, in document order."""
    bindings = load_bindings(ws.root)
    return tuple(item for item in ws.document.boxes if item in bindings)


def select(ws: Workspace, names: Iterable[str]) -> list[str]:
    """Bound boxes that `names` (ids, groups, sections) mean. Raises UnknownId or InvalidValue."""
    bound = set(bound_items(ws))
    wanted: set[str] = set()
    for name in names:
        ids = ws.document.select(name)
        if not ids:
            raise UnknownId(f"There is no box, group or section {name}.")
        checked = bound.intersection(ids)
        if not checked:
            raise InvalidValue(f"No check is bound to {name}; tick it by hand.")
        wanted |= checked
    return [item for item in ws.document.boxes if item in wanted]


RUN_RULES = frozenset(name for name, (params, _) in RULES.items() if issubclass(params, RunParams))
HOST_RULES = frozenset({"adapter-saved", "docker-image", "http", "link"})


def _rules(ws: Workspace, items: Iterable[str]) -> set[str]:
    """Names of the rules behind boxes, with those behind the boxes they stand on."""
    bindings = load_bindings(ws.root)
    names = set()
    for item in items:
        binding = bindings.get(item)
        if binding is not None and isinstance(binding.params, SameAsParams):
            binding = bindings.get(binding.params.item)
        if binding is not None:
            names.add(binding.rule)
    return names


def needs_runs(ws: Workspace, items: Iterable[str]) -> bool:
    """True where one of these boxes is judged on mirrored runs."""
    return bool(_rules(ws, items) & RUN_RULES)


def needs_hosts(ws: Workspace, items: Iterable[str]) -> bool:
    """True where the check of one of these boxes asks a host."""
    return bool(_rules(ws, items) & HOST_RULES)


def _explain(error: BaseException) -> Finding:
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


class _Verifier:
    def __init__(self, ws: Workspace, probes: HostProbes | None) -> None:
        self.ws = ws
        self.bindings = load_bindings(ws.root)
        self.context = Context(ws, probes, self.other)
        self.running: dict[str, asyncio.Task[Finding]] = {}
        self.gate = asyncio.Semaphore(AT_ONCE)

    async def other(self, item: str) -> Finding | None:
        """The finding of another box's own check, made once however many ask for it."""
        if item not in self.bindings:
            return None
        if self.bindings[item].rule == "same-as":
            return Finding("ERROR", reason=f"{item} itself stands on another box")
        return await self._shared(item)

    def _shared(self, item: str) -> asyncio.Task[Finding]:
        if item not in self.running:
            self.running[item] = asyncio.ensure_future(self._find(self.bindings[item]))
        return self.running[item]

    async def _find(self, binding: Binding) -> Finding:
        check = RULES[binding.rule][1]
        try:
            # A derived check waits for others; only those that work themselves take a place.
            if binding.rule == "same-as":
                return await check(self.context, binding.params)
            async with self.gate, asyncio.timeout(binding.params.timeout):
                return await check(self.context, binding.params)
        except Exception as error:
            return _explain(error)

    async def one(self, item: str) -> Verdict:
        """Runs the check of one box and stores its evidence."""
        began = time.monotonic()
        finding = await self._shared(item)
        seconds = time.monotonic() - began
        binding = self.bindings[item]
        short = replace(
            finding,
            expected=finding.expected[:MAX_TEXT],
            found=finding.found[:MAX_TEXT],
            reason=finding.reason[:MAX_TEXT],
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
        return Verdict(
            item, short.verdict, short.expected, short.found, seconds, short.reason, evidence,
            time.time_ns() // 1_000_000, short.by or "probe:gonogo", fills,
        )  # fmt: skip


async def verify(
    ws: Workspace,
    ids: Sequence[str],
    probes: HostProbes | None,
    on_result: Callable[[Verdict], None] | None = None,
) -> list[Verdict]:
    """Verdicts of the bound boxes among `ids` (boxes, groups, sections), in document order.

    `on_result` hears of each as it comes. Only evidence files are written; `Workspace.record_verdicts`
    stores the verdicts. Ids without a check are left out. Raises InvalidValue for a bad `bindings.toml`.
    """
    verifier = _Verifier(ws, probes)
    wanted = {i for name in ids for i in ws.document.select(name)}
    items = [i for i in ws.document.boxes if i in wanted and i in verifier.bindings]

    async def run(item: str) -> Verdict:
        verdict = await verifier.one(item)
        if on_result is not None:
            on_result(verdict)
        return verdict

    try:
        return list(await asyncio.gather(*(run(item) for item in items)))
    finally:
        for task in verifier.running.values():
            task.cancel()


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """0 nothing wrong, 1 a check failed or broke, 5 hosts out of reach and nothing worse."""
    words = {verdict.verdict for verdict in verdicts}
    if words & {"FAIL", "ERROR", "TIMEOUT"}:
        return 1
    return 5 if "UNREACHABLE" in words else 0
