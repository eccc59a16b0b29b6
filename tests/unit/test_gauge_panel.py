"""The gauge panel: no repaint without a visible change, nothing old looks current, unknown is no zero."""

from __future__ import annotations

import pytest

from agents import Gauge, JobStatus, LinkChanged, LinkState
from agents.gauges import parse_gauge
from agents.jobs import parse_status
from agents.remote import smi, throttle
from tui import vocabulary
from tui.gauge_model import gauge_model
from tui.live import LiveStore
from tui.run_view import RunView
from tui.vocabulary import rate, split_bar
from tui.widgets.gauge_lines import GaugeModel, panel_height, panel_lines

GIB = 2**30
CARD = {
    "index": 0, "uuid": "x", "name": "NVIDIA GeForce RTX 4070 Ti", "util": 87, "mem_used": 5 * GIB,
    "mem_total": 12 * GIB, "power_w": 142.4, "power_limit_w": 285, "temp_c": 71, "clock_mhz": 2610,
    "clock_mem_mhz": 10501, "throttle": ["power cap"],
}  # fmt: skip


def gauge(card: dict[str, object] | None = None, **fields: object) -> Gauge:
    base: dict[str, object] = {
        "t_ms": 1, "cpu": {"percent": 50, "count": 16}, "ram": {"used": GIB, "total": 32 * GIB},
        "disk": {"path": "/", "free": 812 * 10**9, "total": 10**12},
        "net": {"rx_bps": 1.24e6, "tx_bps": 3000.0}, "gpus": [{**CARD, **(card or {})}],
        "gpu_rung": "nvml",
    }  # fmt: skip
    return parse_gauge({**base, **fields})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> LiveStore:
    made = LiveStore(clock=clock)
    made.link_changed(LinkChanged("tower", LinkState.live, "", 1_000, 0, None, 3.4))
    return made


def job(state: str = "running") -> JobStatus:
    return parse_status({"job_id": "control-20240607-120000-abcd", "state": state, "created_ms": 5})


def model(store: LiveStore, **wanted: object) -> GaugeModel:
    limit = 7 * GIB if wanted.pop("limit", False) else None
    memory = store.job_memory("tower")
    return gauge_model(store.hosts["tower"], store.clock(), limit, now_ms=7_262_000, job=memory)


def text(store: LiveStore, width: int = 160, **wanted: object) -> str:
    return "\n".join(line.plain for line in panel_lines(model(store, **wanted), width))


def test_a_card_shows_all_that_it_tells(store: LiveStore) -> None:
    store.gauge_arrived("tower", gauge())
    seen = text(store)
    for part in ("up 2h  ping 3 ms", "[nvml]", "util  87%", "71C", "142/285 W", "power cap",
                 "2610/10501 MHz", "5.0/12.0", "CPU  50% of 16", "disk 812 GB free",
                 "net in 1.2 MB/s out <10 kB/s"):  # fmt: skip
        assert part in seen, part


def test_a_card_that_is_not_held_back_says_so_and_one_that_tells_nothing_does_not(
    store: LiveStore,
) -> None:
    store.gauge_arrived("tower", gauge({"throttle": []}))
    assert "not throttled" in text(store)
    store.gauge_arrived("tower", gauge({"throttle": None}))
    assert "throttled" not in text(store)


@pytest.mark.parametrize(
    ("bits", "words"),
    [(0, []), (1, []), (4, ["power cap"]), (0x21, ["thermal"]),
     (0x48, ["hardware slowdown", "hardware thermal"])],
)  # fmt: skip
def test_throttle_bits_become_words(bits: int, words: list[str]) -> None:
    assert throttle.words(bits) == words


def test_the_share_of_the_job_is_what_came_on_top_or_what_the_job_tells(store: LiveStore) -> None:
    store.gauge_arrived("tower", gauge({"mem_used": GIB}))
    assert " job " not in text(store)
    store.job_changed("tower", job())
    store.gauge_arrived("tower", gauge({"mem_used": 5 * GIB}))
    assert "job ~4.0" in text(store)
    run = RunView("tower", job().job_id, None)  # type: ignore[arg-type]
    run.last = {"gpu_reserved_bytes": 3 * GIB}
    store.runs["tower", job().job_id] = run
    assert "job 3.0" in text(store)
    store.gauge_arrived("tower", gauge({"mem_jobs": 2 * GIB}))
    assert "job 2.0" in text(store)
    store.job_changed("tower", job("succeeded"))
    assert " job " not in text(store)


def test_without_a_time_before_the_job_no_share_is_made_up(store: LiveStore) -> None:
    store.job_changed("tower", job())
    store.gauge_arrived("tower", gauge())
    assert store.job_memory("tower") is None


