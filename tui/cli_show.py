"""Commands that only look: status, log, export. They write nothing into the state file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from tui import cli_complete
from tui.cli_common import Run, common
from tui.files import write_file
from tui.roadmap.budget import summarize
from tui.roadmap.describe import about, concerned, describe, visible, when, why
from tui.roadmap.errors import no_such
from tui.roadmap.progress import box_status, overall, section_progress
from tui.roadmap.state import Record
from tui.roadmap.values import money_text
from tui.roadmap.workspace import Workspace

BRACKETS = {"open": "[ ]", "done": "[x]", "partial": "[-]", "waived": "[w]", "na": "[/]"}


def _box(ws: Workspace, box_id: str) -> dict[str, Any]:
    box, status = ws.document.boxes[box_id], box_status(ws.document, ws.state, box_id)
    verdict = status.verdict
    return {
        "id": box.id, "label": box.label, "line": box.line, "depth": box.depth, "kind": box.kind,
        "tick": status.tick, "by": status.by, "at": status.at or None, "computed": status.computed,
        "informational": status.informational, "verdict": verdict.as_json() if verdict else None,
    }  # fmt: skip


def _line(entry: dict[str, Any]) -> str:
    verdict = entry["verdict"]
    word = (
        f"  {verdict['verdict']} {verdict.get('reason') or verdict.get('found', '')}"
        if verdict
        else ""
    )
    indent = "  " * entry["depth"]
    return f"{indent}{BRACKETS[entry['tick']]} {entry['id']:<8} {entry['label']}{word}".rstrip()


@click.command()
@click.argument("names", metavar="[ID]...", nargs=-1, shell_complete=cli_complete.names)
@common
def status(run: Run, names: tuple[str, ...]) -> None:
    """Progress, gate and money; with ids of boxes, groups or sections their boxes."""
    ws = run.open(read_only=True)
    if names:
        ids: list[str] = []
        for name in names:
            found = ws.document.select(name)
            if not found:
                raise no_such("box, group or section", name, ws.document.names())
            ids += found
        boxes = [_box(ws, i) for i in dict.fromkeys(ids)]
        run.answer({"boxes": boxes}, "\n".join(_line(b) for b in boxes))
        return
    _overview(run, ws)


def _overview(run: Run, ws: Workspace) -> None:
    from tui.roadmap.gate import evaluate

    done, total = overall(ws.document, ws.state)
    report, money = evaluate(ws), summarize(ws.settings, ws.document, ws.state)
    sections = []
    for section in ws.document.sections:
        did, all_of = section_progress(ws.document, ws.state, section.id)
        sections.append({"id": section.id, "title": section.short, "done": did, "total": all_of})
    decision = report.decision
    data = {
        "title": ws.settings.title,
        "workspace": str(ws.root),
        "done": done,
        "total": total,
        "sections": sections,
        "gate": {
            "rule": report.rule,
            "strict": report.strict.rule,
            "decision": decision.outcome if decision else None,
            "criteria": [
                {
                    "id": c.id,
                    "label": c.label,
                    "value": c.value,
                    "threshold": c.threshold,
                    "verdict": c.verdict,
                }
                for c in report.criteria
            ],
        },
        "budget": {
            "planned": money_text(money.planned_total),
            "spent": money_text(money.spent),
            "left": money_text(money.left),
            "limit": money_text(money.limit),
            "unknown_rows": money.unknown_rows,
        },
        "records": len(ws.state.records),
        "read_only": bool(ws.journal.problem),
        "warnings": ws.warnings,
    }
    signed = f"{decision.outcome} by {decision.by}" if decision else "not decided"
    lines = [
        f"{ws.settings.title}: {done} of {total} done",
        *(
            f"  {s['id']:<4} {s['done']:>3}/{s['total']:<3} {s['title']}"
            for s in sections
            if s["total"]
        ),
        f"gate: {signed}; the rule says {report.rule}",
        f"budget: {money.sign}{money_text(money.spent)} of {money.sign}{money_text(money.planned_total)},"
        f" {money.status_sentence}",
        *(f"! {warning}" for warning in ws.warnings),
    ]
    run.answer(data, "\n".join(lines))


@click.command()
@click.argument("name", metavar="[ID]", required=False, shell_complete=cli_complete.names)
@click.option("-n", "count", default=20, show_default=True, help="How many records; 0 for all.")
@click.option("--filter", "words", default="", help="Only records with all of these words.")
@common
def log(run: Run, name: str | None, count: int, words: str) -> None:
    """What was done, newest last; with an id only what concerns it."""
    ws = run.open(read_only=True)
    records = ws.state.records
    if name is not None:
        ids = concerned(ws.document, name)
        records = [record for record in records if about(record, ids)]
    shown = [(record, log_line(record)) for record in records]
    wanted = words.casefold().split()
    shown = [pair for pair in shown if all(word in pair[1].casefold() for word in wanted)]
    shown = shown[-count:] if count > 0 else shown
    run.answer(
        {"records": [dict(record.data) for record, _ in shown]},
        "\n".join(line for _, line in shown),
    )


def log_line(record: Record) -> str:
    """Time, actor, action, what changed and why, in one line."""
    reason, by = why(record), visible(record.by)
    tail = (f"  ({reason})" if reason else "") + ("  (by hand)" if record.hand else "")
    return f"{when(record.at)}  {by:<16} {visible(record.do):<9} {describe(record)}{tail}"


@click.command()
@click.argument(
    "target", metavar="[FILE]", required=False, type=click.Path(path_type=Path, dir_okay=False)
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@common
def export(run: Run, target: Path | None, force: bool) -> None:
    """Write the filled-in roadmap to FILE, or to the standard output ("-")."""
    from tui.roadmap.export import export_markdown

    ws = run.open(read_only=True)
    text = export_markdown(ws.document, ws.state, ws.settings)
    if target is None or str(target) == "-":
        if run.as_json:
            run.answer({"markdown": text}, "")
        else:
            sys.stdout.buffer.write(text.encode("utf-8"))
            sys.stdout.buffer.flush()
        return
    write_file(target, text.encode("utf-8"), force, ws.root)
    run.answer({"file": str(target), "bytes": len(text.encode())}, f"wrote {target}")
