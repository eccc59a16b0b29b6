"""The ladder of GPU readings on hosts with good, odd, crashing and missing drivers."""

from __future__ import annotations

import os
import signal
import sys
import types
from pathlib import Path

import pytest

from agents import GaugeArrived, JobSpec, bootstrap
from agents.remote import nvml as nvml_reader

DRIVER = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
NVML = """
class NVMLError(Exception):
    pass
NVML_TEMPERATURE_GPU = 0
NVML_CLOCK_SM = 1
class _Memory:
    used, total = 5 * 2**30, 12282 * 2**20
class _Rates:
    gpu = 87
def nvmlInit(): {init}
def nvmlDeviceGetCount(): return {count}
def nvmlDeviceGetHandleByIndex(i): return i
def nvmlDeviceGetName(h): return b"NVIDIA GeForce GTX 970"
def nvmlDeviceGetUUID(h): return "GPU-%d" % h
def nvmlDeviceGetUtilizationRates(h): return _Rates
def nvmlDeviceGetMemoryInfo(h): return _Memory
def nvmlDeviceGetPowerUsage(h): return 142_500
def nvmlDeviceGetEnforcedPowerLimit(h): return 145_000
def nvmlDeviceGetTemperature(h, kind): {temperature}
def nvmlDeviceGetClockInfo(h, kind): return 1304
def nvmlDeviceGetTotalEnergyConsumption(h): raise NVMLError("Not Supported")
"""


SMI_LINE = "0, GPU-abc, 0, 512, 12282, [N/A], 285.00, 44, 210, NVIDIA GeForce RTX 4070 Ti"


def nvml(init: str = "pass", count: int = 1, temperature: str = "return 71") -> str:
    return NVML.format(init=init, count=count, temperature=temperature)


@pytest.fixture
def bindings(monkeypatch):
    """Ship these NVML bindings instead of the installed ones."""

    def ship(source: str | None) -> None:
        monkeypatch.setattr(bootstrap, "nvml_bindings", lambda: source)
        bootstrap.build_payload.cache_clear()

    yield ship
    bootstrap.build_payload.cache_clear()


@pytest.fixture
def smi(sshd, tmp_path):
    """Put a program called nvidia-smi on the host's PATH."""

    def install(script: str) -> Path:
        folder = tmp_path / "smi"
        folder.mkdir(exist_ok=True)
        program = folder / "nvidia-smi"
        program.write_text("#!/bin/sh\n" + script)
        program.chmod(0o755)
        sshd.path = f"{folder}:{sshd.path}"
        return program

    return install


async def gauge_where(watched, wait_until, condition, timeout=15):
    def found():
        gauges = [event.gauge for event in watched.of(GaugeArrived)]
        return gauges[-1] if gauges and condition(gauges[-1]) else None

    return await wait_until(found, timeout)


async def test_nvml_reading_with_a_missing_field(bindings, make_link, wait_until):
    bindings(nvml())
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    gauge = await gauge_where(watched, wait_until, lambda g: g.gpus)
    card = gauge.gpus[0]
    assert gauge.gpu_rung == "nvml"
    assert gauge.gpu_reason == ""
    assert (card.name, card.util, card.temp_c) == ("NVIDIA GeForce GTX 970", 87, 71)
    assert (card.power_w, card.power_limit_w, card.clock_mhz) == (142.5, 145, 1304)
    assert (card.mem_used, card.mem_total) == (5 * 2**30, 12282 * 2**20)
    assert card.energy_j is None
    assert card.reasons["energy_j"] == "Not Supported"
    assert not card.simulated


async def test_a_crash_inside_nvml_costs_only_that_rung(bindings, smi, make_link, wait_until):
    bindings(nvml(init="import ctypes; ctypes.string_at(0)"))
    smi(f'case "$1" in --query-gpu=*) while echo "{SMI_LINE}"; do sleep 0.2; done;; esac\n')
    watched = make_link(gauge_interval=0.2)
    link = await watched.live()
    gauge = await gauge_where(watched, wait_until, lambda g: g.gpus)
    card = gauge.gpus[0]
    assert gauge.gpu_rung == "nvidia-smi"
    assert (card.util, card.mem_used) == (0, 512 * 2**20)
    assert card.power_w is None
    assert card.reasons["power_w"] == "[N/A]"
    assert link.attempt == 0


async def test_a_crash_in_the_middle_degrades(bindings, make_link, wait_until):
    crash = "import os, signal; os.path.exists('{}') and os.kill(os.getpid(), signal.SIGSEGV)"
    watched = make_link(gauge_interval=0.2)
    flag = watched.root / "crash"
    watched.root.mkdir()
    bindings(nvml(temperature=crash.format(flag) + "; return 71"))
    link = await watched.live()
    await gauge_where(watched, wait_until, lambda g: g.gpus)
    flag.touch()
    gauge = await gauge_where(watched, wait_until, lambda g: g.gpu_rung == "none")
    assert gauge.gpus == ()
    assert f"nvml: crashed with signal {signal.SIGSEGV}" in gauge.gpu_reason
    assert await link.jobs() == []


async def test_no_gpu_has_a_plain_reason(make_link, wait_until, bindings, sshd, tmp_path):
    if any(path.exists() for path in DRIVER):
        pytest.skip("this machine has an NVIDIA driver")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "python3").symlink_to(sys.executable)
    sshd.path = str(bare)
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    gauge = await gauge_where(watched, wait_until, lambda g: g.gpu_rung == "none")
    assert gauge.gpus == ()
    assert gauge.gpu_reason.startswith("no NVIDIA GPU: nvml: ")
    assert "nvidia-smi: not on PATH" in gauge.gpu_reason


