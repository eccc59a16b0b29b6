"""One tiny base model and one finished training for the whole folder; both are real, on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.dataset.micro import create_micro_dataset
from pipeline.journal import RunRecord, read_run
from pipeline.training.quiet import quiet

quiet()  # before torch is imported by any test of this folder
os.environ["HF_HUB_OFFLINE"] = "1"

STEPS = 10


@dataclass(frozen=True)
class Lab:
    """Paths that the trainings of this folder share."""

    root: Path
    model: Path
    dataset: Path

    def argv(
        self, output: Path, arm: str = "experiment", steps: int = STEPS, *more: str
    ) -> list[str]:
        """Command line of one training."""
        return [
            "--model", str(self.model), "--dataset", str(self.dataset), "--arm", arm, "--seed", "1",
            "--max-steps", str(steps), "--output", str(output), *more,
        ]  # fmt: skip

    def train(
        self, output: Path, arm: str = "experiment", steps: int = STEPS, *more: str
    ) -> tuple[int, RunRecord]:
        """Train in this process: (exit code, journal)."""
        from pipeline.training.train import main

        code = main(self.argv(output, arm, steps, *more))
        return code, read_run(output / "run.jsonl")

    def spawn(
        self, output: Path, arm: str = "experiment", steps: int = STEPS, *more: str
    ) -> subprocess.Popen[str]:
        """Train in a process of its own, as a job does; its output goes to log.txt."""
        output.mkdir(parents=True, exist_ok=True)
        with (output / "log.txt").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "pipeline.training.train", *self.argv(output, arm, steps, *more)],
                stdout=log, stderr=log, text=True,
            )  # fmt: skip


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The micro dataset and the tiny model of the `test` size."""
    from pipeline.training.tiny import build

    root = tmp_path_factory.mktemp("lab")
    model = root / "tiny"
    assert build(model, "test")
    assert not build(model, "test"), "the same model is not built twice"
    return Lab(root, model, create_micro_dataset(root))


@pytest.fixture(scope="session")
def trained(lab: Lab) -> tuple[Path, RunRecord]:
    """(folder, journal) of one uninterrupted run of the experiment arm."""
    output = lab.root / "trained"
    code, record = lab.train(output)
    assert code == 0
    return output, record


@pytest.fixture
def reap() -> Iterator[Callable[[subprocess.Popen[str]], subprocess.Popen[str]]]:
    """Registers processes that must not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def register(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        started.append(process)
        return process

    yield register
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for a condition; fails with its name when it does not come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
