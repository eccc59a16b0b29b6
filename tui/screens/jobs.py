"""Key 8: every job and container on every host, its log, and stopping it."""

from __future__ import annotations

import shlex
import time
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from agents import JobStatus
from tui.energy import FILE, JobEnergy, read_energy
from tui.fleet import ENDED
from tui.job_rows import JobFigures, figures_row, head_row, job_figures
from tui.mirrored import empty_text, listed_jobs, mirrored_job
from tui.screens.room import Room
from tui.tail import clean
from tui.vocabulary import DIM, JOBS, STRONG, clip
from tui.widgets.key_bar import Key
from tui.widgets.row_list import Row, RowList


class JobsScreen(Room):
    """Running jobs first, then the newest."""

    PLACE = "Jobs"
    KEYS = (
        Key("enter", "log", "screen.log"),
        Key("X", "stop job", "screen.stop_job"),
        Key("t", "train", "app.train"),
        Key("T", "pair", "app.train_pair"),
        Key("M", "MLflow", "app.mlflow"),
        Key("y", "copy", "screen.copy"),
        Key("r", "reconnect", "app.refresh_all"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("X", "stop_job", "Stop job", id="job.stop"),
        Binding("t", "app.train", "Start training", id="job.train"),
        Binding("T", "app.train_pair", "Start a pair", id="job.pair"),
        Binding("M", "app.mlflow", "MLflow", show=False, id="mlflow.key"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._ended: dict[tuple[str, str], JobEnergy | None] = {}
        self._drawn: list[tuple[str, str]] = []
        self._said: str | None = None

    def body(self) -> list[Widget]:
        """The table, and two lines about the job under the cursor."""
        return [RowList(id="job-table"), Static(id="job-detail", markup=False)]

    def on_mount(self) -> None:
        """The table has the cursor."""
        super().on_mount()
        self.query_one("#job-table", RowList).focus()

    def _energy(self, host: str, job_id: str, over: bool) -> JobEnergy | None:
        """What the job used so far: measured now, else from the file beside its journal."""
        fleet = self.gonogo.fleet
        key = (host, job_id)
        if key in fleet.energy.jobs:
            return fleet.energy.jobs[key]
        if not over:
            return None
        if key not in self._ended:
            path = fleet.energy.runs_dir / host / job_id / FILE
            self._ended[key] = read_energy(path, host, job_id)
        return self._ended[key]

    def figures(self) -> list[JobFigures]:
        """All jobs as they are known now."""
        store = self.gonogo.fleet.store
        price = self.gonogo.ws.settings.budget.price_per_kwh
        now = int(time.time() * 1000)
        return [
            job_figures(
                host, job, store.runs.get((host, job.job_id)),
                self._energy(host, job.job_id, str(job.state) in ENDED), price, now,
            )
            for host, job in listed_jobs(store, now)
        ]  # fmt: skip

    def update_live(self) -> None:
        """Redraw the table; the cursor stays on its job."""
        table = self.query_one("#job-table", RowList)
        rows: list[Row] = [head_row(), *(figures_row(job) for job in self.figures())]
        drawn = [(row.key, row.draw(table.size.width).plain) for row in rows]
        if drawn != self._drawn:  # figures move faster than what is shown of them
            self._drawn = drawn
            table.set_rows(rows)
        self._detail()

    def _detail(self) -> None:
        key = self.current_job()
        job = self.job_at(key)
        if key is None or job is None:
            content = Content(empty_text(self.gonogo.fleet.store))
        else:
            state = str(job.state)
            code = "" if job.code is None else f"exit {job.code}  "
            width = max(20, self.size.width - 2)
            first = Content.assemble(
                (f"{key[0]}/{job.job_id}", STRONG), (f"  {job.backend}  ", DIM),
                (state, JOBS.get(state, DIM)), f"  {code}{clean(job.detail)}",
            ).truncate(width, ellipsis=True)  # fmt: skip
            # Cut anywhere: wrapped at its blanks, an argv of long paths would leave most of a line empty.
            said = Content.styled(clip(clean(shlex.join(job.argv)), width), DIM)
            content = Content("\n").join([first, said])
        if content.plain != self._said:
            self._said = content.plain
            self.query_one("#job-detail", Static).update(content)

    def current_job(self) -> tuple[str, str] | None:
        """Host and id of the job under the cursor."""
        host, _, job_id = self.query_one("#job-table", RowList).key.partition("/")
        return (host, job_id) if job_id else None

    def copied(self) -> tuple[str, str]:
        """Where the job under the cursor runs, how it stands, and its argv."""
        key = self.current_job()
        job = self.job_at(key)
        if key is None or job is None:
            return "", ""
        return f"{key[0]}/{key[1]} {job.state}\n{clean(' '.join(job.argv))}", job.job_id

    def job_at(self, key: tuple[str, str] | None) -> JobStatus | None:
        """That job as it is listed."""
        store = self.gonogo.fleet.store
        known = store.jobs.get(key) if key is not None else None
        if known is not None or key is None or key not in store.runs:
            return known
        host = store.hosts.get(key[0])
        live = host is not None and host.live
        return mirrored_job(store.runs[key], live, int(time.time() * 1000))

    def action_log(self) -> None:
        """The log of the job under the cursor."""
        key = self.current_job()
        if key is not None:
            self.gonogo.open_log(*key)

    def action_stop_job(self) -> None:
        """Stop the job under the cursor (asks first)."""
        key = self.current_job()
        job = self.job_at(key)
        if key is None or job is None:
            return
        if str(job.state) in ENDED:
            self.notify(f"{job.job_id} is over: {job.state}.", markup=False)
            return
        self.gonogo.stop_job(*key)

    @on(RowList.Moved, "#job-table")
    def _moved(self) -> None:
        self._detail()

    @on(RowList.Chosen, "#job-table")
    def _chosen(self) -> None:
        self.action_log()
