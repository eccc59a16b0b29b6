"""The command line of the app: what can be typed after `:`, its completion, and what it does.

No Textual in here: the overlay that shows it is `tui.screens.command`.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.roadmap.errors import InvalidValue, UnknownId, WorkspaceError, no_such

if TYPE_CHECKING:
    from tui.app import GonogoApp

Arguments = list[str]
Complete = Callable[["GonogoApp", Arguments], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `run` raises WorkspaceError with one sentence; `words` completes the argument at hand."""

    name: str
    usage: str
    help: str
    run: Callable[[GonogoApp, Arguments], None]
    words: Complete = lambda _app, _arguments: ()
    writes: bool = False


def _need(arguments: Arguments, count: int, usage: str) -> None:
    if len(arguments) < count:
        raise InvalidValue(f"Write it like :{usage}")


def section_id(app: GonogoApp, text: str) -> str:
    """The id of a section from `3`, `S3`, `stage3`, `stage 3` or `phase2`. Raises UnknownId."""
    low = re.sub(r"[\s_-]", "", text.casefold())
    wanted = {low, re.sub(r"^stage", "s", low), re.sub(r"^(phase|week)", "p", low)}
    if low.isdecimal():
        wanted.add(f"s{low}")
    for section in app.ws.document.all_sections:
        if section.id.casefold() in wanted:
            return section.id
    raise UnknownId(f"There is no stage {text}.")


def _selected(app: GonogoApp, names: Arguments) -> list[str]:
    ids: list[str] = []
    for name in names:
        found = app.ws.document.select(name) or app.ws.document.select(name.upper())
        if not found:
            raise no_such("box, group or stage", name, app.ws.document.names())
        ids += found
    return list(dict.fromkeys(ids))


def _verify(app: GonogoApp, arguments: Arguments) -> None:
    _need(arguments, 1, "verify S0")
    app.verify_boxes(tuple(_selected(app, arguments)))


def _cost(app: GonogoApp, arguments: Arguments) -> None:
    from tui.roadmap.budget import find_row
    from tui.roadmap.values import clean_text, money

    _need(arguments, 2, "cost 1.10 stage2 what it was for")
    amount, row, *rest = arguments
    if rest and rest[0].isdecimal() and row.casefold() in ("stage", "phase"):
        row, rest = f"{row} {rest[0]}", rest[1:]
    money(amount)
    try:
        row = find_row(app.ws.document, row)
    except UnknownId:
        row = find_row(app.ws.document, section_id(app, row))
    note = clean_text(" ".join(rest), "The note")
    app.write(lambda: app.ws.add_cost(row, amount.lstrip("$"), app.actor, note))


def _tick(app: GonogoApp, arguments: Arguments) -> None:
    _need(arguments, 1, "tick S0.T1")
    box = app.ws.document.boxes.get(arguments[0])
    if box is None:
        raise no_such("box", arguments[0], app.ws.document.boxes)
    app.write(lambda: app.ws.tick(box.id, app.actor, " ".join(arguments[1:])))


def _untick(app: GonogoApp, arguments: Arguments) -> None:
    _need(arguments, 1, "untick S0.T1 why")
    if arguments[0] not in app.ws.document.boxes:
        raise no_such("box", arguments[0], app.ws.document.boxes)
    app.write(lambda: app.ws.untick(arguments[0], app.actor, " ".join(arguments[1:])))


def _field(app: GonogoApp, arguments: Arguments) -> None:
    from tui.roadmap.values import check_value

    _need(arguments, 2, "field S1.loss_start 4.5")
    name, value = arguments[0], " ".join(arguments[1:])
    item = app.ws.document.fields.get(name)
    if item is None:
        raise no_such("field", name, app.ws.document.fields)
    check_value(item, value)
    app.write(lambda: app.ws.set_field(name, value, app.actor))


def _note(app: GonogoApp, arguments: Arguments) -> None:
    from tui.roadmap.handedit import sections_note

    _need(arguments, 2, "note S0 what to remember")
    section, added = section_id(app, arguments[0]), " ".join(arguments[1:])
    known = app.ws.state.notes.get(section, "")
    text = sections_note(f"{known}\n{added}" if known else added)
    app.write(lambda: app.ws.note(section, text, app.actor))


def _stage(app: GonogoApp, arguments: Arguments) -> None:
    _need(arguments, 1, "stage 3")
    app.show_stage(section_id(app, " ".join(arguments)))


def _filter(app: GonogoApp, arguments: Arguments) -> None:
    app.show_filter(" ".join(arguments))


def _edit(app: GonogoApp, arguments: Arguments) -> None:
    app.edit_as_text(arguments[0] if arguments else "")


def _call(name: str) -> Callable[[GonogoApp, Arguments], None]:
    def run(app: GonogoApp, _arguments: Arguments) -> None:
        getattr(app, name)()

    return run


def _go(mode: str) -> Callable[[GonogoApp, Arguments], None]:
    return lambda app, _arguments: app.action_room(mode)


def _boxes(app: GonogoApp, _arguments: Arguments) -> Sequence[str]:
    return tuple(app.ws.document.boxes)


