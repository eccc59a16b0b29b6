"""Generate from a saved adapter on one prompt: `python -m pipeline.evaluation.generate …`.

The base model is loaded anew in 4-bit and the adapter from its files, so the answer proves what
lies on the disk and not what a training still had in memory. Greedy decoding.

Exit codes: 0 done, 1 failed, 2 bad settings.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
import uuid
from dataclasses import dataclass
from pathlib import Path

from pipeline.dataset.samples import InputError, sha256_file
from pipeline.journal import FILE_NAME, RunJournal
from pipeline.training.prompts import context
from pipeline.training.quiet import quiet

ADAPTER_FILE = "adapter_model.safetensors"


@dataclass(frozen=True)
class Options:
    """The command line."""

    model: str
    adapter: Path
    prompt: str
    output: Path
    max_new_tokens: int = 64
    name: str = "generate"
    stage: str = ""
    revision: str | None = None


def parse(arguments: list[str] | None = None) -> Options:
    """Options from the command line; argparse exits with 2 when they will not do."""
    parser = argparse.ArgumentParser(
        prog="pipeline.evaluation.generate", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", required=True, help="folder or name of the base model")
    parser.add_argument("--revision")
    parser.add_argument("--adapter", type=Path, required=True, help="folder with the LoRA adapter")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--output", type=Path, default=os.environ.get("GONOGO_JOB_DIR"))
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--name", default="generate")
    parser.add_argument("--stage", default="")
    values = parser.parse_args(arguments)
    if values.output is None:
        parser.error("--output is needed outside a job folder")
    if not values.prompt.strip():
        parser.error("--prompt is empty")
    if values.max_new_tokens < 1:
        parser.error("--max-new-tokens must be at least 1")
    if not (values.adapter / ADAPTER_FILE).is_file():
        parser.error(f"there is no {ADAPTER_FILE} in {values.adapter}; train first")
    values.output = Path(values.output)
    return Options(**vars(values))


def generate(options: Options, journal: RunJournal) -> str:
    """The completion; journals start, model, generated."""
    import torch
    from peft import PeftModel

    from pipeline.training import load
    from pipeline.training.data import context_ids

    started = time.monotonic()
    journal.write(
        "start", run=str(uuid.uuid4()), name=options.name, stage=options.stage, attempt=1,
        model=options.model, adapter=str(options.adapter), device=load.device_name(),
    )  # fmt: skip
    tokenizer = load.load_tokenizer(options.model, options.revision)
    base = load.load_base(options.model, options.revision)
    model = PeftModel.from_pretrained(base, options.adapter)
    model.eval()
    journal.write("model", **load.model_facts(model))
    # One row without padding, tokenised as in training.
    ids = torch.tensor([context_ids(context(options.prompt), tokenizer)], device=base.device)
    with torch.no_grad():
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=options.max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )
    new = output[0, ids.shape[1] :]
    text = str(tokenizer.decode(new, skip_special_tokens=True))
    journal.write(
        "generated",
        prompt=options.prompt,
        completion=text,
        new_tokens=int(new.numel()),
        seconds=time.monotonic() - started,
        adapter_sha256=sha256_file(options.adapter / ADAPTER_FILE),
    )
    return text


def main(arguments: list[str] | None = None) -> int:
    """Generate; returns the exit code."""
    options = parse(arguments)
    try:
        journal = RunJournal(options.output / FILE_NAME)
    except OSError as problem:
        print(f"error: {problem.filename}: {problem.strerror}", file=sys.stderr)
        return 2
    try:
        text = generate(options, journal)
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        journal.write("end", status="failed", step=0, error=str(problem))
        return 2
    except Exception as problem:
        traceback.print_exc()
        journal.write("end", status="failed", step=0, error=f"{type(problem).__name__}: {problem}")
        return 1
    else:
        journal.write("end", status="succeeded", step=0)
        print(text)
        return 0
    finally:
        journal.close()


if __name__ == "__main__":
    quiet()
    sys.exit(main())
