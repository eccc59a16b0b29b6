"""What the overview says, line by line, and the verdict over them: pure functions, no widgets.

A line is a list of (text, style) parts; its key says what enter opens. Figures are rounded here, so that
two moments that look the same give equal lines and nothing is drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tui.overview_layout import Block, Line, Part
from tui.roadmap.describe import describe, visible, when
from tui.roadmap.forecast import limit_warnings
from tui.roadmap.gate import GateReport
from tui.roadmap.progress import box_status, countable, section_progress
from tui.tail import clean
from tui.vocabulary import (
    DIM,
    FAIL,
    JOBS,
    LINKS,
    OUTCOMES,
    PASS,
    STALE,
    STRONG,
    TICKS,
    WARN,
    age,
    gib,
)  # fmt: skip

if TYPE_CHECKING:
    from agents import JobStatus
    from tui.lights import TunnelView
    from tui.live import LiveStore
    from tui.roadmap.attention import Attention
    from tui.roadmap.budget import BudgetSummary
    from tui.roadmap.document import Box, Document
    from tui.roadmap.records import Record
    from tui.roadmap.state import State
    from tui.run_view import RunView
    from tui.widgets.gauge_lines import GaugeModel
    from tui.widgets.status_header import HostChip

OPEN_JOBS = ("requested", "starting", "running", "unknown")
BAD_JOBS = ("failed", "oom", "lost")
GUTTER = 11
"""Cells of the word at the left of a block's first line."""
NAMED = 3
"""Troubles that the verdict names; the others are counted."""


def verdict(troubles: Sequence[str], waiting: Sequence[str] = ()) -> tuple[Part, ...]:
    """The first line: nothing is called fine while a host has yet to answer."""
    if troubles:
        count = len(troubles)
        what = "1 thing wants you: " if count == 1 else f"{count} things want you: "
        more = f", and {count - NAMED} more" if count > NAMED else ""
        return ((what, FAIL), ("; ".join(troubles[:NAMED]) + more, STRONG))
    if waiting:
        return (("nothing wants you so far; ", WARN), (", ".join(waiting), ""))
    return (("everything is fine", PASS),)


# --- hosts ------------------------------------------------------------------------------------


HOT = 84
"""Degrees Celsius at which a card is named; GeForce cards slow down from about here."""
LOW_DISK = 10e9
"""Bytes; a training's checkpoints and journal need about this much."""


def host_trouble(chip: HostChip, gauge: GaugeModel) -> tuple[str, str]:
    """(trouble, waiting) of a host, both empty where it answers with figures of this moment."""
    name = clean(chip.name)
    silent = f" for {age(chip.silent_for)}" if chip.silent_for is not None else ""
    if chip.state in ("backoff", "needs-user"):
        return f"{name} is down{silent}" if chip.state == "backoff" else f"{name} needs you", ""
    if chip.state == "suspect" or (chip.state == "live" and gauge.stale):
        return f"{name} is silent", ""
    if chip.state != "live":
        return "", f"{name} is {LINKS.get(chip.state, (chip.state, ''))[0]}"
    if gauge.age_s is None:
        return "", f"{name} sent no figures yet"
    if any(gpu.temp_c is not None and gpu.temp_c >= HOT for gpu in gauge.gpus):
        return f"{name}'s card is hot", ""
    if gauge.disk_free is not None and gauge.disk_free < LOW_DISK:
        return f"{name}'s disk is nearly full", ""
    return "", ""


def host_line(chip: HostChip, gauge: GaugeModel) -> Line:
    """Link and age, ladder rung, GPU, VRAM, CPU, RAM and disk; grey with its age where it is old."""
    word, style = LINKS.get(chip.state, (chip.state, DIM))
    old = gauge.stale or chip.state != "live"
    tone = STALE if old else ""
    parts: list[Part] = [(f"{clean(chip.name)[:12]:<7} ", STRONG), (word, style)]
    if chip.silent_for is not None and chip.state not in ("live", "connecting"):
        parts.append((f" {age(chip.silent_for)}", style))
    elif gauge.link_age:
        parts.append((f" {gauge.link_age}", DIM))
    if gauge.age_s is None:
        parts.append(("  no figures yet", DIM))
    elif old:
        parts.append((f"  {age(gauge.age_s)} old:" if gauge.age_s else "  last seen:", WARN))
    for gpu in gauge.gpus[:1]:
        parts.append(("  SIM" if gpu.simulated else "  GPU", tone or DIM))
        parts.append((" —" if gpu.util is None else f" {gpu.util:>3}%", tone))
        parts.append((f" {gib(gpu.mem_used)}/{gib(gpu.mem_total)}G", tone))
        if gpu.temp_c is not None:
            parts.append((f" {gpu.temp_c}C", tone or (WARN if gpu.temp_c >= HOT else "")))
    if len(gauge.gpus) > 1:
        parts.append((f" +{len(gauge.gpus) - 1}", tone or DIM))
    if gauge.cpu is not None:
        parts.append((f"  CPU {gauge.cpu:>3}%", tone))
    if gauge.ram_used is not None and gauge.ram_total:
        parts.append((f" RAM {100 * gauge.ram_used // gauge.ram_total}%", tone))
    if gauge.disk_free is not None:
        parts.append((f" {gauge.disk_free / 1e9:.0f}G free", tone))
    if gauge.rung and not any(gpu.simulated for gpu in gauge.gpus):  # SIM says that already
        parts.append((f"  [{clean(gauge.rung)}]", tone or DIM))
    if gauge.detail and chip.state != "live":
        parts.append((f"  {clean(gauge.detail)}", WARN))
    return Line(f"host:{chip.name}", tuple(parts))


