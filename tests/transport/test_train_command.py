"""`gonogo train`: the plan, its checks with their next step, and the start, on a real agent."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agents import JobState, JobStatus
from tui.cli_train import plan_lines
from tui.fleet import Fleet
from tui.roadmap.errors import InvalidValue
from tui.roadmap.workspace import Workspace
from tui.screens.train import plan_content
from tui.train_checks import make_plan
from tui.train_plan import TrainRequest

SETTINGS = """\
title = "Plan"
[hosts.tower]
local = true
simulate_gpu = true
python = "{python}"
[training]
model = "~/model"
max_steps = 7
disk_gb = 0.001
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The host's home: this machine is the tower, with a model and a stand-in for the interpreter."""
    home = tmp_path / "home"
    (home / "model").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def ws(tmp_path, home):
    python = home / "python"
    python.write_text('#!/bin/sh\necho "$@"\n[ -z "$FAIL" ] || exit 7\n')
    python.chmod(0o755)
    return Workspace.create(tmp_path / "ws", settings_text=SETTINGS.format(python=python))


def dataset(ws, text='{"a": 1}\n'):
    path = ws.root / "datasets" / "small.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def gonogo(ws, *words):
    program = [sys.executable, "-m", "tui.cli", *words, "-C", str(ws.root), "--json"]
    done = subprocess.run(
        program, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    return done.returncode, json.loads(done.stdout)


def checks(answer):
    return {check["name"]: check for check in answer["plan"]["checks"]}


def test_a_dry_run_shows_everything_and_starts_nothing(ws, home):
    local = dataset(ws)
    code, answer = gonogo(
        ws, "train", "--dry-run", "--dataset", "datasets/small.jsonl",
        "--recipe", "accum=2 lr=1e-3", "--seed", "3"
    )  # fmt: skip
    assert (code, answer["started"], answer["plan"]["ready"]) == (0, None, True)
    digest = hashlib.sha256(local.read_bytes()).hexdigest()[:12]
    found = checks(answer)
    assert digest in found["dataset"]["found"]
    assert "will be sent" in found["dataset"]["found"]
    assert answer["plan"]["send"] == [str(local), f"{home}/gonogo/datasets/small.jsonl"]
    assert {name: check["verdict"] for name, check in found.items()} == dict.fromkeys(
        ("gate", "link", "dataset", "model", "VRAM", "disk", "name"), "PASS"
    )
    assert "simulated" in found["VRAM"]["found"]
    (job,) = answer["plan"]["jobs"]
    assert job["argv"] == [
        str(home / "python"), "-m", "pipeline.training.train", "--model", f"{home}/model",
        "--dataset", f"{home}/gonogo/datasets/small.jsonl", "--arm", "control", "--seed", "3",
        "--max-steps", "7", "--name", "control-s3", "--stage", "S1",
        "--grad-accum", "2", "--learning-rate", "0.001",
    ]  # fmt: skip
    assert not (home / ".gonogo/jobs").exists()
    assert not (home / "gonogo").exists()


def test_a_pair_is_sent_started_and_run_by_the_host(ws, home):
    local = dataset(ws)
    code, answer = gonogo(ws, "train", "--pair", "--dataset", "datasets/small.jsonl")
    assert code == 0, answer
    assert answer["started"]["backend"] == "queue"
    assert (home / "gonogo/datasets/small.jsonl").read_bytes() == local.read_bytes()
    jobs = home / ".gonogo/jobs"
    deadline = time.monotonic() + 20
    while not [*jobs.glob("experiment-s0-*/exit.json")]:
        assert time.monotonic() < deadline, [p.name for p in jobs.iterdir()]
        time.sleep(0.05)
    log = next(jobs.glob("experiment-s0-*/log.txt")).read_text()
    assert "--arm experiment" in log
    assert f"--dataset {home}/gonogo/datasets/small.jsonl" in log
    while not [*jobs.glob("pair-s0-*/exit.json")]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    code, again = gonogo(ws, "train", "--dry-run", "--dataset", "datasets/small.jsonl")
    found = checks(again)
    assert found["dataset"]["found"].startswith("here and on tower")
    assert found["name"]["verdict"] == "WARN"


def test_what_failed_is_named_with_the_next_step(ws, home):
    (home / "gonogo/datasets").mkdir(parents=True)
    (home / "gonogo/datasets/small.jsonl").write_text("another\n")
    dataset(ws)
    code, answer = gonogo(ws, "train", "--dataset", "datasets/small.jsonl", "--model", "~/nowhere")
    assert code == 1
    assert answer["error"]["message"].startswith("not started: dataset: ")
    assert "rename yours" in answer["error"]["message"]
    code, answer = gonogo(
        ws, "train", "--dry-run", "--dataset", "no.jsonl",
        "--backend", "docker",
    )  # fmt: skip
    found = checks(answer)
    assert code == 1
    assert {n for n, c in found.items() if c["verdict"] == "FAIL"} == {"dataset", "image"}
    assert "gonogo send" in found["dataset"]["next"]
    assert not answer["plan"]["ready"]
    (job,) = answer["plan"]["jobs"]
    assert (job["backend"], job["argv"][0]) == ("docker", "python3")
    assert job["mounts"] == [f"{home}/model (ro)", "the job's own folder (rw)"]
    assert not (home / ".gonogo/jobs").exists()


def test_the_gate_locks_production(ws, home):
    dataset(ws)
    words = ("--pair", "--stage", "production", "--dataset", "datasets/small.jsonl")
    code, answer = gonogo(ws, "train", *words)
    assert code == 4
    assert "locked until the gate says GO" in answer["error"]["message"]
    assert not (home / ".gonogo/jobs").exists()
    assert not (home / "gonogo").exists()


def test_an_unreachable_host_is_exit_code_5(tmp_path, home):
    text = SETTINGS.format(python="python3").replace(
        "local = true", 'ssh = "u@127.0.0.1"\nport = 9'
    )
    ws = Workspace.create(tmp_path / "ws", settings_text=text)
    dataset(ws)
    fleet = Fleet(ws)  # never connected: what a plan says without any host

    async def plan(request):
        return await make_plan(fleet, request)

    made = asyncio.run(plan(TrainRequest(dataset="datasets/small.jsonl")))
    failed = {check.name: check for check in made.failed}
    assert failed["link"].kind == "unreachable"
    assert "VRAM" not in failed
    assert any(line.startswith("WARN VRAM") and "no gauge yet" in line for line in plan_lines(made))
    for bad, said in (
        (TrainRequest(arm="none"), "“none” is no arm"),
        (TrainRequest(recipe="fast"), "“fast” is no recipe"),
        (TrainRequest(host="moon"), "no host “moon”; it has tower"),
        (TrainRequest(backend="magic"), "“magic” is no backend"),
        (TrainRequest(name="my run"), "“my run” is no name: up to 41 letters"),
        (TrainRequest(name="x" * 42), "is no name"),
    ):
        with pytest.raises(InvalidValue, match=said):
            asyncio.run(plan(bad))


def test_a_name_that_a_queue_will_start_is_taken(ws, home):
    """The second of a pair is no job yet; started by hand meanwhile, both would write one run."""
    dataset(ws).rename(ws.root / "datasets" / "my data.jsonl")
    fleet = Fleet(ws)
    argv = ("queue", "control-s1", "experiment-s1")
    pair = JobStatus("pair-s1-1", "pair-s1", JobState.running, argv=argv, backend="queue")
    fleet.store.job_changed("tower", pair)

    def name_of(**changes):
        request = TrainRequest(dataset="datasets/my data.jsonl", **changes)
        made = asyncio.run(_plan(fleet, request))
        assert "'~/gonogo/datasets/my data.jsonl'" in "\n".join(plan_lines(made))
        assert "'~/gonogo/datasets/my data.jsonl'" in plan_content(made).plain
        (check,) = (check for check in made.checks if check.name == "name")
        return check.verdict, check.found

    assert name_of(arm="experiment", seed=1) == (
        "FAIL", "experiment-s1 is part of pair-s1-1, which is running"
    )  # fmt: skip
    assert name_of(arm="experiment", seed=2)[0] == "PASS"
    fleet.store.job_changed("tower", replace(pair, state=JobState.failed))
    assert name_of(arm="experiment", seed=1)[0] == "PASS"


async def _plan(fleet, request):
    return await make_plan(fleet, request)


def test_a_name_that_runs_and_a_full_card_are_refused(ws, home):
    dataset(ws)
    (home / "python").write_text("#!/bin/sh\nsleep 100\n")
    words = ("train", "--dataset", "datasets/small.jsonl")
    code, first = gonogo(ws, *words)
    assert code == 0, first
    try:
        code, answer = gonogo(ws, *words)
        assert code == 1
        assert "is running" in answer["error"]["message"]
        text = (ws.root / "gonogo.toml").read_text()
        Path(ws.root / "gonogo.toml").write_text(text + "vram_gb = 100\n")
        code, answer = gonogo(ws, *words, "--name", "other", "--dry-run")
        vram = checks(answer)["VRAM"]
        assert (code, vram["verdict"]) == (1, "FAIL")
        assert vram["next"] == "wait for or stop control-s0"
    finally:
        assert gonogo(ws, "stop", first["started"]["job_id"], "--grace", "1")[0] == 0
