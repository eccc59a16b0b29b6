"""Going on with an interrupted run: what the journal says of it and which checkpoint is whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.dataset.samples import InputError
from pipeline.journal import RunRecord, number, read_run

MUST_MATCH = (
    "arm", "seed", "model", "revision", "dataset_sha256", "max_steps", "template_sha256", "recipe_sha256",
)  # fmt: skip
"""What two attempts of one run share. The learning rate follows max_steps, so that counts as well."""

CHECKPOINT_FILES = (
    "adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json",
)  # fmt: skip


class ResumeError(InputError):
    """A run that cannot be continued like this; the text says why."""


@dataclass(frozen=True)
class History:
    """The attempts before this one."""

    run_id: str = ""
    attempts: int = 0
    start: Mapping[str, Any] | None = None
    eval_start: float | None = None
    """Loss on the fixed set before the first step of the first attempt."""
    succeeded: bool = False


def history(path: Path) -> History:
    """What a journal file tells of earlier attempts. A missing file, or one without a start, tells none."""
    if not path.exists():
        return History()
    record = read_run(path)
    if not record.start:
        return History()
    return History(
        run_id=str(record.start.get("run", "")),
        attempts=int(number(record.start.get("attempt")) or 1),
        start=record.start,
        eval_start=_first_eval(record),
        succeeded=record.end.get("status") == "succeeded",
    )


def _first_eval(record: RunRecord) -> float | None:
    return next((number(e.get("eval_loss")) for e in record.evals if e["step"] == 0), None)


def check_same_run(start: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ResumeError when `now` (a start event's fields) would not continue the run of `start`."""
    for key in MUST_MATCH:
        if key in now and start.get(key) != now[key]:
            raise ResumeError(
                f"cannot resume: {key} was {start.get(key)!r} and is now {now[key]!r}; "
                "give the same one or another --output"
            )


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of the highest step that is whole; one torn by a kill is passed over."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        step = path.name.removeprefix("checkpoint-")
        if step.isdigit() and all((path / name).is_file() for name in CHECKPOINT_FILES):
            found.append((int(step), path))
    return max(found)[1] if found else None