def mlflow_line(name: str, tunnel: TunnelView | None, live: bool) -> Line:
    """The three lights of the tracking server, or the next step where there is none."""
    if not name:
        return Line("mlflow:", (("no server yet: [mlflow] in gonogo.toml names its host", DIM),))
    if not live:
        return Line("mlflow:", ((f"not reached: {clean(name)} is not connected", STALE),))
    if tunnel is None or not tunnel.lights:
        return Line("mlflow:", (("not looked at yet   M starts it", DIM),))
    lamp = [(light.mark, PASS if light.ok else DIM if light.ok is None else FAIL)
            for light in tunnel.lights]  # fmt: skip
    words = ("up", PASS) if tunnel.ok else ("DOWN", FAIL)
    # The next step stands before the reason, which may be longer than the line.
    end = tunnel.url if tunnel.ok else f"M starts it   {clean(tunnel.trouble)}"
    return Line("mlflow:", (*lamp, (" ", ""), words, (f"  {end}", DIM if tunnel.ok else WARN)))


# --- jobs -------------------------------------------------------------------------------------


def rounded_eta(seconds: float) -> float:
    """Coarse, so that a screen that stays open is not redrawn for seconds of a day-long run."""
    step = 60 if seconds >= 600 else 10
    return math.ceil(seconds / step) * step


def loss_of(run: RunView | None) -> float | None:
    """The newest loss, None while there is none."""
    loss = run.last.get("loss") if run is not None else None
    return float(loss) if isinstance(loss, int | float) and not isinstance(loss, bool) else None


def job_line(host: str, job: JobStatus, run: RunView | None, live: bool) -> Line:
    """State, name, host, step of total, ETA and loss; grey where its host does not answer."""
    from tui.chart.axes import duration

    state, tone = str(job.state), "" if live else STALE
    parts: list[Part] = [
        (f"{state:<9} ", tone or JOBS.get(state, DIM)),
        (f"{clean(job.name)[:22]}  ", tone or STRONG),
        (clean(host)[:12], tone or DIM),
    ]
    if run is not None and run.max_steps:
        parts.append((f"  {run.step}/{run.max_steps}", tone))
        eta = run.eta_seconds()
        if eta is not None and state == "running" and live:
            parts.append((f"  ETA {duration(rounded_eta(eta))}", tone))
    loss = loss_of(run)
    if loss is not None:
        parts.append((f"  loss {loss:.3g}", tone if math.isfinite(loss) else FAIL))
    if not live:
        parts.append(("  as last heard", WARN))
    elif job.detail and state not in ("running", "succeeded"):
        parts.append((f"  {clean(job.detail)}", DIM))
    return Line(f"job:{host}/{job.job_id}", tuple(parts))


def job_block(store: LiveStore) -> Block:
    """Jobs that are not over, else the newest one that is."""
    jobs = store.sorted_jobs()
    shown = [pair for pair in jobs if str(pair[1].state) in OPEN_JOBS] or jobs[:1]
    lines = tuple(
        job_line(host, job, store.runs.get((host, job.job_id)), _live(store, host))
        for host, job in shown
    )
    return Block("Jobs", lines or (Line("", (("none yet   t starts a training, T a pair", DIM),)),))


def _live(store: LiveStore, host: str) -> bool:
    view = store.hosts.get(host)
    return view is not None and view.live


