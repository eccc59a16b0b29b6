"""Commands that change the state: one record each, stored before they say so."""

from __future__ import annotations

import sys

import click

from tui.cli_common import Run, common
from tui.roadmap.errors import InvalidValue, UnknownId
from tui.roadmap.values import money_text


@click.command()
@click.argument("box")
@click.option("--why", default="", help="A reason to keep with it.")
@common
def tick(run: Run, box: str, why: str) -> None:
    """Tick a box, for example S0.T1."""
    ws = run.open()
    run.saved(ws.tick(box, run.actor(ws), why), f"[x] {box} {ws.document.boxes[box].label}")


@click.command()
@click.argument("box")
@click.option("--why", default="", help="A reason to keep with it.")
@common
def untick(run: Run, box: str, why: str) -> None:
    """Open a box again."""
    ws = run.open()
    run.saved(ws.untick(box, run.actor(ws), why), f"[ ] {box} {ws.document.boxes[box].label}")


@click.command()
@click.argument("box")
@click.option("--why", required=True, help="Why it need not be done; at least 10 characters.")
@click.option("--days", default=90, show_default=True, help="How long it counts as done.")
@common
def waive(run: Run, box: str, why: str, days: int) -> None:
    """Let a box count as done for a while, with a reason."""
    ws = run.open()
    run.saved(ws.waive(box, run.actor(ws), why, days), f"[w] {box} for {days} days")


@click.command()
@click.argument("field_id", metavar="[FIELD]", required=False)
@click.argument("value", required=False)
@click.option("--clear", is_flag=True, help="Empty the field.")
@common
def field(run: Run, field_id: str | None, value: str | None, clear: bool) -> None:
    """Fill a blank; without a value show it, without an id list all."""
    from tui.roadmap.computed import effective_fields

    changing = value is not None or clear
    ws = run.open(read_only=not changing)
    if field_id is not None and changing:
        record = ws.set_field(field_id, "" if clear else value or "", run.actor(ws))
        known = ws.state.fields.get(field_id)
        run.saved(record, f"{field_id} = {known.value if known else 'empty'}")
        return
    values = effective_fields(ws.document, ws.state, ws.settings)
    if field_id is not None and field_id not in ws.document.fields:
        raise UnknownId(f"There is no field {field_id}.")
    rows = []
    for item in ws.document.fields.values():
        if field_id in (None, item.id):
            found = values.get(item.id)
            rows.append(
                {
                    "id": item.id, "label": item.label, "type": item.type, "line": item.line,
                    "value": found.value if found else None, "source": found.source if found else None,
                    "measured": found.measured if found else None,
                }
            )  # fmt: skip
    lines = [
        f"{r['id']:<34} {r['value'] or '_____':<20} {r['source'] or ''}".rstrip() for r in rows
    ]
    run.answer({"fields": rows}, "\n".join(lines))


@click.command()
@click.argument("row", required=False)
@click.argument("amount", required=False)
@click.option("--note", default="", help="What it was for.")
@click.option("--date", "day", default=None, help="YYYY-MM-DD; default: today.")
@click.option(
    "--void",
    "void",
    metavar="ID",
    default=None,
    help="Void an entry (the end of its id will do).",
)
@click.option("--why", default="", help="Why it is voided.")
@common
def cost(
    run: Run,
    row: str | None,
    amount: str | None,
    note: str,
    day: str | None,
    void: str | None,
    why: str,
) -> None:
    """Add a cost to a budget row (its name or stage, as S3); without arguments show the ledger."""
    if void is not None:
        ws = run.open()
        run.saved(ws.void_cost(void, run.actor(ws), why), f"voided {void}")
        return
    if row is not None and amount is not None:
        ws = run.open()
        record = ws.add_cost(row, amount, run.actor(ws), note, day)
        run.saved(record, f"${record.data['new']['amount']} to {record.item}")
        return
    if row is not None:
        raise InvalidValue("A cost needs a row and an amount, as in: gonogo cost S3 13.10")
    _ledger(run)


def _ledger(run: Run) -> None:
    from tui.roadmap.budget import summarize

    ws = run.open(read_only=True)
    total = summarize(ws.settings, ws.document, ws.state)
    entries = [
        {
            "id": c.id, "row": c.row, "amount": money_text(c.amount), "currency": c.currency,
            "date": c.date, "note": c.note, "by": c.by, "voided": c.voided,
        }
        for c in ws.state.costs
    ]  # fmt: skip
    lines = [
        f"{'void ' if e['voided'] else ''}{e['date']}  {e['row']:<10} {e['amount']:>10}  {e['note']}"
        f"  ({str(e['id'])[-8:]})"
        for e in entries
    ]
    spent = {"spent": money_text(total.spent), "left": money_text(total.left), "entries": entries}
    run.answer(
        spent, "\n".join([*lines, f"spent {money_text(total.spent)}: {total.status_sentence}"])
    )


@click.command()
@click.argument("outcome", type=click.Choice(["GO", "NO-GO", "HOLD"], case_sensitive=False))
@click.option("--reason", required=True, help="Why.")
@click.option("--override", default="", help="The word OVERRIDE, to go against the rule.")
@common
def decide(run: Run, outcome: str, reason: str, override: str) -> None:
    """Sign GO, NO-GO or HOLD at the gate, pinned to the numbers of now."""
    ws = run.open()
    record = ws.decide(outcome.upper(), reason, run.actor(ws), override)
    new = record.data["new"]
    run.saved(record, f"{new['outcome']} (the rule says {new['rule']})")


@click.command()
@click.argument("section")
@click.argument("text", required=False)
@common
def note(run: Run, section: str, text: str | None) -> None:
    """Write the note of a section ("-" reads it from the standard input); without text show it."""
    ws = run.open(read_only=text is None)
    if text is None:
        if ws.document.section(section) is None:
            raise UnknownId(f"There is no section {section}.")
        known = ws.state.notes.get(section, "")
        run.answer({"section": section, "note": known}, known)
        return
    content = sys.stdin.read() if text == "-" else text
    run.saved(ws.note(section, content, run.actor(ws)), f"note on {section}")


@click.command()
@common
def undo(run: Run) -> None:
    """Take back your own last action."""
    ws = run.open()
    record = ws.undo(run.actor(ws))
    run.saved(record, f"undid {record.data['of']} {record.item}")


@click.command()
@common
def redo(run: Run) -> None:
    """Do again what you took back last."""
    ws = run.open()
    record = ws.redo(run.actor(ws))
    run.saved(record, f"redid {record.data['of']} {record.item}")
