"""What a training will run, where, on what, and whether it may: the plan that is shown before any start.

The wizard and `gonogo train` both stand on `make_plan`; the checks themselves are in `tui.train_checks`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import structs

from agents import AgentError, Container, JobSpec, JobStatus
from pipeline.training.prompts import ARMS
from tui.fleet import Fleet
from tui.launch import train_job
from tui.roadmap.errors import InvalidValue
from tui.settings import Settings

PAIR = "pair"
"""The arm that stands for control, then experiment, queued on the host."""

CHOICES = ("control", "experiment", PAIR, *(a for a in ARMS if a not in ("control", "experiment")))
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,40}\Z")
"""What a host takes as the name of a job, with room for the arm behind it."""

DATASETS = "~/gonogo/datasets"
"""Folder of the training host to which a dataset of the laptop is sent."""


@dataclass(frozen=True)
class TrainRequest:
    """What a person chose. Empty texts mean what gonogo.toml says.

    `recipe` is "auto" (by the model's size) or replaces parts of it: "accum=4 lr=2e-4".
    `dataset` is a path of the host (absolute or below ~) or a file of this machine.
    """

    arm: str = "control"
    stage: str = "S1"
    dataset: str = ""
    model: str = ""
    recipe: str = "auto"
    steps: int = 0
    seed: int = 0
    host: str = ""
    backend: str = ""
    name: str = ""


@dataclass(frozen=True)
class Check:
    """One look before the start: PASS, WARN or FAIL, what was found, and what to do next."""

    name: str
    verdict: str
    found: str
    next_step: str = ""
    kind: str = ""
    """`locked` and `unreachable` have exit codes of their own."""


@dataclass(frozen=True)
class TrainPlan:
    """What would be started on `host`; `send` is (file here, path there) when it is not there yet."""

    host: str
    job: JobSpec
    checks: tuple[Check, ...] = ()
    send: tuple[Path, str] | None = None
    failed: tuple[Check, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "failed", tuple(c for c in self.checks if c.verdict == "FAIL"))

    @property
    def steps(self) -> tuple[JobSpec, ...]:
        """The trainings, in their order."""
        return self.job.steps or (self.job,)

    def as_json(self) -> dict[str, Any]:
        """The same plan for scripts."""
        return {
            "host": self.host,
            "name": self.job.name,
            "queue": bool(self.job.steps),
            "jobs": [
                {
                    "name": step.name,
                    "backend": step.backend,
                    "argv": list(step.argv),
                    "labels": dict(step.labels),
                    "container": step.container and step.container.params(),
                    "mounts": mounts(step.container),
                }
                for step in self.steps
            ],
            "send": None if self.send is None else [str(self.send[0]), self.send[1]],
            "checks": [
                {"name": c.name, "verdict": c.verdict, "found": c.found, "next": c.next_step}
                for c in self.checks
            ],
            "ready": not self.failed,
        }


def mounts(box: Container | None) -> list[str]:
    """The paths of the host that a container sees, as `source (ro)`; the job's folder comes by itself."""
    if box is None:
        return []
    shown = []
    for mount in box.mounts:
        where = f"{mount.source} → {mount.target}" if mount.target else mount.source
        shown.append(f"{where} ({'ro' if mount.read_only else 'rw'})")
    return [*shown, "the job's own folder (rw)"]


def recipe_options(text: str) -> tuple[str, ...]:
    """Options of the training program for a recipe. Raises InvalidValue with one sentence."""
    found: list[str] = []
    for word in text.replace(",", " ").split():
        name, _, value = word.partition("=")
        try:
            if name == "accum" and int(value) >= 1:
                found += ["--grad-accum", str(int(value))]
                continue
            if name == "lr" and 0 < float(value) < math.inf:
                found += ["--learning-rate", repr(float(value))]
                continue
        except ValueError:
            pass
        if word != "auto":
            raise InvalidValue(f"“{word}” is no recipe: auto, or accum=4 and lr=2e-4 in one line.")
    return tuple(found)


def chosen_settings(settings: Settings, request: TrainRequest) -> Settings:
    """`settings` with the host and backend of the request. Raises InvalidValue."""
    host = request.host or settings.training.host
    if host not in settings.hosts:
        names = ", ".join(settings.hosts) or "none yet: add [hosts.tower]"
        raise InvalidValue(f"gonogo.toml names no host “{host}”; it has {names}.")
    entry = settings.hosts[host]
    if request.backend and request.backend not in ("process", "docker"):
        raise InvalidValue(f"“{request.backend}” is no backend: process or docker.")
    if request.backend:
        entry = structs.replace(entry, backend=request.backend)
    return structs.replace(
        settings,
        hosts={**settings.hosts, host: entry},
        training=structs.replace(settings.training, host=host),
    )


def _check_request(request: TrainRequest) -> None:
    if request.arm not in CHOICES:
        raise InvalidValue(f"“{request.arm}” is no arm: {', '.join(CHOICES)}.")
    if request.steps < 0 or request.seed < 0 or request.seed >= 2**32:
        raise InvalidValue("steps: a whole number above 0; seed: one from 0 to 4294967295.")
    if request.name and not NAME.match(request.name):
        raise InvalidValue(
            f"“{request.name}” is no name: up to 41 letters, digits, dots and dashes."
        )


def build_job(settings: Settings, request: TrainRequest, dataset: str, model: str) -> JobSpec:
    """The job, or the queue of two, with paths as the host knows them. Raises InvalidValue."""
    _check_request(request)
    options = recipe_options(request.recipe)

    def one(arm: str, name: str) -> JobSpec:
        return train_job(
            settings,
            arm=arm,
            dataset=dataset,
            max_steps=request.steps or settings.training.max_steps,
            name=name,
            stage=request.stage,
            seed=request.seed,
            model=model,
            options=options,
        )

    if request.arm != PAIR:
        return one(request.arm, request.name or f"{request.arm}-s{request.seed}")
    arms = ("control", "experiment")
    steps = tuple(
        one(arm, f"{request.name}-{arm}" if request.name else f"{arm}-s{request.seed}")
        for arm in arms
    )
    name = request.name or f"pair-s{request.seed}"
    labels = {"kind": "queue", "stage": request.stage, "seed": str(request.seed)}
    return JobSpec(name, (), labels=labels, steps=steps)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def start_plan(
    fleet: Fleet, plan: TrainPlan, progress: Callable[[int, int], None] | None = None
) -> JobStatus:
    """Send the dataset where that is due, then start. Raises AgentError, WorkspaceError, OSError."""
    if plan.failed:
        raise InvalidValue(f"{plan.failed[0].name}: {plan.failed[0].found}")
    if plan.send is not None:
        local, remote = plan.send
        before = await asyncio.to_thread(sha256_of, local)
        digest = await fleet.links[plan.host].put_file(local, remote, progress, patience=600)
        if digest != before:
            raise AgentError(f"{local.name} changed while it was sent; start again.")
    return await fleet.start_job(plan.host, plan.job)
