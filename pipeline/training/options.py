"""The command line of a training."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.training.prompts import ARMS


@dataclass(frozen=True)
class Options:
    """What to train, on what, into which folder."""

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

    @property
    def run_name(self) -> str:
        """The name given, else arm and seed."""
        return self.name or f"{self.arm}-s{self.seed}"


def parse(description: str, arguments: list[str] | None = None) -> Options:
    """Options from the command line; argparse exits with 2 and a sentence when they will not do."""
    parser = argparse.ArgumentParser(prog="pipeline.training.train", description=description)
    add = parser.add_argument
    add("--model", required=True, help="folder or Hugging Face name of the base model")
    add("--revision", help="commit of the model, so that it cannot change between runs")
    add("--dataset", type=Path, required=True, help="JSONL of samples")
    add("--arm", choices=ARMS, required=True)
    add("--seed", type=int, default=0)
    add("--max-steps", type=int, default=10)
    add("--output", type=Path, default=os.environ.get("GONOGO_JOB_DIR"), help="folder of the run")
    add("--name", default="", help="name of the run")
    add("--stage", default="", help="stage of the plan this run is for, like S1")
    add("--tracking-uri", default="", help="MLflow server; it may be down")
    add("--wait-for-tracking", type=float, default=0.0, metavar="SECONDS",
        help="at the end wait so long for MLflow to have everything")  # fmt: skip
    add("--resume", action="store_true", help="go on from the newest checkpoint")
    add("--grad-accum", type=int, help="samples of one optimizer step, instead of the recipe's")
    add("--learning-rate", type=float, help="peak learning rate, instead of the recipe's")
    values = parser.parse_args(arguments)
    if values.output is None:
        parser.error("--output is needed outside a job folder")
    if not 0 <= values.seed < 2**32:
        parser.error("--seed must be between 0 and 4294967295")
    if values.max_steps < 1:
        parser.error("--max-steps must be at least 1")
    if values.grad_accum is not None and values.grad_accum < 1:
        parser.error("--grad-accum must be at least 1")
    if values.learning_rate is not None and not 0 < values.learning_rate < math.inf:
        parser.error("--learning-rate must be a number above 0")
    # Absolute, because the tracker and the journal's readers have working folders of their own.
    values.output = Path(values.output).expanduser().absolute()
    return Options(**vars(values))
