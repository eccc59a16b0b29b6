"""Rules over run journals of later stages, over MLflow and over files on a host."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.rule_kit import run_rule, training, write
from tui.roadmap.rules.base import ProbeFailed
from tui.roadmap.workspace import Workspace


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    hosts = '[hosts.tower]\nrole = "tower"\n[hosts.server]\nrole = "server"\n'
    return Workspace.create(tmp_path / "w", settings_text=hosts)


class Hosts:
    """Files and HTTP answers of all hosts."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.pages: dict[str, Any] = {}

    async def probe(self, host: str, name: str, **params: Any) -> dict[str, Any]:
        del host
        if name == "http":
            status, body = self.pages.get(params["url"], (404, ""))
            text = body if isinstance(body, str) else json.dumps(body)
            return {"ok": status == 200, "status": status, "body": text, "ms": 3}
        blob = self.files.get(params["path"])
        if blob is None:
            return {"exists": False}
        head = base64.b64encode(blob[:4096]).decode()
        return {"exists": True, "sha256": hashlib.sha256(blob).hexdigest(), "head_b64": head}


async def test_a_start_names_its_dataset(ws: Workspace) -> None:
    rule = {"stage": "S2", "arm": "control", "samples": 20}
    training(ws, "S2", "experiment", samples=20)
    assert (await run_rule(ws, "run-started", **rule)).verdict == "SKIP"
    training(ws, "S2", "control", samples=20)
    found = await run_rule(ws, "run-started", **rule)
    assert (found.verdict, found.by) == ("PASS", "pipeline:s2-control")
    assert "not 70" in (await run_rule(ws, "run-started", **(rule | {"samples": 70}))).reason
    training(ws, "S2", "control", job="s2-later", start={"dataset": ""})
    assert "does not name its dataset" in (await run_rule(ws, "run-started", **rule)).reason


@pytest.mark.parametrize(
    ("evals", "verdict"),
    [
        ([1.5, 1.3, 1.2, 1.1], "PASS"), ([9, 1.1, 1.1, 1.1], "PASS"), ([1.0, 1.002, 1.009], "PASS"),
        ([1.0, 1.02, 1.04], "WARN"), ([1.0, 1.03, 1.06], "FAIL"), ([1.0, 0.9], "FAIL"),
        (["NaN", 1.2, 1.1, 1.0], "PASS"),
    ],
)  # fmt: skip
async def test_validation_losses(ws: Workspace, evals: list[Any], verdict: str) -> None:
    training(ws, "P2", "control", evals=evals)
    found = await run_rule(ws, "eval-loss", stage="P2", arm="control")
    assert found.verdict == verdict, found


async def test_a_run_that_goes_on_is_waited_for(ws: Workspace) -> None:
    training(ws, "P2", "control", evals=[1.0], end=False, exit=False, saved=[])
    for rule in (
        "eval-loss",
        "final-loss",
        "adapter-size",
        "run-completed",
        "no-crash",
        "peak-memory",
    ):
        found = await run_rule(ws, rule, stage="P2", arm="control")
        assert found.verdict == "SKIP", (rule, found)
    assert (await run_rule(ws, "run-hours", stage="P2", arms=["control"])).verdict == "SKIP"


async def test_the_last_losses_fill_the_plan(ws: Workspace) -> None:
    training(ws, "P2", "control", losses=[3, 1.5], evals=[2, 1.75])
    rule = {"stage": "P2", "arm": "control", "fill_train": "P2.TC6.train", "fill_val": "P2.TC6.val"}
    found = await run_rule(ws, "final-loss", **rule)
    assert (found.verdict, found.fills) == (
        "PASS", {"P2.TC6.train": "1.5000", "P2.TC6.val": "1.7500"},
    )  # fmt: skip
    training(ws, "P2", "control", job="later", losses=[3, "NaN"], evals=[])
    found = await run_rule(ws, "final-loss", **rule)
    assert (found.verdict, dict(found.fills)) == ("FAIL", {})


async def test_hours_peaks_and_sizes(ws: Workspace) -> None:
    training(ws, "P2", "control")
    hours = {"stage": "P2", "fills": {"KM.control_time": "control", "P2.training_time": "total"}}
    assert (await run_rule(ws, "run-hours", **hours)).verdict == "SKIP"
    training(ws, "P2", "experiment", end={"seconds": 1800})
    found = await run_rule(ws, "run-hours", **hours)
    assert found.fills == {"KM.control_time": "1.00", "P2.training_time": "1.50"}
    peak = {"stage": "P2", "arm": "control", "fill": "P2.VC3.vram_peak"}
    assert (await run_rule(ws, "peak-memory", **peak)).fills == {"P2.VC3.vram_peak": "8.00"}
    assert (await run_rule(ws, "peak-memory", **peak, below_mib=7168)).verdict == "FAIL"
    size = {"stage": "P2", "arm": "control"}
    assert (await run_rule(ws, "adapter-size", **size)).verdict == "PASS"
    assert (await run_rule(ws, "adapter-size", **size, max_mib=100)).verdict == "WARN"
    training(ws, "P2", "experiment", job="later", saved=[], exit={"code": 1})
    assert (await run_rule(ws, "adapter-size", stage="P2", arm="experiment")).verdict == "FAIL"
    assert (await run_rule(ws, "run-hours", **hours)).verdict == "FAIL"


