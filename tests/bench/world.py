"""A workspace as it is after hours of training: two SSH hosts on the loopback, a run on each that grows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agents import HostLink, HostSpec, JobSpec, Mirrored
from agents.loopback import LoopbackHost, start_loopback, stop_loopback
from tests.bench.terminal import ENV, Terminal
from tui.roadmap.workspace import Workspace

RATE = 10
"""Points a second of each run."""

HOSTS = {"tower": "control", "server": "experiment"}
RUN = """
import json, math, os, sys, time
n, rate, arm = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
path = os.environ["GONOGO_JOB_DIR"] + "/run.jsonl"
t = int(time.time() * 1000) - 700 * n
start = {"v": 1, "kind": "start", "t": t, "name": arm, "arm": arm, "seed": 1, "max_steps": 2 * n,
         "batch_size": 4, "grad_accum": 2}
def line(s, at):
    return json.dumps({
        "v": 1, "kind": "point", "t": at, "step": s, "tokens": 4096 * s, "seconds": 0.7 * s,
        "loss": 3 * math.exp(-s / n * 3) + 0.1 * math.sin(s), "learning_rate": 2e-4 * (1 - s / 3 / n),
        "grad_norm": 1 + 0.1 * math.cos(s), "tokens_per_s": 1200.5 + s % 7, "rss_bytes": 6 << 30,
    }) + chr(10)
with open(path, "a", buffering=1 << 20) as file:
    file.write(json.dumps(start) + chr(10))
    for step in range(n):
        file.write(line(step, t + 700 * step))
    file.flush()
    while True:
        time.sleep(1 / rate)
        step += 1
        file.write(line(step, int(time.time() * 1000))); file.flush()
"""
SETTINGS = """\
title = "Bench"
user = "ana"
{hosts}
"""
HOST = """
[hosts.{name}]
role = "{name}"
ssh = "127.0.0.1"
port = {host.port}
user = "demo"
identity_file = "{host.client_key}"
known_hosts = "{host.known_hosts}"
simulate_gpu = {simulated}
"""


@dataclass
class World:
    """`root` is the workspace; the hosts' servers and jobs run until the world ends."""

    root: Path
    hosts: dict[str, LoopbackHost] = field(default_factory=dict)

    def app(self, size: tuple[int, int] = (120, 40)) -> Terminal:
        """The app in a terminal, started as a person starts it."""
        program = str(Path(sys.executable).with_name("gonogo"))
        env = ENV | {"HOME": str(self.root.parent)}
        return Terminal([program, "-C", str(self.root)], env, self.root, size)


async def _train(world: World, points: int) -> None:
    """Start a run on each host and wait until all of it is mirrored."""
    events: list[Mirrored] = []
    links, runners = [], []
    for name, host in world.hosts.items():
        spec = HostSpec(
            name, ssh="127.0.0.1", port=host.port, user="demo",
            identity_file=host.client_key, known_hosts=host.known_hosts,
        )  # fmt: skip
        link = HostLink(
            spec,
            world.root / "runs",
            lambda e: events.append(e) if isinstance(e, Mirrored) else None,
        )
        links.append(link)
        runners.append(asyncio.create_task(link.run()))
        await link.wait_live(20)
        script = host.home / "job.py"
        script.write_text(RUN)
        argv = (sys.executable, str(script), str(points), str(RATE), HOSTS[name])
        await link.start_job(JobSpec("train", argv, labels={"stage": "S3", "kind": "train"}))
    deadline = time.monotonic() + 120
    whole = {name for e in events if (name := e.host) and e.size > 150 * points and not e.behind}
    while len(whole) < len(links):
        assert time.monotonic() < deadline, f"only {whole} mirrored"
        await asyncio.sleep(0.2)
        whole = {e.host for e in events if e.size > 150 * points and not e.behind}
    for link in links:
        await link.close()
    await asyncio.gather(*runners, return_exceptions=True)


@contextmanager
def world(folder: Path, points: int) -> Iterator[World]:
    """Two hosts whose runs hold `points` points and grow by RATE a second."""
    made = World(folder / "ws")
    try:
        for name in HOSTS:
            made.hosts[name] = start_loopback(folder / "hosts", name)
        text = "".join(
            HOST.format(name=n, host=h, simulated=str(n == "tower").lower())
            for n, h in made.hosts.items()
        )
        Workspace.create(made.root, settings_text=SETTINGS.format(hosts=text))
        asyncio.run(_train(made, points))
        yield made
    finally:
        for host in made.hosts.values():
            for path in host.home.glob(".gonogo/jobs/*/job.json"):
                try:
                    os.killpg(int(json.loads(path.read_text())["pid"]), signal.SIGKILL)
                except (OSError, KeyError, ValueError):
                    continue
            stop_loopback(folder / "hosts", host.name)
