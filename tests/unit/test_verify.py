"""The checks of Stage 1 against real journals and hosts that answer, lie, are slow or are gone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.remote.docker import explain
from pipeline.dataset.micro import create_micro_dataset
from pipeline.journal import RunJournal
from tui.roadmap.bindings import load_bindings, parse_bindings
from tui.roadmap.errors import InvalidValue, UnknownId
from tui.roadmap.rules.hosts import tensors
from tui.roadmap.state import Verdict
from tui.roadmap.verify import ProbeFailed, Unreachable, bound_items, exit_code, select, verify
from tui.roadmap.workspace import Workspace

GIB = 2**30
LOSSES = [4.6, 4.5, 4.3, 4.2, 4.0, 3.9, 3.7, 3.6, 3.5, 3.3]


def safetensors(count: int = 2, pad: int = 0) -> bytes:
    """A small valid file with `count` one-number tensors; `pad` makes the header longer."""
    header: dict[str, Any] = {
        f"layer.{n}.lora_A.weight": {
            "dtype": "F32",
            "shape": [1],
            "data_offsets": [4 * n, 4 * n + 4],
        }
        for n in range(count)
    }
    if pad:
        header["__metadata__"] = {"pad": "x" * pad}
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 4 * count


class Host:
    """Files and a Docker answer of one host; `broken` replaces every answer."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.image: dict[str, Any] | Exception = {"exists": True, "id": "sha256:abc", "size": "1"}
        self.broken: Exception | None = None
        self.slow = False
        self.asked: list[tuple[str, str]] = []

    async def probe(self, host: str, name: str, **params: Any) -> dict[str, Any]:
        self.asked.append((host, name))
        if self.slow:
            await asyncio.Event().wait()
        if self.broken:
            raise self.broken
        if name == "docker_image":
            if isinstance(self.image, Exception):
                raise self.image
            return self.image
        if name == "http":
            return {"ok": True, "status": 200, "body": "OK", "ms": 3}
        blob = self.files.get(str(params["path"]))
        if blob is None:
            return {"exists": params["path"] == "~", "path": params["path"]}
        return {
            "exists": True, "size": len(blob), "sha256": hashlib.sha256(blob).hexdigest(),
            "head_b64": base64.b64encode(blob[:4096]).decode(), "mtime_ms": 1,
        }  # fmt: skip


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    settings = '[hosts.tower]\nrole = "tower"\n[hosts.server]\nrole = "server"\n'
    return Workspace.create(tmp_path / "w", settings_text=settings)


@pytest.fixture
def host() -> Host:
    return Host()


FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": safetensors()}


def train(
    ws: Workspace,
    host: Host,
    *,
    job: str = "micro-1",
    losses: list[Any] | None = None,
    model: dict[str, Any] | None = None,
    end: dict[str, Any] | None = None,
    exit_: dict[str, Any] | None = None,
    log: bytes = b"step 10\n",
    stage: str = "S1",
    device: str = "cpu",
    before_end: Callable[[RunJournal], None] = lambda journal: None,
) -> Path:
    """A mirrored training as the pipeline writes it; the adapter lies on the host."""
    folder = ws.runs_dir / "tower" / job
    journal = RunJournal(folder / "run.jsonl")
    journal.write(
        "start", run=job, name=job, arm="micro", seed=0, attempt=1, model="tiny", max_steps=10,
        device=device, stage=stage,
    )  # fmt: skip
    load = {
        "load_in_4bit": True,
        "quant_type": "nf4",
        "linear4bit": 14,
        "gpu_bytes_after_load": None,
    }
    journal.write("model", **(load | {"reason_no_gpu": "no CUDA device"} | (model or {})))
    for step, loss in enumerate(LOSSES if losses is None else losses, start=1):
        journal.write("point", step=step, loss=loss)
    place = f"/home/u/.gonogo/jobs/{job}/adapter"
    files = []
    for name, blob in FILES.items():
        host.files[f"{place}/{name}"] = blob
        digest = hashlib.sha256(blob).hexdigest()
        files.append({"name": name, "bytes": len(blob), "sha256": digest})
    journal.write("saved", path=place, files=files)
    before_end(journal)
    if end is None or end:
        whole = {
            "status": "succeeded",
            "step": 10,
            "peak_rss_bytes": 2**30,
            "peak_gpu_reserved_bytes": None,
        }
        journal.write("end", **(whole | (end or {})))
    journal.close()
    if exit_ is None or exit_:
        (folder / "exit.json").write_text(
            json.dumps({"code": 0, "signal": None, "oom": False} | (exit_ or {}))
        )
    (folder / "log.txt").write_bytes(log)
    return folder


