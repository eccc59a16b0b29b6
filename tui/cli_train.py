"""`gonogo train`: the wizard's twin. Shows the plan with its checks, then starts it."""

from __future__ import annotations

import asyncio
import shlex
import time
from dataclasses import replace

import click

from agents import AgentError, JobStatus
from tui import cli_complete
from tui.cli_common import READ_ONLY, Run, common
from tui.cli_jobs import CONNECT_SECONDS, FAILED, UNREACHABLE, as_json, with_fleet
from tui.fleet import Fleet
from tui.roadmap.gate_lock import default_stage
from tui.train_checks import make_plan
from tui.train_plan import CHOICES, PAIR, TrainPlan, TrainRequest, mounts, start_plan

LOCKED = 4
GAUGE_SECONDS = 5.0


def plan_lines(plan: TrainPlan) -> list[str]:
    """The plan as text: what runs with which words and mounts, what is sent, what was checked."""
    lines = []
    for number, step in enumerate(plan.steps, 1):
        head = f"{number}. " if plan.job.steps else ""
        image = f" in {step.container.image}" if step.container else ""
        lines.append(f"{head}{step.name} on {plan.host} ({step.backend}{image})")
        lines.append("   " + shlex.join(step.argv))
        lines += [f"   mount {text}" for text in mounts(step.container)]
    if plan.job.steps:
        lines.append(f"queue {plan.job.name}: the next starts on {plan.host} when one succeeded")
    if plan.send is not None:
        lines.append(f"send {plan.send[0]} to {plan.host}:{plan.send[1]}")
    for check in plan.checks:
        after = f"; next: {check.next_step}" if check.next_step else ""
        lines.append(f"{check.verdict:<4} {check.name:<8} {check.found}{after}")
    return lines


def exit_code(plan: TrainPlan) -> int:
    """What the command ends with for the first check that failed."""
    kinds = [check.kind for check in plan.failed]
    if "locked" in kinds:
        return LOCKED
    return UNREACHABLE if "unreachable" in kinds else FAILED


@click.command()
@click.option("--arm", type=click.Choice([c for c in CHOICES if c != PAIR]), default="control")
@click.option("--pair", is_flag=True, help="Control, then experiment, queued on the host.")
@click.option(
    "--stage",
    shell_complete=cli_complete.sections,
    help="Stage of the plan; default: S1, else its first one.",
)
@click.option("--dataset", default="", help="JSONL file of the host, or one of here to be sent.")
@click.option("--model", default="", help="Folder of the host or name of the hub.")
@click.option("--recipe", default="auto", show_default=True, help="Or “accum=4 lr=2e-4”.")
@click.option("--steps", type=click.IntRange(min=1), help="Optimizer steps.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option(
    "--host",
    default="",
    shell_complete=cli_complete.hosts,
    help="Where to train; default: the training host.",
)
@click.option("--backend", type=click.Choice(["process", "docker"]), help="Default: the host's.")
@click.option("--name", default="", help="Name of the job, or of the pair.")
@click.option("--dry-run", is_flag=True, help="Show the plan and its checks; start nothing.")
@common
def train(
    run: Run,
    arm: str,
    pair: bool,
    stage: str | None,
    dataset: str,
    model: str,
    recipe: str,
    steps: int | None,
    seed: int,
    host: str,
    backend: str | None,
    name: str,
    dry_run: bool,
) -> None:
    """Start a training, or a pair that the host runs by itself, after the same checks as the app."""
    if click.get_current_context().meta.get(READ_ONLY) and not dry_run:
        run.fail("Read-only: nothing is started; --dry-run shows the plan.", "ReadOnly", 6)
    workspace = run.open(read_only=True)
    if stage is None:
        stage = default_stage(workspace.document)
    request = TrainRequest(
        PAIR if pair else arm, stage, dataset, model, recipe, steps or 0, seed, host,
        backend or "", name,
    )  # fmt: skip

    async def work(fleet: Fleet) -> tuple[TrainPlan, JobStatus | None]:
        target = request.host or workspace.settings.training.host
        if target in fleet.links:
            try:
                await fleet.links[target].wait_live(CONNECT_SECONDS)
                await _gauge(fleet, target)
                for job in await fleet.links[target].jobs():
                    fleet.store.job_changed(target, job)
            except (AgentError, TimeoutError):
                pass  # the plan says that the host is out of reach
        plan = await make_plan(fleet, replace(request))
        if dry_run or plan.failed:
            return plan, None
        return plan, await start_plan(fleet, plan)

    plan, status = with_fleet(run, workspace, work)
    text = "\n".join(plan_lines(plan))
    if plan.failed and not dry_run:
        if not run.as_json:
            click.echo(text)
        first = plan.failed[0]
        after = f"; {first.next_step}" if first.next_step else ""
        run.fail(f"not started: {first.name}: {first.found}{after}", "CheckFailed", exit_code(plan))
    data = {"plan": plan.as_json(), "started": status and as_json(plan.host, status)}
    run.answer(data, text if status is None else f"{text}\nstarted {status.job_id} on {plan.host}")
    if plan.failed:
        raise SystemExit(exit_code(plan))


async def _gauge(fleet: Fleet, host: str) -> None:
    """Wait for the first gauge with the card's memory in it; a host may have none."""
    deadline = time.monotonic() + GAUGE_SECONDS
    while time.monotonic() < deadline:
        gauge = fleet.store.hosts[host].gauge
        if gauge is not None and (gauge.gpus or "looking" not in gauge.gpu_reason):
            return
        await asyncio.sleep(0.05)
