"""How much energy a job's GPU took, and what that costs at the price in gonogo.toml.

From the card's energy counter (NVML) where it has one: a counter also knows what was used while nobody
looked. Else from its power, summed only over readings that follow each other closely. None is unknown and
never 0. Only the GPU is counted, not the machine around it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.host_view import card_key
from tui.roadmap.budget import find_row
from tui.roadmap.errors import InvalidValue, UnknownId

if TYPE_CHECKING:
    from agents import Gauge, JobStatus
    from tui.roadmap.records import Record
    from tui.roadmap.workspace import Workspace

FILE = "energy.json"
SAVE_SECONDS = 60
GAP_SECONDS = 10.0
"""Power is summed only over readings closer than this."""
JOULES_PER_KWH = 3_600_000
MOST_WATTS = 2_000


@dataclass
class JobEnergy:
    """Energy of one job. `counters` are the last readings by card, `until_ms` the time of the last."""

    host: str
    job_id: str
    name: str = ""
    stage: str = ""
    joules: float = 0.0
    method: str = ""
    simulated: bool = False
    ended: bool = False
    until_ms: int = 0
    counters: dict[str, float] = field(default_factory=dict)

    @property
    def kwh(self) -> Decimal:
        """Kilowatt hours."""
        return Decimal(repr(round(self.joules, 3))) / JOULES_PER_KWH

    @property
    def origin(self) -> str:
        """Names the ledger entry that pays for it."""
        return f"energy:{self.host}/{self.job_id}"


class EnergyMeter:
    """Takes in gauges and keeps one file beside each job's mirrored journal."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.jobs: dict[tuple[str, str], JobEnergy] = {}
        self._saved: dict[tuple[str, str], int] = {}

    def reading(self, host: str, gauge: Gauge, jobs: Iterable[JobStatus]) -> None:
        """Adds what the cards used since the last reading to the jobs that run on them."""
        running = [
            job for job in jobs
            if str(job.state) == "running" and job.labels.get("kind") not in ("service", "queue")
        ]  # fmt: skip
        for job in running:
            self._add(self._job(host, job), gauge, len(running))

    def ended(self, host: str, job: JobStatus) -> None:
        """The job is over: its sum is final."""
        path = self.runs_dir / host / job.job_id / FILE
        found = self.jobs.get((host, job.job_id)) or read_energy(path, host, job.job_id)
        if found is not None and not found.ended:
            self.jobs[host, job.job_id] = found
            found.ended = True
            self._save(found)

    def _job(self, host: str, job: JobStatus) -> JobEnergy:
        key = (host, job.job_id)
        if key not in self.jobs:
            known = read_energy(self.runs_dir / host / job.job_id / FILE, host, job.job_id)
            self.jobs[key] = known or JobEnergy(
                host, job.job_id, job.name[:80], job.labels.get("stage", "")[:80]
            )
        return self.jobs[key]

    def _add(self, job: JobEnergy, gauge: Gauge, share: int) -> None:
        seconds = (gauge.t_ms - job.until_ms) / 1000 if job.until_ms else 0.0
        used = 0.0
        holds = any(gpu.mem_jobs for gpu in gauge.gpus)
        for gpu in gauge.gpus:
            if holds and not gpu.mem_jobs:
                job.counters.pop(card_key(gpu), None)  # the jobs are on other cards
                continue
            job.simulated = job.simulated or gpu.simulated
            if gpu.energy_j is not None:
                before = job.counters.get(card_key(gpu))
                job.counters[card_key(gpu)] = gpu.energy_j
                grown = gpu.energy_j - before if before is not None else 0.0
                if 0 <= grown <= MOST_WATTS * max(1.0, seconds):  # less: the driver was reloaded
                    used += grown
                job.method = job.method or "counter"
            elif gpu.power_w is not None:
                if 0 < seconds <= GAP_SECONDS:
                    used += gpu.power_w * seconds
                    if card_key(gpu) in job.counters:  # its next step holds this as well
                        job.counters[card_key(gpu)] += gpu.power_w * seconds
                job.method = "power"
        job.joules += used / share
        job.until_ms = max(job.until_ms, gauge.t_ms)
        key = (job.host, job.job_id)
        if gauge.t_ms - self._saved.get(key, 0) >= 1000 * SAVE_SECONDS:
            self._saved[key] = gauge.t_ms
            self._save(job)

    def _save(self, job: JobEnergy) -> None:
        folder = self.runs_dir / job.host / job.job_id
        temporary = folder / f".{FILE}"
        with contextlib.suppress(OSError):  # a full disk must not end the watching; the next may do
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(asdict(job)), "utf-8")
            temporary.replace(folder / FILE)


def read_energy(path: Path, host: str, job_id: str) -> JobEnergy | None:
    """What a job used so far; None where the file is missing or does not fit."""
    try:
        data: Any = json.loads(path.read_text("utf-8"))
        counters = {str(k): float(v) for k, v in dict(data["counters"]).items()}
        return JobEnergy(
            host, job_id, str(data["name"])[:80], str(data["stage"])[:80], float(data["joules"]),
            str(data["method"])[:20], bool(data["simulated"]), bool(data["ended"]),
            int(data["until_ms"]), counters,
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return None


def all_energy(runs_dir: Path) -> list[JobEnergy]:
    """The energy of every job that is known, by host and job."""
    found = (
        read_energy(p, p.parent.parent.name, p.parent.name) for p in runs_dir.glob(f"*/*/{FILE}")
    )
    return sorted((e for e in found if e is not None), key=lambda e: (e.host, e.job_id))


def energy_cost(energy: JobEnergy, price: Decimal | None) -> Decimal | None:
    """Money for it, None while the price is unknown. Cents, and fractions of a cent below one."""
    if price is None:
        return None
    exact = energy.kwh * price
    step = Decimal("0.01") if exact >= Decimal("0.01") else Decimal("0.0001")
    return exact.quantize(step, ROUND_HALF_UP)


def book_energy(ws: Workspace, energy: JobEnergy, by: str, row: str = "") -> Record:
    """Adds a job's electricity to its stage's row, once. Raises WorkspaceError with one sentence."""
    amount = energy_cost(energy, ws.settings.budget.price_per_kwh)
    if amount is None:
        raise InvalidValue("The price of a kWh is unknown; set price_per_kwh under [budget].")
    if energy.simulated:
        raise InvalidValue(f"{energy.job_id} ran on a simulated GPU; it costs nothing real.")
    if not energy.ended:
        raise InvalidValue(f"{energy.job_id} still runs; book it when it has ended.")
    try:
        name = find_row(ws.document, row or energy.stage)
    except UnknownId:
        raise UnknownId(f"{energy.job_id} belongs to no budget row; name one.") from None
    note = f"electricity {energy.kwh:.3f} kWh, {energy.name or energy.job_id}"
    return ws.add_cost(name, f"{amount}", by, note, kind="power", origin=energy.origin)
