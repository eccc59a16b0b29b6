"""`gonogo doctor` on hosts that are there, lack things, are gone; and a job whose link is cut."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents import HostSpec
from tests.transport.test_machine_probes import docker, install, smi  # noqa: F401 - a fixture
from tui.cli import main
from tui.roadmap.workspace import Workspace
from tui.survival import survives


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def spec(sshd, port: int | None = None) -> HostSpec:
    return HostSpec(
        "tower",
        ssh=f"tester@127.0.0.1:{port or sshd.port}",
        identity_file=sshd.client_key,
        known_hosts=sshd.known_hosts,
        simulate_gpu=True,
    )


def workspace(tmp_path: Path, sshd, role: str = "tower", port: int | None = None) -> Workspace:
    text = f"""[hosts.box]
role = "{role}"
ssh = "tester@127.0.0.1:{port or sshd.port}"
identity_file = "{sshd.client_key}"
known_hosts = "{sshd.known_hosts}"
simulate_gpu = true
"""
    return Workspace.create(tmp_path / "w", settings_text=text)


async def command(*args: str):
    """The command in a thread of its own, while this loop keeps serving SSH."""
    return await asyncio.to_thread(CliRunner().invoke, main, list(args))


async def test_a_job_outlives_a_cut_link_and_leaves_nothing(sshd):
    finding = await survives(spec(sshd))
    assert finding.verdict == "PASS", finding.reason
    assert sshd.logins >= 2, "the link really was cut"
    assert finding.data["before"] == finding.data["after"]
    assert finding.data["before"]["starttime"] > 0
    assert list(sshd.home.iterdir()) == []


async def test_a_job_that_never_ran_is_not_blamed_on_the_link(sshd, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "python3").symlink_to(sys.executable)
    sshd.path = str(bare)
    finding = await survives(spec(sshd))
    assert finding.verdict == "FAIL"
    assert finding.found.startswith("the small job did not run: cannot start sleep")
    assert "linger" not in str(finding.data["next"])
    assert not list((sshd.home / ".gonogo/jobs").glob("[!.]*"))


async def test_a_job_that_dies_with_its_link_is_seen(sshd):
    told: list[str] = []

    def report(text: str) -> None:
        told.append(text)
        if text == "cutting the link":  # what systemd does at a logout without linger
            for record in (sshd.home / ".gonogo/jobs").glob("doctor-*/job.json"):
                job = json.loads(record.read_text())
                os.kill(job["supervisor"]["pid"], signal.SIGKILL)
                os.kill(job["pid"], signal.SIGKILL)

    finding = await survives(spec(sshd), report)
    assert finding.verdict == "FAIL", finding
    assert "enable-linger" in finding.data["next"]


async def test_the_rows_of_a_good_tower(sshd, tmp_path, install):  # noqa: F811
    install("nvidia-smi", smi())
    install("docker", docker())
    ws = workspace(tmp_path, sshd)
    done = await command("-C", str(ws.root), "doctor", "box", "--json", "--deep", "--drop")
    rows = {row["id"]: row for row in json.loads(done.stdout)}
    assert set(rows["box.driver"]) == {"id", "verdict", "expected", "found", "seconds", "next"}
    assert rows["box.vram"]["found"] == "11.99 GiB total"
    good = (
        "link",
        "clock",
        "journal",
        "docker",
        "driver",
        "cuda",
        "card",
        "image",
        "docker-gpu",
        "drop",
    )
    assert {rows[f"box.{name}"]["verdict"] for name in good} == {"PASS"}, rows
    assert list(sshd.home.iterdir()) == [], "nothing is left on the host"
    assert not [row for row in rows if row.startswith("laptop.")]
    assert rows["box.kernel"]["verdict"] == "FAIL", "the fake container multiplies nothing"
    assert done.exit_code == 1


async def test_a_tower_without_a_driver_and_with_a_sleeping_daemon(sshd, tmp_path, install):  # noqa: F811
    install("nvidia-smi", "echo 'NVIDIA-SMI has failed because it couldn'\"'\"'t communicate with "
            "the NVIDIA driver.'; exit 9\n")  # fmt: skip
    install(
        "docker",
        "echo 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.'; exit 1",
    )
    ws = workspace(tmp_path, sshd)
    done = await command("-C", str(ws.root), "doctor", "box")
    assert done.exit_code == 1
    assert "FAIL        box.driver             the NVIDIA driver is not loaded" in done.stdout
    assert "next: start it: `sudo systemctl enable --now docker`" in done.stdout
    assert "SKIP        box.vram               needs the NVIDIA driver" in done.stdout
    assert "\x1b" not in done.stdout


async def test_whether_a_training_reaches_mlflow(sshd, tmp_path):
    """Asked on the host itself: what the laptop's tunnel reaches is another matter."""
    answers = {"now": b"HTTP/1.0 200 OK\r\n\r\nOK"}

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers["now"])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ws = workspace(tmp_path, sshd)
    path = ws.root / "gonogo.toml"

    async def row(name: str, uri: str, more: str = "") -> dict:
        path.write_text(text + f'[training]\ntracking_uri = "{uri}"\n{more}')
        done = await command("-C", str(ws.root), "doctor", "box", "--json")
        return {r["id"]: r for r in json.loads(done.stdout)}[name]

    text = path.read_text()
    uri = f"http://127.0.0.1:{port}"
    assert (await row("box.tracking", uri))["verdict"] == "PASS"
    answers["now"] = b"HTTP/1.0 403 Forbidden\r\n\r\nInvalid Host header - possible DNS rebinding"
    refused = await row("box.tracking", uri)
    assert (refused["verdict"], "mlflow.allowed_hosts" in refused["next"]) == ("FAIL", True)
    server.close()
    away = await row("box.tracking", uri)
    assert (away["verdict"], "mlflow.bind" in away["next"]) == ("FAIL", True)
    assert (await row("box.tracking", ""))["verdict"] == "SKIP"
    path.write_text(text.replace("[hosts.box]", '[hosts.box]\nbackend = "docker"'))
    text = path.read_text()
    assert (await row("box.shm", ""))["verdict"] == "WARN"
    assert (await row("box.shm", "", "shm_gb = 2\n"))["verdict"] == "PASS"


