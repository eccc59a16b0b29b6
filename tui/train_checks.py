"""The looks before a training starts: gate, link, dataset, model, image, VRAM, disk, names."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents import AgentError, Gauge
from tui.fleet import ENDED, Fleet
from tui.host_view import HostView
from tui.roadmap.errors import InvalidValue
from tui.roadmap.gate_lock import gate_lock, stage_id
from tui.settings import Settings
from tui.train_plan import (
    DATASETS,
    Check,
    TrainPlan,
    TrainRequest,
    build_job,
    chosen_settings,
    sha256_of,
)
from tui.vocabulary import LINKS, age, clip, size

GB = 10**9
GIB = 2**30
CONNECT = "connect first: r tries again"
PROBE_SECONDS = 60.0
"""A dataset of some GB is read as a whole for its sum."""


class Checker:
    """Collects the checks of one request; asks the host only what it can answer now."""

    def __init__(self, fleet: Fleet, request: TrainRequest) -> None:
        self.fleet, self.request = fleet, request
        self.ws = fleet.workspace
        self.settings: Settings = chosen_settings(self.ws.settings, request)
        self.host = self.settings.training.host
        self.checks: list[Check] = []
        self.send: tuple[Path, str] | None = None

    def add(self, name: str, verdict: str, found: str, next_step: str = "", kind: str = "") -> None:
        """One more check."""
        self.checks.append(Check(name, verdict, found, next_step, kind))

    @property
    def live(self) -> bool:
        """True while the host can be asked."""
        view = self.fleet.store.hosts.get(self.host)
        return view is not None and view.live

    async def run(self) -> TrainPlan:
        """All checks, and the plan they are about."""
        dataset = self.request.dataset or self.settings.training.dataset
        model = self.request.model or self.settings.training.model
        stage = stage_id(self.ws.document, self.request.stage)  # a bad request is refused at once
        self.request = replace(self.request, stage=stage)
        build_job(self.settings, self.request, dataset, model)
        self._gate()
        self._link()
        dataset = await self._dataset(dataset)
        model = await self._model(model)
        if self.settings.hosts[self.host].backend == "docker":
            await self._image()
        self._room()
        job = build_job(self.settings, self.request, dataset, model)
        self._names([job.name, *(step.name for step in job.steps)])
        return TrainPlan(self.host, job, tuple(self.checks), self.send)

    def _gate(self) -> None:
        reason = gate_lock(self.ws, self.request.stage)
        if reason:
            self.add("gate", "FAIL", reason, "decide at the gate (2)", "locked")
        else:
            self.add("gate", "PASS", f"{self.request.stage or 'no stage'} may start")

    def _link(self) -> None:
        view = self.fleet.store.hosts[self.host]
        if self.live:
            self.add("link", "PASS", f"{self.host} is connected")
        else:
            why = view.link.detail if view.link else ""
            self.add(
                "link", "FAIL", f"{self.host} is {LINKS[view.state][0]}: {why}".rstrip(": "),
                "r tries again; `gonogo tunnel` and ssh show what is wrong", "unreachable",
            )  # fmt: skip

    async def _ask(self, name: str, **params: Any) -> dict[str, Any]:
        """A probe's answer, {"error": sentence} when there is none."""
        if not self.live:
            return {"error": f"{self.host} cannot be asked now"}
        try:
            return await self.fleet.probe(self.host, name, timeout=PROBE_SECONDS, **params)
        except (AgentError, TimeoutError) as problem:
            return {"error": str(problem) or "no answer in time"}

    # --- dataset ------------------------------------------------------------------------------

    def _here(self, text: str) -> Path | None:
        """The file of this machine that `text` names, from here or from the workspace."""
        path = Path(text).expanduser()
        for candidate in (path, self.ws.root / path):
            if candidate.is_file():
                return candidate.resolve()
        return None

    def _copy_here(self, name: str, digest: str) -> Path | None:
        """A file of the workspace's datasets with this name and sum."""
        for path in sorted((self.ws.root / "datasets").rglob(name))[:20]:
            if path.is_file() and sha256_of(path) == digest:
                return path
        return None

    async def _dataset(self, text: str) -> str:
        if not text:
            self.add("dataset", "FAIL", "none is named", "name a JSONL file of the host or of here")
            return text
        there: dict[str, Any] = {}
        if text.startswith(("/", "~/")):
            there = await self._ask("file", path=text)
            if there.get("kind") == "file":
                await self._known(text, there)
                return str(there["path"])
        local = await asyncio.to_thread(self._here, text)
        if local is None:
            found = there.get("error") or f"{text} is neither on {self.host} nor here"
            step = f"`gonogo send FILE {self.host}:{text}` brings it" if self.live else CONNECT
            self.add("dataset", "FAIL", str(found), step)
            return text
        return await self._offer(local)

    async def _known(self, text: str, there: dict[str, Any]) -> None:
        digest = str(there.get("sha256", ""))
        name = Path(text).name
        copy = await asyncio.to_thread(self._copy_here, name, digest)
        facts = f"{size(float(there.get('size') or 0))}, sha256 {digest[:12]}"
        if copy is not None:
            shown = copy.relative_to(self.ws.root)
            self.add("dataset", "PASS", f"on {self.host}, {facts}; the same as {shown} here")
        else:
            step = f"keep a copy below datasets/: `gonogo fetch` or scp {self.host}:{text}"
            self.add("dataset", "WARN", f"on {self.host}, {facts}; no such file here", step)

    async def _offer(self, local: Path) -> str:
        digest, length = await asyncio.to_thread(_measure, local)
        facts = f"{size(length)}, sha256 {digest[:12]}"
        target = f"{DATASETS}/{local.name}"
        there = await self._ask("file", path=target)
        if "error" in there:
            self.add("dataset", "FAIL", f"here, {facts}; {there['error']}", CONNECT)
        elif not there.get("exists"):
            self.send = (local, str(there.get("path") or target))
            self.add("dataset", "PASS", f"here, {facts}; will be sent to {target}")
        elif there.get("sha256") == digest:
            self.add("dataset", "PASS", f"here and on {self.host}, {facts}")
        else:
            other = str(there.get("sha256", there.get("kind", "")))[:12]
            step = f"rename yours, or `gonogo send {local.name} {self.host}:{target}` replaces it"
            self.add("dataset", "FAIL", f"{target} there is another one ({other})", step)
        return str(there.get("path") or target)

    # --- model, image -------------------------------------------------------------------------

    async def _model(self, text: str) -> str:
        if not text.startswith(("/", "~/")):
            self.add("model", "WARN", f"{text} is a name of the hub; {self.host} may download it")
            return text
        there = await self._ask("file", path=text)
        if there.get("exists"):
            self.add("model", "PASS", f"{there['path']} on {self.host}")
        else:
            found = there.get("error") or f"{text} is not on {self.host}"
            step = "name a folder of that host or a hub model" if self.live else CONNECT
            self.add("model", "FAIL", str(found), step)
        return str(there.get("path") or text)

    async def _image(self) -> None:
        image = self.settings.training.image
        there = await self._ask("docker_image", image=image)
        if there.get("exists"):
            self.add("image", "PASS", f"{image} on {self.host}")
        else:
            found = there.get("error") or f"{image} is not on {self.host}"
            step = "build or pull it there, or choose process" if self.live else CONNECT
            self.add("image", "FAIL", str(found), step)

    # --- room ---------------------------------------------------------------------------------

    def _room(self) -> None:
        view = self.fleet.store.hosts[self.host]
        now = self.fleet.store.clock()
        if view.gauge is None or not view.fresh(now):
            old = view.gauge_age(now)
            when = "no gauge yet" if old is None else f"the last gauge is {age(old)} old"
            self.add("VRAM", "WARN", f"unknown: {when}")
            self.add("disk", "WARN", f"unknown: {when}")
            return
        self._vram(view, view.gauge)
        free, need = view.gauge.disk.free, self.settings.training.disk_gb
        if free is None:
            self.add("disk", "WARN", "the host does not say how much is free")
        elif free < need * GB:
            self.add("disk", "FAIL", f"{size(free)} free, {need:g} GB wanted",
                     "delete old checkpoints in ~/.gonogo/jobs there")  # fmt: skip
        else:
            self.add("disk", "PASS", f"{size(free)} free")

    def _vram(self, view: HostView, gauge: Gauge) -> None:
        need = self.settings.training.vram_gb
        if not gauge.gpus:
            why = clip(gauge.gpu_reason or "no GPU", 60)
            self.add("VRAM", "WARN", f"{why}: it would train on the CPU")
            return
        card = gauge.gpus[0]
        mark = ", simulated" if card.simulated else ""
        if card.mem_total is None or card.mem_used is None:
            self.add("VRAM", "WARN", f"{card.name} does not say how much is free{mark}")
            return
        free = (card.mem_total - card.mem_used) / GIB
        found = f"{free:.1f} GiB of {card.mem_total / GIB:.1f} free{mark}"
        if free >= need:
            self.add("VRAM", "PASS", found)
            return
        busy = [
            job.name for (name, _), job in self.fleet.store.jobs.items()
            if name == view.name and str(job.state) == "running"
        ]  # fmt: skip
        step = f"wait for or stop {', '.join(busy)}" if busy else "close what uses the card"
        self.add("VRAM", "FAIL", f"{found}, {need:g} wanted", step)

    def _names(self, names: list[str]) -> None:
        jobs = list(self.fleet.store.jobs.values())
        known = [job for job in jobs if job.name in names]
        open_ones = [job for job in known if str(job.state) not in ENDED]
        # A queue will start the jobs that its argv names, whoever else may have started one meanwhile.
        queued = [
            (job, name) for job in jobs if job.backend == "queue" and str(job.state) not in ENDED
            for name in names if name in job.argv[1:]
        ]  # fmt: skip
        if open_ones:
            found = f"{open_ones[0].job_id} is {open_ones[0].state}"
            self.add("name", "FAIL", found, "stop it, or give another name or seed")
        elif queued:
            found = (
                f"{queued[0][1]} is part of {queued[0][0].job_id}, which is {queued[0][0].state}"
            )
            self.add("name", "FAIL", found, "stop it, or give another name or seed")
        elif known:
            text = f"{known[-1].name} ran before; the chart takes the newest of a name"
            self.add("name", "WARN", text)
        else:
            self.add("name", "PASS", f"{names[0]} is free")


def _measure(path: Path) -> tuple[str, int]:
    return sha256_of(path), path.stat().st_size


async def make_plan(fleet: Fleet, request: TrainRequest) -> TrainPlan:
    """Look at everything. Raises InvalidValue where the request itself will not do."""
    if request.name:
        request = replace(request, name=request.name.casefold())
    if "\n" in request.dataset or "\0" in request.dataset:
        raise InvalidValue("A dataset is one path.")
    return await Checker(fleet, request).run()
