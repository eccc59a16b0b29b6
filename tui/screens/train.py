"""The start wizard: what to train, then the exact plan with its checks, then the start."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from tui.roadmap.errors import InvalidValue
from tui.train_plan import CHOICES, PAIR, TrainPlan, TrainRequest, mounts, recipe_options
from tui.vocabulary import DIM, FAIL, HEAD, PASS, STRONG, WARN, marks
from tui.widgets.hint import Hint

ARMS = {
    "control": "control: code with its comments",
    "experiment": "experiment: code plus .comments metadata",
    PAIR: "control, then experiment: queued on the host",
}
VERDICTS = {"PASS": ("ok", PASS), "WARN": ("WARN", WARN), "FAIL": ("FAIL", FAIL)}
FIELDS = (
    ("stage", "Stage of the plan"),
    ("dataset", "Dataset"),
    ("model", "Model"),
    ("recipe", "Recipe"),
    ("steps", "Steps"),
    ("seed", "Seed"),
    ("name", "Name"),
)


class TrainScreen(ModalScreen[TrainRequest | None]):
    """Step one: the choices. Enter goes on, ctrl+s looks at the plan, escape changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
        Binding("ctrl+s", "go_on", "Look at the plan", id="dialog.save"),
    ]

    def __init__(
        self, request: TrainRequest, hosts: Mapping[str, str], complaint: str = ""
    ) -> None:
        super().__init__()
        self.request, self.hosts, self.complaint = request, dict(hosts), complaint

    def compose(self) -> ComposeResult:
        """One line a choice."""
        now = self.request
        typed = {
            "stage": now.stage, "dataset": now.dataset, "model": now.model,
            "recipe": now.recipe, "steps": str(now.steps), "seed": str(now.seed),
            "name": now.name,
        }  # fmt: skip
        hints = {
            "dataset": "a JSONL file on the host, or one of here: it is sent",
            "model": "a folder on the host or a name of the hub",
            "recipe": "auto, or accum=4 lr=2e-4",
            "name": "empty: the arm and the seed",
        }
        with Vertical(classes="dialog -form"):
            yield Label("Start a training", classes="dialog--title", markup=False)
            arms = [(ARMS.get(arm, arm), arm) for arm in CHOICES]
            yield self._line("Arm", _select("arm", arms, now.arm))
            for key, label in FIELDS:
                yield self._line(label, Input(
                    typed[key], placeholder=hints.get(key, ""), id=f"in-{key}", compact=True
                ))  # fmt: skip
            hosts = [(name, name) for name in self.hosts]
            yield self._line("Host", _select("host", hosts, now.host))
            backends = [(name, name) for name in ("process", "docker")]
            yield self._line("Backend", _select("backend", backends, now.backend))
            yield Label(self.complaint, id="error", classes="dialog--error", markup=False)
            yield Hint("enter goes on   ctrl+s checks and shows the plan   esc cancels")

    @staticmethod
    def _line(label: str, widget: Widget) -> Horizontal:
        return Horizontal(Label(label, markup=False), widget, classes="form-line")

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        if event.input.id == "in-name":
            self.action_go_on()
        else:
            self.focus_next()

    @on(Select.Changed, "#in-host")
    def _host(self, event: Select.Changed) -> None:
        backend = self.hosts.get(str(event.value))
        if backend and str(event.value) != self.request.host:
            self.query_one("#in-backend", Select).value = backend

    def _read(self) -> TrainRequest:
        typed = {key: self.query_one(f"#in-{key}", Input).value.strip() for key, _ in FIELDS}
        chosen = {
            key: str(self.query_one(f"#in-{key}", Select).value)
            for key in ("arm", "host", "backend")
        }
        if not typed["steps"].isdecimal() or int(typed["steps"]) < 1:
            raise InvalidValue("Steps: a whole number above 0.")
        if not typed["seed"].isdecimal() or int(typed["seed"]) >= 2**32:
            raise InvalidValue("Seed: a whole number from 0 to 4294967295.")
        recipe_options(typed["recipe"])
        return TrainRequest(
            chosen["arm"], typed["stage"], typed["dataset"], typed["model"],
            typed["recipe"] or "auto", int(typed["steps"]), int(typed["seed"]),
            chosen["host"], chosen["backend"], typed["name"],
        )  # fmt: skip

    def action_go_on(self) -> None:
        """Close with the request, or say what will not do and lose nothing."""
        try:
            self.dismiss(self._read())
        except InvalidValue as problem:
            self.query_one("#error", Label).update(str(problem))

    def action_cancel(self) -> None:
        """Close without a request."""
        self.dismiss(None)