def generate(ws: Workspace, completion: str = "const a = 1", tokens: int = 5, **exit_: Any) -> None:
    folder = ws.runs_dir / "tower" / "gen-1"
    journal = RunJournal(folder / "run.jsonl")
    journal.write("start", name="gen-1", model="tiny", adapter="/x")
    journal.write("generated", prompt="p", completion=completion, new_tokens=tokens, seconds=1)
    journal.write("end", status="succeeded")
    journal.close()
    (folder / "job.json").write_text(json.dumps({"labels": {"kind": "generate", "stage": "S1"}}))
    (folder / "exit.json").write_text(json.dumps({"code": 0, "signal": None, "oom": False} | exit_))


SAMPLE = {
    "id": "a",
    "language": "python",
    "prompt": "p",
    "completion": "c",
    "comments": [{"line": 1}],
}


def dataset(ws: Workspace, samples: list[Any] | None = None) -> None:
    folder = ws.root / "datasets" / "micro"
    folder.mkdir(parents=True, exist_ok=True)
    good = [
        {
            "id": f"m{n}",
            "language": "python",
            "prompt": "p",
            "completion": "c",
            "comments": [{"line": 1}],
        }
        for n in range(5)
    ]
    lines = [
        s if isinstance(s, str) else json.dumps(s) for s in (good if samples is None else samples)
    ]
    (folder / "micro.jsonl").write_text("".join(f"{line}\n" for line in lines))


async def one(ws: Workspace, item: str, host: Host | None) -> Verdict:
    (verdict,) = await verify(ws, [item], host)
    return verdict


