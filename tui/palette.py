"""Entries of the command palette, computed from what is possible now."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tui.later import later

if TYPE_CHECKING:
    from tui.app import GonogoApp
    from tui.screens.roadmap import RoadmapScreen
else:
    RoadmapScreen = later("tui.screens.roadmap", "RoadmapScreen")

ROOMS = {
    "overview": "Overview",
    "roadmap": "Roadmap",
    "gate": "Gate",
    "budget": "Budget",
    "metrics": "Metrics and fields",
    "live": "Live",
    "journal": "Journal",
    "notes": "Notes and lessons",
    "jobs": "Jobs",
}


def system_commands(app: GonogoApp) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """(title, help, callback) of every entry."""
    for mode, title in ROOMS.items():
        if app.current_mode != mode:
            yield (
                f"Go to {title}",
                f"Show the {title} screen",
                functools.partial(app.action_room, mode),
            )
    yield "Attention", "What wants a person", app.attend
    yield "MLflow runs", "Pick runs of the tracking server for the chart", app.action_runs
    yield "Export costs", "Write exports/costs.csv", app.export_costs
    yield "Help", "Keys and marks", app.action_help
    if not app.ws.read_only:
        yield "Add a cost", "One entry of the ledger", app.action_add_cost
        yield "Decide", "Record GO, NO-GO or HOLD", app.decide
        yield "Store measured values", "What the evaluation measured", app.fetch_fields
        yield "Import costs", "A CSV file, all of it or nothing", app.import_costs
        yield "Book electricity", "What a job's GPU used", app.book_electricity
        if app.ws.needs_reconcile:
            yield "Reconcile the plan", "It was edited on the disk", app.action_reconcile
        yield "Edit as text", "Boxes, blanks and notes in one text", app.edit_as_text
        yield "Undo", "Take back your newest action", app.action_undo
        yield "Redo", "Do again what was undone", app.action_redo
        yield (
            "Fetch an adapter",
            "Copy a finished training's adapter here",
            app.action_fetch_adapter,
        )
        yield "MLflow", "Start it on the server, open it, end it", app.action_mlflow
        yield "Start a training", "One arm, after its checks", app.action_train
        yield (
            "Start a pair",
            "Control, then experiment, queued on the host",
            app.action_train_pair,
        )
        yield "Export the roadmap", "Write exports/ROADMAP.md, filled in", app.export_roadmap
    yield "Read-only", "On or off", app.action_toggle_read_only
    yield "Recover", "A damaged line of the state file", app.action_recover
    for section in app.ws.document.sections:
        boxes = [box.id for group in section.groups for box in group.boxes]
        if boxes and not app.ws.read_only:
            yield (
                f"Verify {section.id}",
                f"Run the probes of {section.title}",
                functools.partial(app.verify_boxes, tuple(boxes)),
            )
            yield (
                f"Open {section.id}",
                section.title,
                functools.partial(go_to, app, boxes[0]),
            )
    yield "Reconnect now", "Try every host at once", app.action_retry_links
    yield "Change theme", "Colours", app.action_change_theme
    yield "Screenshot", "Save the screen as SVG", lambda: app.deliver_screenshot()
    yield "Quit", "The jobs on the hosts go on", app.leave_app


def go_to(app: GonogoApp, box_id: str) -> None:
    """Show a box on the roadmap."""
    app.action_room("roadmap")

    def show() -> None:
        if isinstance(app.screen, RoadmapScreen):
            app.screen.go_to(box_id)

    app.call_after_refresh(show)
