"""What a gauge makes of cards that change places, lie, or share a host; what a job's figures make of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from agents import Gauge, JobState, JobStatus
from agents.gauges import parse_gauge
from tui.energy import EnergyMeter, JobEnergy
from tui.gauge_model import gauge_model
from tui.job_rows import figures_row, job_figures
from tui.live import LiveStore
from tui.run_view import RunView
from tui.widgets.gauge_lines import panel_lines

GIB = 2**30
A = {"index": 0, "uuid": "GPU-a", "name": "NVIDIA GeForce RTX 4070 Ti", "util": 90,
     "mem_used": 5 * GIB, "mem_total": 12 * GIB, "power_w": 200.0}  # fmt: skip
B = {**A, "index": 1, "uuid": "GPU-b", "util": 10, "mem_used": GIB}
JOB = JobStatus("job-1", "control-s0", JobState.running, created_ms=1)


def gauge(*cards: dict[str, object], t_ms: int = 1) -> Gauge:
    return parse_gauge({"t_ms": t_ms, "gpu_rung": "nvml", "gpus": list(cards)})


@pytest.mark.parametrize(
    ("field", "value"),
    [("util", 255), ("temp_c", -274), ("power_w", -1), ("mem_used", 12 * GIB + 1), ("mem_total", 0),
     ("energy_j", "12"), ("clock_mhz", 2**32), ("mem_jobs", 2**64 - 1)],
)  # fmt: skip
def test_what_cannot_be_is_none_with_what_was_said(field: str, value: object) -> None:
    (card,) = gauge({**A, field: value}).gpus
    assert getattr(card, field) is None
    assert card.reasons[field] == f"the driver says {value!r}"
    if field != "mem_used":
        assert card.mem_used == 5 * GIB


def test_a_history_and_a_share_stay_with_their_card() -> None:
    """After a re-plug the same number may be another card, and one of two may be away."""
    store = LiveStore(clock=lambda: 0.0)
    store.gauge_arrived("tower", gauge(A, B))
    host = store.hosts["tower"]
    assert host.vram_peak == 5 * GIB
    swapped = gauge({**B, "index": 0}, {**A, "index": 1})
    store.gauge_arrived("tower", swapped)
    shown = gauge_model(host, 0.0).gpus
    assert [list(card.history) for card in shown] == [[10, 10], [90, 90]]
    assert host.vram_peak == GIB, "the peak of another card is not this one's"
    store.gauge_arrived("tower", gauge({**B, "index": 0}))
    store.gauge_arrived("tower", swapped)
    assert list(gauge_model(host, 0.0).gpus[1].history) == [90, 90, None, 90]
    store.job_changed("tower", JOB)
    store.gauge_arrived("tower", gauge({**B, "mem_used": 3 * GIB}))
    assert store.job_memory("tower") == (2 * GIB, False)
    assert len({id(history) for history in host.utils.values()}) == 2
    nameless = gauge({**A, "uuid": "[N/A]"}, {**B, "uuid": "[N/A]"})
    for _ in range(3):
        store.gauge_arrived("tower", nameless)
    assert [list(c.history) for c in gauge_model(host, 0.0).gpus] == [[90] * 3, [10] * 3]


def test_two_of_a_kind_are_told_apart() -> None:
    store = LiveStore(clock=lambda: 0.0)
    store.gauge_arrived("tower", gauge(A, B))
    lines = [line.plain for line in panel_lines(gauge_model(store.hosts["tower"], 0.0), 120)]
    assert (lines[1][:13], lines[3][:13]) == ("0 RTX 4070 Ti", "1 RTX 4070 Ti")
    store.gauge_arrived("tower", gauge(A))
    assert panel_lines(gauge_model(store.hosts["tower"], 0.0), 120)[1].plain.startswith("RTX 4070")


@pytest.mark.parametrize(
    ("card", "shown"),
    [
        (dict.fromkeys(("util", "mem_used", "temp_c", "power_w", "clock_mhz"), "[GPU is lost]"),
         "GPU is lost"),
        ({"util": "Not Supported", "clock_mhz": "Not Supported", "power_w": "[N/A]"},
         "util, clock: Not Supported; power: N/A"),
        ({"energy_j": "Not Supported"}, ""),
    ],
)  # fmt: skip
def test_a_reason_is_said_once_with_what_it_is_of(card: dict[str, str], shown: str) -> None:
    store = LiveStore(clock=lambda: 0.0)
    store.gauge_arrived("tower", gauge({**A, **dict.fromkeys(card), "reasons": card}))
    assert gauge_model(store.hosts["tower"], 0.0).gpus[0].reason == shown


def test_a_card_of_12_gib_has_12_gib() -> None:
    """Sold as 12 GB, 12282 MiB: what never changes needs no rounding down."""
    store = LiveStore(clock=lambda: 0.0)
    mib = 2**20
    store.gauge_arrived("tower", gauge({**A, "mem_used": 7167 * mib, "mem_total": 12282 * mib}))
    assert "7.0/12.0" in panel_lines(gauge_model(store.hosts["tower"], 0.0), 120)[2].plain


def test_the_peak_is_the_jobs_and_no_game_from_before() -> None:
    store = LiveStore(clock=lambda: 0.0)
    host = store.add_host("tower", "")

    def use(gib: int) -> int | None:
        store.gauge_arrived("tower", gauge({**A, "mem_used": gib * GIB}))
        return host.vram_peak

    assert use(11) == 11 * GIB
    store.job_changed("tower", JOB)
    assert [use(gib) for gib in (4, 6, 5)] == [4 * GIB, 6 * GIB, 6 * GIB]
    store.job_changed("tower", replace(JOB, state=JobState.succeeded))
    assert use(11) == 6 * GIB
    store.job_changed("tower", replace(JOB, job_id="job-2", created_ms=2))
    assert use(3) == 3 * GIB


def test_energy_is_that_of_the_cards_which_hold_the_jobs(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path)
    for second in range(3):
        idle = {**A, "energy_j": 9_000.0 + 30 * second, "mem_jobs": 0}
        busy = {**B, "energy_j": 5_000.0 + 200 * second, "mem_jobs": GIB}
        meter.reading("tower", gauge(idle, busy, t_ms=1 + 1000 * second), [JOB])
    assert meter.jobs["tower", "job-1"].joules == 400.0


def test_a_second_is_not_counted_by_power_and_by_counter(tmp_path: Path) -> None:
    """The counter fails for a moment: power steps in, and the counter's next step holds that, too."""
    meter = EnergyMeter(tmp_path)
    for second, counted in enumerate((1000.0, 1200.0, None, 1600.0, 1800.0)):
        card = {**A, "energy_j": counted}
        meter.reading("tower", gauge(card, t_ms=1 + 1000 * second), [JOB])
    assert meter.jobs["tower", "job-1"].joules == 800.0


