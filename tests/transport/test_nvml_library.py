"""The real NVML bindings over a library that crashes, hangs, loses its card or is too new."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from agents import GaugeArrived, JobSpec, bootstrap
from agents.remote import gpu

SOURCE = Path(__file__).with_name("fake_nvml.c")


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """The folder with libnvidia-ml.so.1, compiled here."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    if bootstrap.nvml_bindings() is None:
        pytest.skip("nvidia-ml-py is not installed")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(target), str(SOURCE)], check=True)
    return folder


@pytest.fixture
def driver(library, sshd, tmp_path):
    """Write how the driver behaves from now on."""
    path = tmp_path / "mood"
    sshd.environment |= {"LD_LIBRARY_PATH": str(library), "FAKE_NVML": str(path)}
    path.write_text("well")
    return path.write_text


@pytest.fixture
def gauge(wait_until):
    async def newest(watched, condition, timeout=15):
        def found():
            events = watched.of(GaugeArrived)
            return events[-1].gauge if events and condition(events[-1].gauge) else None

        return await wait_until(found, timeout)

    return newest


async def test_the_real_bindings_read_the_card(driver, make_link, gauge):
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    card = (await gauge(watched, lambda g: g.gpus)).gpus[0]
    assert watched.of(GaugeArrived)[-1].gauge.gpu_rung == "nvml"
    assert (card.name, card.util, card.temp_c) == ("NVIDIA GeForce GTX 970", 87, 71)
    assert (card.mem_used, card.mem_total) == (3 * 2**30, 4 * 2**30)
    assert (card.power_w, card.power_limit_w, card.clock_mhz) == (142.5, 145.0, 1304)
    assert card.energy_j is None
    assert "Not Supported" in card.reasons["energy_j"]
    assert card.throttle == ("power cap",)
    assert card.mem_jobs == 0


async def test_the_share_of_our_jobs_in_the_memory(
    driver, sshd, make_link, gauge, wait_until, tmp_path
):
    path = tmp_path / "pid"
    sshd.environment["FAKE_NVML_PID"] = str(path)
    watched = make_link(gauge_interval=0.2)
    link = await watched.live()
    path.write_text(str(os.getpid()))  # somebody else's process
    await gauge(watched, lambda g: g.gpus and g.gpus[0].mem_jobs == 0)
    job = await link.start_job(JobSpec("work", ("sh", "-c", "sleep 60; true")))
    status = next(j for j in await link.jobs() if j.job_id == job.job_id)
    path.write_text(str(status.pid))
    await gauge(watched, lambda g: g.gpus and g.gpus[0].mem_jobs == 2 * 2**30)
    await link.stop_job(job.job_id, 0)
    await gauge(watched, lambda g: g.gpus and g.gpus[0].mem_jobs == 0)
    worker = tmp_path / "worker"
    script = f"setsid sh -c 'echo $$ >{worker}; sleep 60; true' & sleep 60"  # as a launcher may do
    job = await link.start_job(JobSpec("launcher", ("sh", "-c", script)))
    await wait_until(lambda: worker.exists() and worker.read_text().strip())
    path.write_text(worker.read_text().strip())
    await gauge(watched, lambda g: g.gpus and g.gpus[0].mem_jobs == 2 * 2**30)
    await link.stop_job(job.job_id, 0)
    path.write_text(str(os.getpid()))


async def test_a_segmentation_fault_in_the_driver_costs_only_that_rung(driver, make_link, gauge):
    watched = make_link(gauge_interval=0.2)
    link = await watched.live()
    await gauge(watched, lambda g: g.gpus)
    driver("crash")
    after = await gauge(watched, lambda g: g.gpu_rung != "nvml" and not g.gpus)
    assert f"nvml: crashed with signal {signal.SIGSEGV.value}" in after.gpu_reason
    assert link.attempt == 0
    assert await link.jobs() == []


async def test_an_unplugged_card_is_unknown_not_zero(driver, make_link, gauge):
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    await gauge(watched, lambda g: g.gpus)
    driver("lost")
    card = (await gauge(watched, lambda g: g.gpus and g.gpus[0].util is None)).gpus[0]
    assert (card.util, card.mem_used, card.power_w, card.temp_c) == (None, None, None, None)
    assert "GPU is lost" in card.reasons["util"]


async def test_a_mismatch_of_driver_and_library_is_named(driver, make_link, gauge):
    driver("mismatch")
    watched = make_link(gauge_interval=0.2)
    await watched.live()
    after = await gauge(watched, lambda g: g.gpu_rung == "none")
    assert "version mismatch" in after.gpu_reason.lower()


async def test_a_hanging_driver_stops_the_gpu_gauge_only(
    driver, make_link, gauge, wait_until, monkeypatch
):
    """The host's copy of the program waits 10 s before it says so; here 1 s."""
    source = (bootstrap.REMOTE / "gpu.py").read_text()
    assert f"SILENT_AFTER = {gpu.SILENT_AFTER}" in source
    original = bootstrap._sources

    def impatient(names):
        modules = original(names)
        if "agents.remote.gpu" in modules:
            modules["agents.remote.gpu"] = source.replace(
                f"SILENT_AFTER = {gpu.SILENT_AFTER}", "SILENT_AFTER = 1.0"
            )
        return modules

    monkeypatch.setattr(bootstrap, "_sources", impatient)
    bootstrap.build_payload.cache_clear()
    try:
        watched = make_link(gauge_interval=0.2)
        await watched.live()
        await gauge(watched, lambda g: g.gpus)
        driver("hang")
        silent = await gauge(watched, lambda g: "has not answered" in g.gpu_reason)
        assert silent.gpus == ()
        before = len(watched.of(GaugeArrived))
        await wait_until(lambda: len(watched.of(GaugeArrived)) > before + 3)
        assert watched.of(GaugeArrived)[-1].gauge.ram.total > 0
        driver("well")
        await gauge(watched, lambda g: g.gpus)
    finally:
        bootstrap.build_payload.cache_clear()


async def test_nobody_looking_makes_the_host_quiet(driver, make_link, gauge, wait_until):
    """No job and nobody there: the card is asked every 5 s; a job or a look brings 0.2 s back."""

    async def arrivals(seconds: float) -> int:
        before = len(watched.of(GaugeArrived))
        await asyncio.sleep(seconds)  # the time over which arrivals are counted
        return len(watched.of(GaugeArrived)) - before

    watched = make_link(gauge_interval=0.2)
    link = await watched.live()
    await gauge(watched, lambda g: g.gpus)
    assert await arrivals(2) >= 6
    link.quiet(True)
    await asyncio.sleep(0.5)
    assert await arrivals(2) <= 1
    job = await link.start_job(JobSpec("work", ("sleep", "60")))
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "running")
    assert await arrivals(2) >= 6
    await link.stop_job(job.job_id, 0)
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "stopped")
    await asyncio.sleep(0.5)
    assert await arrivals(2) <= 1
    link.quiet(False)
    assert await arrivals(3) >= 6
    assert watched.of(GaugeArrived)[-1].gauge.gpus
