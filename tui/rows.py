"""How boxes, fields, sections, jobs and money look as one-line rows: pure functions of the state."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING

from textual.content import Content

from tui.later import later
from tui.roadmap.document import Box, Document, Field, Section
from tui.roadmap.progress import CLOSED, BoxStatus, box_status, section_progress
from tui.roadmap.state import State
from tui.tail import clean
from tui.vocabulary import (
    DIM,
    HEAD,
    JOBS,
    PASS,
    TICKS,
    VERDICTS,
    WARN,
    age,
    clip,
    size,
)
from tui.widgets.row_list import Row

if TYPE_CHECKING:
    from agents import JobStatus
    from tui.chart.axes import duration
    from tui.run_view import RunView
else:
    duration = later("tui.chart.axes", "duration")

LONGEST_ID = 7
"""Characters of an id that stands before a label: E1.10, CM1.10."""


def line_of(left: Content, right: Content, width: int) -> Content:
    """Both ends of one line; the left one is cut where it does not fit."""
    room = max(0, width - right.cell_length - 1)
    return left.truncate(room, ellipsis=True, pad=True) + " " + right


def heading(key: str, text: str, count: str = "", folded: bool = False) -> Row:
    """A group heading with its count on the right; a folded one can be stood on."""

    def draw(width: int) -> Content:
        mark = " + " if folded else " "
        return line_of(Content.styled(f"{mark}{text}", HEAD), Content.styled(count, DIM), width)

    return Row(key, draw, selectable=folded)


def verdict_cell(status: BoxStatus, now_ms: int, label: str | None = None) -> Content:
    """Verdict word and age, 13 cells."""
    word, style = ("", DIM)
    if status.verdict is not None:
        word, style = VERDICTS.get(status.verdict.verdict, (status.verdict.verdict, DIM))
        if status.verdict.verdict == "SKIP":
            for reason, short in (("waits for", "waits"), ("no ", "not yet")):
                if status.verdict.reason.startswith(reason):
                    word = short
            for reason, short in (("needs a GPU", "needs GPU"), ("needs Docker", "no Docker")):
                if status.verdict.reason.startswith(reason):
                    word, style = short, WARN
        if status.verdict.hint and status.verdict.verdict != "SKIP":
            word = "hint" if status.verdict.verdict == "PASS" else f"hint {word}"
    if label is not None:
        word, style = label, DIM
    at = status.verdict.at if status.verdict is not None else status.at
    when = age((now_ms - at) / 1000) if at else ""
    if not word and not when:
        return Content("")  # the label may be longer
    return Content.assemble((f"{clip(word, 9):<9}", style), (f"{when:>4}", DIM))


def short_id(box: Box) -> str:
    """`T1` of S0.T1; "" for a box whose id is made of its words, which the label says better."""
    short = box.id.split(".", 1)[-1]
    return short if len(short) <= LONGEST_ID else ""


def box_row(box: Box, status: BoxStatus, now_ms: int, count: str = "") -> Row:
    """One checkbox; `count` is how many of its own boxes are done, as 3/10."""

    def draw(width: int) -> Content:
        bracket, style = TICKS.get(status.tick, ("[?]", WARN))
        if status.informational:
            bracket, style = ("(i)", DIM)
        short = short_id(box)
        left = Content.assemble(
            "  " + "  " * min(box.depth, 3),
            (bracket, style),
            f" {count}" if count else "",
            " ",
            (f"{short:<4} " if short else "", DIM),
            box.label,
        )
        label = None
        if status.verdict is None and status.computed:
            label = "computed"
        return line_of(left, verdict_cell(status, now_ms, label), width)

    first = 2 + 2 * min(box.depth, 3)
    return Row(box.id, draw, glyph=(first, first + 3))


def field_row(field: Field, value: str, source: str) -> Row:
    """One blank to fill in."""

    def draw(width: int) -> Content:
        shown = (value.split("\n")[0], PASS) if value else ("_____", DIM)
        left = Content.assemble("      ", (f"{clip(field.label, 34)}: ", DIM), shown)
        return line_of(left, Content.styled(source, DIM), width)

    return Row(f"field:{field.id}", draw)


def short_title(section: Section) -> str:
    """The section's title without the words its id says already."""
    title = re.sub(r"^(?:Stage|Phase|Week)\s+\d+\s*[:.-]\s*", "", section.short)
    return re.sub(r"\s*\([^()]*\)(?: - .*)?$", "", title) or section.short


def section_row(section: Section, doc: Document, state: State) -> Row:
    """One stage or phase in the navigation; a section of blanks alone has no bracket."""
    done, total = section_progress(doc, state, section.id)
    tick = "done" if total and done == total else "partial" if done else "open"
    bracket, style = TICKS[tick] if total else ("   ", DIM)

    def draw(width: int) -> Content:
        left = Content.assemble(
            " ", (bracket, style), " ", (f"{section.id[:3]:<3} ", DIM), short_title(section)
        )
        return line_of(left, Content.styled(f"{done}/{total}" if total else "", DIM), width)

    return Row(section.id, draw)