async def test_a_docker_engine_that_does_not_run_is_skipped_in_its_own_words(
    ws: Workspace, host: Host
) -> None:
    code, sentence = explain("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    host.image = ProbeFailed(code, sentence)
    verdict = await one(ws, "S1.K2", host)
    assert (verdict.verdict, verdict.reason[:13]) == ("SKIP", "needs Docker:")
    assert "start it" in verdict.reason


async def test_the_whole_of_stage_1_without_a_gpu_or_docker(ws: Workspace, host: Host) -> None:
    train(ws, host)
    generate(ws)
    dataset(ws)
    host.image = ProbeFailed("no-docker", "there is no docker command on this host")
    heard: list[str] = []
    verdicts = await verify(ws, ["S1"], host, lambda v: heard.append(v.item))
    words = {v.item: v.verdict for v in verdicts}
    assert words == {
        "S1.K1": "PASS", "S1.K2": "SKIP", "S1.K3": "PASS", "S1.K4": "SKIP", "S1.K5": "PASS", "S1.K6": "PASS",
        "S1.K7": "PASS", "S1.C1": "PASS", "S1.C2": "PASS", "S1.C3": "PASS", "S1.C4": "SKIP",
    }  # fmt: skip
    assert sorted(heard) == sorted(words)
    reasons = {v.item: v.reason for v in verdicts}
    assert reasons["S1.K2"].startswith("needs Docker: ")
    assert reasons["S1.K4"] == (
        "needs a GPU: 4-bit proved (14 Linear4bit modules, nf4), its GPU memory cannot be measured:"
        " no CUDA device"
    )
    assert reasons["S1.C4"].startswith("needs a GPU: ")
    assert exit_code(verdicts) == 0
    ws.record_verdicts(verdicts, "user:ana")
    assert ws.state.fields["S1.loss_start"].value == "4.6000"
    assert ws.state.fields["S1.loss_end"].value == "3.3000"
    assert {i for i, t in ws.state.ticks.items() if t.done} == {
        i for i, w in words.items() if w == "PASS"
    }
    for verdict in verdicts:
        content = json.loads(ws.evidence_path(verdict.evidence).read_text())
        assert (content["item"], content["verdict"]) == (verdict.item, verdict.verdict)
    proof = json.loads(ws.evidence_path(ws.state.verdicts["S1.K5"].evidence).read_text())
    assert proof["data"]["losses"] == LOSSES
    run = ws.runs_dir / "tower" / "micro-1" / "run.jsonl"
    assert proof["data"]["run_jsonl_sha256"] == hashlib.sha256(run.read_bytes()).hexdigest()
    assert ws.state.verdicts["S1.K6"].by == "probe:tower"
    assert ws.state.verdicts["S1.K5"].by == "pipeline:micro-1"


async def test_with_a_gpu(ws: Workspace, host: Host) -> None:
    gpu = {"linear4bit": 224, "gpu_bytes_after_load": int(5.1 * GIB)}
    train(ws, host, model=gpu, device="cuda:0 RTX", end={"peak_gpu_reserved_bytes": 6 * GIB})
    assert (await one(ws, "S1.K4", host)).verdict == "PASS"
    assert (await one(ws, "S1.C4", host)).verdict == "PASS"
    large = {**gpu, "gpu_bytes_after_load": 7 * GIB}
    train(ws, host, job="micro-2", model=large, end={"peak_gpu_reserved_bytes": 7 * GIB})
    found = await one(ws, "S1.K4", host)
    assert (found.verdict, found.found[-8:]) == ("FAIL", "7.00 GiB")
    found = await one(ws, "S1.C4", host)
    assert (found.verdict, found.found) == ("FAIL", "7168 MiB")


async def test_no_gpu_never_hides_a_model_that_was_not_in_4_bit(ws: Workspace, host: Host) -> None:
    train(ws, host, model={"load_in_4bit": False, "linear4bit": 0})
    assert (await one(ws, "S1.K4", host)).verdict == "FAIL"


@pytest.mark.parametrize(
    ("losses", "verdict", "words"),
    [
        (LOSSES[::-1], "FAIL", "did not fall"), (LOSSES[:9], "FAIL", "9 finite losses of 9"),
        ([*LOSSES[:9], "NaN"], "FAIL", "9 finite losses of 10"), ([3.0] * 10, "FAIL", "did not fall"),
        ([*LOSSES, "Infinity"], "PASS", ""), ([9.0, *[3.0] * 8, 2.9], "PASS", ""),
    ],
)  # fmt: skip
async def test_losses(
    ws: Workspace, host: Host, losses: list[Any], verdict: str, words: str
) -> None:
    train(ws, host, losses=losses)
    found = await one(ws, "S1.K5", host)
    assert found.verdict == verdict
    assert words in found.reason
    assert bool(found.fills) == (verdict == "PASS")
    assert (await one(ws, "S1.C2", host)).verdict == verdict


@pytest.mark.parametrize(
    ("end", "exit_", "verdict"),
    [
        ({"step": 9}, None, "FAIL"), ({"step": 11}, None, "FAIL"), (None, {"code": 1}, "FAIL"),
        (None, {"code": 137, "oom": True}, "FAIL"), (None, {"code": 0, "signal": 9}, "FAIL"),
        ({"status": "interrupted"}, None, "FAIL"), ({}, None, "PASS"), (None, None, "PASS"),
    ],
)  # fmt: skip
async def test_completion(
    ws: Workspace,
    host: Host,
    end: dict[str, Any] | None,
    exit_: dict[str, Any] | None,
    verdict: str,
) -> None:
    train(ws, host, end=end or None, exit_=exit_)
    assert (await one(ws, "S1.K3", host)).verdict == verdict


async def test_a_run_that_goes_on_is_waited_for(ws: Workspace, host: Host) -> None:
    folder = train(ws, host, losses=LOSSES[:4], end={}, exit_={})
    (folder / "exit.json").unlink(missing_ok=True)
    journal = [x for x in (folder / "run.jsonl").read_bytes().splitlines(True) if b'"end"' not in x]
    (folder / "run.jsonl").write_bytes(b"".join(journal))
    for item in ("S1.K3", "S1.K5", "S1.C1", "S1.C4"):
        found = await one(ws, item, host)
        assert (found.verdict, "still running" in found.reason) == ("SKIP", True), item


async def test_nothing_there_is_a_skip(ws: Workspace, host: Host) -> None:
    verdicts = await verify(
        ws, ["S1.K1", "S1.K3", "S1.K4", "S1.K5", "S1.K6", "S1.K7", "S1.C1", "S1.C4"], host
    )
    assert {v.verdict for v in verdicts} == {"SKIP"}


async def test_the_newest_run_of_the_stage_counts(ws: Workspace, host: Host) -> None:
    train(ws, host, job="micro-1", losses=LOSSES[::-1])
    train(ws, host, job="other", stage="S3", losses=LOSSES[::-1])
    await asyncio.to_thread(train, ws, host, job="a-micro-2")
    first = (ws.runs_dir / "tower" / "micro-1" / "run.jsonl").read_bytes()
    (ws.runs_dir / "tower" / "micro-1" / "run.jsonl").write_bytes(
        re.sub(rb'"t":\d+', b'"t":5', first)
    )
    found = await one(ws, "S1.K5", host)
    assert (found.verdict, found.by) == ("PASS", "pipeline:a-micro-2")


async def test_a_traceback_in_the_log(ws: Workspace, host: Host) -> None:
    filler = b"x" * ((1 << 20) - 10)
    train(ws, host, log=filler + b"Traceback (most recent call last):\n")
    found = await one(ws, "S1.C1", host)
    assert (found.verdict, "1 tracebacks" in found.reason) == ("FAIL", True)


@pytest.mark.parametrize(
    ("path", "blob", "words"),
    [
        ("adapter_config.json", None, "is gone"), ("adapter_config.json", b"[]", "another sha256"),
        ("adapter_model.safetensors", None, "is gone"),
    ],
)  # fmt: skip
async def test_adapters_are_looked_at_on_the_host(
    ws: Workspace, host: Host, path: str, blob: bytes | None, words: str
) -> None:
    train(ws, host)
    place = f"/home/u/.gonogo/jobs/micro-1/adapter/{path}"
    if blob is None:
        del host.files[place]
    else:
        host.files[place] = blob
    found = await one(ws, "S1.K6", host)
    assert (found.verdict, words in found.reason) == ("FAIL", True)


async def test_a_journal_that_lies_about_a_file(
    ws: Workspace, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FILES, "adapter_model.safetensors", b"not a tensor file at all")
    train(ws, host)
    found = await one(ws, "S1.K6", host)
    assert (found.verdict, "no readable header" in found.reason) == ("FAIL", True)


async def test_nothing_saved(ws: Workspace, host: Host) -> None:
    folder = train(ws, host)
    journal = [
        x for x in (folder / "run.jsonl").read_bytes().splitlines(True) if b'"saved"' not in x
    ]
    (folder / "run.jsonl").write_bytes(b"".join(journal))
    assert (await one(ws, "S1.K6", host)).verdict == "FAIL"


def test_safetensors_headers() -> None:
    assert tensors(safetensors(3), 1000) == 3
    long = safetensors(2, pad=9000)
    assert tensors(long[:4096], len(long)) == 2
    whole = safetensors()
    for bad in (b"", b"PK\x03\x04" + b"\0" * 40, whole[:8] + b"[" + whole[9:], b"\xff" * 64):
        assert tensors(bad, len(bad)) is None
    assert tensors(whole, 20) is None
    assert tensors(struct.pack("<Q", 2) + b"{}", 10) is None


@pytest.mark.parametrize(
    ("completion", "tokens", "exit_", "verdict"),
    [
        ("ok", 1, {}, "PASS"),
        (" \n\t", 3, {}, "FAIL"),
        ("", 0, {}, "FAIL"),
        ("ok", 1, {"code": 1}, "FAIL"),
    ],
)
async def test_generation(
    ws: Workspace, host: Host, completion: str, tokens: int, exit_: dict[str, Any], verdict: str
) -> None:
    generate(ws, completion, tokens, **exit_)
    assert (await one(ws, "S1.K7", host)).verdict == verdict
    assert (await one(ws, "S1.C3", host)).verdict == verdict


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ([], "0 lines"), (["{", "1"], "line 1 is no JSON object"), ([{"id": "a"}] * 5, "line 1: language"),
        ([SAMPLE] * 5, "repeated id"), ([{**SAMPLE, "id": str(n)} for n in range(6)], "6 lines"),
    ],
)  # fmt: skip
async def test_the_dataset(ws: Workspace, samples: list[Any], words: str) -> None:
    dataset(ws, samples)
    found = await one(ws, "S1.K1", None)
    assert (found.verdict, words in found.reason) == ("FAIL", True), found.reason


