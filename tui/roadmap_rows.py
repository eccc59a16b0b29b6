"""The navigation of the roadmap and its line on the row under the cursor: pure functions of the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from tui import rows
from tui.check_detail import clock
from tui.field_detail import RULES
from tui.roadmap.progress import box_status, section_progress
from tui.vocabulary import DIM, FAIL, HEAD, VERDICTS, WARN, clip
from tui.widgets.row_list import Row

if TYPE_CHECKING:
    from tui.roadmap.attention import Attention
    from tui.roadmap.document import Box, Field, Section
    from tui.roadmap.workspace import Workspace

VIEWS = (
    ("overview", "0", "Overview"),
    ("gate", "2", "Gate"),
    ("budget", "3", "Budget"),
    ("metrics", "4", "Metrics & fields"),
    ("live", "5", "Live GPU / loss"),
    ("journal", "6", "Journal"),
    ("notes", "7", "Notes & lessons"),
    ("jobs", "8", "Jobs"),
)
LISTED = 8
"""Things that want a person, named under the stages; all of them stand behind `!`."""


def section_head(section: Section, ws: Workspace) -> list[Row]:
    """Title, count and goal of the stage that is shown."""
    done, total = section_progress(ws.document, ws.state, section.id)
    head = [
        rows.heading(f"section:{section.id}", section.short, f"{done}/{total}" if total else "")
    ]
    if section.goal:
        goal = Content.styled(f" {section.goal}", DIM)
        head.append(
            Row(f"goal:{section.id}", lambda width: goal.truncate(width, ellipsis=True), False)
        )
    return head


def view_rows(figures: dict[str, str]) -> list[Row]:
    """The other rooms, each with its figure."""
    found = [rows.heading("views", "VIEWS")]
    for name, key, title in VIEWS:
        found.append(_row(f"room:{name}", key, "", title, figures.get(name, "")))
    return found


def attention_rows(entries: Sequence[Attention]) -> list[Row]:
    """What wants a person, worst first; nothing where nothing does."""
    if not entries:
        return []
    found = [rows.heading("attention", f"ATTENTION ({len(entries)})", "!")]
    for number, entry in enumerate(entries[:LISTED]):
        style = FAIL if entry.word in ("FAIL", "OVER") else WARN
        found.append(_row(f"attn:{number}", "!", style, f"{clip(entry.item, 16)} {entry.word}", ""))
    if len(entries) > LISTED:
        found.append(_row("attn:all", "!", DIM, f"{len(entries) - LISTED} more", ""))
    return found


def _row(key: str, mark: str, style: str, text: str, figure: str) -> Row:
    def draw(width: int) -> Content:
        left = Content.assemble("  ", (mark, style or DIM), f" {text}")
        return rows.line_of(left, Content.styled(figure, DIM), width)

    return Row(key, draw)


def box_line(ws: Workspace, box: Box) -> Content:
    """`T6 FAIL 14:00:12  expect ..., found ...` in one line, for a screen without the detail pane."""
    status, stored = box_status(ws.document, ws.state, box.id), ws.state.verdicts.get(box.id)
    short = rows.short_id(box) or clip(box.label, 24)
    if stored is None or status.verdict is None:
        if status.computed:
            said = "computed from other boxes"
        elif status.tick != "open" and status.by:
            said = f"{status.tick} by {status.by} {clock(status.at) if status.at else ''}"
        elif box.id in (ws.bindings.bound if ws.checks_wanted else {}):
            said = "not verified: v checks it"
        else:
            said = "ticked by hand"
        return Content.assemble((short, HEAD), f" {said}", ("   enter: details", DIM))
    word, style = VERDICTS.get(status.verdict.verdict, (status.verdict.verdict, DIM))
    seen = stored.reason or f"expect {stored.expected}, found {stored.found}"
    at = clock(stored.at)[11:] if stored.at else ""
    return Content.assemble(
        (short, HEAD), " ", (word, style), (f" {at}  ", DIM), clip(seen, 120)
    )  # fmt: skip


def field_line(field: Field, value: str) -> Content:
    """What a blank takes."""
    rule = RULES.get(field.type, field.type)
    said = "e changes it" if value else "e fills it in"
    return Content.assemble((field.id, HEAD), f" {rule}", (f"   {said}", DIM))