def test_two_cards_without_an_id_have_a_counter_each(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path)
    for second in range(2):
        first = {**A, "uuid": "", "energy_j": 100.0 + second}
        other = {**B, "uuid": "", "energy_j": 900.0 + second}
        meter.reading("tower", gauge(first, other, t_ms=1 + 1000 * second), [JOB])
    assert meter.jobs["tower", "job-1"].joules == 2.0


def point(step: object, seconds: object) -> str:
    return f'{{"v":1,"kind":"point","t":9,"step":{step},"loss":1.5,"seconds":{seconds}}}\n'


@pytest.mark.parametrize(
    ("lines", "eta"),
    [
        (point(10, 20), 180.0),
        (point(0, 0.0), None),
        (point(90, 180.0) + "START" + point(81, 2.0), None),
        (point(90, 180.0) + "START" + point(81, 2.0) + point(82, 5.0), 54.0),
        ("START" + point(1, 1.0) + point(2, 2.0), 98.0),
        (point(3, 6.0) + "START" + point(1, 1.0) + point(2, 2.0), 98.0),
        (point(120, 60.0), 0.0),
        (point(10, '"soon"'), None),
        (point(10, -5.0), None),
    ],
)
def test_the_eta_is_at_the_pace_of_this_attempt(
    tmp_path: Path, lines: str, eta: float | None
) -> None:
    start = '{"v":1,"kind":"start","t":1,"max_steps":100}\n'
    path = tmp_path / "run.jsonl"
    path.write_text(start + lines.replace("START", start))
    run = RunView("tower", "job-1", path)
    run.read()
    assert run.eta_seconds() == eta
    endless = RunView("tower", "job-2", path)
    path.write_text(start.replace("100", "0") + point(10, 20.0))
    endless.read()
    assert endless.eta_seconds() is None


def test_what_a_job_costs_below_a_cent_is_not_zero() -> None:
    energy = JobEnergy("tower", "job-1", joules=7_200.0, method="counter")
    row = figures_row(job_figures("tower", JOB, None, energy, Decimal("0.30"), 61_000))
    assert "0.0006" in row.draw(120).plain