async def test_the_dataset_as_the_pipeline_makes_it(ws: Workspace) -> None:
    create_micro_dataset(ws.root / "datasets" / "micro")
    found = await one(ws, "S1.K1", None)
    assert (found.verdict, found.by) == ("PASS", "pipeline:dataset"), found.reason


async def test_docker_images(ws: Workspace, host: Host) -> None:
    assert (await one(ws, "S1.K2", host)).verdict == "PASS"
    host.image = {"exists": False}
    assert (await one(ws, "S1.K2", host)).verdict == "FAIL"
    host.image = ProbeFailed("docker", "permission denied")
    assert (await one(ws, "S1.K2", host)).verdict == "ERROR"


async def test_trouble_on_the_way_is_never_a_fail(ws: Workspace, host: Host) -> None:
    train(ws, host)
    cases: list[tuple[Exception | None, str]] = [
        (Unreachable("no route"), "UNREACHABLE"), (TimeoutError(), "TIMEOUT"),
        (ProbeFailed("timeout", "slow"), "TIMEOUT"), (RuntimeError("bug"), "ERROR"),
        (KeyError("tower"), "UNREACHABLE"),
    ]  # fmt: skip
    for error, word in cases:
        host.broken = error
        verdicts = await verify(ws, ["S1.K2", "S1.K6", "S0.L1", "S0.S3"], host)
        assert {v.verdict for v in verdicts} == {word}, error
    assert {v.verdict for v in await verify(ws, ["S0.L1"], None)} == {"UNREACHABLE"}


