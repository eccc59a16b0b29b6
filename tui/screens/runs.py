"""The runs of the tracking server, also those that others started: pick which are drawn on Live."""

from __future__ import annotations

import asyncio
import time
import webbrowser
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from tui.mlflow_rest import MlflowError
from tui.mlflow_runs import MOST_RUNS, Experiment, RunInfo, experiments, runs_page
from tui.rows import line_of
from tui.screens.dialogs import ChoiceScreen
from tui.tail import clean
from tui.tracked import server_key, twin_of
from tui.vocabulary import DIM, FAIL, PASS, STRONG, WARN, age, clip
from tui.widgets.hint import Hint
from tui.widgets.row_list import Row, RowList

if TYPE_CHECKING:
    from tui.fleet import Fleet

WORDS = {
    "RUNNING": ("running", PASS), "SCHEDULED": ("scheduled", WARN), "FINISHED": ("finished", ""),
    "FAILED": ("failed", FAIL), "KILLED": ("killed", WARN),
}  # fmt: skip
AHEAD = 20
"""Rows below the cursor at which the next page is asked for."""

KEYS = "enter draw, take away   / search   e experiment   R running only   o browser   C link   esc back"


def run_row(run: RunInfo, experiment: str, drawn: bool, also: str, now_ms: int) -> Row:
    """One run: whether it is drawn, state, name, where it belongs, its age."""

    def draw(width: int) -> Content:
        word, style = WORDS.get(run.state, (run.state, DIM))
        place = 20 if width >= 90 else 14
        room = max(12, width - 22 - place)
        left = Content.assemble(
            (" * " if drawn else "   ", STRONG), (f"{word:<10}", style),
            f"{clip(run.name, room):<{room}} ",
        )  # fmt: skip
        told = also or experiment
        when = "" if run.start_ms is None else age(max(0, now_ms - run.start_ms) / 1000)
        right = Content.assemble((clip(told, place), WARN if also else DIM), (f" {when:>5}", DIM))
        return line_of(left, right, width)

    return Row(run.run_id, draw)


