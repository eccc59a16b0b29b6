"""Starting a training from the app: choices, plan with its checks, start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work

from agents import AgentError
from tui.account_actions import AccountActions
from tui.later import later
from tui.roadmap.errors import WorkspaceError
from tui.roadmap.gate_lock import default_stage
from tui.saving import writes

if TYPE_CHECKING:
    from tui.screens.train import PlanScreen, TrainScreen
    from tui.train_checks import make_plan
    from tui.train_plan import TrainPlan, TrainRequest, start_plan
    from tui.vocabulary import size
else:
    PlanScreen, TrainScreen = later("tui.screens.train", "PlanScreen", "TrainScreen")
    make_plan = later("tui.train_checks", "make_plan")
    TrainPlan, TrainRequest, start_plan = later(
        "tui.train_plan", "TrainPlan", "TrainRequest", "start_plan"
    )
    size = later("tui.vocabulary", "size")


class TrainActions(AccountActions):
    """Mixed into the app."""

    @writes
    @work(group="dialog", exit_on_error=False)
    async def action_train(self) -> None:
        """The wizard, for one arm."""
        await self._wizard("control")

    @writes
    @work(group="dialog", exit_on_error=False)
    async def action_train_pair(self) -> None:
        """The wizard, for control and then experiment."""
        from tui.train_plan import PAIR

        await self._wizard(PAIR)

    async def _wizard(self, arm: str) -> None:
        chosen = self.ws.settings.training
        hosts = {name: host.backend for name, host in self.ws.settings.hosts.items()}
        if self.ws.read_only:
            self.notify("Read-only: nothing is started. :ro changes that.", markup=False)
            return
        if chosen.host not in hosts:
            text = (
                f"gonogo.toml names no host “{chosen.host}” to train on; add [hosts.{chosen.host}]."
            )
            self.notify(text, severity="error", markup=False)
            return
        request: TrainRequest | None = TrainRequest(
            arm, self._first_stage(), chosen.dataset, chosen.model, "auto", chosen.max_steps, 0,
            chosen.host, hosts[chosen.host],
        )  # fmt: skip
        complaint = ""
        while request is not None:
            answer = await self.push_screen_wait(TrainScreen(request, hosts, complaint))
            if answer is None:
                return
            request, complaint = answer, ""
            self.saved = f"checking {request.host}"
            try:
                plan = await make_plan(self.fleet, request)
            except WorkspaceError as problem:
                complaint = str(problem)
                continue
            finally:
                self.saved = ""
            if await self.push_screen_wait(PlanScreen(plan)) and await self._start(plan):
                return

    def _first_stage(self) -> str:
        try:
            return default_stage(self.ws.document)
        except WorkspaceError:  # the form is open for one, and says what the plan has
            return ""

    async def _start(self, plan: TrainPlan) -> bool:
        def shown(done: int, total: int) -> None:
            self.saved = f"sending {size(done)} of {size(total)}"

        try:
            status = await start_plan(self.fleet, plan, shown)
        except (AgentError, WorkspaceError, TimeoutError, OSError) as problem:
            self.notify(f"{plan.host}: {problem}", severity="error", timeout=12, markup=False)
            return False
        finally:
            self.saved = ""
        self.notify(f"{status.job_id} started on {plan.host}.", markup=False)
        return True
