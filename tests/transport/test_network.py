"""Three hosts at once: a black-holed link, a lossy one, a slow one. Nothing may be lost."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from itertools import pairwise

import pytest

from agents import GaugeArrived, JobSpec, LinkChanged, LinkState, Mirrored
from tests.transport.conftest import Watched, until
from tests.transport.network import Namespace, SlowProxy, need_namespaces
from tests.transport.openssh import OpenSsh

HOLE_SECONDS = float(os.environ.get("GONOGO_HOLE_SECONDS", "40"))
LOSS = 0.05
DETECT_LIMIT, RECOVER_LIMIT = 15.0, 2.0
RATE = 20


def points(seconds: float) -> tuple[str, ...]:
    """A job that appends numbered points at RATE a second."""
    count = int(seconds * RATE)
    return ("sh", "-c",
        f"i=0; while [ $i -lt {count} ]; do i=$((i+1)); "
        f'echo "{{\\"step\\": $i}}" >> "$GONOGO_JOB_DIR/run.jsonl"; sleep {1 / RATE}; done')  # fmt: skip


@pytest.fixture
def hosts(tmp_path, client_key):
    """(namespace, sshd in it) twice."""
    need_namespaces()
    made: list[tuple[Namespace, OpenSsh]] = []
    spaces: list[Namespace] = []
    try:
        for number in (1, 2):
            space = Namespace(number)
            spaces.append(space)
            server = OpenSsh(
                tmp_path / f"host{number}",
                client_key,
                address=space.address,
                port=2222,
                prefix=space.inside(),
            )
            made.append((space, server.start()))
        yield made
    finally:
        for _, server in made:
            server.stop()
        for space in spaces:
            space.close()


def longest_gap(watched: Watched, kind: type) -> float:
    """Longest time in s between two arrivals of `kind`."""
    times = [event.received_ms if kind is GaugeArrived else 0 for event in watched.of(kind)]
    return max((b - a for a, b in pairwise(times)), default=0) / 1000


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.sshd
@pytest.mark.timeout(240)
async def test_black_hole_loss_and_delay_lose_nothing(hosts, watch, tmp_path, client_key):
    (hole, tower), (lossy, server) = hosts
    local = OpenSsh(tmp_path / "local", client_key).start()
    proxy = await SlowProxy(("127.0.0.1", local.port), seed=7, delay=0.15, jitter=0.05).start()
    known = tmp_path / "known_slow"
    key = (tmp_path / "local/known_hosts").read_text().split(" ", 1)[1]
    known.write_text(f"[127.0.0.1]:{proxy.port} {key}")
    slow_spec = replace(local.spec("slow"), ssh=f"root@127.0.0.1:{proxy.port}", known_hosts=known)
    watched = [watch(tower.spec("tower")), watch(server.spec("server")), watch(slow_spec)]
    dark, thin, far = watched
    try:
        lossy.lossy(LOSS)
        links = await asyncio.gather(*(w.live(30) for w in watched))
        seconds = HOLE_SECONDS + 8
        jobs = [await link.start_job(JobSpec("points", points(seconds))) for link in links]
        for one in watched:
            await until(lambda one=one: one.mirrored("run"), 10, "points flow")

        hole.black_hole(True)
        began = time.monotonic()
        await dark.state(LinkState.backoff, 20)
        detected = time.monotonic() - began
        while time.monotonic() - began < HOLE_SECONDS:
            await asyncio.sleep(0.2)  # the length of the outage itself, not a wait for something
            assert dark.link.state is not LinkState.live
        hole.black_hole(False)
        began = time.monotonic()
        await dark.link.wait_live(30)
        recovered = time.monotonic() - began

        copies = []
        for one, job, home in zip(
            watched, jobs, (tower.home, server.home, local.home), strict=True
        ):
            await until(
                lambda one=one, job=job: one.job_states(job.job_id)[-1] == "succeeded", 40, "ends"
            )
            source = (home / ".gonogo/jobs" / job.job_id / "run.jsonl").read_bytes()
            copy = one.root / one.link.name / job.job_id / "run.jsonl"
            await until(lambda c=copy, s=source: c.read_bytes() == s, 10, "the same bytes")
            copies.append(source.count(b"\n"))
        dropped = lossy.dropped()
    finally:
        for one in watched:
            await one.link.close()
        await proxy.stop()
        local.stop()
    gaps = [longest_gap(one, GaugeArrived) for one in (thin, far)]
    print(
        f"\nblack hole of {HOLE_SECONDS:g} s: noticed after {detected:.1f} s "
        f"(limit {DETECT_LIMIT:g}), live {recovered:.2f} s after its end (limit {RECOVER_LIMIT:g})"
        f"\n{LOSS:.0%} loss: longest gap between gauges {gaps[0]:.1f} s, 150 ms delay with "
        f"{proxy.stalls} stalls and {proxy.trickles} trickles: {gaps[1]:.1f} s"
        f"\npoints written and mirrored: {copies}, lost 0, doubled 0; {dropped} packets lost"
    )
    assert dropped > 5
    assert copies == [int(seconds * RATE)] * 3
    assert detected <= DETECT_LIMIT
    assert recovered <= RECOVER_LIMIT
    for one, gap in zip((thin, far), gaps, strict=True):
        assert LinkState.backoff not in one.states(), "one host's trouble reached another"
        assert gap <= DETECT_LIMIT
        assert len(one.mirrored("run")) > 20, "points came while they were written"
    assert proxy.trickles > 10
    assert len(thin.of(GaugeArrived)) > 0.7 * HOLE_SECONDS
    assert any(event.state is LinkState.suspect for event in dark.of(LinkChanged))
    assert dark.of(Mirrored)