def _stages(app: GonogoApp, _arguments: Arguments) -> Sequence[str]:
    return [s.id for s in app.ws.document.all_sections if s.groups]


def _either(app: GonogoApp, arguments: Arguments) -> Sequence[str]:
    return [*_stages(app, arguments), *_boxes(app, arguments)]


def _fields(app: GonogoApp, arguments: Arguments) -> Sequence[str]:
    return tuple(app.ws.document.fields) if len(arguments) <= 1 else ()


def _rows(app: GonogoApp, arguments: Arguments) -> Sequence[str]:
    from tui.roadmap.budget import summarize

    if len(arguments) != 2:
        return ()
    rows = summarize(app.ws.settings, app.ws.document, app.ws.state).rows
    return [row.name.casefold().replace(" ", "") for row in rows]


def _terms(_app: GonogoApp, _arguments: Arguments) -> Sequence[str]:
    from tui.roadmap.query import IS_WORDS

    return [*(f"is:{w}" for w in IS_WORDS), "who:", "stage:all", "stage:"]


ROOMS = ("overview", "roadmap", "gate", "budget", "metrics", "live", "journal", "notes", "jobs")
COMMANDS: tuple[Command, ...] = (
    Command(
        "verify", "verify ID...", "run the checks of boxes, groups or stages", _verify, _either
    ),
    Command("cost", "cost AMOUNT ROW [NOTE]", "add a cost", _cost, _rows, True),
    Command("tick", "tick ID [WHY]", "tick a box", _tick, _boxes, True),
    Command("untick", "untick ID [WHY]", "open a box again", _untick, _boxes, True),
    Command("field", "field ID VALUE", "fill a blank", _field, _fields, True),
    Command("note", "note STAGE TEXT", "add to the note of a stage", _note, _stages, True),
    Command("stage", "stage 3", "go to a stage", _stage, _stages),
    Command("filter", "filter WORDS", "is:open is:fail who:tower stage:2", _filter, _terms),
    Command("export", "export", "write exports/ROADMAP.md", _call("export_roadmap")),
    Command("undo", "undo", "take back your last action", _call("action_undo"), writes=True),
    Command("redo", "redo", "do it again", _call("action_redo"), writes=True),
    Command("decide", "decide", "GO, NO-GO or HOLD", _call("decide"), writes=True),
    Command("runs", "runs", "pick runs of MLflow for the chart", _call("action_runs")),
    Command("ro", "ro", "read-only on or off", _call("action_toggle_read_only")),
    Command("recover", "recover", "show a damaged line of the state file", _call("action_recover")),
    Command(
        "reconcile", "reconcile", "settle an edited plan", _call("action_reconcile"), writes=True
    ),
    Command("edit", "edit [ID]", "boxes, blanks and notes as text", _edit, _either, True),
    Command("refresh", "refresh", "try links, file and disk again", _call("action_refresh_all")),
    Command("help", "help", "keys and marks", _call("action_help")),
    *(Command(mode, mode, f"show the {mode} screen", _go(mode)) for mode in ROOMS),
    Command("q", "q", "quit; the jobs on the hosts go on", _call("leave_app")),
    Command("quit", "quit", "quit; the jobs on the hosts go on", _call("leave_app")),
)


@functools.cache
def _by_name() -> dict[str, Command]:
    return {command.name: command for command in COMMANDS}


def split(text: str) -> list[str]:
    """The words of a command line; quotes hold words together, an open quote is a word like any other."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def find(text: str) -> tuple[Command, Arguments]:
    """The command of a line and its arguments. Raises InvalidValue; an unambiguous beginning will do."""
    words = split(text.lstrip(": "))
    if not words:
        raise InvalidValue("Type a command; tab completes it.")
    name = words[0].casefold()
    known = _by_name()
    if name in known:
        return known[name], words[1:]
    matching = [n for n in known if n.startswith(name)]
    if len(matching) == 1:
        return known[matching[0]], words[1:]
    near = f"; there are {', '.join(matching)}" if matching else "; tab shows what there is"
    raise InvalidValue(f"There is no command :{words[0]}{near}.")


def run(app: GonogoApp, text: str) -> str:
    """Runs a line; a sentence where it cannot be done, else ""."""
    try:
        command, arguments = find(text)
        if command.writes and app.ws.read_only:
            raise InvalidValue("Read-only: nothing is written. :ro changes that where it can be.")
        command.run(app, arguments)
    except WorkspaceError as problem:
        return str(problem)
    return ""


def candidates(app: GonogoApp, text: str) -> list[str]:
    """Whole lines that begin with `text`: command names, then ids, rows or terms."""
    head, _, last = text.rpartition(" ")
    if not head:
        return [c.name for c in COMMANDS if c.name.startswith(text.casefold())]
    try:
        command, arguments = find(text)
    except InvalidValue:
        return []
    if not last:
        arguments = [*arguments, ""]
    low = last.casefold()
    words = [w for w in command.words(app, arguments) if w.casefold().startswith(low)]
    return [f"{head} {word}" for word in words]
