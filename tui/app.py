"""The Textual application: one workspace, its hosts, and the screens over them."""

from __future__ import annotations

import asyncio
import functools
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import App, ScreenStackError, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerState

import styles
from tui import vocabulary
from tui.ascii import AsciiFilter
from tui.bridge import Bridge
from tui.gauge_model import host_chip_model
from tui.host_actions import HostActions
from tui.later import later
from tui.messages import JobMoved, LinkMoved
from tui.notice_actions import NoticeActions
from tui.pace import FRAME_SECONDS, Pace
from tui.roadmap.budget import BudgetSummary, summarize
from tui.roadmap.gate import evaluate
from tui.roadmap.progress import overall
from tui.roadmap.workspace import Workspace
from tui.screens.roadmap import RoadmapScreen
from tui.screens.room import Room
from tui.server_actions import ServerActions
from tui.sheet import SteadySheet, let_go_of_closed_widgets
from tui.theme import THEMES
from tui.typeahead import TypeAhead
from tui.widgets.status_header import HeaderModel

if TYPE_CHECKING:
    from tui.palette import system_commands
    from tui.screens.item import ItemScreen
else:
    ItemScreen = later("tui.screens.item", "ItemScreen")
    system_commands = later("tui.palette", "system_commands")

Story = Callable[["GonogoApp"], Coroutine[Any, Any, None]]
"""Something that runs beside the app on its event loop: the demo."""

PARENT_SECONDS = 5.0
"""How often an app in a browser tab looks whether its web server still lives."""


