"""The rows of the roadmap that a filter lets through, in one stage or in all that it names."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest

from tui import rows
from tui.roadmap.document import Box, Field, Section
from tui.roadmap.progress import box_status
from tui.roadmap.query import Query, parse
from tui.roadmap.workspace import Workspace
from tui.widgets.row_list import Row


def hosts_of(ws: Workspace) -> dict[str, str]:
    """Which host, or else which rule, proves each box that is bound to a check."""
    return {
        item: str(getattr(binding.params, "host", "") or binding.rule)
        for item, binding in ws.bindings.bound.items()
    }


def filtered_rows(
    ws: Workspace,
    section: Section | None,
    text: str,
    value_of: Callable[[Field], tuple[str, str]],
) -> list[Row]:
    """Rows of the stage that is open, or of all that `stage:` terms name, each under its title."""
    query, hosts = parse(text), hosts_of(ws)
    named = query.sections(ws.document)
    sections = named if named is not None else [section] if section is not None else []

    def keep(box: Box) -> bool:
        return query.box(box, box_status(ws.document, ws.state, box.id), hosts)

    found: list[Row] = [rows.heading("problem", query.problem)] if query.problem else []
    for one in sections:
        table = rows.section_rows(one, ws.document, ws.state, value_of, keep)
        kept = _without_empty([row for row in table if _shown(row, query, ws)])
        if kept and named is not None:
            found.append(rows.heading(f"section:{one.id}", f"{one.id} {one.short}"))
        found += kept
    return found or [rows.heading("nothing", "nothing matches this filter")]


def filter_count(
    ws: Workspace, text: str, found: list[Row], value_of: Callable[[Field], tuple[str, str]]
) -> str:
    """`6 here, 21 with stage:all`, or the number alone where the filter names its stages."""
    here = sum(row.selectable for row in found)
    query = parse(text)
    if query.problem or query.sections(ws.document) is not None:
        return str(here)
    everywhere = filtered_rows(ws, None, f"{text} stage:all", value_of)
    return f"{here} here, {sum(row.selectable for row in everywhere)} with stage:all"


def _shown(row: Row, query: Query, ws: Workspace) -> bool:
    if not row.key.startswith("field:"):
        return True
    field = ws.document.fields[row.key[6:]]
    return query.by_words and query.words_in(f"{field.id} {field.label}")


def _without_empty(table: list[Row]) -> list[Row]:
    """Without headings that nothing stands under."""
    return [
        row
        for row, after in zip_longest(table, table[1:])
        if row.selectable or (after is not None and after.selectable)
    ]
