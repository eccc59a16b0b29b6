"""`gonogo bindings`: which check proves which box, what it expects, and what is wrong in the file."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from tui import cli_complete
from tui.cli_common import Run, common
from tui.roadmap.workspace import Workspace

if TYPE_CHECKING:
    from tui.roadmap.document import Box


def _kind(box: Box) -> str:
    """Why a box has no check."""
    if box.kind == "radio" or (box.kind == "tracker" and box.target == "GATE"):
        return "gate"
    return "estimate" if box.informational else "manual"


def entries(ws: Workspace, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """One entry for each box that `names` mean (all without names). Raises UnknownId."""
    from tui.roadmap.errors import no_such

    wanted: set[str] = set() if names else set(ws.document.boxes)
    for name in names:
        ids = ws.document.select(name)
        if not ids:
            raise no_such("box, group or section", name, ws.document.names())
        wanted |= set(ids)
    out = []
    for box in ws.document.boxes.values():
        if box.id not in wanted:
            continue
        binding, problem = ws.bindings.bound.get(box.id), ws.bindings.broken.get(box.id)
        entry: dict[str, Any] = {"item": box.id, "label": box.label, "line": box.line}
        if problem is not None:
            entry |= {"kind": "broken", "problem": str(problem)}
        elif binding is None:
            entry |= {"kind": _kind(box)}
        else:
            entry |= {
                "kind": "hint" if binding.hint else "automatic", "rule": binding.rule,
                "expects": binding.params.expects(ws.settings), "source": binding.source,
                "ttl_hours": binding.params.ttl,
                "parameters": binding.params.model_dump(mode="json", exclude_defaults=True),
            }  # fmt: skip
        out.append(entry)
    return out


def counts(found: list[dict[str, Any]]) -> dict[str, int]:
    """How many boxes there are of each kind; `manual` are all without a check."""
    kinds = [entry["kind"] for entry in found]
    names = ("automatic", "hint", "broken", "gate", "estimate")
    out = {name: kinds.count(name) for name in names}
    out["manual"] = sum(kind in ("manual", "gate", "estimate") for kind in kinds)
    return out


def print_bindings(run: Run, ws: Workspace, names: tuple[str, ...]) -> int:
    """Prints the list; returns 1 where something in the file is wrong, else 0."""
    found = entries(ws, names)
    number = counts(found)
    problems = [str(problem) for problem in ws.bindings.problems]
    # Cut to the terminal; a pipe or a file gets everything.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = []
    for entry in found:
        told = entry.get("expects") or entry.get("problem") or ""
        left = f"{entry['item']:<9} {entry['kind']:<10} {entry.get('rule', '-'):<20} "
        lines.append(f"{left}{told or entry['label']}"[:width])
    lines.append(
        f"{number['automatic']} automatic, {number['hint']} with a hint, {number['manual']} manual"
        f" ({number['gate']} of them decided at the gate, {number['estimate']} estimates)"
    )
    lines += [f"! {problem}" for problem in problems]
    data = {"bindings": found, "counts": number, "problems": problems}
    run.answer(data, "\n".join(lines))
    return 1 if problems else 0


@click.command()
@click.argument("names", metavar="[ID...]", nargs=-1, shell_complete=cli_complete.names)
@common
def bindings(run: Run, names: tuple[str, ...]) -> None:
    """List which check proves which box, group or section, and what it expects.

    Ends with 1 where bindings.toml names something that does not exist; the rest of it still works.
    """
    raise SystemExit(print_bindings(run, run.open(read_only=True), names))
