"""What help says: the keys of a screen as they are bound now, the keys of the app, the meaning of marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from textual.screen import Screen

from tui.keymap import display, screen_entries
from tui.vocabulary import DIM, TICKS, VERDICTS

MORE = {
    "box.tick": "tick or untick the box; a blank is filled in, a GO box leads to the gate",
    "box.verify": "run the check of this box and show expected and found",
    "box.verify_section": "run all checks of this stage",
    "field.edit": "fill in the blank here, or the first one of the stage",
    "note.edit": "write the note on this stage",
    "box.waive": "let the box count as done for a while, with a reason and an end",
    "box.na": "the box does not apply here, with a reason",
    "box.evidence": "open what the check saw",
    "stage.previous": "previous stage",
    "stage.next": "next stage",
    "list.filter": "filter by words, is:open, is:fail, who:tower, stage:2, stage:all, -word",
    "list.attention": "what wants a person, and go there",
    "list.fold": "fold inner boxes, then the group, then to the stages",
    "list.unfold": "unfold, or from the stages to the boxes",
    "list.copy": "copy what is under the cursor with its evidence",
    "state.undo": "undo your own last action, also after a restart",
    "state.redo": "do again what was undone",
    "budget.add": "add a cost to this stage",
    "link.retry": "try links, state file and disk again",
    "app.commands": "type a command, tab completes: verify S0, cost 1.10 stage2, edit, stage 3, ro, q",
    "app.palette": "all commands in a list",
    "app.back": "out of a filter, back to the list, to the roadmap; never out of the app",
    "app.quit": "back to the roadmap, and from there out; the jobs on the hosts go on",
    "app.quit_now": "out at once; notes that were typed are saved first",
    "plan.reconcile": "settle an edited plan",
    "list.open": "open what is under the cursor",
    "list.up": "up",
    "list.down": "down",
    "room.notes": "notes and lessons",
    "curve.log": "logarithmic or linear y",
    "curve.rougher": "less smoothing; the raw points stay behind the line",
    "curve.smoother": "more smoothing; the raw points stay behind the line",
    "curve.axis": "x axis: steps, time since the start, clock, samples, tokens",
    "curve.fit": "fit y to the middle 98 %, marks for the rest; again: to everything",
    "curve.cross": "crosshair: what every curve reads there; a click puts it under the pointer",
    "curve.difference": "experiment minus control below, with its 95 % interval",
    "curve.zoom_in": "zoom in; the wheel does it at the pointer",
    "curve.zoom_out": "zoom out; the wheel does it at the pointer",
    "curve.pan_left": "crosshair or range to the left; dragging moves the range",
    "curve.pan_right": "crosshair or range to the right; dragging moves the range",
    "curve.page_left": "half a width to the left",
    "curve.page_right": "half a width to the right",
    "curve.follow": "show all again and follow the newest point",
    "curve.metric": "next metric",
    "curve.choose": "choose a metric from a list",
    "curve.save": "save the chart or its points: SVG, PNG, CSV, text",
    "curve.copy": "copy the chart as text",
    "curve.overlay": "lay the run under the cursor over the others, or take it away",
    "curve.maximize": "only the chart, and back",
    "mlflow.runs": "draw runs of MLflow, also those that others started",
    "mlflow.drop": "take the newest run of MLflow off the chart",
    "mlflow.key": "start, end, log or open MLflow",
    "job.stop": "stop the job under the cursor; asks first",
    "job.train": "start a training: choices, then the plan with its checks",
    "job.pair": "start control, then experiment, queued on the host",
}
"""What an action does, in more words than the key bar has room for."""

MEANINGS = {
    "PASS": "the probe saw what the box asks for",
    "WARN": "the probe saw it, with something to look at",
    "FAIL": "the probe saw something else; a box once ticked stays ticked",
    "ERROR": "the probe itself broke; says nothing about the box",
    "TIMEOUT": "no answer within the probe's time; says nothing about the box",
    "UNREACHABLE": "the host did not answer; never counted as a failure",
    "SKIP": "cannot be checked here, for the reason shown",
    "STALE": "older than its probe allows",
}
BOXES = {
    "open": "open",
    "done": "done",
    "partial": "some of its boxes are done",
    "waived": "waived with a reason, counts as done until it ends",
    "na": "does not apply here, counts as done",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A key (or mark) and what it means; without a key a heading. `style` is that of a mark."""

    text: str
    key: str = ""
    style: str = ""


def help_lines(screen: Screen[object], keymap: Mapping[str, str]) -> list[Line]:
    """Help for a screen: its own keys first, then those that work everywhere, then the marks."""
    from tui.app import GonogoApp
    from tui.screens.room import Room
    from tui.widgets.row_list import RowList

    own = [e for e in screen_entries(type(screen), keymap) if e.place not in ("Room", "Screen")]
    shared = screen_entries(Room, keymap) if isinstance(screen, Room) else []
    taken = {key for entry in own for key in entry.key.split(",")}
    common = [
        e
        for e in [*screen_entries(RowList, keymap), *shared, *screen_entries(GonogoApp, keymap)]
        if not taken & set(e.key.split(","))
    ]
    lines: list[Line] = []
    if own:
        title = screen.PLACE if isinstance(screen, Room) else "Here"
        lines += [Line(title), *_keys([(e.id, e.key, e.does) for e in own])]
    ids = {e.id for e in own}
    lines += [Line("Everywhere"), Line("next, previous pane", "tab")]
    lines += _keys([(e.id, e.key, e.does) for e in common if e.id not in ids])
    lines.append(Line("Boxes"))
    lines += [Line(text, TICKS[tick][0], TICKS[tick][1] or DIM) for tick, text in BOXES.items()]
    lines += [Line("an estimate, not a task", "(i)", DIM), Line("Verdicts")]
    lines += [Line(text, *VERDICTS[verdict]) for verdict, text in MEANINGS.items()]
    return lines


def _keys(found: list[tuple[str, str, str]]) -> Iterator[Line]:
    for item, keys, does in found:
        shown = " ".join(dict.fromkeys(display(key) for key in keys.split(",")[:2]))
        # A binding's own words begin as a title does; here they are the rest of a sentence.
        plain = does[:1].lower() + does[1:] if does[1:2].islower() else does
        yield Line(MORE.get(item, plain), shown)