async def test_the_reason_of_a_failing_nvidia_smi_is_kept(bindings, smi, make_link, wait_until):
    bindings(nvml(init="raise NVMLError('Driver/library version mismatch')"))
    smi('echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18\n')
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    gauge = await gauge_where(watched, wait_until, lambda g: g.gpu_rung == "none")
    assert "nvml: Driver/library version mismatch" in gauge.gpu_reason
    assert "nvidia-smi: Failed to initialize NVML" in gauge.gpu_reason


async def test_two_cards_and_a_host_without_bindings(bindings, smi, make_link, wait_until):
    bindings(None)
    one = "0, GPU-a, 1, 10, 100, 5.0, 9.0, 30, 200, Card, with a comma"
    two = "1, GPU-b, ERR!, [Not Supported], 100, 5.0, 9.0, 30, 200, Other"
    smi(f'while echo "{one}" && echo "{two}"; do sleep 0.2; done\n')
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    gauge = await gauge_where(watched, wait_until, lambda g: len(g.gpus) == 2)
    assert gauge.gpus[0].name == "Card, with a comma"
    assert gauge.gpus[1].util is None
    assert gauge.gpus[1].mem_used is None
    assert gauge.gpus[1].reasons == {
        "util": "ERR!",
        "mem_used": "[Not Supported]",
        "energy_j": "nvidia-smi does not tell it",
        "throttle": "nvidia-smi does not tell it",
        "clock_mem_mhz": "nvidia-smi does not tell it",
        "processes": "nvidia-smi does not tell it",
        "mem_jobs": "nvidia-smi does not tell it",
    }


@pytest.mark.parametrize("rung", ["nvml", "nvidia-smi"])
async def test_no_reader_is_left_behind(rung, bindings, smi, sshd, make_link, wait_until):
    bindings(nvml() if rung == "nvml" else None)
    smi(f'while echo "{SMI_LINE}"; do sleep 0.2; done\n')
    watched = make_link(gauge_interval=0.2)
    link = await watched.live()
    assert (await gauge_where(watched, wait_until, lambda g: g.gpus)).gpu_rung == rung
    agent = link.host_info["pid"]
    children = _children(agent)
    assert len(children) == 1
    os.kill(agent, signal.SIGKILL)
    await wait_until(lambda: not Path(f"/proc/{children[0]}").exists(), what="the reader ends too")


async def test_a_simulated_card_follows_the_jobs_and_says_what_it_is(make_link, wait_until):
    watched = make_link(simulate_gpu=True, gauge_interval=0.2)
    link = await watched.live()
    idle = await gauge_where(watched, wait_until, lambda g: g.gpus)
    assert idle.gpu_rung == "simulated"
    assert idle.gpus[0].simulated
    assert "Simulated" in idle.gpus[0].name
    assert idle.gpus[0].util == 0
    script = "import time; x = bytearray(200_000_000); time.sleep(60)"
    job = await link.start_job(JobSpec("train", (sys.executable, "-c", script)))
    busy = await gauge_where(
        watched,
        wait_until,
        lambda g: g.gpus[0].util > 20 and g.gpus[0].mem_used - idle.gpus[0].mem_used > 200_000_000,
    )
    assert busy.gpus[0].power_w > idle.gpus[0].power_w
    assert busy.gpus[0].energy_j > idle.gpus[0].energy_j
    await link.stop_job(job.job_id, 1)
    await gauge_where(watched, wait_until, lambda g: g.gpus[0].util < 5)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


def test_a_field_that_failed_once_is_asked_again_a_minute_later(monkeypatch):
    """A driver that was not ready at the start must not cost the field for the session."""
    driver = types.ModuleType("pynvml")
    exec(nvml(), driver.__dict__)  # noqa: S102
    asked: list[int] = []

    def temperature(handle: int, kind: int) -> int:
        asked.append(1)
        if len(asked) == 1:
            raise driver.NVMLError("Not Ready")
        return 71

    driver.nvmlDeviceGetTemperature = temperature
    now = [1000.0]
    monkeypatch.setattr(nvml_reader.time, "monotonic", lambda: now[0])
    card = nvml_reader.Card(driver, 0)
    first = card.read()
    assert (first["temp_c"], first["reasons"]["temp_c"]) == (None, "Not Ready")
    now[0] += nvml_reader.RETRY - 1
    assert card.read()["reasons"]["temp_c"] == "Not Ready"
    assert len(asked) == 1
    now[0] += 2
    again = card.read()
    assert (again["temp_c"], "temp_c" in again["reasons"]) == (71, False)


async def test_an_old_nvidia_smi_is_asked_again_for_less(bindings, smi, make_link, wait_until):
    bindings(None)
    line = "0, GPU-a, 1, 10, 100, 5.0, 9.0, 30, 200, Card"
    field = "clocks_throttle_reasons.active"
    smi(
        f'case "$1" in *throttle*) echo \'Field "{field}" is not a valid field to query.\'; exit 2;; esac\n'
        f'while echo "{line}"; do sleep 0.2; done\n'
    )
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    gauge = await gauge_where(watched, wait_until, lambda g: g.gpus)
    assert gauge.gpu_rung == "nvidia-smi"
    assert gauge.gpus[0].throttle is None
    assert gauge.gpus[0].reasons["throttle"] == "nvidia-smi does not tell it"
