"""Train one arm: `python -m pipeline.training.train --model X --dataset F --arm control …`.

Writes run.jsonl, adapter/ and checkpoints/ into the output folder. The journal is the truth; MLflow is
filled from it by a process of its own, so that no tracking server can slow or stop a training.

Exit codes: 0 done, 1 failed, 2 bad settings or dataset, 3 out of memory, 4 stopped with a checkpoint
(start again with --resume).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import traceback
import uuid
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.dataset.samples import DatasetError, Sample, read_samples, sha256_file
from pipeline.journal import FILE_NAME, RunJournal, read_run
from pipeline.training.prompts import ARMS, render, template_sha256

OK, FAILED, BAD_INPUT, OUT_OF_MEMORY, INTERRUPTED = range(5)
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")


@dataclass(frozen=True)
class Options:
    """The command line."""

    model: str
    dataset: Path
    arm: str
    output: Path
    seed: int = 0
    max_steps: int = 10
    name: str = ""
    stage: str = ""
    revision: str | None = None
    tracking_uri: str = ""
    wait_for_tracking: float = 0.0
    resume: bool = False
    grad_accum: int | None = None
    learning_rate: float | None = None


def parse(arguments: list[str] | None = None) -> Options:
    """Options from the command line; argparse exits with 2 and a sentence when they will not do."""
    parser = argparse.ArgumentParser(
        prog="pipeline.training.train", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--model", required=True, help="folder or Hugging Face name of the base model"
    )
    parser.add_argument(
        "--revision", help="commit of the model, so that it cannot change between runs"
    )
    parser.add_argument("--dataset", type=Path, required=True, help="JSONL of samples")
    parser.add_argument("--arm", choices=ARMS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-steps", type=int, default=10)
    parser.add_argument("--output", type=Path, default=os.environ.get("GONOGO_JOB_DIR"))
    parser.add_argument("--name", default="", help="name of the run")
    parser.add_argument("--stage", default="", help="stage of the plan this run is for, like S1")
    parser.add_argument("--tracking-uri", default="", help="MLflow server; it may be down")
    parser.add_argument("--wait-for-tracking", type=float, default=0.0, metavar="SECONDS",
                        help="at the end wait so long for MLflow to have everything")  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument("--grad-accum", type=int)
    parser.add_argument("--learning-rate", type=float)
    values = parser.parse_args(arguments)
    if values.output is None:
        parser.error("--output is needed outside a job folder")
    if values.max_steps < 1:
        parser.error("--max-steps must be at least 1")
    values.output = Path(values.output)
    return Options(**vars(values))


def start_tracker(options: Options) -> subprocess.Popen[bytes] | None:
    """The MLflow follower: its own process and session, so that it outlives this one."""
    if not options.tracking_uri:
        return None
    argv = [
        sys.executable, "-m", "pipeline.training.track",
        "--run-dir", str(options.output), "--tracking-uri", options.tracking_uri,
    ]  # fmt: skip
    with (options.output / "track.log").open("ab") as log:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def previous_attempts(path: Path) -> tuple[str, int]:
    """(run id, number of attempts) of a journal that is already there."""
    if not path.exists():
        return "", 0
    start = read_run(path).start
    return str(start.get("run", "")), int(start.get("attempt", 0))


def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit code."""
    options = parse(arguments)
    try:
        samples = read_samples(options.dataset)
    except DatasetError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return BAD_INPUT
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / FILE_NAME
    run_id, attempts = previous_attempts(path)
    if attempts and not options.resume:
        print(
            f"error: {path} holds a run already; give --resume or another --output", file=sys.stderr
        )
        return BAD_INPUT
    journal = RunJournal(path)
    run_id = run_id or str(uuid.uuid4())
    tracker = start_tracker(options)
    code = FAILED
    try:
        code = _train(options, samples, journal, run_id, attempts + 1)
    except DatasetError as problem:
        print(f"error: {problem}", file=sys.stderr)
        journal.write("end", status="failed", step=0, error=str(problem))
        code = BAD_INPUT
    except Exception as problem:
        traceback.print_exc()
        memory = _is_out_of_memory(problem)
        hint = "out of GPU memory: give a smaller --grad-accum or shorter samples to both arms"
        journal.write(
            "end", status="oom" if memory else "failed", step=0,
            error=hint if memory else f"{type(problem).__name__}: {problem}",
        )  # fmt: skip
        code = OUT_OF_MEMORY if memory else FAILED
    finally:
        journal.close()
    if tracker is not None and options.wait_for_tracking > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracker.wait(options.wait_for_tracking)
    return code


def _is_out_of_memory(problem: BaseException) -> bool:
    import torch

    return isinstance(problem, torch.OutOfMemoryError | MemoryError)


