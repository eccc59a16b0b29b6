"""Gauges and job states from a host are data: checked, bounded, unknown never 0."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.gauges import parse_gauge
from agents.jobs import JobState, parse_status
from agents.remote import sampler, smi

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
KEYS = ("t_ms", "cpu", "ram", "disk", "net", "gpus", "gpu_rung", "gpu_reason", "health")


@given(st.dictionaries(st.sampled_from(KEYS), anything))
@settings(max_examples=200, deadline=None)
def test_any_message_is_a_gauge_or_a_value_error(message):
    try:
        gauge = parse_gauge(message)
    except ValueError:
        assert (
            not isinstance(message.get("t_ms"), int)
            or isinstance(message["t_ms"], bool)
            or (abs(message["t_ms"]) >= 2**62)
        )
        return
    assert gauge.cpu.percent is None or 0 <= gauge.cpu.percent <= 100
    assert gauge.gpu_rung in ("nvml", "nvidia-smi", "simulated", "none")


def test_an_empty_gauge_knows_nothing():
    gauge = parse_gauge({"t_ms": 5})
    assert gauge.cpu.percent is None
    assert gauge.ram.used is None
    assert gauge.disk.free is None
    assert gauge.net.rx_bps is None
    assert gauge.gpus == ()
    assert gauge.health == {}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("util", 100, 100),
        ("util", 101, None),
        ("util", -1, None),
        ("util", True, None),
        ("util", "50", None),
        ("mem_used", 2**64 - 1, None),
        ("mem_used", 5 * 2**30, 5 * 2**30),
        ("temp_c", float("nan"), None),
        ("temp_c", 71, 71),
        ("power_w", 1e9, None),
        ("power_w", 0, 0),
    ],
)
def test_impossible_readings_are_unknown(field, value, expected):
    gauge = parse_gauge({"t_ms": 1, "gpus": [{"index": 0, field: value}], "gpu_rung": "nvml"})
    assert getattr(gauge.gpus[0], field) == expected


def test_sizes_are_bounded():
    cards = [{"index": n, "name": "x" * 10_000, "reasons": {"a": "b" * 10_000}} for n in range(500)]
    gauge = parse_gauge({"t_ms": 1, "gpus": cards, "gpu_reason": "r" * 10_000})
    assert len(gauge.gpus) == 16
    assert len(gauge.gpus[0].name) == 80
    assert len(gauge.gpus[0].reasons["a"]) == 200
    assert len(gauge.gpu_reason) == 500


def test_control_characters_do_not_pass():
    gauge = parse_gauge({"t_ms": 1, "gpus": [{"index": 0, "name": "a\x1b[31mb\n"}]})
    assert gauge.gpus[0].name == "a [31mb "


def test_a_simulated_rung_marks_every_card():
    gauge = parse_gauge({"t_ms": 1, "gpu_rung": "simulated", "gpus": [{"index": 0}]})
    assert gauge.gpus[0].simulated


def test_job_states_are_checked():
    good = {"job_id": "a-20240607-120000-abcd", "state": "running", "argv": ["x", 5], "pid": True}
    status = parse_status(good)
    assert status.state is JobState.running
    assert status.argv == ("x",)
    assert status.pid is None
    assert status.name == "a"
    for bad in ({**good, "state": "flying"}, {**good, "job_id": "../x"}, {"state": "running"}):
        with pytest.raises(ValueError):
            parse_status(bad)


def test_what_is_over_stays_known_when_the_link_goes():
    base = {"job_id": "a-20240607-120000-abcd"}
    over = parse_status({**base, "state": "succeeded", "code": 0})
    assert over.as_unknown("down") is over
    going = parse_status({**base, "state": "running"}).as_unknown("the link is down")
    assert (going.state, going.detail) == (JobState.unknown, "the link is down")
    assert going.as_unknown("again") is going


def test_cpu_time_leaves_guests_and_idle_out():
    text = "cpu  100 5 50 800 20 3 2 10 40 4\ncpu0 1 1 1 1\n"
    assert sampler.cpu_times(text) == (100 + 5 + 50 + 3 + 2 + 10, 990)
    assert sampler.cpu_times("") is None
    assert sampler.cpu_times("intr 1 2 3 4 5") is None


def test_network_counts_only_real_interfaces():
    text = (
        "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n"
        "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
        "  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n"
        "vethab: 50 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n"
        "wlan0:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n"
        + "".join(
            f"{name}: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n"
            for name in ("bond0", "eth0.100", "tailscale0", "wg0", "dummy0", "podman1")
        )
    )
    assert sampler.network_bytes(text) == (107, 208)
    assert sampler.network_bytes("a\nb\n") is None


def test_memory_without_the_kernels_estimate_is_unknown():
    assert sampler.memory("MemTotal: 1000 kB\nMemAvailable: 400 kB\n") == {
        "used": 600 * 1024,
        "total": 1000 * 1024,
    }
    assert sampler.memory("MemTotal: 1000 kB\nMemFree: 400 kB\n")["used"] is None


def test_the_first_sample_has_no_rate_and_says_so():
    first = sampler.Sampler("~")
    assert first.sample()["cpu"]["percent"] is None
    assert first.sample()["net"].keys() == {"rx_bps", "tx_bps"}
    missing = sampler.Sampler("/no/such/path").sample()["disk"]
    assert missing["free"] is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "No devices were found",
        "Unable to determine the device handle",
        "a, b, c",
        ", , , , , , , , , ",
    ],
)
def test_error_texts_of_nvidia_smi_are_no_reading(line):
    assert smi.parse_line(line) is None


def test_a_line_of_nvidia_smi():
    line = "0, GPU-1, 45, 2048, 4096, 142.50, 145.00, 71, 1304, NVIDIA GeForce GTX 970"
    reading = smi.parse_line(line)
    assert reading["mem_total"] == 4096 * 2**20
    assert (reading["util"], reading["power_w"], reading["temp_c"]) == (45, 142.5, 71)
    assert reading["name"] == "NVIDIA GeForce GTX 970"


def test_a_network_card_that_went_makes_no_zero(monkeypatch):
    head = "Inter-|\n face |\n"
    line = "{}: {} 1 0 0 0 0 0 0 {} 1 0 0 0 0 0 0\n"
    texts = [
        head + line.format("eth0", 100, 100) + line.format("usb0", 900, 900),
        head + line.format("eth0", 150, 150),
        head + line.format("eth0", 160, 170),
    ]
    now = [10.0]
    monkeypatch.setattr(sampler, "read_text", lambda *_: texts.pop(0))
    monkeypatch.setattr(sampler.time, "monotonic", lambda: now[0])
    taken = sampler.Sampler("/")
    rates = []
    for _ in range(3):
        now[0] += 2
        rates.append(tuple(taken._sample_net(now[0]).values()))
    assert rates == [(None, None), (None, None), (5.0, 10.0)]
