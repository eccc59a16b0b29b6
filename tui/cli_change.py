"""Commands that change the state: one record each, stored before they say so."""

from __future__ import annotations

import sys

import click

from tui import cli_complete
from tui.cli_common import Run, common
from tui.roadmap.dates import proposal
from tui.roadmap.errors import InvalidValue, no_such
from tui.roadmap.gate_lock import reason_wanted

MAX_NOTE = 64 * 1024
"""More than a note may have: what comes behind it is refused with it, not read."""


@click.command()
@click.argument("box", shell_complete=cli_complete.boxes)
@click.option("--why", default="", help="A reason to keep with it.")
@common
def tick(run: Run, box: str, why: str) -> None:
    """Tick a box, for example S0.T1."""
    ws = run.open()
    wanted = reason_wanted(ws, box)
    if wanted and not why:
        raise InvalidValue(f"{wanted}; say why with --why.")
    record = ws.tick(box, run.actor(ws), why)
    found = proposal(ws.document, ws.state, ws.document.boxes[box].section_id)
    text = f"saved: [x] {box} {ws.document.boxes[box].label}"
    if found:
        text += f"\n{found.question} `gonogo dates {found.section_id} --accept` stores it."
    asked = {"field": found.field_id, "date": found.date} if found else None
    run.answer({"record": dict(record.data), "proposal": asked}, text)


@click.command()
@click.argument("box", shell_complete=cli_complete.boxes)
@click.option("--why", default="", help="A reason to keep with it.")
@common
def untick(run: Run, box: str, why: str) -> None:
    """Open a box again."""
    ws = run.open()
    run.saved(ws.untick(box, run.actor(ws), why), f"[ ] {box} {ws.document.boxes[box].label}")


@click.command()
@click.argument("section", shell_complete=cli_complete.sections)
@click.argument("text", required=False)
@common
def note(run: Run, section: str, text: str | None) -> None:
    """Write the note of a section ("-" reads it from the standard input); without text show it."""
    ws = run.open(read_only=text is None)
    if text is None:
        if ws.document.section(section) is None:
            raise no_such("section", section, [s.id for s in ws.document.all_sections])
        known = ws.state.notes.get(section, "")
        run.answer({"section": section, "note": known}, known)
        return
    content = sys.stdin.read(MAX_NOTE) if text == "-" and sys.stdin else text
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
