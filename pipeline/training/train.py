"""Train one arm: `python -m pipeline.training.train --model X --dataset F --arm control …`.

Writes run.jsonl, adapter/ and checkpoints/ into the output folder. The journal is the truth; MLflow is
filled from it by a process of its own, so that no tracking server can slow or stop a training.

Exit codes: 0 done, 1 failed, 2 bad settings or dataset, 3 out of memory, 4 stopped with a checkpoint
(start again with --resume).
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import traceback
import uuid
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from pipeline.dataset.samples import InputError, Sample, read_samples, sha256_file
from pipeline.journal import FILE_NAME, RunJournal
from pipeline.training.attempts import (
    History,
    ResumeError,
    check_same_run,
    history,
    newest_checkpoint,
)
from pipeline.training.interrupt import StopRequest
from pipeline.training.options import Options, parse
from pipeline.training.prompts import render, template_sha256
from pipeline.training.quiet import quiet

OK, FAILED, BAD_INPUT, OUT_OF_MEMORY, INTERRUPTED = range(5)
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")
STOP_PATIENCE = 10.0
"""Seconds that a stopped run waits for MLflow at the most."""

OOM_HINT = "out of memory: leave the longest samples out of every arm or take a smaller model"


def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit code."""
    options = parse(__doc__.split("\n")[0], arguments)
    stop = StopRequest()
    stop.install()
    try:
        return _run(options, stop)
    finally:
        stop.uninstall()


def _run(options: Options, stop: StopRequest) -> int:
    path = options.output / FILE_NAME
    try:
        samples = read_samples(options.dataset)
        identity = _identity(options)
        options.output.mkdir(parents=True, exist_ok=True)
        past = history(path)
        if past.start is not None:
            if not options.resume:
                raise ResumeError(f"{path} holds a run already; give --resume or another --output")
            check_same_run(past.start, identity)
            if past.succeeded:
                print(f"{options.run_name}: already complete", flush=True)
                return OK
        journal = RunJournal(path)
    except InputError as problem:
        return _refuse(problem)
    except OSError as problem:
        return _refuse(f"{problem.filename or options.output}: {problem.strerror}")

    tracker = start_tracker(options, past.attempts + 1)
    figures: dict[str, Any] = {"step": 0, "eval_start": None, "eval_end": None}
    error = ""
    try:
        status = _train(options, samples, journal, past, stop, identity, figures)
        code = {"succeeded": OK, "interrupted": INTERRUPTED}.get(status, FAILED)
    except InputError as problem:
        status, error, code = "failed", str(problem), _refuse(problem)
    except Exception as problem:
        traceback.print_exc()
        if _is_out_of_memory(problem):
            status, error, code = "oom", OOM_HINT, OUT_OF_MEMORY
        else:
            status, error, code = "failed", f"{type(problem).__name__}: {problem}", FAILED
        print(f"error: {error}", file=sys.stderr, flush=True)
    # A resume that never began says nothing, so that the run keeps the end it had.
    if figures.pop("started", False) or not past.attempts:
        if error:
            figures["error"] = error[:4000]
        with contextlib.suppress(OSError):  # a full disk was reported above
            journal.write("end", status=status, **figures)
    with contextlib.suppress(OSError):
        journal.close()
    if tracker is not None and options.wait_for_tracking > 0:
        # Who asked for a stop is waiting with a kill; the next attempt's follower delivers the rest.
        patience = min(options.wait_for_tracking, STOP_PATIENCE if stop else math.inf)
        with contextlib.suppress(subprocess.TimeoutExpired):
            tracker.wait(patience)
    return code


def _refuse(problem: object) -> int:
    print(f"error: {problem}", file=sys.stderr, flush=True)
    return BAD_INPUT


def _identity(options: Options) -> dict[str, Any]:
    """The fields of the start event that are known before anything is loaded."""
    return {
        "arm": options.arm,
        "seed": options.seed,
        "model": options.model,
        "revision": options.revision,
        "dataset_sha256": sha256_file(options.dataset),
        "max_steps": options.max_steps,
        "template_sha256": template_sha256(),
    }


