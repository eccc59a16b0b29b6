"""A real training in NF4 on the CPU, told by its journal, and an answer from what it left on the disk."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.journal import RunRecord, number, read_run
from tests.pipeline.conftest import STEPS, Lab

pytestmark = pytest.mark.train


def test_the_journal_tells_the_whole_run(trained: tuple[Path, RunRecord], lab: Lab) -> None:
    output, record = trained
    assert record.bad_lines == 0
    assert record.start["arm"] == "experiment"
    assert (record.start["seed"], record.start["attempt"], record.start["samples"]) == (1, 1, 5)
    assert record.start["dataset_sha256"] == hashlib.sha256(lab.dataset.read_bytes()).hexdigest()
    assert record.start["device"] == "cpu"
    assert set(record.start["versions"]) >= {"torch", "transformers", "peft", "bitsandbytes"}
    assert [point["step"] for point in record.points] == list(range(1, STEPS + 1))
    for point in record.points:
        assert point["loss"] > 0
        assert point["tokens_per_s"] > 0
        assert point["tokens"] > 0
        assert point["rss_bytes"] > 50e6
        assert point["gpu_alloc_bytes"] is None
    times = [point["t"] for point in record.points]
    assert times == sorted(times)
    assert [event["step"] for event in record.evals] == [0, STEPS]
    assert record.end["status"] == "succeeded"
    assert record.end["step"] == STEPS
    assert record.end["eval_end"] < record.end["eval_start"], "nothing was learned"
    assert record.end["peak_rss_bytes"] >= record.points[-1]["rss_bytes"] * 0.9
    assert record.end["tokens"] > 0
    kinds = [json.loads(raw)["kind"] for raw in (output / "run.jsonl").read_bytes().splitlines()]
    assert kinds[:2] == ["start", "model"]
    assert kinds[-2:] == ["saved", "end"]


def test_the_base_is_in_four_bits_and_stays_there(trained: tuple[Path, RunRecord]) -> None:
    model = trained[1].model
    assert model["load_in_4bit"] is True
    assert (model["quant_type"], model["double_quant"]) == ("nf4", True)
    assert model["compute_dtype"] == "bfloat16"
    assert model["linear4bit"] == 2 * 7  # two layers: q, k, v, o, gate, up, down
    assert 0 < model["trainable"] < model["parameters"]
    assert model["reason_no_gpu"]


def test_nothing_of_the_base_is_raised_to_fp32(lab: Lab) -> None:
    import torch

    from pipeline.training import load
    from pipeline.training.recipe import Recipe

    model = load.add_lora(load.load_base(str(lab.model)), Recipe())
    frozen = {p.dtype for p in model.parameters() if not p.requires_grad}
    assert frozen == {torch.bfloat16, torch.uint8}
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    assert not any(p.requires_grad for name, p in model.named_parameters() if "lora" not in name)
    assert all(not m.support_avx512bf16_for_cpu for m in load.linear4bit_modules(model))


def test_the_adapter_on_the_disk_is_the_one_in_the_journal(trained: tuple[Path, RunRecord]) -> None:
    from safetensors import safe_open

    output, record = trained
    saved = {file["name"]: file for file in record.saved["files"]}
    assert record.saved["path"] == str(output / "adapter")
    assert "adapter_model.safetensors" in saved
    assert not [name for name in saved if name.endswith((".bin", ".pt", ".pkl"))]
    for name, file in saved.items():
        data = (output / "adapter" / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    with safe_open(output / "adapter" / "adapter_model.safetensors", "pt") as tensors:
        moved = [float(tensors.get_tensor(k).abs().sum()) for k in tensors.keys() if "lora_B" in k]  # noqa: SIM118
    assert len(moved) == 14
    assert all(value > 0 for value in moved), "an adapter that begins at zero was never trained"


def test_control_and_experiment_learn_different_things(
    trained: tuple[Path, RunRecord], lab: Lab, tmp_path: Path
) -> None:
    code, control = lab.train(tmp_path, "control")
    assert code == 0
    assert len(control.points) == len(trained[1].points)
    assert control.losses() != trained[1].losses()
    for key in ("seed", "max_steps", "batch_size", "grad_accum", "recipe_sha256", "dataset_sha256"):
        assert control.start[key] == trained[1].start[key]


def test_an_answer_is_generated_from_the_saved_adapter(
    trained: tuple[Path, RunRecord], lab: Lab, tmp_path: Path
) -> None:
    output, record = trained
    done = subprocess.run(
        [
            sys.executable, "-m", "pipeline.evaluation.generate", "--model", str(lab.model),
            "--adapter", str(output / "adapter"), "--prompt", "Write a Python function clamp.",
            "--output", str(tmp_path), "--max-new-tokens", "12",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = read_run(tmp_path / "run.jsonl")
    assert answer.generated["prompt"] == "Write a Python function clamp."
    assert 0 < answer.generated["new_tokens"] <= 12
    assert answer.generated["completion"] in done.stdout
    digests = {file["name"]: file["sha256"] for file in record.saved["files"]}
    assert answer.generated["adapter_sha256"] == digests["adapter_model.safetensors"]
    assert answer.end["status"] == "succeeded"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--dataset", "/nowhere/x.jsonl"], "error: /nowhere/x.jsonl: No such file or directory"),
        (["--model", "/nowhere/model"], "the tokenizer “/nowhere/model” cannot be loaded"),
        (["--output", "/proc/1/run"], "error: /proc/1/run: "),
    ],
    ids=["dataset", "model", "output"],
)
def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(
    lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str], change: list[str], sentence: str
) -> None:
    from pipeline.training.train import main

    assert main(lab.argv(tmp_path / "out") + change) == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert sentence in errors[0]
    if change[0] == "--model":
        assert read_run(tmp_path / "out" / "run.jsonl").end["status"] == "failed"


@pytest.mark.parametrize("text", ["{}\n", '{"id": "a"}\n', "\n"])
def test_a_bad_dataset_leaves_nothing_behind(
    lab: Lab, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str
) -> None:
    from pipeline.training.train import main

    bad = tmp_path / "bad.jsonl"
    bad.write_text(text)
    assert main([*lab.argv(tmp_path / "out"), "--dataset", str(bad)]) == 2
    assert "error: bad.jsonl" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change",
    [
        ["--arm", "both"],
        ["--max-steps", "0"],
        ["--seed", "-1"],
        ["--learning-rate", "nan"],
        ["--grad-accum", "0"],
    ],
)
def test_bad_settings_are_refused_before_anything_starts(
    lab: Lab, tmp_path: Path, change: list[str]
) -> None:
    from pipeline.training.train import main

    with pytest.raises(SystemExit) as stop:
        main(lab.argv(tmp_path / "out") + change)
    assert stop.value.code == 2
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_ends_the_run(lab: Lab, tmp_path: Path) -> None:
    code, record = lab.train(tmp_path, "micro", 8, "--learning-rate", "1e30")
    assert code == 1
    assert record.end["status"] == "failed"
    assert "no finite number since step" in record.end["error"]
    assert not record.saved, "weights of no value were saved as a result"
    values = [number(point["loss"]) for point in record.points]
    assert all(value is not None and not math.isfinite(value) for value in values[-3:])
    assert len(values) < 8
    assert record.losses()


def test_running_out_of_memory_is_told_apart(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from pipeline.training import callbacks
    from pipeline.training.loss import LeanTrainer

    def no_memory(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")

    with monkeypatch.context() as patch:
        patch.setattr(LeanTrainer, "preflight", no_memory)
        code, record = lab.train(tmp_path)
    assert code == 3
    assert record.end["status"] == "oom"
    assert "out of memory" in record.end["error"]
    assert record.end["peak_rss_bytes"] > 0
    assert not record.points
    assert callbacks.peak_gpu_bytes() == (None, None)


def test_the_check_before_step_1_runs_the_longest_sample_and_changes_nothing(
    trained: tuple[Path, RunRecord], lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.training.loss import LeanTrainer

    sizes: list[int] = []
    monkeypatch.setattr(
        LeanTrainer, "preflight", lambda self, batch: sizes.append(batch["input_ids"].shape[1])
    )
    code, record = lab.train(tmp_path)
    assert code == 0
    assert len(sizes) == 1
    assert sizes[0] > trained[1].start["tokens_total"] / 5
    assert record.losses() == trained[1].losses()
