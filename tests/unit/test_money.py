"""Forecast, burn, limits, and electricity from measured energy."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from agents import Gauge, GaugeArrived, JobChanged, JobStatus
from agents.gauges import Cpu, Disk, Gpu, Net, Ram
from agents.jobs import JobState
from tui.chart.small import small_chart
from tui.energy import EnergyMeter, all_energy, book_energy, energy_cost
from tui.fleet import Fleet
from tui.roadmap.budget import summarize
from tui.roadmap.errors import Conflict, WorkspaceError
from tui.roadmap.forecast import (
    burn,
    evaluated_samples,
    expected_total,
    forecasts,
    limit_warnings,
)
from tui.roadmap.workspace import Workspace

ANA = "user:ana"
PRICED = "[budget]\nprice_per_kwh = 0.30\n"


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "w", settings_text=PRICED)


def test_the_forecast_scales_the_cost_of_a_sample(ws: Workspace) -> None:
    doc = ws.document
    assert [evaluated_samples(doc, s) for s in ("S0", "S2", "S3", "P3")] == [0, 5, 15, 75]
    ws.add_cost("S3", "13.10", ANA, kind="API")
    ws.add_cost("S3", "5", ANA, kind="power")
    ws.add_cost("P2", "1.50", ANA)
    summary = summarize(ws.settings, doc, ws.state)
    found = forecasts(doc, ws.state, summary)
    assert [(f.row, f.expected, f.source) for f in found] == [
        ("Phase 3", Decimal("65.50"), "Stage 3")
    ]
    # 19.60 spent, 65.50 forecast, 3 + 10 as planned for the other rows without entries
    assert expected_total(summary, found) == Decimal("98.10")
    ws.add_cost("P3", "70", ANA)
    assert forecasts(doc, ws.state, summarize(ws.settings, doc, ws.state)) == ()


def test_burn_is_cumulative_and_leaves_out_voided_entries(ws: Workspace) -> None:
    ws.add_cost("S2", "1", ANA, date="2026-01-03")
    ws.add_cost("S2", "2", ANA, date="2026-01-01")
    ws.add_cost("S2", "9", ANA, date="2026-01-02")
    ws.void_cost(ws.state.costs[2].id, ANA, "wrong")
    points = burn(ws.state.costs, date(2026, 1, 4))
    assert [str(v) for _, v in points] == ["2.00", "2.00", "3.00", "3.00"]
    assert points[0][0] == date(2026, 1, 1)
    assert burn([], date(2026, 1, 4)) == []


@pytest.mark.parametrize(
    ("spent", "said"),
    [("215.19", ()), ("215.20", ("80% of the planned total $269.00",)),
     ("269", ("100% of the planned total $269.00", "90% of the limit $300.00")),
     ("300.01", ("OVER the planned total $269.00", "OVER the limit $300.00"))],
)  # fmt: skip
def test_limits_warn_from_eighty_percent(ws: Workspace, spent: str, said: tuple[str, ...]) -> None:
    ws.add_cost("P3", spent, ANA)
    assert limit_warnings(summarize(ws.settings, ws.document, ws.state), 0.8) == said


def test_a_small_chart_holds_each_value_and_reaches_its_top() -> None:
    lines = small_chart([0.0, 0.0, 10.0, 10.0], 8, 3, 10.0)
    assert [len(line) for line in lines] == [8, 8, 8]
    assert set(lines[0][:3]) == {"\u2800"}, "nothing at the top before the step"
    assert "\u2800" not in lines[0][5:]
    assert set(lines[2][5:]) == {"\u2800"}, "nothing at the bottom after it"


# --- electricity ----------------------------------------------------------------------------------

GPU = Gpu(0, "GPU-1", "card", 90, 1, 2, 200.0, 285.0, 60, 2500, 0.0)


def gauge(
    seconds: float, joules: float | None, watts: float | None = 200.0, sim: bool = False
) -> Gauge:
    gpu = replace(GPU, energy_j=joules, power_w=watts, simulated=sim)
    unknown = Disk("/", None, None, None)
    return Gauge(
        int(seconds * 1000) + 1, Cpu(None, None, None), Ram(None, None), unknown, Net(None, None),
        (gpu,), "nvml", "", {},
    )  # fmt: skip


JOB = JobStatus("job-1", "control-s0", JobState.running, labels={"kind": "train", "stage": "P2"})
DONE = replace(JOB, state=JobState.succeeded)


@pytest.fixture
def meter(ws: Workspace) -> EnergyMeter:
    return EnergyMeter(ws.runs_dir)


def test_the_counter_also_counts_while_nobody_looks(ws: Workspace, meter: EnergyMeter) -> None:
    meter.reading("tower", gauge(0, 1_000_000.0), [JOB])
    meter.reading("tower", gauge(70, 1_014_000.0), [JOB])
    later = EnergyMeter(ws.runs_dir)  # the laptop slept for five hours
    later.reading("tower", gauge(18_070, 4_614_000.0), [JOB])
    later.ended("tower", DONE)
    (found,) = all_energy(ws.runs_dir)
    assert found.kwh == Decimal(3_614_000) / 3_600_000
    assert (found.method, found.ended, found.stage) == ("counter", True, "P2")
    assert energy_cost(found, Decimal("0.30")) == Decimal("0.30")
    assert energy_cost(found, None) is None


def test_a_counter_that_starts_again_adds_nothing(meter: EnergyMeter) -> None:
    meter.reading("tower", gauge(0, 500_000.0), [JOB])
    meter.reading("tower", gauge(1, 100.0), [JOB])
    meter.reading("tower", gauge(2, 300.0), [JOB])
    assert meter.jobs["tower", "job-1"].joules == 200.0


def test_without_a_counter_power_is_summed_over_close_readings(meter: EnergyMeter) -> None:
    for seconds in (0, 1, 2, 600, 601):
        meter.reading("tower", gauge(seconds, None), [JOB])
    assert meter.jobs["tower", "job-1"].joules == 600.0, "the gap of ten minutes is unknown"
    assert meter.jobs["tower", "job-1"].method == "power"


def test_two_jobs_share_a_service_does_not(meter: EnergyMeter) -> None:
    other = replace(JOB, job_id="job-2")
    service = replace(JOB, job_id="mlflow", labels={"kind": "service"})
    for seconds, joules in ((0, 0.0), (1, 300.0)):
        meter.reading("tower", gauge(seconds, joules), [JOB, other, service])
    assert [job.joules for job in meter.jobs.values()] == [150.0, 150.0]


def test_energy_is_booked_once_at_the_known_price(ws: Workspace, meter: EnergyMeter) -> None:
    meter.reading("tower", gauge(0, 0.0), [JOB])
    meter.reading("tower", gauge(21 * 3600, 21_600_000.0), [JOB])
    (running,) = [replace(job) for job in meter.jobs.values()]
    with pytest.raises(WorkspaceError, match="still runs"):
        book_energy(ws, running, ANA)
    meter.ended("tower", DONE)
    (found,) = all_energy(ws.runs_dir)
    book_energy(ws, found, ANA)
    cost = ws.state.costs[0]
    assert (cost.row, cost.amount, cost.kind) == ("Phase 2", Decimal("1.80"), "power")
    assert "6.000 kWh" in cost.note
    with pytest.raises(Conflict, match="in the ledger already"):
        book_energy(ws, found, ANA)
    with pytest.raises(WorkspaceError, match="simulated"):
        book_energy(ws, replace(found, simulated=True), ANA)
    with pytest.raises(WorkspaceError, match="name one"):
        book_energy(ws, replace(found, stage="demo"), ANA)


def test_an_unknown_price_is_said(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "v")
    meter = EnergyMeter(ws.runs_dir)
    meter.reading("tower", gauge(0, 0.0), [JOB])
    with pytest.raises(WorkspaceError, match="price_per_kwh"):
        book_energy(ws, meter.jobs["tower", "job-1"], ANA)


def test_a_damaged_energy_file_is_left_alone(ws: Workspace) -> None:
    folder = ws.runs_dir / "tower" / "job-1"
    folder.mkdir(parents=True)
    for text in ("", "{", '{"joules": "many"}', "[]"):
        (folder / "energy.json").write_text(text)
        assert all_energy(ws.runs_dir) == []


def test_the_fleet_feeds_the_meter(tmp_path: Path) -> None:
    hosts = "[hosts.tower]\nlocal = true\n"
    ws = Workspace.create(tmp_path / "f", settings_text=hosts)
    fleet = Fleet(ws)
    fleet._emit(JobChanged("tower", JOB))
    fleet._emit(GaugeArrived("tower", gauge(0, 0.0), 0))
    fleet._emit(GaugeArrived("tower", gauge(10, 2_000.0), 0))
    fleet._emit(JobChanged("tower", DONE))
    fleet._emit(GaugeArrived("tower", gauge(20, 9_000.0), 0))
    (found,) = all_energy(ws.runs_dir)
    assert (found.joules, found.ended) == (2_000.0, True)