async def test_what_agents_raises_is_understood(ws: Workspace, host: Host) -> None:
    from agents import LinkDown, RemoteError

    host.broken = LinkDown("tower is not connected")
    found = await one(ws, "S1.K2", host)
    assert (found.verdict, found.reason) == ("UNREACHABLE", "tower is not connected")
    host.broken = RemoteError("no-docker", "no docker here")
    assert (await one(ws, "S1.K2", host)).reason == "needs Docker: tower: no docker here"
    host.broken = RemoteError("docker", "daemon is down")
    assert (await one(ws, "S1.K2", host)).verdict == "ERROR"


async def test_a_host_that_never_answers_times_out_alone(ws: Workspace, host: Host) -> None:
    (ws.root / "bindings.toml").write_text('["S1.K2"]\nrule = "docker-image"\ntimeout = 0.05\n')
    dataset(ws)
    host.slow = True
    verdicts = await verify(ws, ["S1.K1", "S1.K2"], host)
    assert [v.verdict for v in verdicts] == ["PASS", "TIMEOUT"]


async def test_one_check_serves_all_who_stand_on_it(ws: Workspace, host: Host) -> None:
    host.image = {"exists": True, "id": "x"}
    (ws.root / "bindings.toml").write_text('["S1.K3"]\nrule = "same-as"\nitem = "S1.K2"\n')
    verdicts = await verify(ws, ["S1.K2", "S1.K3"], host)
    assert [v.verdict for v in verdicts] == ["PASS", "PASS"]
    assert host.asked.count(("tower", "docker_image")) == 1


