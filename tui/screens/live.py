"""Gauges of both hosts, the curves of the pair, the jobs: the screen to keep open while it trains."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from tui import rows
from tui.curves import TITLES, lines_of
from tui.gauge_model import gauge_model
from tui.mirrored import listed_jobs
from tui.screens.chart_actions import CHART_BAR, CHART_BINDINGS, ChartActions
from tui.screens.room import Room
from tui.tail import clean
from tui.widgets.curve import Curve
from tui.widgets.gauges import GaugePanel
from tui.widgets.key_bar import Key
from tui.widgets.row_list import RowList

SHORT = 20
"""Below this many lines a host has one line, so that chart and jobs keep theirs."""

MOST_RUNS = 12
"""Curves over each other; more cannot be told apart."""


class LiveScreen(Room, ChartActions):
    """W9 of the plan."""

    # Room comes first: Textual matches a style sheet's types along the first base only.

    PLACE = "Live"
    VERTICAL_BREAKPOINTS = [(0, "-short"), (SHORT, "-low"), (30, "-high")]
    KEYS = (
        *CHART_BAR,
        Key("z", "chart only", "screen.zoom_chart"),
        Key("space", "overlay run", "screen.overlay"),
        Key("o", "MLflow runs", "app.runs"),
        Key("O", "drop one", "screen.drop_tracked"),
        Key("enter", "log", "screen.log"),
        Key("t", "train", "app.train"),
        Key("X", "stop job", "screen.stop_job"),
        Key("M", "MLflow", "app.mlflow"),
        Key("r", "reconnect", "app.refresh_all"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        *CHART_BINDINGS,
        Binding("space", "overlay", "Overlay run", id="curve.overlay"),
        Binding("o", "app.runs", "MLflow runs", id="mlflow.runs"),
        Binding("O", "drop_tracked", "Take an MLflow run away", id="mlflow.drop"),
        Binding("X", "stop_job", "Stop job", id="job.stop"),
        Binding("M", "app.mlflow", "MLflow", show=False, id="mlflow.key"),
        Binding("t", "app.train", "Start training", id="job.train"),
        Binding("z", "zoom_chart", "Only the chart", id="curve.maximize"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.chosen: tuple[tuple[str, str], ...] = ()

    def body(self) -> list[Widget]:
        """One gauge panel a host, the chart, the jobs."""
        panels = [GaugePanel(id=f"gauge-{i}") for i, _ in enumerate(self.gonogo.fleet.store.hosts)]
        jobs = RowList(id="jobs")
        jobs.border_title = "Jobs"
        return [Vertical(*panels, id="gauges"), Curve(id="curve"), jobs]

    def on_mount(self) -> None:
        """The jobs list has the cursor; the chart's keys work from there as well."""
        super().on_mount()
        self.query_one("#jobs", RowList).focus()

    def on_resize(self, event: events.Resize) -> None:
        """A low terminal has a line a host at once."""
        super().on_resize(event)
        if self.ready:
            self.update_live()

    def update_live(self) -> None:
        """Gauges, curves, jobs from the store; each widget redraws only what changed."""
        store = self.gonogo.fleet.store
        now = store.clock()
        now_ms = int(time.time() * 1000)
        limit = self.gonogo.vram_limit()
        for index, host in enumerate(store.hosts.values()):
            panel = self.query_one_optional(f"#gauge-{index}", GaugePanel)
            if panel is not None:
                wanted = limit if host.role == "tower" else None
                job = store.job_memory(host.name)
                model = gauge_model(host, now, wanted, now_ms=now_ms, job=job)
                panel.show(model, self.size.height < SHORT)
        self.update_chart()
        jobs = self.query_one("#jobs", RowList)
        jobs.set_rows(
            [
                rows.job_row(host, job, store.runs.get((host, job.job_id)))
                for host, job in listed_jobs(store, now_ms)
            ]
        )

    def update_chart(self) -> None:
        """The curves of the chosen runs, or of the newest pair."""
        curve = self.query_one("#curve", Curve)
        store = self.gonogo.fleet.store
        curve.title = TITLES.get(self.metric, clean(self.metric)[:60])
        curve.empty_text = "no points yet   t starts a training"
        runs = store.pair(self.chosen)
        if self.gonogo.arrived:  # until then the modules of MLflow's runs are not imported
            tracked = self.gonogo.fleet.tracked
            tracked.look_at(self.metric)
            runs = tracked.beside(runs, store, self.metric)
        curve.show(lines_of(runs, self.metric, store))

    # --- actions ------------------------------------------------------------------------------

    def current_job(self) -> tuple[str, str] | None:
        """Host and id of the job under the cursor."""
        key = self.query_one("#jobs", RowList).key
        host, _, job_id = key.partition("/")
        return (host, job_id) if job_id else None

    def action_overlay(self) -> None:
        """Add the job under the cursor to the chart, or take it away."""
        key = self.current_job()
        if key is None or key not in self.gonogo.fleet.store.runs:
            self.notify("This job writes no run journal, so it has no curve.", markup=False)
            return
        kept = tuple(k for k in self.chosen if k != key)
        self.chosen = kept if len(kept) < len(self.chosen) else (*self.chosen, key)[-MOST_RUNS:]
        self.update_chart()

    def metric_keys(self) -> list[str]:
        """Our metrics, and what the runs of MLflow have beside them."""
        return [*super().metric_keys(), *self.gonogo.fleet.tracked.others()]

    def action_drop_tracked(self) -> None:
        """Take the run of MLflow that came last off the chart."""
        tracked = self.gonogo.fleet.tracked
        if not tracked.runs:
            self.notify("No run of MLflow is on the chart; o picks one.", markup=False)
            return
        gone = tracked.remove(next(reversed(tracked.runs)))
        if gone is not None:
            self.notify(f"Taken off the chart: {gone.info.name}", markup=False)
        self.update_chart()

    def action_stop_job(self) -> None:
        """Stop the job under the cursor (asks first)."""
        key = self.current_job()
        if key is not None:
            self.gonogo.stop_job(*key)

    def action_zoom_chart(self) -> None:
        """Chart alone, and back."""
        for selector in ("#gauges", "#jobs"):
            widget = self.query_one(selector)
            widget.display = not widget.display

    def action_log(self) -> None:
        """The log of the job under the cursor."""
        key = self.current_job()
        if key is not None:
            self.gonogo.open_log(*key)

    @on(RowList.Chosen, "#jobs")
    def _chosen(self) -> None:
        self.action_log()
