"""Gauges of both hosts, the curves of the pair, the jobs: the screen to keep open while it trains."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from tui import rows
from tui.gauge_model import gauge_model
from tui.live import CURVES
from tui.screens.room import Room
from tui.widgets.curve import Curve, CurveLine
from tui.widgets.gauges import GaugePanel
from tui.widgets.key_bar import Key
from tui.widgets.row_list import RowList

TITLES = {
    "loss": "train loss",
    "eval_loss": "validation loss",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "tokens_per_s": "tokens/s",
}
ARM_COLORS = {"control": 0, "experiment": 1}


class LiveScreen(Room):
    """W9 of the plan."""

    PLACE = "Live"
    KEYS = (
        Key("m", "metric", "screen.metric"),
        Key("l", "log y", "screen.curve('toggle_log')"),
        Key("s/S", "smooth", "screen.curve('smooth', 1)"),
        Key("x", "axis", "screen.curve('axis')"),
        Key("+/-", "zoom", "screen.curve('zoom', 0.5)"),
        Key("f", "follow", "screen.curve('follow')"),
        Key("space", "overlay run", "screen.overlay"),
        Key("enter", "log", "screen.log"),
        Key("t", "train", "app.train"),
        Key("X", "stop job", "screen.stop_job"),
        Key("M", "MLflow", "app.mlflow"),
        Key("r", "reconnect", "app.refresh_all"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric", "Metric", id="curve.metric"),
        Binding("l", "curve('toggle_log')", show=False, id="curve.log"),
        Binding("s", "curve('smooth',1)", show=False, id="curve.smoother"),
        Binding("S", "curve('smooth',-1)", show=False, id="curve.rougher"),
        Binding("x", "curve('axis')", show=False, id="curve.axis"),
        Binding("plus,equals_sign", "curve('zoom',0.5)", show=False, id="curve.zoom_in"),
        Binding("minus", "curve('zoom',2.0)", show=False, id="curve.zoom_out"),
        Binding("left", "curve('pan',-0.2)", show=False, id="curve.pan_left"),
        Binding("right", "curve('pan',0.2)", show=False, id="curve.pan_right"),
        Binding("f,0", "curve('follow')", show=False, id="curve.follow"),
        Binding("space", "overlay", "Overlay run", id="curve.overlay"),
        Binding("X", "stop_job", "Stop job", id="job.stop"),
        Binding("M", "app.mlflow", "MLflow", show=False, id="mlflow.key"),
        Binding("t", "app.train", "Start training", id="job.train"),
        Binding("z", "zoom_chart", "Only the chart", id="curve.maximize"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.metric = "loss"
        self.chosen: tuple[tuple[str, str], ...] = ()

    def body(self) -> list[Widget]:
        """One gauge panel a host, the chart, the jobs."""
        panels = [GaugePanel(id=f"gauge-{i}") for i, _ in enumerate(self.gonogo.fleet.links)]
        jobs = RowList(id="jobs")
        jobs.border_title = "Jobs"
        return [Vertical(*panels, id="gauges"), Curve(id="curve"), jobs]

    def on_mount(self) -> None:
        """The jobs list has the cursor; the chart's keys work from there as well."""
        super().on_mount()
        self.query_one("#jobs", RowList).focus()

    def update_live(self) -> None:
        """Gauges, curves, jobs from the store; each widget redraws only what changed."""
        store = self.gonogo.fleet.store
        now = store.clock()
        limit = self.gonogo.vram_limit()
        for index, host in enumerate(store.hosts.values()):
            panel = self.query_one_optional(f"#gauge-{index}", GaugePanel)
            if panel is not None:
                panel.show(gauge_model(host, now, limit if host.role == "tower" else None))
        self._update_curve()
        jobs = self.query_one("#jobs", RowList)
        jobs.set_rows(
            [
                rows.job_row(host, job, store.runs.get((host, job.job_id)))
                for host, job in store.sorted_jobs()
            ]
        )

    def _update_curve(self) -> None:
        curve = self.query_one("#curve", Curve)
        lines: list[CurveLine] = []
        spare = 2
        for run in self.gonogo.fleet.store.pair(self.chosen)[:4]:
            series = run.series.get(self.metric)
            color = ARM_COLORS.get(run.arm)
            if color is None or any(line.color == color for line in lines):
                color, spare = spare % 4, spare + 1
            if series is not None:
                lines.append(CurveLine(series, run.name, color))
        curve.title = TITLES[self.metric]
        curve.empty_text = "no points yet   t starts a training"
        curve.show(tuple(lines))

    # --- actions ------------------------------------------------------------------------------

    def action_curve(self, name: str, *arguments: float) -> None:
        """Pass a chart key on to the chart, whatever has the focus."""
        getattr(self.query_one("#curve", Curve), f"action_{name}")(*arguments)

    def action_metric(self) -> None:
        """Next metric."""
        self.metric = CURVES[(CURVES.index(self.metric) + 1) % len(CURVES)]
        self.query_one("#curve", Curve).zoom = None
        self._update_curve()

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
        self.chosen = kept if len(kept) < len(self.chosen) else (*self.chosen, key)[-4:]
        self._update_curve()

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