async def test_a_host_that_is_off_is_exit_code_5_within_10_s(sshd, tmp_path):
    ws = workspace(tmp_path, sshd, "server", port=1)
    began = time.monotonic()
    done = await command("-C", str(ws.root), "doctor", "box", "--json")
    assert time.monotonic() - began < 10
    rows = json.loads(done.stdout)
    assert {row["verdict"] for row in rows} == {"UNREACHABLE"}, rows
    assert done.exit_code == 5
    assert {row["next"] for row in rows} == {"is box switched on, and does `ssh box` work?"}


async def test_a_host_that_takes_calls_and_never_speaks(sshd, tmp_path):
    """Each check waits for the same login, and the job under a cut link is not tried at all."""
    silent = await asyncio.start_server(lambda *_: asyncio.Event().wait(), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    ws = workspace(tmp_path, sshd, port=port)
    done = await command("-C", str(ws.root), "doctor", "box", "--json", "--deep", "--drop")
    silent.close()
    rows = {row["id"]: row for row in json.loads(done.stdout)}
    assert rows.pop("box.tracking")["verdict"] == "SKIP", "nothing to ask for"
    assert {row["verdict"] for row in rows.values()} == {"UNREACHABLE"}, rows
    assert done.exit_code == 5
    assert rows["box.drop"]["seconds"] == 0
    assert list(sshd.home.iterdir()) == []


async def test_names_that_are_no_host(sshd, tmp_path):
    ws = workspace(tmp_path, sshd)
    done = await command("-C", str(ws.root), "doctor", "tower")
    assert done.exit_code == 2
    assert "names no host tower; it names box." in done.stderr