def _select(key: str, options: list[tuple[str, str]], value: str) -> Select[str]:
    return Select(options, value=value, id=f"in-{key}", allow_blank=False, compact=True)


def plan_content(plan: TrainPlan) -> Content:
    """What would run, word for word, and what was checked."""
    parts: list[str | Content | tuple[str, str]] = []
    for number, step in enumerate(plan.steps, 1):
        head = f"{number}. {step.name}" if plan.job.steps else step.name
        image = f" in {step.container.image}" if step.container else ""
        parts += [(head, STRONG), (f"  {step.backend}{image} on {plan.host}\n", DIM)]
        parts.append("  " + shlex.join(step.argv) + "\n")
        parts += [(f"  mount {text}\n", DIM) for text in mounts(step.container)]
    if plan.job.steps:
        parts.append((f"{plan.host} starts the second by itself once the first succeeded.\n", DIM))
    if plan.send is not None:
        parts.append(f"{plan.send[0]} is sent to {plan.send[1]} first.\n")
    parts.append(("\nChecks\n", HEAD))
    # What stops the start is read first.
    for check in sorted(plan.checks, key=lambda c: c.verdict != "FAIL"):
        word, style = VERDICTS[check.verdict]
        parts += [(f"{word:<5}", style), (f"{check.name:<8}", DIM), f"{check.found}\n"]
        if check.next_step:
            parts.append((f"             {marks.cursor} {check.next_step}\n", WARN))
    return Content.assemble(*parts)


class PlanScreen(ModalScreen[bool]):
    """Step two: the plan. `y` starts it where nothing failed; escape goes back to the choices."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "start", "Start", id="dialog.yes"),
        Binding("n,escape", "back", "Back to the choices", id="dialog.no"),
        Binding("down,j", "scroll(1)", show=False, id="dialog.down"),
        Binding("up,k", "scroll(-1)", show=False, id="dialog.up"),
    ]

    def __init__(self, plan: TrainPlan) -> None:
        super().__init__()
        self.plan = plan

    def compose(self) -> ComposeResult:
        """Title, plan, keys."""
        failed = self.plan.failed
        with Vertical(classes="dialog -tall"):
            yield Label(f"Start {self.plan.job.name} on {self.plan.host}?",
                        classes="dialog--title", markup=False)  # fmt: skip
            with VerticalScroll(can_focus=False):
                yield Static(plan_content(self.plan), markup=False)
            warned = [check.name for check in self.plan.checks if check.verdict == "WARN"]
            said = f"warns: {', '.join(warned)}" if warned else ""  # the checks may be scrolled out
            if failed:
                said = f"not yet: {failed[0].name}: {failed[0].found}"
            yield Label(said, id="error", classes="dialog--error", markup=False)
            keys = "esc back to the choices" if failed else "y starts it   esc back to the choices"
            yield Hint(f"{keys}   j k scroll")

    def action_start(self) -> None:
        """Start, unless a check failed."""
        if not self.plan.failed:
            self.dismiss(True)

    def action_back(self) -> None:
        """Back to the choices, which are kept."""
        self.dismiss(False)

    def action_scroll(self, direction: int) -> None:
        """Two lines up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=2 * direction, animate=False)
