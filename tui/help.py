"""What `?` shows: the keys of the screen, the keys of the app, what the marks mean."""

from __future__ import annotations

from textual.content import Content
from textual.screen import Screen

from tui.vocabulary import DIM, HEAD, STRONG, TICKS, VERDICTS

APP_KEYS = (
    ("1-8", "Roadmap, Gate, Budget, Metrics and fields, Live, Journal, Notes, Jobs"),
    ("j k  g G", "move, first and last row; page keys as usual"),
    ("tab", "next pane"),
    ("enter  esc", "open, back"),
    ("u  U", "undo and redo your own last action, also after a restart"),
    ("$", "add a cost"),
    (":", "type a command, tab completes: verify S0, cost 1.10 stage2, stage 3, ro, q"),
    ("/", "filter: words, is:open, is:fail, who:tower, stage:2, stage:all"),
    ("ctrl+p", "all commands in a list"),
    ("r", "try links, state file and disk again"),
    ("q  ctrl+q", "back to the roadmap and out, out at once"),
)
MEANINGS = {
    "PASS": "the probe saw what the box asks for",
    "FAIL": "the probe saw something else; a box once ticked stays ticked",
    "ERROR": "the probe itself broke; says nothing about the box",
    "UNREACHABLE": "the host did not answer; never counted as a failure",
    "SKIP": "cannot be checked here, for the reason shown",
    "STALE": "older than its probe allows",
}


def help_content(screen: Screen[object]) -> Content:
    """Help for a screen."""
    from tui.screens.room import Room

    parts: list[str | Content | tuple[str, str]] = []
    if isinstance(screen, Room):
        parts.append((f"{screen.PLACE}\n", HEAD))
        parts += _keys([(key.key, key.label) for key in screen.KEYS])
    parts.append(("\nEverywhere\n", HEAD))
    parts += _keys(list(APP_KEYS))
    parts.append(("\nBoxes\n", HEAD))
    words = {
        "open": "open",
        "done": "done",
        "partial": "some of its boxes are done",
        "waived": "waived with a reason, counts as done until it ends",
        "na": "does not apply here, counts as done",
    }
    for tick, meaning in words.items():
        parts += [(f"  {TICKS[tick][0]:<11}", TICKS[tick][1]), (f"{meaning}\n", DIM)]
    parts += [("  (i)        ", DIM), ("an estimate, not a task\n", DIM)]
    parts.append(("\nVerdicts\n", HEAD))
    for verdict, meaning in MEANINGS.items():
        word, style = VERDICTS[verdict]
        parts += [(f"  {word:<11}", style), (f"{meaning}\n", DIM)]
    return Content.assemble(*parts)


def _keys(pairs: list[tuple[str, str]]) -> list[str | Content | tuple[str, str]]:
    parts: list[str | Content | tuple[str, str]] = []
    for key, text in pairs:
        parts += [(f"  {key:<11}", STRONG), f"{text}\n"]
    return parts
