"""What reading one card each second costs: our agent beside gpustat and nvitop, same driver.

The driver is the tests' C library, so that the figures are those of the readers. Each reads
name, utilisation, memory, power and its limit, temperature and clock once a second.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents import GaugeArrived, HostLink, HostSpec, bootstrap
from tests.bench.terminal import cpu_seconds, family, rss_mb

SECONDS = float(os.environ.get("GONOGO_BENCH_SECONDS", "20"))
SOURCE = Path(__file__).parents[1] / "transport/fake_nvml.c"
PEERS = {
    "gpustat": (
        "import time, gpustat\n"
        "while True:\n"
        "    begun = time.monotonic()\n"
        "    card = gpustat.GPUStatCollection.new_query().gpus[0]\n"
        "    card.name, card.utilization, card.memory_used, card.memory_total\n"
        "    card.power_draw, card.power_limit, card.temperature\n"
        "    print(card.utilization, flush=True)\n"
        "    time.sleep(max(0, 1 - (time.monotonic() - begun)))\n"
    ),
    "nvitop": (
        "import time, nvitop\n"
        "devices = nvitop.Device.all()\n"
        "while True:\n"
        "    begun = time.monotonic()\n"
        "    card = devices[0]\n"
        "    with card.oneshot():\n"
        "        card.name(), card.memory_used(), card.memory_total(), card.power_usage()\n"
        "        card.power_limit(), card.temperature(), card.sm_clock()\n"
        "        print(card.gpu_utilization(), flush=True)\n"
        "    time.sleep(max(0, 1 - (time.monotonic() - begun)))\n"
    ),
}


def measured(pid: int, children: bool = True) -> tuple[float, float]:
    """(RSS MB, CPU % of a core) of a process and its children, or of these alone, over SECONDS."""
    time.sleep(3)
    pids = family(pid) if children else [pid]
    before, began = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(SECONDS)
    cpu = 100 * (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - began)
    return sum(map(rss_mb, pids)), cpu


@pytest.mark.slow
@pytest.mark.timeout(3 * SECONDS + 240)
async def test_reading_a_card_beside_gpustat_and_nvitop(tmp_path, monkeypatch):
    for name in PEERS:
        pytest.importorskip(name, reason="the bench extra is not installed")
    compiler = shutil.which("cc")
    if compiler is None or bootstrap.nvml_bindings() is None:
        pytest.skip("needs a C compiler and nvidia-ml-py")
    build = [compiler, "-shared", "-fPIC", "-o", tmp_path / "libnvidia-ml.so.1", SOURCE]
    await asyncio.to_thread(subprocess.run, build, check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    figures: dict[str, tuple[float, float]] = {}
    events: list[object] = []
    link = HostLink(HostSpec("here", local=True), tmp_path / "runs", events.append)
    runner = asyncio.create_task(link.run())
    try:
        await link.wait_live(10)
        while not any(isinstance(e, GaugeArrived) and e.gauge.gpus for e in events):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        pid = int(link.host_info["pid"])
        child = family(pid)[1]
        figures["gonogo's reader"], figures["gonogo's agent"] = await asyncio.gather(
            asyncio.to_thread(measured, child, False), asyncio.to_thread(measured, pid, False)
        )
        gauge = [e for e in events if isinstance(e, GaugeArrived)][-1].gauge
        assert gauge.gpu_rung == "nvml"
        assert gauge.gpus[0].util == 87
    finally:
        await link.close()
        assert runner.done()
    for name, script in PEERS.items():
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
        )
        try:
            figures[name] = await asyncio.to_thread(measured, process.pid)
        finally:
            process.kill()
            out = (await process.communicate())[0]
        assert out.count(b"87") >= SECONDS * 0.8, f"{name} reads the card"
    reader = figures["gonogo's reader"]
    print("\none card a second; the agent samples CPU, RAM, disk and network as well")
    for name, (rss, cpu) in figures.items():
        print(
            f"{name:16} {rss:5.1f} MB RSS, {cpu:.2f} % of a core; "
            f"the reader takes {reader[0] / rss:.2f} x the memory"
        )
    for name in PEERS:
        assert reader[0] <= figures[name][0]
