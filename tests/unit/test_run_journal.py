"""The run journal: any split of its bytes tells the same story, and damage costs only its own line."""

from __future__ import annotations

import json
import math
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import journal
from pipeline.journal import RunJournal, RunReader, number, parse_line, read_run

GOOD = {"v": 1, "kind": "point", "t": 1_700_000_000_000, "step": 3, "loss": 2.5}


def line(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def test_events_are_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    writer = RunJournal(path)
    written = [
        writer.write("start", run="r", arm="control", name="naïve “ünïcode”"),
        writer.write("model", load_in_4bit=True, gpu_bytes_after_load=None),
        writer.write("point", step=1, loss=3.0),
        writer.write("point", step=2, loss=2.0),
        writer.write("eval", step=2, eval_loss=2.1),
        writer.write("checkpoint", step=2, path="/x/checkpoint-2"),
        writer.write("saved", path="/x", files=[{"name": "a", "bytes": 1, "sha256": "0" * 64}]),
        writer.write("end", status="succeeded", step=2),
    ]
    writer.close()
    record = read_run(path)
    assert (record.start, record.model, record.end) == (written[0], written[1], written[-1])
    assert record.points == written[2:4]
    assert record.evals == [written[4]]
    assert record.checkpoints == [written[5]]
    assert record.saved["files"][0]["sha256"] == "0" * 64
    assert record.losses() == [3.0, 2.0]
    assert record.bad_lines == 0


def test_numbers_that_json_cannot_hold_travel_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    writer = RunJournal(path)
    for step, loss in enumerate((math.nan, math.inf, -math.inf, 0.5)):
        writer.write("point", step=step, loss=loss)
    writer.close()
    # A strict parser of another language must be able to read it: no bare NaN.
    for raw in path.read_text().splitlines():
        json.loads(raw, parse_constant=lambda name: pytest.fail(f"bare {name}"))
    losses = [number(point["loss"]) for point in read_run(path).points]
    assert losses[0] is not None
    assert math.isnan(losses[0])
    assert losses[1:] == [math.inf, -math.inf, 0.5]
    assert read_run(path).losses() == [0.5]


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"not json",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        line()[:-4],
        line(v=2),
        line(kind="Point"),
        line(kind=["point"]),
        line(t="now"),
        line(t=True),
        line(step="3"),
        line(step=True),
        line(step=None),
        line(kind="eval", step=1.5),
        line(kind="end"),
        line(kind="saved", path="/x", files="adapter"),
        line(kind="generated", completion=None),
        b"[" * 100_000,
        b'{"v":1,"kind":"note","t":' + b"9" * 5000 + b"}",
    ],
    ids=lambda raw: repr(raw[:24]),
)
def test_a_line_that_is_no_event_is_none(damaged: bytes) -> None:
    assert parse_line(line()) == GOOD
    assert parse_line(damaged) is None


def test_unknown_fields_are_kept() -> None:
    event = parse_line(line(extra={"a": [1, None]}))
    assert event is not None
    assert event["extra"] == {"a": [1, None]}


def whole(data: bytes) -> tuple[list[dict[str, object]], int]:
    reader = RunReader()
    return reader.feed(data), reader.bad_lines


LINES = st.lists(
    st.one_of(
        st.integers(0, 50).map(lambda step: line(step=step)),
        st.text(max_size=20).map(lambda text: line(kind="note", text=text)),
        st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ")),
        st.sampled_from([b"", b"   ", b" " * 300, b"x" * 300, b"x" * 700, line(pad="p" * 500)]),
    ),
    max_size=12,
)


