"""Stopped and continued, a run ends exactly where an uninterrupted one does."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.journal import RunRecord, read_run
from pipeline.training.attempts import CHECKPOINT_FILES, newest_checkpoint
from tests.pipeline.conftest import STEPS, Lab, until

pytestmark = pytest.mark.train

Reap = Callable[[subprocess.Popen[str]], subprocess.Popen[str]]


def adapter(record: RunRecord) -> str:
    return next(
        f["sha256"] for f in record.saved["files"] if f["name"] == "adapter_model.safetensors"
    )


def points(folder: Path) -> int:
    path = folder / "run.jsonl"
    return len(read_run(path).points) if path.exists() else 0


def test_two_runs_are_bitwise_equal(
    trained: tuple[Path, RunRecord], lab: Lab, tmp_path: Path
) -> None:
    code, again = lab.train(tmp_path)
    assert code == 0
    assert again.losses() == trained[1].losses()
    assert adapter(again) == adapter(trained[1])
    assert again.start["run"] != trained[1].start["run"]


def test_another_seed_is_another_run(
    trained: tuple[Path, RunRecord], lab: Lab, tmp_path: Path
) -> None:
    code, other = lab.train(tmp_path, "experiment", STEPS, "--seed", "2")
    assert code == 0
    assert other.losses() != trained[1].losses()


@pytest.mark.slow
def test_a_signal_stops_after_the_step_and_the_resumed_run_is_bitwise_equal(
    lab: Lab, tmp_path: Path, reap: Reap
) -> None:
    steps = 50
    code, whole = lab.train(tmp_path / "whole", "experiment", steps)
    assert code == 0

    cut = tmp_path / "cut"
    job = reap(lab.spawn(cut, "experiment", steps))
    until(lambda: points(cut) >= 7 or job.poll() is not None, 90, "seven steps")
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 4, (cut / "log.txt").read_text()
    first = read_run(cut / "run.jsonl")
    assert first.end["status"] == "interrupted"
    assert 7 <= first.end["step"] < steps
    assert first.end["step"] == first.points[-1]["step"] == first.checkpoints[-1]["step"]
    assert not first.saved
    assert first.end["loss_end"] == first.points[-1]["loss"]

    job = reap(lab.spawn(cut, "experiment", steps, "--resume"))
    until(lambda: points(cut) >= first.end["step"] + 5 or job.poll() is not None, 90, "five more")
    job.send_signal(signal.SIGINT)
    assert job.wait(60) == 4, (cut / "log.txt").read_text()

    assert lab.train(cut, "experiment", steps, "--resume")[0] == 0
    resumed = read_run(cut / "run.jsonl")
    assert resumed.start["attempt"] == 3
    assert resumed.start["run"] == first.start["run"]
    assert [point["step"] for point in resumed.points] == list(range(1, steps + 1))
    assert resumed.losses() == whole.losses()
    assert adapter(resumed) == adapter(whole)
    assert resumed.end["eval_start"] == whole.end["eval_start"]
    assert resumed.end["eval_end"] == whole.end["eval_end"]
    assert resumed.end["loss_start"] == whole.end["loss_start"]


@pytest.mark.slow
def test_a_killed_run_goes_on_from_the_last_whole_checkpoint(
    lab: Lab, tmp_path: Path, reap: Reap
) -> None:
    steps = 130
    code, whole = lab.train(tmp_path / "whole", "control", steps)
    assert code == 0
    cut = tmp_path / "cut"
    job = reap(lab.spawn(cut, "control", steps))
    until(lambda: points(cut) >= 104 or job.poll() is not None, 120, "104 steps")
    job.kill()
    job.wait()
    killed = read_run(cut / "run.jsonl")
    assert killed.end == {}
    assert killed.checkpoints[-1]["step"] == 100
    torn = cut / "checkpoints" / "checkpoint-105"  # as a kill during saving leaves it
    torn.mkdir(exist_ok=True)
    (torn / "adapter_model.safetensors").write_bytes(b"")

    code, resumed = lab.train(cut, "control", steps, "--resume")
    assert code == 0
    assert resumed.start["attempt"] == 2
    assert resumed.losses() == whole.losses()
    assert adapter(resumed) == adapter(whole)
    done_twice = {p["step"]: p["loss"] for p in killed.points if p["step"] > 100}
    assert done_twice
    losses = resumed.losses()
    assert all(losses[step - 1] == loss for step, loss in done_twice.items())


def test_a_stop_before_the_first_step_is_a_stop_too(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: tuple[Path, RunRecord]
) -> None:
    import os

    from pipeline.training.loss import LeanTrainer

    with monkeypatch.context() as patch:
        patch.setattr(LeanTrainer, "preflight", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        code, record = lab.train(tmp_path)
    assert code == 4
    assert record.end["status"] == "interrupted"
    assert not record.points
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "the handler is given back"
    code, resumed = lab.train(tmp_path, "experiment", STEPS, "--resume")
    assert code == 0
    assert adapter(resumed) == adapter(trained[1])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (["--arm", "control"], "arm was 'experiment' and is now 'control'"),
        (["--seed", "2"], "seed was 1 and is now 2"),
        (["--max-steps", "20"], "max_steps was 10 and is now 20"),
        (["--learning-rate", "0.5"], "recipe_sha256 was"),
    ],
    ids=["arm", "seed", "steps", "recipe"],
)
def test_a_resume_with_other_settings_is_refused_and_changes_nothing(
    trained: tuple[Path, RunRecord],
    lab: Lab,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    change: list[str],
    what: str,
) -> None:
    from pipeline.training.train import main

    # The journal of a run that was interrupted at its last step: no end of success.
    lines = (trained[0] / "run.jsonl").read_bytes().splitlines(keepends=True)
    before = b"".join(lines[:-2])
    (tmp_path / "run.jsonl").write_bytes(before)
    assert main([*lab.argv(tmp_path), "--resume", *change]) == 2
    assert what in capfd.readouterr().err
    assert (tmp_path / "run.jsonl").read_bytes() == before


def test_a_run_is_not_written_over_and_a_finished_one_not_done_again(
    trained: tuple[Path, RunRecord], lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    output, _ = trained
    before = (output / "run.jsonl").read_bytes()
    assert lab.train(output)[0] == 2
    assert "holds a run already; give --resume" in capfd.readouterr().err
    assert lab.train(output, "experiment", STEPS, "--resume")[0] == 0
    assert "already complete" in capfd.readouterr().out
    assert (output / "run.jsonl").read_bytes() == before


def test_only_whole_checkpoints_count_and_steps_are_compared_as_numbers(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path / "none") is None
    for step in ("9", "10", "100", "x"):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        for name in CHECKPOINT_FILES:
            (folder / name).touch()
    (tmp_path / "checkpoint-100" / "rng_state.pth").unlink()
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
