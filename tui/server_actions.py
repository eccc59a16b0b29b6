"""What a person can ask of the server and of finished runs: MLflow up or down, an adapter fetched."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING

from textual import work

from agents import AgentError
from tui.actions import Actions
from tui.later import later
from tui.vocabulary import clip, size
from tui.words import counted

if TYPE_CHECKING:
    from agents import JobStatus
    from tui.screens.dialogs import ChoiceScreen, ConfirmScreen
    from tui.screens.runs import RunsScreen
    from tui.server_kit import ServerKit
else:
    ChoiceScreen, ConfirmScreen = later("tui.screens.dialogs", "ChoiceScreen", "ConfirmScreen")
    RunsScreen = later("tui.screens.runs", "RunsScreen")
    ServerKit = later("tui.server_kit", "ServerKit")

PATIENCE = 600.0
"""Seconds for which a copy waits for a lost link; what arrived stays."""


class ServerActions(Actions):
    """Mixed into the app beside what concerns the jobs."""

    @work(group="dialog", exit_on_error=False)
    async def action_mlflow(self) -> None:
        """One key: start MLflow where it is down, else offer what can be done with it."""
        from tui.server_kit import KitError

        try:
            kit = ServerKit(self.fleet, self._kit_says)
            up = await kit.answers() == "ok"
        except (KitError, AgentError, TimeoutError) as problem:
            self.notify(str(problem), severity="error", timeout=12, markup=False)
            return
        if not up:
            how = "Docker Compose" if kit.docker else "a process in a virtual environment"
            port = self.ws.settings.mlflow.port
            if not await self.push_screen_wait(
                ConfirmScreen(
                    f"Start MLflow on {kit.host}?",
                    f"{how}, port {port}, data in {kit.folder}. It goes on without the laptop.",
                )
            ):
                return
            self._run_kit(kit, "up")
            return
        tunnel = await self.fleet.tunnel()
        choice = await self.push_screen_wait(
            ChoiceScreen(
                f"MLflow answers on {kit.host}",
                [("open", f"open        {tunnel.url} in the browser"),
                 ("down", "end it      the data stays")],
            )
        )  # fmt: skip
        if choice == "open":
            webbrowser.open(tunnel.url)
        elif choice == "down":
            self._run_kit(kit, "down")

    def action_runs(self) -> None:
        """Pick runs of the tracking server for the chart of Live."""
        self.action_room("live")
        self.fleet.watch_tracked()
        self.push_screen(RunsScreen(self.fleet))

    @work(group="kit", exclusive=True, exit_on_error=False)
    async def _run_kit(self, kit: ServerKit, what: str) -> None:
        from tui.server_kit import KitError

        try:
            said = await (kit.up() if what == "up" else kit.down())
        except (KitError, AgentError, TimeoutError, OSError) as problem:
            self.saved = ""
            self.notify(str(problem), severity="error", timeout=20, markup=False)
            return
        self.saved = ""
        self.notify(said, timeout=10, markup=False)

    def _kit_says(self, text: str) -> None:
        self.saved = clip(f"mlflow: {text}", 60)

    @work(group="dialog", exit_on_error=False)
    async def action_fetch_adapter(self) -> None:
        """Choose a finished training, copy its adapter below models/adapters."""
        if self.ws.read_only:
            self.notify("This workspace is open read-only; `gonogo fetch` copies an adapter.")
            return
        jobs = [
            (host, job)
            for host, job in self.fleet.store.sorted_jobs()
            if job.labels.get("kind") == "train" and str(job.state) == "succeeded"
        ]
        if not jobs:
            self.notify("No training has succeeded yet; t on Live starts one.", markup=False)
            return
        entries = [(f"{h}/{j.job_id}", f"{j.name:<24} {h}  {j.job_id[-20:]}") for h, j in jobs[:20]]
        chosen = await self.push_screen_wait(ChoiceScreen("Fetch which adapter?", entries))
        for host, job in jobs:
            if chosen == f"{host}/{job.job_id}":
                self._fetch(host, job)

    @work(group="fetch", exit_on_error=False)
    async def _fetch(self, host: str, job: JobStatus) -> None:
        target = self.ws.root / "models" / "adapters" / job.job_id

        def progress(done: int, total: int) -> None:
            share = 100 * done // total if total else 100
            self.saved = f"{job.name} adapter {share} % of {size(total)}"

        try:
            remote = f"~/.gonogo/jobs/{job.job_id}/adapter"
            got = await self.fleet.links[host].fetch(remote, target, progress, patience=PATIENCE)
        except (AgentError, TimeoutError, OSError) as problem:
            self.saved = ""
            self.notify(f"{host}: {problem}", severity="error", timeout=12, markup=False)
            return
        self.saved = "saved: adapter"
        place = target.relative_to(self.ws.root)
        self.notify(
            f"{place}: {counted(len(got.sums), 'file')}, {size(got.size)}, checked", markup=False
        )