def test_the_limit_is_a_line_in_the_bar_only_where_it_is_asked_for(store: LiveStore) -> None:
    store.gauge_arrived("tower", gauge())
    line = vocabulary.marks.line
    assert line not in text(store)
    assert line in text(store, limit=True)
    assert "limit 7.0 ok" in text(store, limit=True)
    store.gauge_arrived("tower", gauge({"mem_used": 8 * GIB}))
    assert "OVER" in text(store, limit=True)


def test_a_bar_divides_what_is_used() -> None:
    full, other, empty, line = (
        vocabulary.marks.full, vocabulary.marks.other, vocabulary.marks.empty, vocabulary.marks.line,
    )  # fmt: skip
    assert split_bar(0.5, 0.3, None, 10) == other * 2 + full * 3 + empty * 5
    assert split_bar(0.5, None, 0.7, 10) == full * 5 + empty * 2 + line + empty * 2
    assert split_bar(0.5, 0.9, None, 10) == full * 5 + empty * 5
    assert len(split_bar(None, None, 0.999, 10)) == 10


def test_old_figures_are_dim_tell_their_age_and_hide_the_latency(
    store: LiveStore, clock: Clock
) -> None:
    store.gauge_arrived("tower", gauge())
    fresh = panel_lines(model(store), 160)
    assert not any("italic" in str(span.style) for line in fresh for span in line.spans)
    clock.now += 75
    stale = panel_lines(model(store), 160)
    assert "data is 1m old" in stale[0].plain
    assert "3 ms" not in stale[0].plain
    for line in stale[1:]:
        first = line.spans[0]
        assert "italic" in str(first.style), line.plain


def test_a_silence_is_a_gap_in_every_history(store: LiveStore, clock: Clock) -> None:
    host = store.hosts["tower"]
    for _ in range(2):
        store.gauge_arrived("tower", gauge())
        clock.now += 1
    clock.now += 60
    store.gauge_arrived("tower", gauge())
    assert list(host.utils["x"]) == [87, 87, None, 87]
    assert list(host.cpu) == [50, 50, None, 50]
    store.link_changed(LinkChanged("tower", LinkState.backoff, "gone", 9_000, 1, 1.0, None))
    store.link_changed(LinkChanged("tower", LinkState.connecting, "", 9_500, 1, None, None))
    assert list(host.cpu) == [50, 50, None, 50, None]


def test_what_cannot_be_seen_changes_nothing(store: LiveStore) -> None:
    store.gauge_arrived("tower", gauge())
    first = model(store)
    for history in (store.hosts["tower"].cpu, store.hosts["tower"].utils["x"]):
        history.clear()
    store.gauge_arrived(
        "tower",
        gauge(
            {"power_w": 142.1, "clock_mhz": 2612, "mem_used": 5 * GIB + 10**6},
            t_ms=2, disk={"path": "/", "free": 812 * 10**9 + 5 * 10**8, "total": 10**12},
            net={"rx_bps": 1.21e6, "tx_bps": 9000.0},
        ),
    )  # fmt: skip
    assert model(store) == first
    store.hosts["tower"].cpu.clear()
    store.hosts["tower"].utils["x"].clear()
    store.gauge_arrived("tower", gauge({"temp_c": 72}))
    assert model(store) != first


@pytest.mark.parametrize("width", [20, 78, 118, 198])
def test_the_panel_keeps_to_its_width_and_height(store: LiveStore, width: int) -> None:
    store.gauge_arrived("tower", gauge(gpus=[CARD, {**CARD, "index": 1}]))
    lines = panel_lines(model(store, limit=True), width)
    assert len(lines) == panel_height(model(store)) == 6
    assert all(line.cell_length <= width for line in lines)


@pytest.mark.parametrize(
    ("speed", "words"),
    [(None, "—"), (0.0, "<10 kB/s"), (42_300.0, "42 kB/s"), (994_900.0, "990 kB/s"),
     (996_000.0, "1.0 MB/s"), (1.24e6, "1.2 MB/s"), (117e6, "120 MB/s"), (2.5e10, "25 GB/s")],
)  # fmt: skip
def test_rates_have_two_digits(speed: float | None, words: str) -> None:
    assert rate(speed) == words


def test_a_newer_nvidia_smi_tells_why_it_is_slow() -> None:
    line = (
        "0, GPU-1, 45, 2048, 4096, 142.50, 145.00, 71, 1304, 0x0000000000000024, 3505, Card, comma"
    )
    reading = smi.parse_line(line)
    assert reading is not None
    assert (reading["throttle"], reading["clock_mem_mhz"]) == (["power cap", "thermal"], 3505)
    assert reading["name"] == "Card, comma"
    assert set(reading["reasons"]) == {"energy_j", "processes"}
    unknown = smi.parse_line(line.replace("0x0000000000000024", "[Not Supported]"))
    assert unknown is not None
    assert unknown["throttle"] is None
    assert unknown["reasons"]["throttle"] == "[Not Supported]"
