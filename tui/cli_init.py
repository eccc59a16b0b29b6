"""`gonogo init` makes a workspace; `gonogo app` opens the app in one."""

from __future__ import annotations

from pathlib import Path

import click

from tui.cli_common import Run, common
from tui.roadmap.workspace import Workspace


@click.command()
@click.argument(
    "target", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False)
)
@click.option("--title", default="", help="Title of the experiment; default: the folder's name.")
@click.option(
    "--roadmap", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Markdown file with task lists to take over; default: the AI training plan.",
)  # fmt: skip
@common
def init(run: Run, target: Path | None, title: str, roadmap: Path | None) -> None:
    """Make a workspace in DIR (default: here)."""
    from tui.roadmap.folder import counts, read_import

    folder = target or run.folder or Path()
    text, repaired = read_import(roadmap) if roadmap else (None, "")
    ws = Workspace.create(folder, title=title, roadmap_text=text)
    document = ws.document
    data = {
        "workspace": str(ws.root), "boxes": document.box_count, "blanks": document.blank_count,
        "tables": len(document.tables), "repaired": repaired,
    }  # fmt: skip
    said = " ".join(part for part in (repaired, counts(document)) if part)
    lines = [f"made {ws.root}. {said}"]
    if not document.box_count:
        lines.append("No task list was found in it: a box is a list item that begins with [ ].")
    lines.append("Next: name your hosts in gonogo.toml.")
    run.answer(data, "\n".join(lines))


@click.command(hidden=True)
@common
def app(run: Run) -> None:
    """Open the app in the workspace."""
    from tui.app import run_app

    run_app(run.open())