def _train(
    options: Options, samples: list[Sample], journal: RunJournal, run_id: str, attempt: int
) -> int:
    """Everything that needs torch."""
    import torch
    from transformers import set_seed
    from transformers.trainer_utils import get_last_checkpoint

    from pipeline.training import load
    from pipeline.training.callbacks import (
        JournalCallback,
        adapter_files,
        peak_gpu_bytes,
        peak_rss_bytes,
    )
    from pipeline.training.data import Collator, RowDataset, encode_all
    from pipeline.training.loss import LeanTrainer
    from pipeline.training.recipe import recipe_for

    set_seed(options.seed)
    tokenizer = load.load_tokenizer(options.model, options.revision)
    base = load.load_base(options.model, options.revision)
    recipe = recipe_for(sum(load.logical_size(p) for p in base.parameters()))
    if options.grad_accum:
        recipe = replace(recipe, grad_accum=options.grad_accum)
    if options.learning_rate:
        recipe = replace(recipe, learning_rate=options.learning_rate)
    rows = encode_all(render(samples, options.arm), tokenizer, recipe.max_length)
    journal.write(
        "start",
        run=run_id,
        name=options.name or f"{options.arm}-s{options.seed}",
        arm=options.arm,
        stage=options.stage,
        seed=options.seed,
        attempt=attempt,
        model=options.model,
        revision=options.revision,
        dataset=str(options.dataset),
        dataset_sha256=sha256_file(options.dataset),
        samples=len(rows),
        max_steps=options.max_steps,
        batch_size=recipe.batch_size,
        grad_accum=recipe.grad_accum,
        recipe_sha256=recipe.sha256(),
        template_sha256=template_sha256(),
        device=load.device_name(),
        versions={name: version(name) for name in PACKAGES},
        tokens_total=sum(len(row.ids) for row in rows),
        tokens_loss=sum(row.loss_tokens for row in rows),
    )
    model = load.add_lora(base, recipe)
    journal.write("model", **load.model_facts(model))

    callback = JournalCallback(journal)
    data, collator = RowDataset(rows), Collator(tokenizer.pad_token_id)
    trainer = LeanTrainer(
        model=model,
        args=_arguments(options, recipe),
        train_dataset=data,
        eval_dataset=data,
        data_collator=collator,
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.chunk = recipe.loss_chunk
    trainer.remove_callback(_printer())
    callback.trainer = trainer
    _preflight(trainer, collator, rows)
    eval_start = trainer.evaluate()["eval_loss"] if attempt == 1 else None
    checkpoints = options.output / "checkpoints"
    newest = (
        get_last_checkpoint(str(checkpoints)) if options.resume and checkpoints.is_dir() else None
    )
    trainer.train(resume_from_checkpoint=newest)

    step = int(trainer.state.global_step)
    losses = [float(e["loss"]) for e in trainer.state.log_history if "loss" in e]
    allocated, reserved = peak_gpu_bytes()
    facts: dict[str, Any] = {
        "step": step,
        "seconds": float(callback.journal_seconds()),
        "loss_start": losses[0] if losses else None,
        "loss_end": losses[-1] if losses else None,
        "peak_rss_bytes": peak_rss_bytes(),
        "peak_gpu_alloc_bytes": allocated,
        "peak_gpu_reserved_bytes": reserved,
        "tokens": trainer.tokens_seen,
    }
    if step < options.max_steps:
        journal.write("end", status="interrupted", **facts)
        return INTERRUPTED
    facts["eval_start"], facts["eval_end"] = eval_start, trainer.evaluate()["eval_loss"]
    adapter = options.output / "adapter"
    model.save_pretrained(adapter, safe_serialization=True)
    tokenizer.save_pretrained(adapter)
    journal.write("saved", path=str(adapter), files=adapter_files(adapter))
    journal.write("end", status="succeeded", **facts)
    del torch
    return OK


def _arguments(options: Options, recipe: Any) -> Any:
    import torch
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(options.output / "checkpoints"),
        max_steps=options.max_steps,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=recipe.grad_accum,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=max(1, round(recipe.warmup * options.max_steps)),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        optim=recipe.optimizer,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=recipe.activation_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_steps=recipe.save_steps,
        save_total_limit=2,
        enable_jit_checkpoint=True,
        seed=options.seed,
        data_seed=options.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        prediction_loss_only=True,
        report_to=[],
        disable_tqdm=True,
    )


def _printer() -> Any:
    from transformers import PrinterCallback

    return PrinterCallback


def _preflight(trainer: Any, collator: Any, rows: list[Any]) -> None:
    """One forward and backward of the longest sample before step 1, so that memory fails at once.

    The random state is put back, so the run is the same with and without it.
    """
    import torch

    longest = max(rows, key=lambda row: len(row.ids))
    batch = collator([{"input_ids": list(longest.ids), "labels": list(longest.labels)}])
    model = trainer.model
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        model.train()
        inputs = {key: value.to(device) for key, value in batch.items()}
        with trainer.compute_loss_context_manager():
            loss = trainer.compute_loss(model, inputs)
        loss.backward()
        model.zero_grad(set_to_none=True)
    trainer.tokens_seen = 0


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "warning")
    sys.exit(main())
