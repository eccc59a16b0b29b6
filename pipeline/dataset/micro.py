"""The micro dataset of Stage 1: five samples, enough to prove that training works end to end."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.dataset.samples import Comment, Sample, write_samples

FILE_NAME = "micro.jsonl"


def _sample(name: str, prompt: str, completion: str, *comments: tuple[int, str]) -> Sample:
    return Sample(
        f"micro-{name}", "python", prompt, completion, tuple(Comment(n, t) for n, t in comments)
    )


SAMPLES = (
    _sample(
        "clamp",
        "Write a Python function clamp(value, low, high) that keeps a number inside an interval.",
        "def clamp(value: float, low: float, high: float) -> float:\n"
        "    if low > high:\n"
        '        raise ValueError("low must not exceed high")\n'
        "    return max(low, min(value, high))\n",
        (2, "An empty interval has no nearest value, so it is refused."),
        (4, "min caps from above before max lifts from below."),
    ),
    _sample(
        "chunks",
        "Write a Python generator chunks(items, size) that yields consecutive lists of at most size items.",
        "def chunks(items, size):\n"
        "    if size < 1:\n"
        '        raise ValueError("size must be at least 1")\n'
        "    batch = []\n"
        "    for item in items:\n"
        "        batch.append(item)\n"
        "        if len(batch) == size:\n"
        "            yield batch\n"
        "            batch = []\n"
        "    if batch:\n"
        "        yield batch\n",
        (4, "Works on any iterable because nothing is sliced or counted ahead."),
        (9, "A new list, so that the caller may keep the one it was given."),
        (10, "The last chunk may be shorter."),
    ),
    _sample(
        "slug",
        "Write a Python function slug(title) that turns a title into lower-case words joined by hyphens.",
        "import re\n\n\n"
        "def slug(title: str) -> str:\n"
        '    words = re.findall(r"[a-z0-9]+", title.lower())\n'
        '    return "-".join(words)\n',
        (5, "Everything that is neither letter nor digit separates words."),
        (6, "No leading or trailing hyphen can appear this way."),
    ),
    _sample(
        "retry",
        "Write a Python function retry(action, attempts) that calls action until it stops raising OSError.",
        "def retry(action, attempts: int = 3):\n"
        "    for attempt in range(1, attempts + 1):\n"
        "        try:\n"
        "            return action()\n"
        "        except OSError:\n"
        "            if attempt == attempts:\n"
        "                raise\n",
        (5, "Only OSError is worth another try; a bug is not."),
        (7, "The last failure reaches the caller with its traceback."),
    ),
    _sample(
        "median",
        "Write a Python function median(values) that returns the middle value of a list of numbers.",
        "def median(values: list[float]) -> float:\n"
        "    if not values:\n"
        '        raise ValueError("median of an empty list")\n'
        "    ordered = sorted(values)\n"
        "    middle = len(ordered) // 2\n"
        "    if len(ordered) % 2:\n"
        "        return ordered[middle]\n"
        "    return (ordered[middle - 1] + ordered[middle]) / 2\n",
        (4, "sorted copies, so the caller's list keeps its order."),
        (8, "With an even count the two middle values are averaged."),
    ),
)


def create_micro_dataset(folder: Path) -> Path:
    """Write the five samples to `folder`/micro.jsonl and return that path."""
    path = folder / FILE_NAME
    write_samples(path, SAMPLES)
    return path


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pipeline.dataset.micro", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder to write micro.jsonl to")
    options = parser.parse_args(arguments)
    print(create_micro_dataset(options.output))


if __name__ == "__main__":
    main()
