"""The plan's text: settle it after it was edited."""

from __future__ import annotations

import sys

import click

from tui.cli_common import Run, common
from tui.roadmap.describe import visible
from tui.roadmap.errors import InvalidValue
from tui.roadmap.workspace import Workspace

CHECK_FAILED = 1


@click.command()
@click.argument("same", metavar="[OLD_ID]...", nargs=-1)
@click.option("--accept-all", is_flag=True, help="All reworded boxes are still the same.")
@click.option("--none", "nothing", is_flag=True, help="None of them is; keep their data aside.")
@click.option("--yes", is_flag=True, help="Go on although many boxes are gone.")
@common
def reconcile(run: Run, same: tuple[str, ...], accept_all: bool, nothing: bool, yes: bool) -> None:
    """Settle an edited plan: name the OLD_IDs that are still the same; without any, list what is open."""
    chosen = bool(same) + accept_all + nothing
    if chosen > 1:
        raise InvalidValue("Name boxes, or --accept-all, or --none.")
    ws = run.open(read_only=not chosen)
    if not chosen:
        _list(run, ws)
        return
    accepted = [q.old for q in ws.questions] if accept_all else same
    count, gone = len(ws.questions), len(ws.reading.lost)
    record = ws.reconcile(accepted, run.actor(ws), confirmed=yes)
    run.saved(record, f"{len(accepted)} of {count} reworded boxes keep their data, {gone} are gone")


def _list(run: Run, ws: Workspace) -> None:
    reading = ws.reading
    data = {
        "questions": [question.as_json() for question in ws.questions],
        "lost": list(reading.lost),
        "new": list(reading.added),
        "orphans": [{"id": o.id, "text": o.text, "data": o.data} for o in ws.orphans],
        "many_lost": reading.many_lost,
    }
    lines = []
    for question in ws.questions:
        numbers = question.numbers
        lines.append(f"{question.old}  {visible(question.old_text)}")
        lines.append(f"    now: {visible(question.new_text)}")
        if numbers:
            lines.append(
                f"    numbers {numbers[0]} -> {numbers[1]}: confirm what the check expects"
            )
    lines += [f"gone: {orphan.id} {visible(orphan.text)} ({orphan.data})" for orphan in ws.orphans]
    if not ws.needs_reconcile:
        run.answer(data, "\n".join([*lines, "nothing to reconcile."]))
        return
    lines.append("Next: gonogo reconcile OLD_ID..., --accept-all or --none.")
    run.answer({**data, "ok": False}, "\n".join(lines))
    sys.exit(CHECK_FAILED)
