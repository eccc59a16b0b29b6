"""Training samples as JSON lines: read, checked, written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LINE_LIMIT = 2 * 2**20
"""Bytes of one sample."""


class InputError(ValueError):
    """Something given to a command that cannot be used; the text is one sentence for its user."""


class DatasetError(InputError):
    """A dataset that cannot be used; the text names file, line and reason."""


@dataclass(frozen=True)
class Comment:
    """One entry of `.comments` metadata: a remark on a line of the completion (first line is 1)."""

    line: int
    text: str


@dataclass(frozen=True)
class Sample:
    """One task: the prompt, the code that answers it without inline comments, and the remarks on it."""

    id: str
    language: str
    prompt: str
    completion: str
    comments: tuple[Comment, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record as it is written."""
        return asdict(self)


def _text(data: dict[str, Any], key: str, where: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value.strip():
        raise DatasetError(f"{where}: “{key}” must be a text that is not empty")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DatasetError(f"{where}: “{key}” holds half of a surrogate pair") from None
    return value


def parse_sample(line: str, where: str) -> Sample:
    """One sample from one line. Raises DatasetError naming `where`."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not JSON ({error})") from None
    if not isinstance(data, dict):
        raise DatasetError(f"{where}: a sample is an object, not {type(data).__name__}")
    prompt, completion = _text(data, "prompt", where), _text(data, "completion", where)
    last = completion.count("\n") + 1
    comments = []
    raw = data.get("comments", [])
    if not isinstance(raw, list):
        raise DatasetError(f"{where}: “comments” must be a list")
    for entry in raw:
        number = entry.get("line") if isinstance(entry, dict) else None
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= last:
            raise DatasetError(f"{where}: a comment's “line” must be between 1 and {last}")
        comments.append(Comment(number, _text(entry, "text", where)))
    return Sample(
        _text(data, "id", where), str(data.get("language", "")), prompt, completion, tuple(comments)
    )


def read_samples(path: Path) -> list[Sample]:
    """All samples of a JSONL file, in order. Raises DatasetError for the first line that will not do."""
    samples: list[Sample] = []
    seen: dict[str, int] = {}
    try:
        # Not splitlines(): JSON strings may hold U+2028 and its like, which are no line ends here.
        lines = path.read_bytes().decode("utf-8").split("\n")
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 at byte {error.start}") from None
    for number, line in enumerate(lines, start=1):
        where = f"{path.name}:{number}"
        if not line.strip():
            continue
        if len(line) > LINE_LIMIT:
            raise DatasetError(f"{where}: longer than {LINE_LIMIT} characters")
        sample = parse_sample(line, where)
        if sample.id in seen:
            raise DatasetError(
                f"{where}: id “{sample.id}” stands already in line {seen[sample.id]}"
            )
        seen[sample.id] = number
        samples.append(sample)
    if not samples:
        raise DatasetError(f"{path.name}: holds no sample")
    return samples


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write a JSONL file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(s.to_json(), ensure_ascii=False) + "\n" for s in samples)
    draft = path.with_name(f"{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
