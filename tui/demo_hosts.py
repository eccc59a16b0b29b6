"""The demo's surroundings: a workspace, two SSH hosts on the loopback, and how all of it ends again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from agents import AgentError
from agents.loopback import LoopbackHost, loopback_status, start_loopback, stop_loopback
from tui.fleet import Fleet
from tui.roadmap.workspace import Workspace
from tui.story import SERVER, TOWER

TEMPLATE = """\
# The demo's workspace: two hosts on this machine's loopback, each with its own HOME.
title = "AI Training Demo"

[hosts.tower]
role = "tower"
ssh = "127.0.0.1"
port = {tower.port}
user = "demo"
identity_file = "{tower.client_key}"
known_hosts = "{tower.known_hosts}"
python = "{python}"
simulate_gpu = {simulate}

[hosts.server]
role = "server"
ssh = "127.0.0.1"
port = {server.port}
user = "demo"
identity_file = "{server.client_key}"
known_hosts = "{server.known_hosts}"
python = "{python}"

[mlflow]
host = "server"
port = {mlflow_port}

[training]
host = "tower"
model = "{model}"
dataset = "{dataset}"
tracking_uri = "http://127.0.0.1:{mlflow_port}"
max_steps = 250
gpus = {gpus}
"""


def free_port() -> int:
    """A TCP port on the loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_hosts(root: Path) -> tuple[LoopbackHost, LoopbackHost]:
    """Both SSH servers, started or found running; same ports and host keys as before."""
    return start_loopback(root / "hosts", TOWER), start_loopback(root / "hosts", SERVER)


def stop_hosts(root: Path) -> list[str]:
    """End what the demo left running on this machine: jobs, then the SSH servers."""
    ended = []
    for name in (TOWER, SERVER):
        host = loopback_status(root / "hosts", name)
        if host is not None and host.running:
            stop_loopback(root / "hosts", name)
            ended.append(name)
    return ended


def stop_followers(root: Path) -> int:
    """End the demo's MLflow followers, which outlive their trainings on purpose; returns how many."""
    ended = 0
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue  # it has ended meanwhile
        ours = any(word.startswith(f"{root}/hosts/") for word in words)
        if "pipeline.training.track" in words and ours:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(process.parent.name), signal.SIGTERM)
                ended += 1
    return ended


async def stop_jobs(workspace: Workspace) -> list[str]:
    """Stop every job that still runs on a reachable demo host."""
    fleet = Fleet(workspace)
    fleet.start()
    ended = []
    try:
        for name, link in fleet.links.items():
            with contextlib.suppress(TimeoutError, AgentError):
                await link.wait_live(10)
                for job in await link.jobs():
                    if str(job.state) in ("running", "starting"):
                        await link.stop_job(job.job_id, 15)
                        ended.append(f"{job.name} on {name}")
    finally:
        await fleet.close()
    return ended


def prepare(root: Path, simulate: bool) -> Workspace:
    """The workspace with running hosts; everything that is there already stays."""
    root.mkdir(parents=True, exist_ok=True)
    tower, server = start_hosts(root)
    settings_file = root / "gonogo.toml"
    if not settings_file.exists():
        text = TEMPLATE.format(
            tower=tower,
            server=server,
            python=sys.executable,
            mlflow_port=free_port(),
            simulate="true" if simulate else "false",
            gpus="true" if Path("/dev/nvidiactl").exists() else "false",
            model=f"{tower.home}/gonogo/models/tiny-llama",
            dataset=f"{tower.home}/gonogo/datasets/micro.jsonl",
        )
        return Workspace.create(root, settings_text=text)
    return Workspace.open(root)


def running(root: Path) -> bool:
    """True while one of the demo's SSH servers runs."""
    found = [loopback_status(root / "hosts", name) for name in (TOWER, SERVER)]
    return any(host is not None and host.running for host in found)
