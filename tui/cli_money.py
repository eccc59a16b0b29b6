"""Commands on money: the budget, the ledger and its CSV form, electricity."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tui import cli_complete
from tui.cli_common import Run, common
from tui.files import write_file
from tui.roadmap.errors import InvalidValue, UnknownId
from tui.roadmap.values import money_sign, money_text
from tui.roadmap.workspace import Workspace

if TYPE_CHECKING:
    from tui.energy import JobEnergy

PAST_LIMIT = 1


# A refund is written -2.50, which is no option.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("row", required=False)
@click.argument("amount", required=False)
@click.option("--note", default="", help="What it was for.")
@click.option("--date", "day", default=None, help="YYYY-MM-DD; default: today.")
@click.option("--kind", default="", help="API, power, cloud, other or refund.")
@click.option(
    "--void", metavar="ID", default=None, help="Void an entry (6 letters of its id will do)."
)
@click.option("--why", default="", help="Why it is voided.")
@click.option("--row", "row_of_all", default="", help="With import: the row of all its lines.")
@click.option("--force", is_flag=True, help="With export: overwrite the file.")
@common
def cost(
    run: Run,
    row: str | None,
    amount: str | None,
    note: str,
    day: str | None,
    kind: str,
    void: str | None,
    why: str,
    row_of_all: str,
    force: bool,
) -> None:
    """Add a cost to a budget ROW (its name or stage, as S3); without arguments show the ledger.

    `cost import FILE` takes in a CSV file, `cost export [FILE]` writes the ledger as one.
    """
    if row == "import":
        _import(run, amount, row_of_all)
    elif row == "export":
        _export(run, amount, force)
    elif void is not None:
        ws = run.open()
        run.saved(ws.void_cost(void, run.actor(ws), why), f"voided {void}")
    elif row is None:
        _ledger(run)
    elif amount is None:
        raise InvalidValue("A cost needs a row and an amount, as in: gonogo cost S3 13.10")
    else:
        ws = run.open()
        record = ws.add_cost(row, amount, run.actor(ws), note, day, kind)
        run.saved(record, f"{signed(record.data['new'])} to {record.item}")


def signed(new: Mapping[str, Any]) -> str:
    """The amount of an entry, 13.10 as $13.10, -2.50 as -$2.50."""
    amount, sign = str(new["amount"]), money_sign(str(new.get("currency", "USD")))
    return f"-{sign}{amount[1:]}" if amount.startswith("-") else f"{sign}{amount}"


def _import(run: Run, name: str | None, row: str) -> None:
    from tui.roadmap.ledger_csv import import_csv

    if name is None:
        raise InvalidValue("Name the file, as in: gonogo cost import azure.csv")
    ws = run.open()
    record, parsed = import_csv(ws, Path(name).absolute(), run.actor(ws), row)
    data = {
        "added": len(parsed.entries), "duplicates": parsed.duplicates,
        "record": dict(record.data) if record else None,
    }  # fmt: skip
    known = f"; {parsed.duplicates} in the ledger already" if parsed.duplicates else ""
    run.answer(data, f"saved: {len(parsed.entries)} entries from {Path(name).name}{known}")


def _export(run: Run, name: str | None, force: bool) -> None:
    from tui.roadmap.ledger_csv import export_csv

    ws = run.open(read_only=True)
    text = export_csv(ws.state.costs)
    if name is None:
        if run.as_json:
            run.answer({"csv": text}, "")
        else:
            sys.stdout.buffer.write(text.encode("utf-8"))
            sys.stdout.buffer.flush()
        return
    write_file(Path(name), text.encode("utf-8"), force, ws.root)
    run.answer({"file": name, "entries": len(ws.state.costs)}, f"wrote {name}")


def _ledger(run: Run) -> None:
    from tui.roadmap.budget import summarize

    ws = run.open(read_only=True)
    total = summarize(ws.settings, ws.document, ws.state)
    entries = [
        {
            "id": c.id, "row": c.row, "amount": money_text(c.amount), "currency": c.currency,
            "date": c.date, "kind": c.kind, "note": c.note, "by": c.by, "voided": c.voided,
            "void_why": c.void_why,
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
@click.option("--check", is_flag=True, help="Exit 1 when the binding limit is passed.")
@common
def budget(run: Run, check: bool) -> None:
    """Planned, actual, left and used of each row, the forecast, and the limits."""
    from tui.roadmap.budget import summarize
    from tui.roadmap.forecast import expected_total, forecasts, limit_warnings

    ws = run.open(read_only=True)
    total = summarize(ws.settings, ws.document, ws.state)
    rows: list[dict[str, Any]] = [
        {
            "row": r.name, "planned": None if r.unplanned else money_text(r.planned),
            "actual": None if r.actual is None else money_text(r.actual),
            "left": None if r.left is None else money_text(r.left),
            "used_percent": None if r.used is None else round(r.used, 1), "over": r.over,
            "near": r.near, "entries": r.entries, "notes": r.notes,
        }
        for r in total.rows
    ]  # fmt: skip
    found = forecasts(ws.document, ws.state, total)
    warnings = limit_warnings(total, ws.settings.budget.warn_at)
    expected = expected_total(total, found)
    data = {
        "rows": rows, "planned": money_text(total.planned_total), "spent": money_text(total.spent),
        "left": money_text(total.left), "limit": money_text(total.limit),
        "goal": money_text(total.goal), "unknown_rows": total.unknown_rows,
        "status": total.status_sentence, "expected_total": money_text(expected),
        "forecasts": [
            {"row": f.row, "expected": money_text(f.expected), "samples": f.samples, "from": f.source}
            for f in found
        ],
        "warnings": list(warnings),
    }  # fmt: skip
    lines = [f"{'Item':<10}{'Budget':>9}{'Actual':>10}{'Left':>10}{'Used':>7}  Notes"]
    for r in rows:
        used = "?" if r["used_percent"] is None else f"{r['used_percent']:.0f}%"
        word = "  OVER" if r["over"] else "  80%" if r["near"] else ""
        lines.append(
            f"{r['row']:<10}{r['planned'] or '?':>9}{r['actual'] or 'unknown':>10}{r['left'] or '?':>10}"
            f"{used:>7}  {r['notes']}{word}"
        )
    lines += [f"spent {data['spent']}: {total.status_sentence}"]
    lines += [f"forecast {f.sentence}" for f in found]
    lines += [
        f"expected in all {total.sign}{money_text(expected)}",
        *(f"! {warning}" for warning in warnings),
    ]
    run.answer(data, "\n".join(lines))
    if check and total.spent > total.limit:
        sys.exit(PAST_LIMIT)


@click.command()
@click.argument("job", required=False, shell_complete=cli_complete.runs)
@click.option("--book", is_flag=True, help="Add the cost of this job (or of all ended ones).")
@click.option("--row", default="", help="The budget row, where the job's stage has none.")
@common
def energy(run: Run, job: str | None, book: bool, row: str) -> None:
    """Energy of each job's GPU and what it costs at price_per_kwh; --book adds it to the ledger."""
    from tui.energy import all_energy, book_energy

    ws = run.open(read_only=not book)
    found = [e for e in all_energy(ws.runs_dir) if job in (None, e.job_id, e.name)]
    if job is not None and not found:
        raise UnknownId(f"No energy is known of a job {job}.")
    booked = {c.origin for c in ws.state.costs if not c.voided}
    records = []
    if book:
        wanted = found if job else [e for e in found if _bookable(e, booked)]
        for entry in wanted:
            records.append(dict(book_energy(ws, entry, run.actor(ws), row).data))
    data = [_energy(ws, entry, booked) for entry in found]
    lines = [
        f"{e['host']}/{e['job_id']:<28} {e['kwh']:>9} kWh  {e['cost'] or 'price unknown':>14}  {e['about']}"
        for e in data
    ]
    if book:
        lines = [f"saved: {signed(r['new'])} to {r['item']}" for r in records]
    run.answer(
        {"jobs": data, "records": records}, "\n".join(lines) or "no energy is known of any job"
    )


def _bookable(energy: JobEnergy, booked: set[str]) -> bool:
    return energy.ended and not energy.simulated and energy.origin not in booked


def _energy(ws: Workspace, entry: JobEnergy, booked: set[str]) -> dict[str, Any]:
    from tui.energy import energy_cost

    amount = energy_cost(entry, ws.settings.budget.price_per_kwh)
    about = [entry.method or "unknown"]
    about += ["simulated"] * entry.simulated + ["running"] * (not entry.ended)
    about += ["in the ledger"] * (entry.origin in booked)
    return {
        "host": entry.host, "job_id": entry.job_id, "name": entry.name, "stage": entry.stage,
        "kwh": f"{entry.kwh:.4f}", "cost": None if amount is None else f"{amount}",
        "method": entry.method, "simulated": entry.simulated, "ended": entry.ended,
        "booked": entry.origin in booked, "about": ", ".join(about),
    }  # fmt: skip
