"""Commands for the state file itself: edit it as text, take over a damaged line."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import click

from tui.cli_common import Run, common
from tui.files import MIB, read_file
from tui.roadmap.describe import visible
from tui.roadmap.errors import InvalidValue, NotSaved, ReadOnly, WorkspaceError
from tui.roadmap.lost import copies
from tui.roadmap.textview import Change, view
from tui.roadmap.workspace import Workspace

MAX_TEXT = 4 * MIB


@click.command()
@click.argument(
    "text_file", metavar="[FILE]", required=False,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)  # fmt: skip
@click.option("--print", "only_print", is_flag=True, help="Print the text instead of editing it.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before the changes are written.")
@common
def edit(run: Run, text_file: Path | None, only_print: bool, yes: bool) -> None:
    """Change boxes, blanks and notes as text in $EDITOR, or take over a FILE edited before."""
    ws = run.open(read_only=only_print)
    if only_print:
        text = view(ws.document, ws.state)
        run.answer({"text": text}, text.rstrip("\n"))
        return
    if ws.read_only:
        raise ReadOnly(ws.journal.problem)
    path = text_file or _new_text(ws)
    before = b"" if text_file else _text(path)
    if text_file is None:
        _run_editor(path)
    if before and _text(path) == before:
        path.unlink()
        run.answer({"record": None}, "nothing was changed.")
        return
    try:
        changes = ws.read_edit(_text(path).decode("utf-8"))
        _ask(run, changes, yes)
        record = ws.apply_edit(changes, f"hand:{ws.settings.user}")
    except UnicodeDecodeError as error:
        raise InvalidValue(_kept(f"{path.name}: not UTF-8 (byte {error.start}).", path)) from None
    except WorkspaceError as problem:
        raise type(problem)(_kept(str(problem), path)) from None
    if text_file is None:
        path.unlink()
    run.saved(record, f"{len(changes)} values by {record.by}")


def _text(path: Path) -> bytes:
    try:
        return read_file(path, MAX_TEXT)
    except OSError as error:
        raise InvalidValue(f"{path}: {error.strerror}.") from None


def _kept(problem: str, path: Path) -> str:
    return f"{problem} Your text is kept; go on with: gonogo edit {shlex.quote(str(path))}"


def _new_text(ws: Workspace) -> Path:
    path = ws.root / f"state.edit-{time.time_ns() // 1_000_000}.toml"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(view(ws.document, ws.state))
    except OSError as error:
        raise NotSaved(f"{path}: {error.strerror}.") from None
    return path


def _run_editor(path: Path) -> None:
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        argv = [*shlex.split(command), str(path)]
        done = subprocess.run(argv, check=False)
    except (OSError, ValueError) as error:
        path.unlink()
        raise InvalidValue(f"$EDITOR “{command}” cannot be started: {error}.") from None
    if done.returncode:
        raise InvalidValue(_kept(f"“{command}” ended with {done.returncode}.", path))


def _ask(run: Run, changes: list[Change], yes: bool) -> None:
    """Shows what would be written and lets a person say no."""
    if not changes:
        raise InvalidValue("Nothing was changed.")
    if not run.as_json:
        for change in changes:
            old, new = change.old or "empty", change.new or "empty"
            click.echo(visible(f"  {change.item}: {old} > {new}"))
    if not yes and sys.stdin.isatty() and not click.confirm(f"Write {len(changes)} changes?"):
        raise InvalidValue("Not written.")


@click.command()
@click.argument("copy", metavar="[COPY]", required=False, type=click.Path(path_type=Path))
@click.option("--accept", is_flag=True, help="Take the damaged line over as a hand edit.")
@common
def recover(run: Run, copy: Path | None, accept: bool) -> None:
    """Show a damaged line of the state file, or take it over; nothing is ever deleted.

    With COPY (a kept copy or a backup of state.jsonl) append the records that the state file lacks.
    """
    if copy is not None and accept:
        raise InvalidValue("Name a COPY, or --accept the damaged line.")
    ws = run.open(read_only=not accept and copy is None)
    if copy is not None:
        _take_back(run, ws, copy)
        return
    bad = ws.journal.bad_line
    if bad is None:
        if ws.journal.problem:
            raise ReadOnly(ws.journal.problem)
        _in_order(run, ws)
        return
    text = visible(bad.raw.decode("utf-8", "replace"))
    if not accept:
        data = {"line": bad.number, "text": text, "reason": bad.reason, "newer": bad.newer}
        way = "update gonogo" if bad.newer else "`gonogo recover --accept` takes it over as it is"
        lines = [f"{ws.journal.path.name} line {bad.number}: {bad.reason}; {way}.", text]
        run.answer({**data, "ok": False}, "\n".join(lines))
        sys.exit(ReadOnly.exit_code)
    record = ws.accept_bad_line(f"hand:{ws.settings.user}")
    counts = bad.number not in ws.journal.skipped
    what = "counts as a hand edit" if counts else "is kept without effect"
    run.saved(record, f"line {bad.number} {what}")
    if ws.journal.problem:
        run.fail(ws.journal.problem, "ReadOnly", ReadOnly.exit_code)


def _take_back(run: Run, ws: Workspace, copy: Path) -> None:
    path = copy.expanduser()
    if not path.is_absolute() and not path.exists():
        path = ws.root / path  # messages name the copy alone, wherever one stands
    record, count = ws.take_back(path, f"hand:{ws.settings.user}")
    data = {"taken": count, "record": dict(record.data) if record else None}
    some = "1 record" if count == 1 else f"{count} records"
    text = f"saved: {some} of {path.name} brought back" if count else "nothing new in it."
    run.answer(data, text)


def _in_order(run: Run, ws: Workspace) -> None:
    found = copies(ws.root, ws.journal.lines, ws.settled_copies)
    lines = [f"{ws.journal.path.name} is in order."]
    lines += [
        f"{name} holds {count} records that it lacks; `gonogo recover {name}` takes them back."
        for name, count in found
    ]
    kept = [{"file": name, "records": count} for name, count in found]
    run.answer({"line": None, "kept": kept}, "\n".join(lines))