@given(LINES, st.binary(max_size=30), st.lists(st.integers(0, 4000), max_size=8))
def test_any_split_into_pieces_gives_the_same_events(
    lines: list[bytes], tail: bytes, cuts: list[int]
) -> None:
    data = b"".join(raw + b"\n" for raw in lines) + tail.replace(b"\n", b"")
    limit = journal.LINE_LIMIT
    journal.LINE_LIMIT = 256  # so that small examples reach the over-long lines too
    try:
        expected = whole(data)
        reader = RunReader()
        places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
        events = [e for a, b in pairwise(places) for e in reader.feed(data[a:b])]
        assert (events, reader.bad_lines) == expected
        bytewise = RunReader()
        slow = [event for i in range(len(data)) for event in bytewise.feed(data[i : i + 1])]
        assert (slow, bytewise.bad_lines) == expected
    finally:
        journal.LINE_LIMIT = limit


def test_an_unfinished_line_waits_and_is_not_counted() -> None:
    reader = RunReader()
    assert reader.feed(line(step=1) + b"\n" + line(step=2)[:20]) == [{**GOOD, "step": 1}]
    assert reader.bad_lines == 0
    assert reader.feed(line(step=2)[20:] + b"\n") == [{**GOOD, "step": 2}]


def test_memory_is_bounded_on_an_endless_line() -> None:
    reader = RunReader()
    for _ in range(200):
        assert reader.feed(b"x" * 64 * 1024) == []
    assert len(reader._rest) <= journal.LINE_LIMIT
    assert reader.feed(b"\n" + line() + b"\n") == [GOOD]
    assert reader.bad_lines == 1


def test_a_torn_last_line_of_a_killed_writer_is_closed_off(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(line(step=1) + b"\n" + line(step=2)[:25])
    writer = RunJournal(path)
    writer.write("point", step=3, loss=1.0)
    writer.close()
    record = read_run(path)
    assert [point["step"] for point in record.points] == [1, 3]
    assert record.bad_lines == 1


def test_a_resumed_run_has_no_end_until_it_ends_again(tmp_path: Path) -> None:
    writer = RunJournal(tmp_path / "run.jsonl")
    writer.write("start", run="r", attempt=1)
    writer.write("point", step=1, loss=3.0)
    writer.write("point", step=2, loss=2.0)
    writer.write("end", status="interrupted", step=2)
    writer.write("start", run="r", attempt=2)
    writer.write("point", step=2, loss=2.5)
    record = read_run(writer.path)
    assert record.end == {}
    assert record.start["attempt"] == 2
    assert record.losses() == [3.0, 2.5]  # a step done again counts once, the newest
    writer.close()


def test_an_event_no_reader_would_take_is_refused(tmp_path: Path) -> None:
    writer = RunJournal(tmp_path / "run.jsonl")
    with pytest.raises(ValueError, match="longer than"):
        writer.write("note", text="x" * journal.LINE_LIMIT)
    writer.write("point", step=1, loss=1.0)
    writer.close()
    assert writer.path.read_bytes().count(b"\n") == 1


def test_a_full_disk_is_an_error_and_tears_only_its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = RunJournal(tmp_path / "run.jsonl")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    with pytest.raises(OSError, match="took 10 of"):
        writer.write("point", step=1, loss=1.0)
    monkeypatch.setattr(os, "write", write)
    writer.write("point", step=2, loss=1.0)
    writer.close()
    record = read_run(writer.path)
    assert [point["step"] for point in record.points] == [2]
    assert record.bad_lines == 1


def test_every_event_is_one_write_and_the_disk_is_asked_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes, syncs = [], []
    write, sync = os.write, os.fsync
    writer = RunJournal(tmp_path / "run.jsonl")
    monkeypatch.setattr(os, "write", lambda fd, data: (writes.append(data), write(fd, data))[1])
    monkeypatch.setattr(os, "fsync", lambda fd: (syncs.append(fd), sync(fd))[1])
    for step in range(50):
        writer.write("point", step=step, loss=1.0)
    assert len(writes) == 50
    assert all(data.endswith(b"\n") and data.count(b"\n") == 1 for data in writes)
    assert len(syncs) <= 1
    writer.write("end", status="succeeded")
    assert syncs
    writer.close()
