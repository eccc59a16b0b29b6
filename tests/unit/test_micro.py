"""The micro dataset and the reader of samples."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.dataset.micro import SAMPLES, create_micro_dataset
from pipeline.dataset.samples import (
    Comment,
    DatasetError,
    Sample,
    read_samples,
    sha256_file,
    write_samples,
)

GOOD = {
    "id": "a",
    "language": "python",
    "prompt": "Do it.",
    "completion": "x = 1\n",
    "comments": [],
}


def test_five_samples_with_code_that_runs(tmp_path: Path) -> None:
    samples = read_samples(create_micro_dataset(tmp_path))
    assert samples == list(SAMPLES)
    assert len(samples) == 5
    assert len({sample.id for sample in samples}) == 5
    for sample in samples:
        ast.parse(sample.completion)
        assert "#" not in sample.completion  # remarks stand in the metadata, not in the code
        assert sample.comments
        lines = sample.completion.split("\n")
        assert all(lines[comment.line - 1].strip() for comment in sample.comments)


def test_the_code_does_what_its_prompt_says() -> None:
    code = {sample.id: sample.completion for sample in SAMPLES}
    space: dict[str, object] = {}
    for text in code.values():
        exec(text, space)  # noqa: S102 - our own five functions
    call = {name: value for name, value in space.items() if callable(value)}
    assert [call["clamp"](v, 0, 10) for v in (-1, 5, 11)] == [0, 5, 10]
    with pytest.raises(ValueError):
        call["clamp"](1, 2, 1)
    assert list(call["chunks"](iter("abcde"), 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert call["slug"](" Hello, World! 2 ") == "hello-world-2"
    assert [call["median"](v) for v in ([3, 1, 2], [4, 1, 3, 2])] == [2, 2.5]
    tries = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("again")
        return "done"

    assert call["retry"](flaky, 3) == "done"
    tries.clear()
    with pytest.raises(OSError, match="again"):
        call["retry"](flaky, 2)


def test_the_file_is_the_same_every_time(tmp_path: Path) -> None:
    assert sha256_file(create_micro_dataset(tmp_path / "a")) == sha256_file(
        create_micro_dataset(tmp_path / "b")
    )


def test_the_command_prints_the_path(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.dataset.micro", "--output", str(tmp_path / "deep" / "er")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()) == tmp_path / "deep" / "er" / "micro.jsonl"
    assert len(read_samples(Path(done.stdout.strip()))) == 5


def test_the_separators_that_json_allows_inside_a_string_split_nothing(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three\x0cfour"
    sample = Sample("a", "python", text, "x = 1\n", (Comment(1, "why\u2028so"),))
    write_samples(tmp_path / "d.jsonl", [sample])
    assert read_samples(tmp_path / "d.jsonl") == [sample]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "“id” must be a text"),
        ({"prompt": None}, "“prompt” must be a text"),
        ({"completion": "  \n"}, "“completion” must be a text"),
        ({"completion": "\ud800"}, "half of a surrogate pair"),
        ({"comments": {}}, "“comments” must be a list"),
        ({"comments": ["why"]}, "“line” must be between 1 and 2"),
        ({"comments": [{"line": 3, "text": "x"}]}, "“line” must be between 1 and 2"),
        ({"comments": [{"line": 0, "text": "x"}]}, "“line” must be between 1 and 2"),
        ({"comments": [{"line": True, "text": "x"}]}, "“line” must be between 1 and 2"),
        ({"comments": [{"line": 1, "text": 5}]}, "“text” must be a text"),
    ],
)
def test_a_bad_sample_is_named_by_file_and_line(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps({**GOOD, "id": "b", **change}) + "\n")
    with pytest.raises(DatasetError) as error:
        read_samples(path)
    assert str(error.value).startswith("d.jsonl:3: ")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "holds no sample"),
        (b"\n \n", "holds no sample"),
        (b"{\n", "d.jsonl:1: not JSON"),
        (b"[1]\n", "d.jsonl:1: a sample is an object"),
        (b"[" * 100_000, "d.jsonl:1: not JSON"),
        (b"\xff\n", "not UTF-8 at byte 0"),
        ((json.dumps(GOOD) + "\n").encode() * 2, "d.jsonl:2: id “a” stands already in line 1"),
    ],
    ids=["empty", "blank", "torn", "list", "deep", "bytes", "twice"],
)
def test_a_bad_file_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=reason):
        read_samples(path)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_samples(tmp_path / "none.jsonl")
