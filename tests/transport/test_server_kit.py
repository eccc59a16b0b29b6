"""`gonogo mlflow` against a real MLflow: as a process, and by Docker Compose on a real engine."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import site
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tui.fleet import Fleet
from tui.lights import look
from tui.roadmap.workspace import Workspace
from tui.server_kit import KitError, ServerKit, compose_files
from tui.settings import parse_settings

SETTINGS = """\
title = "t"
[hosts.server]
local = true
role = "server"
python = "{python}"
backend = "{backend}"
[mlflow]
host = "server"
port = {port}
image = "gonogo-test:base"
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def kit(tmp_path):
    """Makes a workspace whose server is this machine with another HOME; runs `gonogo mlflow`."""
    home = tmp_path / "home"
    home.mkdir()
    started = []

    def make(backend, **environment):
        root = tmp_path / "ws"
        port = free_port()
        text = SETTINGS.format(python=sys.executable, backend=backend, port=port)
        Workspace.create(root, settings_text=text)

        def call(*words):
            call.down = "down" in words
            argv = [sys.executable, "-c", "from tui.cli import main; main()", "-C", str(root)]
            env = {**os.environ, "HOME": str(home), **environment}
            done = subprocess.run(
                [*argv, "mlflow", *words, "--json"], env=env, capture_output=True, text=True,
                timeout=170,
            )  # fmt: skip
            return done.returncode, json.loads(done.stdout), done.stderr

        call.port, call.home, call.down = port, home, False
        started.append(call)
        return call

    yield make
    for call in started:
        if not call.down:
            call("down")


def needs_mlflow():
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("MLflow (the train extra) is not installed")


@pytest.mark.train
async def test_as_a_process(tmp_path, monkeypatch):
    needs_mlflow()
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = SETTINGS.format(python=sys.executable, backend="process", port=free_port())
    workspace = Workspace.create(tmp_path / "ws", settings_text=text)
    port = workspace.settings.mlflow.port
    fleet = Fleet(workspace)
    fleet.start()
    said = []
    try:
        kit = ServerKit(fleet, said.append)
        await kit.link.wait_live(15)
        with socket.socket() as other:
            other.bind(("127.0.0.1", port))
            other.listen()
            with pytest.raises(
                KitError, match=f"port {port} .* something else .*: set mlflow.port"
            ):
                await kit.up()
        assert await kit.server_job() is None
        assert await kit.up() == f"MLflow answers on server port {port}, kept by a process"
        assert said[0].startswith("starting the server with ")
        assert await kit.down() == "MLflow on server: stopped"
        # Two at once, as from two terminals: one server, not two on one database.
        other = ServerKit(fleet, said.append)
        ups = await asyncio.gather(kit.up(), other.up())
        assert ups == [f"MLflow answers on server port {port}, kept by a process"] * 2
        jobs = [job for job in await kit.link.jobs() if job.name == "mlflow"]
        assert [str(job.state) for job in jobs] == ["stopped", "running"]
        first = await kit.server_job()
        assert await kit.up() == f"MLflow answers already on server port {port}"
        assert (await kit.server_job()).job_id == first.job_id
        assert (tmp_path / "home/mlflow/mlflow.db").exists()
        assert all(light.ok for light in await look(kit.link, await fleet.tunnel()))
        assert any("running on http://127.0.0.1" in line for line in await kit.logs())
        assert await kit.down() == "MLflow on server: stopped"
        assert await kit.answers() == "free"
    finally:
        with contextlib.suppress(KitError):
            await kit.down()
        await fleet.close()


def override():
    """This interpreter and its packages, lent to a container that has neither."""
    places = {sys.prefix, sys.base_prefix, str(Path.cwd()), *site.getsitepackages(), *sys.path}
    places |= {"/lib", "/lib64", "/usr/lib", "/usr/local/lib"}
    volumes = [f"{p}:{p}:ro" for p in sorted(places) if Path(p).is_dir()]
    service = {"entrypoint": [sys.executable, "-m"], "volumes": volumes}
    return json.dumps({"services": {"mlflow": service}})


@pytest.mark.docker
@pytest.mark.train
def test_by_docker_compose(kit, engine):
    needs_mlflow()
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode and shutil.which("docker-compose") is None:
        pytest.skip("there is no Docker Compose here")
    call = kit("docker", DOCKER_HOST=engine.url)
    (call.home / "mlflow").mkdir()
    (call.home / "mlflow/docker-compose.override.yml").write_text(override())
    code, answer, said = call("up")
    assert (code, answer.get("health"), answer.get("backend")) == (0, "ok", "docker"), (
        answer,
        said,
    )
    names = engine.docker("ps", "--format", "{{.Names}}").split()
    assert len(names) == 1
    facts = json.loads(engine.docker("inspect", names[0]))[0]
    assert facts["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert (call.home / "mlflow/mlflow.db").exists()
    code, answer, _ = call("logs")
    assert any("running on http://127.0.0.1" in line for line in answer["lines"])
    assert call("down")[0] == 0
    assert engine.docker("ps", "-aq") == ""


def test_without_an_engine_the_reason_is_one_sentence(kit):
    call = kit("docker", DOCKER_HOST="unix:///nowhere/docker.sock")
    code, answer, _ = call("up")
    assert code == 1
    assert answer["error"]["message"].startswith("docker compose up failed: ")
    call.down = True


def test_the_files_of_both_stores():
    text = SETTINGS.format(python="python3", backend="docker", port=5000)
    names = 'allowed_hosts = ["gpu-server", "mlflow.home:8080"]\nbind = "192.168.1.5"\n'
    plain = compose_files(parse_settings(text + names), 1000)
    assert set(plain) == {"docker-compose.yml", ".env"}
    values = dict(line.split("=", 1) for line in plain[".env"].splitlines())
    assert values["MLFLOW_BIND"] == "192.168.1.5"
    assert values["MLFLOW_HOSTS"].endswith(",gpu-server,gpu-server:*,mlflow.home:8080")
    assert values["MLFLOW_USER"] == "1000:1000"
    store = compose_files(parse_settings(text + 'store = "postgresql"\n'), 1000)
    assert {"Dockerfile", ".dockerignore"} < set(store)
    assert "5432" not in store["docker-compose.yml"]
    for name in (n for n in store["docker-compose.yml"].split("${")[1:]):
        assert name.partition("}")[0] in values


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_docker_compose_takes_the_files(store, tmp_path):
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    command = ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]
    if shutil.which(command[0]) is None:
        pytest.skip("there is no Docker Compose here")
    text = SETTINGS.format(python="python3", backend="docker", port=5000)
    for name, content in compose_files(parse_settings(text + f'store = "{store}"\n'), 1000).items():
        (tmp_path / name).write_text(content)
    done = subprocess.run(
        [*command, "config"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("restart: unless-stopped") == (1 if store == "sqlite" else 2)
    assert "--host=127.0.0.1" in done.stdout
    assert "variable is not set" not in done.stderr