class GonogoApp(TypeAhead, Pace, NoticeActions, ServerActions, HostActions, App[None]):
    """Control center. Workers never touch widgets; they change the store and the workspace."""

    TITLE = "gonogo"
    CSS_PATH = styles.SHEETS
    ENABLE_COMMAND_PALETTE = True
    MODES: ClassVar[dict[str, Any]] = {
        "overview": later("tui.screens.overview", "OverviewScreen"),
        "roadmap": RoadmapScreen,
        "gate": later("tui.screens.gate", "GateScreen"),
        "budget": later("tui.screens.budget", "BudgetScreen"),
        "metrics": later("tui.screens.metrics", "MetricsScreen"),
        "live": later("tui.screens.live", "LiveScreen"),
        "journal": later("tui.screens.journal", "JournalScreen"),
        "notes": later("tui.screens.notes", "NotesScreen"),
        "jobs": later("tui.screens.jobs", "JobsScreen"),
    }
    DEFAULT_MODE = "roadmap"
    VERTICAL_BREAKPOINTS = [(0, "-squat"), (22, "-roomy")]
    """Of dialogs; rooms have their own."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, id="app.quit_now"),
        Binding("ctrl+p", "command_palette", "Commands", show=False, id="app.palette"),
    ]

    def __init__(self, workspace: Workspace, story: Story | None = None, mode: str = "") -> None:
        super().__init__()
        let_go_of_closed_widgets()
        self.ws = workspace
        workspace.checks_wanted = False
        self.fleet = Bridge(workspace, self)
        self.story = story
        self.first_mode = mode
        self.saved = ""
        self.keymap_now = dict(workspace.settings.keymap)
        """Key by action id, as far as it can be used; checked once everything is imported."""
        self._links_told: dict[str, tuple[object, str, int]] = {}
        self._counted: tuple[object, tuple[tuple[int, int], BudgetSummary, str]] | None = None
        self._ascii = AsciiFilter()
        for theme in THEMES:
            self.register_theme(theme)
        wanted = "gonogo-dark" if workspace.settings.theme == "dark" else workspace.settings.theme
        if wanted in self.available_themes:
            self.set_reactive(App.theme, wanted)
        dark = self.current_theme.dark
        self.set_class(dark, "-dark-mode", update=False)
        self.set_class(not dark, "-light-mode", update=False)
        self.stylesheet = SteadySheet(self.get_css_variables())

    def get_default_screen(self) -> Screen[None]:
        """A blank base; the first room is switched to at once."""
        return Screen(id="_default")

    def on_load(self) -> None:
        """Start tasks in turn on every Python.

        From 3.12 on Textual starts them eagerly: an input of the first room then asks for the active
        screen before `App._init_mode` has put that room on the stack, and the app ends at once.
        """
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        """Connect, begin to look at the state file, start the story."""
        if self.keymap_now:
            self.set_keymap(self.keymap_now)
        if self.first_mode:
            self.switch_mode(self.first_mode)
        self.set_interval(FRAME_SECONDS, self.beat)
        if self.is_web:
            self.set_interval(PARENT_SECONDS, functools.partial(self._end_alone, os.getppid()))
        self.show_problem()
        self.call_after_refresh(self.painted)
        for warning in self.ws.warnings:
            if warning == self.ws.journal.problem:  # the banner and the recovery screen say it
                continue
            asked = self.ws.needs_reconcile and not self.ws.read_only
            if asked and warning.endswith("settles it."):  # a dialog asks
                continue
            self.notify(warning, severity="warning", timeout=12, markup=False)

    def _end_alone(self, server: int) -> None:
        """In a browser tab: nobody sees this any more once its server is gone."""
        if os.getppid() != server:
            self.exit()

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Also plain ASCII where the terminal has nothing else."""
        filters = super().get_line_filters()
        return [*filters, self._ascii] if vocabulary.marks is vocabulary.ASCII else filters

    async def on_unmount(self) -> None:
        """Let go of the hosts; their jobs go on."""
        self.depart()
        await self.fleet.close()

    # --- what the screens show ----------------------------------------------------------------

    @property
    def room(self) -> Room | None:
        """The room on top, None under a dialog, between two modes and while the app ends."""
        try:
            screen = self.screen
        except ScreenStackError:
            return None
        return screen if isinstance(screen, Room) and screen.ready else None

    def header_model(self, place: str) -> HeaderModel:
        """Figures of the header, the same on every screen."""
        ws, now, now_ms = self.ws, self.fleet.store.clock(), int(time.time() * 1000)
        (done, total), money, gate = self._standing()
        return HeaderModel(
            title=ws.settings.title,
            place=place,
            done=done,
            total=total,
            gate=gate,
            spent=f"{money.sign}{money.spent:.2f}",
            budget=f"{money.sign}{money.planned_total:.0f}",
            over=money.spent > money.limit,
            hosts=tuple(host_chip_model(h, now, now_ms) for h in self.fleet.store.hosts.values()),
            saved=self.saved,
            records=len(ws.state.records),
            mode="READ-ONLY" if ws.read_only else "rw",
        )

    def _standing(self) -> tuple[tuple[int, int], BudgetSummary, str]:
        """Progress, money and gate; counted anew when a record came, else every five seconds."""
        ws = self.ws
        key = (len(ws.state.records), int(self.fleet.store.clock() / 5))
        if self._counted is None or self._counted[0] != key:
            report = evaluate(ws)
            data = any(c.verdict in ("GO", "NO-GO") for c in report.criteria)
            gate = report.decision.outcome if report.decision else "open" if data else "not reached"
            money = summarize(ws.settings, ws.document, ws.state)
            self._counted = (key, (overall(ws.document, ws.state), money, gate))
        return self._counted[1]

    def state_changed(self) -> None:
        """Redraw what stands on the workspace."""
        room = self.room
        if room is not None:
            room.update_state()
            room.update_header()
        elif self.screen_stack and isinstance(self.screen, ItemScreen):
            self.screen.changed()

    # --- messages -----------------------------------------------------------------------------

    @on(LinkMoved)
    def _link_moved(self, message: LinkMoved) -> None:
        event = message.event
        if str(event.state) == "needs-user":
            self.needs_user(event)
        told = (event.state, event.detail, event.attempt)
        moved = self._links_told.get(event.host) != told
        self._links_told[event.host] = told
        self.frame(at_once=moved)  # a ping's time alone comes with the next frame

    @on(JobMoved)
    def _job_moved(self, message: JobMoved) -> None:
        self.job_ended(message)
        self.frame(at_once=True)

    @on(Worker.StateChanged)
    def _worker_changed(self, event: Worker.StateChanged) -> None:
        if event.state == WorkerState.ERROR and event.worker.error is not None:
            error = event.worker.error
            text = str(error) or type(error).__name__
            self.notify(f"{event.worker.name}: {text}", severity="error", timeout=15, markup=False)

    # --- app keys -----------------------------------------------------------------------------

    def action_room(self, name: str) -> None:
        """Go to a screen."""
        if self.current_mode != name:
            self.switch_mode(name)

    def action_leave(self) -> None:
        """Back to the roadmap, and from there out."""
        if self.current_mode != "roadmap":
            self.switch_mode("roadmap")
        else:
            self.leave_asking()

    def get_system_commands(self, screen: Screen[Any]) -> Any:
        """The palette: only what can be done now."""
        for title, help_text, callback in system_commands(self):
            yield SystemCommand(title, help_text, callback)


def run_app(
    workspace: Workspace, story: Story | None = None, mode: str = "", mouse: bool = True
) -> None:
    """Run until the person leaves; the terminal is restored whatever happens."""
    app = GonogoApp(workspace, story, mode)
    try:
        app.run(mouse=mouse)
    finally:
        asyncio.set_event_loop(None)