class RunsScreen(ModalScreen[None]):
    """Newest run first, a page at a time as the cursor goes down."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Back", id="dialog.back"),
        Binding("slash", "search", "Search", id="runs.search"),
        Binding("e", "experiment", "Experiment", id="runs.experiment"),
        Binding("R", "running", "Running only", id="runs.running"),
        Binding("r", "again", "Ask again", id="runs.again"),
        Binding("o", "browser", "Open in the browser", id="runs.browser"),
        Binding("C", "link", "Copy the link", id="runs.link"),
    ]

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self.fleet = fleet
        self.base = ""
        self.found: dict[str, RunInfo] = {}
        self.experiments: dict[str, Experiment] = {}
        self.token = ""
        self.wanted = ""
        self.only: str = ""
        self.running = False
        self.busy = False
        self.problem = ""
        self._said = Content()

    def compose(self) -> ComposeResult:
        """The runs, what is known of the one under the cursor, the search."""
        with Vertical(classes="dialog -tall"):
            yield Label("Runs on MLflow", id="runs-title", classes="dialog--title", markup=False)
            yield RowList(id="runs")
            yield Static("", id="run-detail", markup=False)
            search = Input(placeholder="part of a run's name", id="search", compact=True)
            search.display = False
            yield search
            yield Hint(KEYS, id="runs-hint")

    def on_mount(self) -> None:
        """Ask for the first page."""
        self.query_one("#runs", RowList).focus()
        self.action_again()
        self.set_interval(1.0, self.detail)

    # --- asking -------------------------------------------------------------------------------

    def action_again(self) -> None:
        """From the first page on."""
        self.load(True)

    @work(group="runs", exclusive=True, exit_on_error=False)
    async def load(self, anew: bool) -> None:
        """The first page or the next one. What was loaded stays when the server does not answer."""
        self.busy = True
        self.show()
        try:
            self.base = await self.fleet.mlflow_base()
            if anew:
                known = await asyncio.to_thread(experiments, self.base)
                self.experiments = {item.id: item for item in known}
            ids = [self.only] if self.only else list(self.experiments)
            token = "" if anew else self.token
            page, following = await asyncio.to_thread(
                runs_page, self.base, ids, self.wanted, self.running, token
            )
        except (MlflowError, OSError) as problem:
            self.problem = f"{problem}\nr asks again   esc, then M starts MLflow"
        else:
            self.problem = ""
            if anew:
                self.found = {}
            self.found.update((run.run_id, run) for run in page)
            self.token = "" if following == token else following
        finally:
            self.busy = False
        self.show()

    def show(self) -> None:
        """All that is loaded, as rows."""
        store, drawn, now = self.fleet.store, self.fleet.tracked.runs, int(time.time() * 1000)
        rows = []
        for run in self.found.values():
            twin = twin_of(run, store)
            known = self.experiments.get(run.experiment_id)
            name = known.name if known is not None else run.experiment_id
            also = f"also on {twin.host}" if twin is not None else ""
            rows.append(run_row(run, name, run.run_id in drawn, also, now))
        self.query_one("#runs", RowList).set_rows(rows)
        more = "+" if self.token else ""
        noun = "run" if len(rows) == 1 and not more else "runs"
        parts = [f"Runs on MLflow   {len(rows)}{more} {noun}"]
        if self.only:
            parts.append(f"in {self.experiments[self.only].name[:30]}")
        if self.wanted:
            parts.append(f"named “{self.wanted[:30]}”")
        if self.running:
            parts.append("running only")
        if self.busy:
            parts.append("asking…")
        if self.token and len(rows) >= MOST_RUNS:
            parts.append("search to see others")
        self.query_one("#runs-title", Label).update("   ".join(parts))
        self.detail()

    def detail(self) -> None:
        """Times, metric keys and the link of the run under the cursor."""
        run = self.current()
        drawn = self.fleet.tracked.runs.get(run.run_id) if run is not None else None
        problem = self.problem or (drawn.trouble if drawn is not None else "")
        if problem:
            said, _, step = problem.partition("\n")
            content = Content.assemble((clean(said), FAIL), "\n", clean(step))
        elif run is None:
            content = Content("" if self.busy else "no run matches   / other words   e experiment")
        else:
            began = time.strftime("%Y-%m-%d %H:%M", time.localtime((run.start_ms or 0) / 1000))
            keys = ", ".join(clean(key) for key in sorted(run.last)) or "no metric yet"
            content = Content.assemble(
                (run.name, STRONG), f"  began {began}\n" if run.start_ms else "\n",
                clip(keys, 300), "\n", (run.url(self.base), DIM),
            )  # fmt: skip
        if content != self._said:
            self._said = content
            self.query_one("#run-detail", Static).update(content)

    def current(self) -> RunInfo | None:
        """The run under the cursor."""
        return self.found.get(self.query_one("#runs", RowList).key)

    # --- keys ---------------------------------------------------------------------------------

    @on(RowList.Moved, "#runs")
    def _moved(self) -> None:
        rows = self.query_one("#runs", RowList)
        room = len(rows.rows) < MOST_RUNS
        if self.token and not self.busy and room and rows.cursor >= len(rows.rows) - AHEAD:
            self.load(False)
        self.detail()

    @on(RowList.Chosen, "#runs")
    def _chosen(self) -> None:
        run, tracked = self.current(), self.fleet.tracked
        if run is None:
            return
        if run.run_id in tracked.runs:
            tracked.remove(run.run_id)
        else:
            tracked.add(run)
            if not server_key(tracked.metric, run):
                what = f"{run.name[:40]} has no {tracked.metric}"
                self.notify(f"{what}; a comma on Live lists what it has.", markup=False)
        self.show()

    @work(group="runs-choice", exit_on_error=False)
    async def action_experiment(self) -> None:
        """Only the runs of one experiment, or of all."""
        choices = [("all", "all experiments")]
        choices += [(f"e{item.id}", clip(item.name, 70)) for item in self.experiments.values()]
        chosen = await self.app.push_screen_wait(
            ChoiceScreen("Experiment", choices, f"e{self.only}" if self.only else "all")
        )
        if chosen is not None:
            self.only = "" if chosen == "all" else chosen[1:]
            self.action_again()

    def action_running(self) -> None:
        """Only what runs, or all."""
        self.running = not self.running
        self.action_again()

    def action_browser(self) -> None:
        """The page of the run under the cursor."""
        run = self.current()
        if run is not None:
            webbrowser.open(run.url(self.base))

    def action_link(self) -> None:
        """The run's address into the clipboard, through the terminal (OSC 52)."""
        run = self.current()
        if run is not None:
            self.app.copy_to_clipboard(run.url(self.base))
            self.notify(f"Copied {run.url(self.base)}", markup=False)

    def action_search(self) -> None:
        """Type a part of a run's name."""
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    @on(Input.Submitted, "#search")
    def _searched(self, event: Input.Submitted) -> None:
        self.wanted = event.value.strip()
        self._end_search()
        self.action_again()

    def _end_search(self) -> None:
        self.query_one("#search", Input).display = False
        self.query_one("#runs", RowList).focus()

    def action_close(self) -> None:
        """End the search, or go back."""
        if self.query_one("#search", Input).display:
            self._end_search()
        else:
            self.dismiss(None)