async def test_roll_ups_wait_and_then_pass(ws: Workspace) -> None:
    found = await one(ws, "S0.C1", None)
    assert (found.verdict, found.found) == ("SKIP", "0 of 16")
    for part in ("S0.T", "S0.S", "S0.L"):
        for item in ws.document.select(part):
            ws.tick(item, "user:ana")
    assert (await one(ws, "S0.C1", None)).verdict == "PASS"


async def test_the_gates_boxes(ws: Workspace) -> None:
    assert {v.verdict for v in await verify(ws, ["S3.C"], None)} == {"SKIP"}


async def test_read_only_checks_write_nothing(ws: Workspace, host: Host) -> None:
    dataset(ws)
    reader = Workspace.open(ws.root, read_only=True)
    before = sorted(p.name for p in ws.root.rglob("*"))
    found = await one(reader, "S1.K1", host)
    assert (found.verdict, found.evidence) == ("PASS", "")
    assert sorted(p.name for p in ws.root.rglob("*")) == before


def test_selection(ws: Workspace) -> None:
    assert select(ws, ["S1.K5", "S1.K"]) == [f"S1.K{n}" for n in range(1, 8)]
    assert len(select(ws, ["S1"])) == 11
    with pytest.raises(UnknownId):
        select(ws, ["S7"])
    with pytest.raises(InvalidValue, match="by hand"):
        select(ws, ["P5.O"])
    assert set(load_bindings(ws.root)) == set(bound_items(ws))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '["A"]\nrule = "run-argv"\n',
            r"x\.toml:1: A\.rule: there is no “run-argv”",
        ),
        (
            '["A"]\nrule = "samples"\npath = "/etc/passwd"\nlines = 1\n',
            r"x\.toml:3: A\.path: .*inside",
        ),
        ('["A"]\nrule = "samples"\npath = "../x"\nlines = 1\n', "inside"),
        ('["A"]\nrule = "samples"\nlines = 0\npath = "a"\n', r"x\.toml:3: A\.lines"),
        ('["A"]\nrule = "generated"\nstage = "S1"\ncommand = "rm"\n', r"x\.toml:4: A\.command"),
        ("[\n", r"x\.toml:\d+: not valid TOML"),
        ("A = 3\n", "must be one of"),
        ("[S0.T1]\nrule = 'disk'\n", r'x\.toml:1: write \["S0\.T1"\], with the box in quotes'),
        ('\ufeff# BOM\r\n["A"]\r\nrule = "nope"\r\n', r"x\.toml:2: A\.rule: there is no “nope”"),
        (f"# x\n['A']\nlines = {'9' * 5000}\n", "a number is too long"),
        (f"A = {'[' * 3000}{']' * 3000}\n", "nested too deeply"),
    ],
)
def test_bad_bindings_name_file_line_and_key(text: str, words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        parse_bindings(text, "x.toml")


def test_a_binding_can_be_taken_away(ws: Workspace) -> None:
    (ws.root / "bindings.toml").write_text('["S1.K1"]\nrule = "none"\n')
    assert "S1.K1" not in load_bindings(ws.root)


def test_exit_codes() -> None:
    assert exit_code([Verdict("a", "PASS"), Verdict("b", "SKIP")]) == 0
    assert exit_code([Verdict("a", "UNREACHABLE"), Verdict("b", "PASS")]) == 5
    assert exit_code([Verdict("a", "UNREACHABLE"), Verdict("b", "FAIL")]) == 1
