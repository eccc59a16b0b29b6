"""The demo's story: Stage 1 of the plan for real, then a control and an experiment run.

Every step first looks for what an earlier start of the demo left behind, so that the story goes on
after the app or a host was killed instead of beginning again.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from msgspec import structs

from agents import AgentError, JobSpec, JobStatus
from pipeline.dataset.micro import create_micro_dataset
from tui import mlflow_rest
from tui.fleet import Fleet
from tui.launch import MLFLOW_JOB, generate_job, mlflow_job, tiny_model_job, train_job
from tui.roadmap.state import Record, Verdict

TOWER, SERVER = "tower", "server"
STAGE1_STEPS = 10
PROMPT = "def add(a: int, b: int) -> int:\n"
ALIVE = ("running", "starting", "requested", "succeeded")

Commit = Callable[[Callable[[], Record | None]], Awaitable[Record | None]]
Report = Callable[[str, str], None]


class StoryError(Exception):
    """A step did not happen; the text is one sentence with the next step to take."""


@dataclass
class Outcome:
    """What the story proved."""

    verdicts: list[Verdict] = field(default_factory=list)
    points: dict[str, int] = field(default_factory=dict)
    tracked: dict[str, int] = field(default_factory=dict)


class Story:
    """Runs on the event loop of its fleet. `report(kind, text)`: kind is step, ok, box or note."""

    def __init__(
        self, fleet: Fleet, commit: Commit, report: Report, steps: int = 250, preset: str = "demo"
    ) -> None:
        self.fleet, self.commit, self.report, self.steps = fleet, commit, report, steps
        self.settings = fleet.workspace.settings
        self.preset = preset
        self.outcome = Outcome()
        self.home = ""

    async def run(self) -> Outcome:
        """The whole story; StoryError names the step that did not happen."""
        await self._connect()
        mlflow = asyncio.create_task(self._mlflow(), name="story:mlflow")
        try:
            await self._stage1()
            await self._pair()
            await mlflow
            await self._tracked()
        finally:
            mlflow.cancel()
        return self.outcome

    # --- steps --------------------------------------------------------------------------------

    async def _connect(self) -> None:
        self.report("step", "Connect to tower and server over SSH")
        for name in (TOWER, SERVER):
            try:
                await self.fleet.links[name].wait_live(30)
            except (TimeoutError, AgentError) as problem:
                raise StoryError(
                    f"{name} did not come up within 30 s; run `gonogo demo --stop` and start again"
                ) from problem
        for name in (TOWER, SERVER):
            await self._until(functools.partial(self._has_gauge, name), 20, f"a gauge of {name}")
            gauge = self.fleet.store.hosts[name].gauge
            rung = gauge.gpu_rung if gauge else ""
            why = gauge.gpu_reason if gauge and not gauge.gpus else ""
            self.report(
                "ok", f"{name} is live, gauges flow (GPU: {rung}{' ' + why if why else ''})"
            )
        self.home = str(self.fleet.links[TOWER].host_info["home"])
        await self._choose_backend()

    async def _choose_backend(self) -> None:
        """Train in containers where the tower's engine has the training image."""
        image = self.settings.training.image
        try:
            found = await self.fleet.probe(TOWER, "docker_image", image=image)
        except (AgentError, TimeoutError):
            return  # no Docker here: the trainings are processes
        if found.get("exists"):
            tower = structs.replace(self.settings.hosts[TOWER], backend="docker")
            hosts = {**self.settings.hosts, TOWER: tower}
            self.settings = structs.replace(self.settings, hosts=hosts)
            self.report("ok", f"Docker on the tower has {image}: trainings run in containers")

    def _has_gauge(self, name: str) -> bool:
        return self.fleet.store.hosts[name].gauge is not None

    async def _mlflow(self) -> None:
        link = self.fleet.links[SERVER]
        home = str(link.host_info["home"])
        running = [j for j in await link.jobs() if j.name == MLFLOW_JOB]
        if not any(str(job.state) in ("running", "starting") for job in running):
            self.report("step", "Start MLflow on the server, through the agent")
            spec = mlflow_job(
                self.settings, folder=f"{home}/mlflow", op_id=f"demo-mlflow-{len(running)}"
            )
            await self.fleet.start_job(SERVER, spec)
        url = f"http://127.0.0.1:{self.settings.mlflow.port}/health"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                answer = await link.probe("http", url=url)
            except (AgentError, TimeoutError):
                answer = {}
            if answer.get("status") == 200:
                self.report("ok", f"MLflow answers on the server, port {self.settings.mlflow.port}")
                return
            await asyncio.sleep(0.5)
        raise StoryError(
            "MLflow did not answer within 120 s; its log is on the Live screen (enter)"
        )

    async def _stage1(self) -> None:
        dataset = await self._dataset()
        base = f"{self.home}/gonogo/models/tiny-llama"
        self.report("step", "Build the tiny Llama base model on the tower (no download)")
        job = await self._job("tiny-base", tiny_model_job(self.settings, base, preset=self.preset))
        await self._finished(job, 120)
        self.report("ok", f"base model at {base}")

        self.report("step", f"Stage 1: train {STAGE1_STEPS} steps, 4-bit NF4 with LoRA")
        spec = train_job(
            self.settings,
            arm="micro",
            dataset=dataset,
            max_steps=STAGE1_STEPS,
            name="stage1-tiny",
            stage="S1",
            model=base,
        )
        train = await self._job("s1-train", spec)
        await self._finished(train, 180)
        run = await self._journal(train)
        self.report(
            "ok",
            f"{STAGE1_STEPS} steps, loss {run.series['loss'].y[0]:.3f} → {run.series['loss'].y[-1]:.3f}",
        )

        self.report("step", "Stage 1: generate from the saved adapter")
        adapter = f"{self.home}/.gonogo/jobs/{train.job_id}/adapter"
        spec = generate_job(
            self.settings,
            adapter=adapter,
            prompt=PROMPT,
            name="stage1-generate",
            stage="S1",
            model=base,
        )
        generate = await self._job("s1-generate", spec)
        await self._finished(generate, 120)
        await self._verify("S1")

    async def _dataset(self) -> str:
        self.report("step", "Create the micro dataset (5 samples) and send it to the tower")
        folder = self.fleet.workspace.root / "datasets" / "micro"
        local: Path = await asyncio.to_thread(create_micro_dataset, folder)
        remote = f"{self.home}/gonogo/datasets/micro.jsonl"
        digest = await self.fleet.links[TOWER].put_file(local, remote)
        self.report("ok", f"datasets/micro/{local.name} is on the tower, sha256 {digest[:12]}")
        return remote

    async def _verify(self, prefix: str) -> None:
        self.report("step", f"Verify {prefix} from what the run left behind")
        doc = self.fleet.workspace.document
        ids = [box for box in doc.boxes if box.startswith((f"{prefix}.K", f"{prefix}.C"))]
        verdicts = await self.fleet.verify(ids)
        ws = self.fleet.workspace
        await self.commit(lambda: ws.record_verdicts(verdicts, "pipeline:demo"))
        self.outcome.verdicts = verdicts
        for verdict in verdicts:
            box = doc.boxes[verdict.item]
            why = verdict.reason or verdict.found
            self.report("box", f"{verdict.item:<6} {verdict.verdict:<5} {box.label}: {why}")

    async def _pair(self) -> None:
        dataset = f"{self.home}/gonogo/datasets/micro.jsonl"
        base = f"{self.home}/gonogo/models/tiny-llama"
        for arm in ("control", "experiment"):
            self.report("step", f"Train the {arm} arm, {self.steps} steps (watch it on 5 Live)")
            spec = train_job(
                self.settings,
                arm=arm,
                dataset=dataset,
                max_steps=self.steps,
                name=f"demo-{arm}",
                stage="demo",
                model=base,
            )
            job = await self._job(f"pair-{arm}", spec)
            await self._finished(job, 900)
            run = await self._journal(job)
            loss = run.series["loss"]
            self.outcome.points[run.name] = len(loss)
            self.report("ok", f"{arm}: {len(loss)} points, loss {loss.y[0]:.3f} → {loss.y[-1]:.3f}")

    async def _tracked(self) -> None:
        self.report("step", "Compare the journals with MLflow, through the tunnel")
        tunnel = await self.fleet.tunnel()
        base = f"http://127.0.0.1:{tunnel.port}"
        for run in list(self.fleet.store.runs.values()):
            loss, run_id = run.series.get("loss"), run.start.get("run")
            if loss is None or not isinstance(run_id, str):
                continue
            wanted = sorted(zip(loss.x.tolist(), loss.y.tolist(), strict=True))
            deadline = time.monotonic() + 90
            found: list[tuple[int, float]] = []
            while time.monotonic() < deadline:
                found = await asyncio.to_thread(self._points, base, run_id)
                if sorted(found) == [(int(x), y) for x, y in wanted]:
                    break
                await asyncio.sleep(1)
            else:
                raise StoryError(
                    f"MLflow holds {len(found)} of {len(wanted)} points of {run.name} after 90 s"
                )
            self.outcome.tracked[run.name] = len(found)
            self.report("ok", f"MLflow holds all {len(found)} points of {run.name}")

    @staticmethod
    def _points(base: str, run_id: str) -> list[tuple[int, float]]:
        try:
            found = mlflow_rest.find_run(base, run_id)
            if found is None:
                return []
            return list(mlflow_rest.history(base, found["info"]["run_id"], "loss"))
        except mlflow_rest.MlflowError:
            return []

    # --- helpers ------------------------------------------------------------------------------

    async def _job(self, step: str, spec: JobSpec) -> JobStatus:
        """The newest job of this step that runs or succeeded, else a new one."""
        known = [j for j in await self.fleet.links[TOWER].jobs() if j.labels.get("step") == step]
        usable = [job for job in known if str(job.state) in ALIVE]
        if usable:
            return max(usable, key=lambda job: job.created_ms or 0)
        labelled = replace(
            spec, labels={**spec.labels, "step": step}, op_id=f"demo-{step}-{len(known)}"
        )
        return await self.fleet.start_job(TOWER, labelled)

    async def _finished(self, job: JobStatus, timeout: float) -> None:
        try:
            ended = await self.fleet.wait_job(TOWER, job.job_id, timeout)
        except TimeoutError as problem:
            raise StoryError(f"{job.name} did not end within {timeout:.0f} s") from problem
        if str(ended.state) != "succeeded":
            raise StoryError(
                f"{job.name} {ended.state} {ended.detail}; enter on Live shows its log"
            )

    async def _journal(self, job: JobStatus) -> Any:
        """The mirrored journal of a finished run, once its last line is here."""
        key = (TOWER, job.job_id)
        runs = self.fleet.store.runs
        await self._until(
            lambda: key in runs and bool(runs[key].end), 30, f"the journal of {job.name}"
        )
        return runs[key]

    async def _until(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            if time.monotonic() > deadline:
                raise StoryError(f"{what} did not arrive within {timeout:.0f} s")
            await asyncio.sleep(0.1)
