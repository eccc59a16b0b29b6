"""Commands on blanks, dates, waivers, and on what wants attention."""

from __future__ import annotations

from typing import Any

import click

from tui import cli_complete
from tui.cli_common import Run, common
from tui.roadmap.document import Field
from tui.roadmap.errors import InvalidValue, no_such
from tui.roadmap.state import FieldValue
from tui.roadmap.waivers import waiver_days
from tui.roadmap.workspace import Workspace


@click.command()
@click.argument("box", shell_complete=cli_complete.boxes)
@click.option("--why", required=True, help="Why it need not be done; at least 10 characters.")
@click.option(
    "--until", "--days", "until", required=True, metavar="END",
    help="Days (at most 90), a date YYYY-MM-DD, or the word permanent.",
)  # fmt: skip
@common
def waive(run: Run, box: str, why: str, until: str) -> None:
    """Let a box count as done for a while, with a reason."""
    ws = run.open()
    record = ws.waive(box, run.actor(ws), why, until)
    days = waiver_days(until)
    run.saved(record, f"[w] {box} " + (f"for {days} days" if days else "permanently"))


@click.command()
@click.argument("box", shell_complete=cli_complete.boxes)
@click.option("--why", required=True, help="Why it does not apply; at least 10 characters.")
@common
def na(run: Run, box: str, why: str) -> None:
    """Take a box out of the plan: it does not apply here."""
    ws = run.open()
    run.saved(ws.not_applicable(box, run.actor(ws), why), f"[/] {box} does not apply")


def _entry(item: Field, value: FieldValue | None, shared: list[str]) -> dict[str, Any]:
    return {
        "id": item.id, "label": item.label, "type": item.type, "line": item.line,
        "section": item.section_id, "value": value.value if value else None,
        "source": value.source if value else None, "by": value.by if value else None,
        "measured": value.measured if value else None,
        "conflict": bool(value and value.disputed), "printed_at": shared,
    }  # fmt: skip


def _list(run: Run, ws: Workspace, field_id: str | None, conflicts: bool) -> None:
    from tui.roadmap.computed import shown_fields

    if field_id is not None and field_id not in ws.document.fields:
        raise no_such("field", field_id, ws.document.fields)
    values, rows = shown_fields(ws.document, ws.state, ws.settings), []
    for item in ws.document.fields.values():
        shared = [
            f"{other.id} line {other.line}" for other in ws.document.fields.values()
            if other.id == item.id or (item.fact and other.fact == item.fact)
        ]  # fmt: skip
        entry = _entry(item, values.get(item.id), shared)
        if field_id in (None, item.id) and (entry["conflict"] or not conflicts):
            rows.append(entry)
    lines = []
    for row in rows:
        beside = f"  CONFLICT measured {row['measured']}" if row["conflict"] else ""
        line = f"{row['id']:<34} {row['value'] or '_____':<20} {row['source'] or ''}{beside}"
        lines.append(line.rstrip())
    run.answer({"fields": rows}, "\n".join(lines))


@click.command()
@click.argument("field_id", metavar="[FIELD]", required=False, shell_complete=cli_complete.fields)
@click.argument("value", required=False)
@click.option("--clear", is_flag=True, help="Empty the field.")
@click.option(
    "--choose", type=click.Choice(["hand", "measured"]), help="Settle a conflict of two values."
)
@click.option("--fetch", is_flag=True, help="Store what the evaluation measured.")
@click.option("--conflicts", is_flag=True, help="List only where hand and measurement differ.")
@common
def field(
    run: Run,
    field_id: str | None,
    value: str | None,
    clear: bool,
    choose: str | None,
    fetch: bool,
    conflicts: bool,
) -> None:
    """Fill a blank; without a value show it, without an id list all."""
    if fetch:
        ws = run.open()
        record = fetch_measured(ws, run.actor(ws))
        run.saved(record, f"{len(record.data['new'])} measured values")
        return
    if field_id is None and (clear or choose):
        raise InvalidValue("Name the field, as in: gonogo field S1.loss_start 4.5")
    if field_id is not None and (value is not None or clear or choose):
        ws = run.open()
        if choose:
            record = ws.choose_value(field_id, choose, run.actor(ws))
        else:
            record = ws.set_field(field_id, "" if clear else value or "", run.actor(ws))
        known = ws.state.fields.get(field_id)
        run.saved(record, f"{field_id} = {known.value if known else 'empty'}")
        return
    _list(run, run.open(read_only=True), field_id, conflicts)


def fetch_measured(ws: Workspace, by: str) -> Any:
    """Stores what the evaluation's comparison says about the metric fields. One record."""
    from tui.roadmap.derived import measured_values
    from tui.roadmap.results import PATH, load_comparison

    loaded = load_comparison(ws.root)
    if loaded.comparison is None:
        raise InvalidValue(f"Nothing is measured yet: {loaded.problem}.")
    values = measured_values(ws.document, loaded.comparison)
    return ws.store_measured(values, by, f"{PATH.name} {loaded.sha256[:12]}")


@click.command()
@click.argument("section", required=False, shell_complete=cli_complete.sections)
@click.option("--accept", is_flag=True, help="Store the proposed date.")
@common
def dates(run: Run, section: str | None, accept: bool) -> None:
    """Completion dates that finished stages propose; with --accept store them."""
    from tui.roadmap.dates import proposals

    ws = run.open(read_only=not accept)
    if section is not None and ws.document.section(section) is None:
        raise no_such("section", section, [s.id for s in ws.document.all_sections])
    found = [p for p in proposals(ws.document, ws.state) if section in (None, p.section_id)]
    if accept and not found:
        raise InvalidValue(f"{section or 'No stage'} proposes no date now.")
    records = []
    for entry in found if accept else ():
        records.append(dict(ws.set_field(entry.field_id, entry.date, run.actor(ws)).data))
    data = [
        {"section": p.section_id, "field": p.field_id, "date": p.date, "before": p.before or None}
        for p in found
    ]
    word = "saved: " if accept else ""
    lines = [f"{word}{p.field_id} = {p.date}" if accept else p.question for p in found]
    run.answer({"dates": data, "records": records}, "\n".join(lines) or "no date is proposed")


@click.command()
@common
def attention(run: Run) -> None:
    """What wants a person: failed checks, run-out waivers, conflicts, money, dates."""
    from tui.roadmap.attention import attention as found_in

    ws = run.open(read_only=True)
    found = found_in(ws)
    data = [{"kind": entry.word, "item": entry.item, "text": entry.text} for entry in found]
    lines = [f"{e.word:<9} {e.item:<12} {e.text}" for e in found]
    run.answer({"attention": data}, "\n".join(lines) or "nothing wants attention")