def job_troubles(store: LiveStore) -> Iterator[str]:
    """The newest job of a host that failed, and running jobs without a finite loss."""
    newest: dict[str, JobStatus] = {}
    for host, job in store.sorted_jobs():
        if host not in newest or (job.created_ms or 0) > (newest[host].created_ms or 0):
            newest[host] = job
        loss = loss_of(store.runs.get((host, job.job_id)))
        if str(job.state) == "running" and loss is not None and not math.isfinite(loss):
            yield f"loss of {clean(job.name)} is {loss}"
    for host, job in newest.items():
        if str(job.state) in BAD_JOBS:
            yield f"{clean(job.name)} on {clean(host)}: {job.state}"


# --- the plan ---------------------------------------------------------------------------------


def next_boxes(document: Document, state: State, most: int = 12) -> tuple[str, list[Box]]:
    """Title of the first stage with open required boxes, and these; ("", []) where all is done."""
    for section in document.all_sections:
        done, total = section_progress(document, state, section.id)
        if done >= total:
            continue
        found = [
            box for box in section.boxes
            if countable(box) and not (box.optional or box.informational or box.children)
            and box_status(document, state, box.id).tick == "open"
        ]  # fmt: skip
        if found:
            return f"{section.id} {done}/{total}", found[:most]
    return "", []


def next_block(document: Document, state: State) -> Block:
    """The first open required boxes of the current stage."""
    where, boxes = next_boxes(document, state)
    if not boxes:
        words = "every box is done" if document.boxes else "this plan has no boxes"
        return Block("Next", (Line("", ((words, DIM),)),))
    mark, style = TICKS["open"]
    lines = [
        Line(f"box:{box.id}", ((f"{mark} ", style), (f"{box.id}  ", DIM), (visible(box.label), "")))
        for box in boxes
    ]
    first = lines[0]
    lines[0] = Line(first.key, (*first.parts, (f"   {where}", DIM)))
    return Block("Next", tuple(lines))


def attention_block(found: Sequence[Attention]) -> Block:
    """What wants a person, worst first."""
    lines = tuple(
        Line(
            f"attention:{number}",
            ((f"{entry.word} ", FAIL if entry.word in ("FAIL", "OVER") else WARN),
             (f"{visible(entry.item)}  ", STRONG), (visible(entry.text), "")),
        )
        for number, entry in enumerate(found)
    )  # fmt: skip
    return Block("Attention", lines or (Line("", (("nothing in the plan", DIM),)),))


def money_line(money: BudgetSummary, warn_at: float) -> Line:
    """Spent, plan and limit, with a word where one of them is nearly or wholly used up."""
    sign = money.sign
    parts: list[Part] = [
        (f"{sign}{money.spent:.2f}", STRONG),
        (f" spent of {sign}{money.planned_total:.0f} planned, limit {sign}{money.limit:.0f}", ""),
    ]
    warnings = limit_warnings(money, warn_at)
    if warnings:
        over = any(text.startswith("OVER") for text in warnings)
        parts.append((f"  {warnings[0]}", FAIL if over else WARN))
    elif money.spent:
        parts.append(("  ok", PASS))
    return Line("room:budget", tuple(parts))


def gate_line(report: GateReport) -> Line:
    """Decision or rule, and the criterion that stands worst."""
    if not report.criteria:
        return Line("room:gate", (("this plan has no gate", DIM),))
    decided = report.decision.outcome if report.decision else ""
    word = decided or f"open, rule {report.rule}"
    parts: list[Part] = [(word, OUTCOMES.get(decided or report.rule, DIM))]
    if report.changed:
        parts.append(("  evidence CHANGED since", FAIL))
    order = {"NO-GO": 0, "NO DATA": 1, "GO": 2}
    worst = min(report.criteria, key=lambda c: order[c.verdict])
    good = sum(c.verdict == "GO" for c in report.criteria)
    if worst.verdict == "GO":
        parts.append((f"  all {good} criteria GO", PASS))
    else:
        parts.append((f"  {good}/{len(report.criteria)} GO, weakest ", DIM))
        parts.append((f"{worst.label}: ", ""))
        value = worst.value if worst.verdict == "NO DATA" else f"{worst.value} ({worst.threshold})"
        parts.append((visible(value), OUTCOMES.get(worst.verdict, DIM)))
    return Line("room:gate", tuple(parts))


def journal_block(records: Sequence[Record], most: int = 12) -> Block:
    """The newest records, newest first."""
    lines = tuple(
        Line(
            f"record:{record.id}",
            ((f"{when(record.at)[5:16]} ", DIM), (f"{visible(record.by)[:14]} ", STRONG),
             (f"{visible(record.do)} {describe(record)}", "")),
        )
        for record in reversed(records[-most:])
    )  # fmt: skip
    empty = Line("", (("nothing yet: 1 shows the boxes, space ticks one", DIM),))
    return Block("Journal", lines or (empty,))
