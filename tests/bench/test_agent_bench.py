"""What the agent costs a host that trains, and how fast a copy catches up. Printed, with limits.

Run with `-s`; the figures depend on the machine, the limits are the design's.
"""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest

from agents import GaugeArrived, HostLink, HostSpec, JobSpec, Mirrored
from tests.bench.terminal import cpu_seconds, rss_mb

RSS_LIMIT_MB = 15.0
CPU_LIMIT_PERCENT = 0.5
SECONDS = float(os.environ.get("GONOGO_BENCH_SECONDS", "20"))
BACKFILL_POINTS = 1_000_000
BACKFILL_LIMIT = 200_000


async def measure(link: HostLink, pid: int) -> tuple[float, float]:
    """(RSS in MB, CPU in percent of one core) over SECONDS."""
    await asyncio.sleep(3)
    before, began = cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    return rss_mb(pid), 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 160)
@pytest.mark.parametrize(
    "case", ["idle", "one job, journal at 20 points/s", "simulated GPU, one job"]
)
async def test_agent_cost(case, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    events: list[object] = []
    spec = HostSpec("here", local=True, simulate_gpu="simulated" in case)
    link = HostLink(spec, tmp_path / "runs", events.append)
    runner = asyncio.create_task(link.run())
    try:
        await link.wait_live(10)
        if "job" in case:
            script = (
                'while :; do echo "{\\"step\\": 1, \\"loss\\": 2.0}" >> $GONOGO_JOB_DIR/run.jsonl;'
                " sleep 0.05; done"
            )
            await link.start_job(JobSpec("journal", ("sh", "-c", script)))
        pid = int(link.host_info["pid"])
        rss, cpu = await measure(link, pid)
        gauges = sum(isinstance(event, GaugeArrived) for event in events)
        for job in await link.jobs():
            await link.stop_job(job.job_id, 0)
    finally:
        await link.close()
        assert runner.done()
    print(
        f"\nagent, {case}: {rss:.1f} MB RSS (limit {RSS_LIMIT_MB:g}), "
        f"{cpu:.2f} % of a core (limit {CPU_LIMIT_PERCENT:g}), {gauges} gauges in {SECONDS:g} s"
    )
    assert gauges >= SECONDS * 0.8
    assert rss <= RSS_LIMIT_MB
    assert cpu <= CPU_LIMIT_PERCENT


@pytest.mark.slow
async def test_backfill_speed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    job_id = "train-20240607-120000-abcd"
    folder = tmp_path / ".gonogo/jobs" / job_id
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"job_id": job_id, "name": "train"}))
    point = {
        "v": 1,
        "kind": "point",
        "t": 1717770000000,
        "step": 123456,
        "epoch": 1.25,
        "loss": 1.2345678,
        "learning_rate": 0.0002,
        "grad_norm": 0.98765,
        "tokens_per_s": 1234.5,
        "seconds": 12345.6,
        "rss_bytes": 1234567890,
        "gpu_alloc_bytes": None,
        "gpu_reserved_bytes": None,
    }
    line = json.dumps(point).encode() + b"\n"
    (folder / "run.jsonl").write_bytes(line * BACKFILL_POINTS)
    total = len(line) * BACKFILL_POINTS
    copied = asyncio.Event()

    def listen(event: object) -> None:
        if isinstance(event, Mirrored) and event.stream == "run" and event.size == total:
            copied.set()

    link = HostLink(HostSpec("here", local=True), tmp_path / "runs", listen)
    runner = asyncio.create_task(link.run())
    try:
        await link.wait_live(10)
        began = time.monotonic()
        await asyncio.wait_for(copied.wait(), 60)
        seconds = time.monotonic() - began
    finally:
        await link.close()
        assert runner.done()
    rate = BACKFILL_POINTS / seconds
    print(
        f"\nbackfill: {total / 1e6:.0f} MB in {seconds:.2f} s = {rate / 1000:.0f} k points/s "
        f"(limit {BACKFILL_LIMIT / 1000:.0f} k), {total / 1e6 / seconds:.0f} MB/s"
    )
    assert rate >= BACKFILL_LIMIT
