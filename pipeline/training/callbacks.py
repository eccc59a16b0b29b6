"""From the Trainer's events to the run journal."""

from __future__ import annotations

import math
import resource
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from pipeline.dataset.samples import sha256_file
from pipeline.journal import RunJournal
from pipeline.training.interrupt import StopRequest
from pipeline.training.load import gpu_bytes
from pipeline.training.loss import LeanTrainer

DIVERGED_STEPS = 3
"""Successive steps without a finite loss after which going on is a waste of time."""


def rss_bytes() -> int:
    """Resident memory of this process now (Linux), else its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return peak_rss_bytes()
    return pages * resource.getpagesize()


def peak_rss_bytes() -> int:
    """Largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_gpu_bytes() -> tuple[int | None, int | None]:
    """(allocated, reserved) peaks on the GPU, None without one."""
    if not torch.cuda.is_available():
        return None, None
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


def adapter_files(folder: Path) -> list[dict[str, Any]]:
    """Name, size and hash of every file of a saved adapter."""
    return [
        {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]


class JournalCallback(TrainerCallback):  # type: ignore[misc]
    """One `point` per optimizer step, as soon as it is done, and a line for the log."""

    def __init__(self, journal: RunJournal) -> None:
        self.journal = journal
        self.trainer: LeanTrainer | None = None
        self.started = time.monotonic()
        self.step = 0
        self.diverged = ""
        self._bad = 0
        self._step_at = self.started
        self._tokens = 0

    def seconds(self) -> float:
        """Seconds since the first step began."""
        return time.monotonic() - self.started

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """The clock of the run starts after loading."""
        self.started = self._step_at = time.monotonic()
        self._tokens = self.trainer.tokens_seen if self.trainer else 0

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Training logs are points, evaluation logs are evals."""
        logs = logs or {}
        if "loss" in logs:
            self._point(state, logs)
            if self.diverged:
                control.should_training_stop = True
        elif "eval_loss" in logs:
            loss = float(logs["eval_loss"])
            self.journal.write("eval", step=int(state.global_step), eval_loss=loss)
            print(f"step {state.global_step}: loss on the fixed set {loss:.4f}", flush=True)
            self._step_at = time.monotonic()

    def _point(self, state: Any, logs: dict[str, Any]) -> None:
        now = time.monotonic()
        tokens = self.trainer.tokens_seen if self.trainer else 0
        took = max(now - self._step_at, 1e-9)
        allocated, reserved = gpu_bytes()
        loss, rate = float(logs["loss"]), (tokens - self._tokens) / took
        self.step = int(state.global_step)
        self.journal.write(
            "point",
            step=self.step,
            epoch=float(logs.get("epoch", 0.0)),
            loss=loss,
            learning_rate=float(logs.get("learning_rate", 0.0)),
            grad_norm=float(logs.get("grad_norm", 0.0)),
            tokens_per_s=rate,
            tokens=tokens,
            seconds=now - self.started,
            rss_bytes=rss_bytes(),
            gpu_alloc_bytes=allocated,
            gpu_reserved_bytes=reserved,
        )
        print(
            f"step {self.step}/{state.max_steps}: loss {loss:.4f}, {rate:.0f} tokens/s", flush=True
        )
        self._step_at, self._tokens = now, tokens
        self._bad = 0 if math.isfinite(loss) else self._bad + 1
        if self._bad >= DIVERGED_STEPS:
            first = self.step - DIVERGED_STEPS + 1
            self.diverged = (
                f"the loss is no finite number since step {first}; lower the learning rate"
            )

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A checkpoint is complete."""
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.journal.write("checkpoint", step=int(state.global_step), path=str(path))
        self._step_at = time.monotonic()


class StopCallback(TrainerCallback):  # type: ignore[misc]
    """Ends a run that was asked to stop, after the step it is in, with a checkpoint."""

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The weights are updated and nothing of the next step has begun: the one good moment."""
        if self.stop and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True