def start_tracker(options: Options, attempt: int) -> subprocess.Popen[bytes] | None:
    """The MLflow follower: its own process and session, so that it outlives this one."""
    if not options.tracking_uri:
        return None
    argv = [
        sys.executable, "-m", "pipeline.training.track",
        "--run-dir", str(options.output), "--tracking-uri", options.tracking_uri,
        "--attempt", str(attempt), "--writer", str(os.getpid()),
    ]  # fmt: skip
    try:
        with (options.output / "track.log").open("ab") as log:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
    except OSError as problem:
        print(f"MLflow gets nothing from this run: {problem}", file=sys.stderr, flush=True)
        return None


def _is_out_of_memory(problem: BaseException) -> bool:
    """Also the driver's own error, which is no torch.OutOfMemoryError."""
    if isinstance(problem, MemoryError) or type(problem).__name__ == "OutOfMemoryError":
        return True
    return isinstance(problem, RuntimeError) and "out of memory" in str(problem).lower()


def _train(
    options: Options,
    samples: list[Sample],
    journal: RunJournal,
    past: History,
    stop: StopRequest,
    identity: dict[str, Any],
    figures: dict[str, Any],
) -> str:
    """Everything that needs torch; returns the end's status and fills in its `figures`."""
    from transformers import PrinterCallback, set_seed

    from pipeline.training import load
    from pipeline.training.callbacks import (
        JournalCallback,
        StopCallback,
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
    if past.start is not None:
        check_same_run(past.start, {"recipe_sha256": recipe.sha256()})
    rows = encode_all(render(samples, options.arm), tokenizer, recipe.max_length)
    journal.write(
        "start",
        run=past.run_id or str(uuid.uuid4()),
        name=options.run_name,
        stage=options.stage,
        attempt=past.attempts + 1,
        **identity,
        dataset=str(options.dataset),
        samples=len(rows),
        batch_size=recipe.batch_size,
        grad_accum=recipe.grad_accum,
        recipe_sha256=recipe.sha256(),
        device=load.device_name(),
        versions={name: version(name) for name in PACKAGES},
        tokens_total=sum(len(row.ids) for row in rows),
        tokens_loss=sum(row.loss_tokens for row in rows),
    )
    figures["started"] = True
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
        callbacks=[callback, StopCallback(stop)],
    )
    trainer.chunk = recipe.loss_chunk
    trainer.remove_callback(PrinterCallback)
    callback.trainer = trainer
    adapter = options.output / "adapter"
    longest = max(range(len(rows)), key=lambda index: len(rows[index].ids))
    try:
        trainer.preflight(collator([data[longest]]))
        first = past.eval_start
        if first is None and not stop:
            first = float(trainer.evaluate()["eval_loss"])
        figures["eval_start"] = first
        newest = newest_checkpoint(options.output / "checkpoints") if options.resume else None
        if not stop:
            trainer.train(resume_from_checkpoint=str(newest) if newest else None)
        if callback.diverged:
            figures["error"] = callback.diverged
            print(f"error: {callback.diverged}", file=sys.stderr, flush=True)
            return "failed"
        if trainer.state.global_step < options.max_steps:
            return "interrupted"
        figures["eval_end"] = float(trainer.evaluate()["eval_loss"])
        model.save_pretrained(adapter, safe_serialization=True, save_embedding_layers=False)
        tokenizer.save_pretrained(adapter)
        journal.write("saved", path=str(adapter), files=adapter_files(adapter))
        return "succeeded"
    finally:
        losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
        allocated, reserved = peak_gpu_bytes()
        figures.update(
            step=int(trainer.state.global_step),
            seconds=callback.seconds(),
            loss_start=losses[0] if losses else None,
            loss_end=losses[-1] if losses else None,
            peak_rss_bytes=peak_rss_bytes(),
            peak_gpu_alloc_bytes=allocated,
            peak_gpu_reserved_bytes=reserved,
            tokens=trainer.tokens_seen,
        )


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
        seed=options.seed,
        data_seed=options.seed,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        prediction_loss_only=True,
        report_to=[],
        disable_tqdm=True,
    )


if __name__ == "__main__":
    quiet()
    sys.exit(main())