async def test_completion_in_time(ws: Workspace) -> None:
    training(ws, "S2", "control")
    rule = {"stage": "S2", "arm": "control"}
    assert (await run_rule(ws, "run-completed", **rule, hours=[0.5, 2])).verdict == "PASS"
    assert (await run_rule(ws, "run-completed", **rule, hours=[2, 3])).verdict == "WARN"
    assert (await run_rule(ws, "run-completed", **rule, steps=11)).verdict == "FAIL"
    assert (await run_rule(ws, "run-completed", **rule, max_age_days=1)).verdict == "PASS"
    journal = ws.runs_dir / "tower" / "s2-control" / "run.jsonl"
    events = [json.loads(x) | {"t": 1000} for x in journal.read_text().splitlines()]
    journal.write_text("".join(json.dumps(e) + "\n" for e in events))
    assert (await run_rule(ws, "run-completed", **rule, max_age_days=1)).verdict == "FAIL"


async def test_neither_arm_crashed(ws: Workspace) -> None:
    training(ws, "S2", "control")
    rule = {"stage": "S2", "arms": ["control", "experiment"]}
    assert (await run_rule(ws, "no-crash", **rule)).verdict == "SKIP"
    training(ws, "S2", "experiment")
    assert (await run_rule(ws, "no-crash", **rule)).verdict == "PASS"
    for number, more in enumerate(
        (
            {"exit": {"code": 1}},
            {"log": b"torch.OutOfMemoryError: CUDA out of memory."},
            {"exit": {"oom": True}},
        )
    ):
        training(ws, "S2", "experiment", job=f"z{number}", **more)
        assert (await run_rule(ws, "no-crash", **rule)).verdict == "FAIL", more


MLFLOW = "http://127.0.0.1:5000/api/2.0/mlflow"


async def test_mlflow(ws: Workspace) -> None:
    hosts = Hosts()
    training(ws, "S2", "control")
    rule = {"stage": "S2", "arm": "control", "points": 2}
    assert "no tracking server" in (await run_rule(ws, "mlflow-run", hosts, **rule)).reason
    hosts.files["~/.gonogo/jobs/s2-control/track.json"] = b'{"run": "../../etc"}'
    assert (await run_rule(ws, "mlflow-run", hosts, **rule)).verdict == "SKIP"
    hosts.files["~/.gonogo/jobs/s2-control/track.json"] = b'{"run": "abc123"}'
    assert "does not know" in (await run_rule(ws, "mlflow-run", hosts, **rule)).reason
    run = {"info": {"status": "RUNNING"}, "data": {"params": [{"key": "arm"}]}}
    hosts.pages[f"{MLFLOW}/runs/get?run_id=abc123"] = (200, {"run": run})
    history = f"{MLFLOW}/metrics/get-history?run_id=abc123&metric_key=loss&max_results=200"
    hosts.pages[history] = (200, {"metrics": [{"value": 1}]})
    assert (await run_rule(ws, "mlflow-run", hosts, **rule)).verdict == "FAIL"
    hosts.pages[history] = (200, {"metrics": [{"value": 1}, {"value": 0.5}]})
    found = await run_rule(ws, "mlflow-run", hosts, **rule)
    assert (found.verdict, found.by) == ("PASS", "probe:server")
    assert (
        "it is RUNNING" in (await run_rule(ws, "mlflow-run", hosts, **rule, finished=True)).reason
    )
    run["info"] = {"status": "FINISHED"}
    assert (await run_rule(ws, "mlflow-run", hosts, **rule, finished=True)).verdict == "PASS"
    both = {"stage": "S2", "arms": ["control", "experiment"]}
    assert (await run_rule(ws, "mlflow-run", hosts, **both)).verdict == "SKIP"
    hosts.pages[history] = (500, "oops")
    with pytest.raises(ProbeFailed, match="HTTP 500"):
        await run_rule(ws, "mlflow-run", hosts, **rule)


async def test_files_and_ports_of_a_host(ws: Workspace) -> None:
    hosts = Hosts()
    files = {f"{arm}/train.jsonl": b"x" for arm in ("control", "experiment")}
    digests = {name: hashlib.sha256(blob).hexdigest() for name, blob in files.items()}
    write(ws.root / "datasets" / "manifest.json", {"files": digests})
    found = await run_rule(ws, "files-on-host", hosts, count=2)
    assert (found.verdict, found.reason[:21]) == ("FAIL", "control/train.jsonl i")
    hosts.files = {f"~/gonogo/datasets/{name}": blob for name, blob in files.items()}
    assert (await run_rule(ws, "files-on-host", hosts, count=2)).verdict == "PASS"
    assert (await run_rule(ws, "files-on-host", hosts, count=6)).verdict == "FAIL"
    write(ws.root / "dashboard" / "deploy.json", {"port": 3000})
    rule = {"file": "dashboard/deploy.json#port"}
    assert (await run_rule(ws, "served", hosts, **rule)).verdict == "FAIL"
    hosts.pages["http://127.0.0.1:3000/"] = (200, "hi")
    assert (await run_rule(ws, "served", hosts, **rule)).verdict == "PASS"