def _count(doc: Document, state: State, box: Box) -> str:
    if not box.children:
        return ""
    done = sum(box_status(doc, state, child).tick in CLOSED for child in box.children)
    return "" if done in (0, len(box.children)) else f"{done}/{len(box.children)}"


def _inside(doc: Document, box: Box, folded: Container[str]) -> bool:
    """Whether a box stands in one that is folded."""
    parent = doc.boxes.get(box.parent)
    while parent is not None and parent.id not in folded:
        parent = doc.boxes.get(parent.parent)
    return parent is not None


def section_rows(
    section: Section,
    doc: Document,
    state: State,
    value_of: Callable[[Field], tuple[str, str]],
    keep: Callable[[Box], bool] = lambda _box: True,
    folded: Container[str] = (),
) -> list[Row]:
    """All rows of one stage: groups, boxes, blanks; of what is `folded` (group or box ids) the first line."""
    now_ms = int(time.time() * 1000)
    rows: list[Row] = []
    for group in section.groups:
        boxes = [box for box in group.boxes if keep(box)]
        if not boxes and not group.fields:
            continue
        states = {box.id: box_status(doc, state, box.id) for box in boxes}
        countable = [b for b in boxes if not states[b.id].informational and b.depth == 0]
        done = sum(states[box.id].tick in ("done", "waived", "na") for box in countable)
        if boxes:
            shut = group.id in folded
            rows.append(heading(f"group:{group.id}", group.title, f"{done}/{len(countable)}", shut))
            if shut:
                continue
        for box in boxes:
            if not _inside(doc, box, folded):
                hidden = f"+{len(box.children)}" if box.children and box.id in folded else ""
                count = " ".join(filter(None, (_count(doc, state, box), hidden)))
                rows.append(box_row(box, states[box.id], now_ms, count))
        rows += [field_row(field, *value_of(field)) for field in group.fields]
    return rows


WORDS = 3
"""Rank of what a job says of itself, which may be cut."""


def _job_facts(job: JobStatus, state: str, run: RunView | None) -> list[tuple[int, str, str]]:
    """(rank, words, style) in the order in which they are read; the lowest rank keeps its place longest."""
    facts: list[tuple[int, str, str]] = []
    if run is not None and run.max_steps:
        facts.append((0, f"step {run.step}/{run.max_steps}", ""))
        loss = run.last.get("loss")
        if isinstance(loss, int | float):
            facts.append((4, f"loss {loss:.3f}", ""))
        eta = run.eta_seconds()
        if eta is not None and state == "running":
            facts.append((1, f"ETA {duration(eta)}", DIM))
        if run.behind:
            facts.append((2, f"catching up {size(run.behind)}", WARN))
    detail = f"exit {job.code}" if job.code is not None else clip(job.detail, 40)
    if detail:
        facts.append((WORDS, detail, DIM))
    return facts


def job_row(host: str, job: JobStatus, run: RunView | None) -> Row:
    """One job: state, step, time, last loss."""

    def draw(width: int) -> Content:
        state = str(job.state)
        name = 22 if width >= 100 else 14
        left = Content.assemble(
            (f" {state:<10}", JOBS.get(state, DIM)),
            f"{clip(job.name, name):<{name + 1}}",
            (f"{clip(host, 7):<8}", DIM),
        )
        took = ""
        if job.started_ms:
            until = job.ended_ms or int(time.time() * 1000)
            took = duration((until - job.started_ms) / 1000)
        facts = _job_facts(job, state, run)
        room = width - left.cell_length - len(took) - 1
        kept: list[int] = []
        for rank in sorted(range(len(facts)), key=lambda n: facts[n][0]):
            order, words, style = facts[rank]
            if order == WORDS and room >= 14:
                facts[rank] = order, clip(words, room - 2), style
            need = len(facts[rank][1]) + 2
            # What does not fit is left out as a whole: half a number is another number.
            if need <= room:
                kept.append(rank)
                room -= need
        parts = [(f"{facts[n][1]}  ", facts[n][2]) for n in sorted(kept)]
        return line_of(left + Content.assemble(*parts), Content(took), width)

    return Row(f"{host}/{job.job_id}", draw)


def _plain(content: Content, width: int) -> Content:
    return content.truncate(width, ellipsis=True)


def plain_rows(lines: Iterable[str]) -> list[Row]:
    """Text as rows, for logs and evidence; never interpreted as markup."""
    rows = []
    for number, text in enumerate(lines):
        rows.append(Row(f"line:{number}", functools.partial(_plain, Content(clean(text)))))
    return rows
