"""What the model reads and what it must write, per arm: pure functions of a sample.

Every arm trains on the same tasks in the same order; only where the remarks on the code stand differs.

- control: the completion carries the remarks as inline comments.
- experiment: the completion is the bare code; the remarks stand as `.comments` metadata in the context,
  which is masked from the loss.
- placebo: like experiment, with another sample's metadata.
- micro: the bare prompt and completion of Stage 1.

At test time every arm gets `context(sample.prompt)` and nothing else: the metadata of a test sample
is derived from its solution and would leak it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.dataset.samples import Comment, Sample

ARMS = ("micro", "control", "experiment", "placebo")
TEMPLATE = "### Task\n{prompt}\n\n{metadata}### Code\n"
METADATA = "### Comments\n{lines}\n\n"
INLINE = {"python": "#", "sql": "--"}
"""Line comment marks; every other language of the plan uses //."""


@dataclass(frozen=True)
class Text:
    """One training text: loss falls on `completion` only."""

    sample_id: str
    context: str
    completion: str


def template_sha256() -> str:
    """Hash of everything that shapes the text besides the sample, recorded with each run."""
    return hashlib.sha256(
        "\0".join([TEMPLATE, METADATA, repr(sorted(INLINE.items()))]).encode()
    ).hexdigest()


def context(prompt: str, comments: Sequence[Comment] = ()) -> str:
    """What stands before the code."""
    lines = "\n".join(f"line {comment.line}: {comment.text}" for comment in comments)
    return TEMPLATE.format(prompt=prompt, metadata=METADATA.format(lines=lines) if lines else "")


def with_inline_comments(sample: Sample) -> str:
    """The code with each remark as a comment line above the line it belongs to, indented like it."""
    mark = INLINE.get(sample.language, "//")
    remarks: dict[int, list[str]] = {}
    for comment in sample.comments:
        remarks.setdefault(comment.line, []).append(comment.text)
    out: list[str] = []
    for number, line in enumerate(sample.completion.split("\n"), start=1):
        indent = line[: len(line) - len(line.lstrip())]
        out += [f"{indent}{mark} {text}" for text in remarks.get(number, ())]
        out.append(line)
    return "\n".join(out)


def render(samples: Sequence[Sample], arm: str) -> list[Text]:
    """Training texts of one arm, in the order of `samples`. Raises ValueError for an unknown arm."""
    if arm not in ARMS:
        raise ValueError(f"there is no arm “{arm}”; choose one of {', '.join(ARMS)}")
    texts = []
    for index, sample in enumerate(samples):
        if arm == "control":
            texts.append(Text(sample.id, context(sample.prompt), with_inline_comments(sample)))
        elif arm == "experiment":
            texts.append(
                Text(sample.id, context(sample.prompt, sample.comments), sample.completion)
            )
        elif arm == "placebo":  # the next sample's remarks: a fixed shuffle without a fixed point
            other = samples[(index + 1) % len(samples)]
            texts.append(Text(sample.id, context(sample.prompt, other.comments), sample.completion))
        else:
            texts.append(Text(sample.id, context(sample.prompt), sample.completion))
    return texts
