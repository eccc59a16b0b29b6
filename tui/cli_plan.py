"""The plan's text: settle it after it was edited."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

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
@click.option("--match", "pairs", metavar="OLD=NEW", multiple=True,
              help="What lost its place is now NEW; may be given again.")  # fmt: skip
@common
def reconcile(
    run: Run,
    same: tuple[str, ...],
    accept_all: bool,
    nothing: bool,
    yes: bool,
    pairs: tuple[str, ...],
) -> None:
    """Settle an edited plan: name the OLD_IDs that are still the same; without any, list what is open."""
    words = bool(same) + accept_all + nothing
    chosen = words or bool(pairs)
    if words > 1:
        raise InvalidValue("Name boxes, or --accept-all, or --none.")
    ws = run.open(read_only=not chosen)
    if not chosen:
        _list(run, ws)
        return
    accepted = [q.old for q in ws.questions] if accept_all else same
    count, gone = len(ws.questions), len(ws.reading.lost)
    matched = dict(_pair(pair) for pair in pairs)
    record = ws.reconcile(accepted, run.actor(ws), confirmed=yes, matched=matched)
    by_hand = f", {len(matched)} matched by hand" if matched else ""
    kept = f"{len(accepted)} of {count} reworded keep their data"
    run.saved(record, f"{kept}{by_hand}, {gone} boxes are gone")


def _pair(text: str) -> tuple[str, str]:
    old, found, new = text.partition("=")
    if not (old and found and new):
        raise InvalidValue(f"“{text[:60]}” is not OLD=NEW.")
    return old, new


def _list(run: Run, ws: Workspace) -> None:
    reading = ws.reading
    data = {
        "questions": [question.as_json() for question in ws.questions],
        "lost": list(reading.lost),
        "new": list(reading.added),
        "new_blanks": list(reading.added_blanks),
        "orphans": [
            {"id": o.id, "text": o.text, "data": o.data, "kind": o.kind} for o in ws.orphans
        ],
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
    lines.append(
        "Next: gonogo reconcile OLD_ID..., --accept-all or --none; --match OLD=NEW by hand."
    )
    run.answer({**data, "ok": False}, "\n".join(lines))
    sys.exit(CHECK_FAILED)


@click.command("import")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--as-plan", is_flag=True, help="FILE becomes the plan; the old one goes to exports/."
)
@click.option(
    "--why", default="", help="The reason, where boxes behind the gate are ticked before GO."
)
@common
def import_(run: Run, source: Path, as_plan: bool, why: str) -> None:
    """Take over ticks and values from a filled-in copy of the plan, or another plan with --as-plan.

    Nothing is unticked or emptied: what the copy lacks stays as it is.
    """
    from tui.roadmap.folder import read_import

    ws = run.open(read_only=False)
    text, repaired = read_import(source)
    if as_plan:
        _replace_plan(run, ws, text, repaired)
        return
    from tui.roadmap.copyback import copy_changes
    from tui.roadmap.gate_lock import reason_wanted

    try:
        changes = copy_changes(ws.document, ws.state, ws.settings, text)
    except InvalidValue as problem:
        raise InvalidValue(
            f"{source.name} cannot be taken over: {problem} With --as-plan it becomes the plan."
        ) from None
    said = [repaired] if repaired else []
    if not changes:
        run.answer({"changes": 0, "repaired": repaired}, " ".join([*said, "nothing new in it."]))
        return
    ticked = (change.item for change in changes if change.kind == "tick")
    locked = next((reason for box in ticked if (reason := reason_wanted(ws, box))), "")
    if locked and not why:
        raise InvalidValue(f"{locked}; say why with --why.")
    record = ws.apply_edit(changes, run.actor(ws), why)
    run.saved(record, " ".join([*said, f"{len(record.data['ops'])} values from {source.name}"]))


def _replace_plan(run: Run, ws: Workspace, text: str, repaired: str) -> None:
    """Puts another text in the plan's place, the old one aside; ids follow the words."""
    from tui.files import replace_file
    from tui.roadmap.errors import ReadOnly
    from tui.roadmap.folder import counts

    if ws.read_only:
        raise ReadOnly("This workspace is open read-only.")
    name = ws.settings.roadmap
    path = (ws.root / name).resolve()
    before = path.read_bytes()
    if before == text.encode("utf-8"):
        run.answer({"plan": name, "changed": False}, f"{name} is that text already.")
        return
    (ws.root / "exports").mkdir(exist_ok=True, mode=0o700)
    digest = hashlib.sha256(before).hexdigest()[:12]
    aside = ws.root / "exports" / f"{path.stem}-{digest}{path.suffix}"
    replace_file(aside, before)
    replace_file(path, text.encode("utf-8"))
    news = ws.refresh_plan()
    ws.settle_plan(run.actor(ws))
    lines = [" ".join(part for part in (repaired, counts(ws.document)) if part), news]
    lines.append(f"The plan before is {aside.relative_to(ws.root)}.")
    if ws.needs_reconcile:
        lines.append("Next: gonogo reconcile.")
    data = {
        "plan": name, "changed": True, "boxes": ws.document.box_count, "repaired": repaired,
        "aside": str(aside.relative_to(ws.root)), "reconcile": ws.needs_reconcile,
    }  # fmt: skip
    run.answer(data, "\n".join(line for line in lines if line))
