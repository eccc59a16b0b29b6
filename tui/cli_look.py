"""Commands that show what a screen opens with enter or `o`: a job's log, the evidence of a box."""

from __future__ import annotations

from pathlib import Path

import click

from tui import cli_complete
from tui.cli_common import Run, common
from tui.roadmap.describe import visible
from tui.roadmap.errors import WorkspaceError, no_such

MOST = 100_000
"""Lines that one call may ask for."""


def log_of(runs_dir: Path, job: str) -> Path:
    """The mirrored log of a job by its id, or the newest of that name. Raises UnknownId."""
    found = {path.parent.name: path for path in sorted(runs_dir.glob("*/*/log.txt"))}
    if job in found:
        return found[job]
    named = [path for name, path in found.items() if name.startswith(f"{job}-")] if job else []
    if not named:
        raise no_such("log of a job called", job, found)
    return max(named, key=lambda path: path.stat().st_mtime_ns)


@click.command()
@click.argument("job", shell_complete=cli_complete.runs)
@click.option(
    "-n", "--lines", default=20, show_default=True, type=click.IntRange(1, MOST), help="How many."
)
@click.option(
    "--find", default="", metavar="TEXT", help="Only lines that hold TEXT; all are looked at."
)
@common
def tail(run: Run, job: str, lines: int, find: str) -> None:
    """Show the last lines of a job's log, by its id or name; no host is asked.

    Example: gonogo tail demo-control --find error
    """
    from tui.log_search import read_window, search
    from tui.tail import LINE, clean

    path = log_of(run.open(read_only=True).runs_dir, job)
    if find:
        hits = search(path, find.casefold(), most=lines)
        shown = []
        with path.open("rb") as file:
            for place in hits.places:
                file.seek(place)
                shown.append(
                    clean(file.readline(16 * LINE).rstrip(b"\n").decode("utf-8", "replace"))
                )
    else:
        window = read_window(path)
        shown = [line for line, at in zip(window.lines, window.places, strict=True) if at >= 0][
            -lines:
        ]
    host, job_id = path.parent.parent.name, path.parent.name
    run.answer(
        {"host": host, "job_id": job_id, "file": str(path), "lines": shown},
        "\n".join(shown)
        or (f"no line of {job_id} holds “{find}”" if find else f"{job_id} wrote nothing"),
    )


@click.command()
@click.argument("box", shell_complete=cli_complete.boxes)
@common
def evidence(run: Run, box: str) -> None:
    """Show what the last check of a box found and kept.

    Example: gonogo evidence S0.T1
    """
    ws = run.open(read_only=True)
    if box not in ws.document.boxes:
        raise no_such("box", box, ws.document.boxes)
    verdict = ws.state.verdicts.get(box)
    if verdict is None or not verdict.evidence:
        run.fail(f"{box} has no evidence yet: gonogo verify {box}", "NoEvidence", 1)
    try:
        text = ws.read_evidence(verdict.evidence)
    except WorkspaceError as problem:
        run.fail(str(problem), "NoEvidence", 1)
    run.answer(
        {"box": box, "verdict": verdict.verdict, "evidence": verdict.evidence, "text": text},
        visible(text, lines=True),
    )
