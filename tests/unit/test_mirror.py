"""The laptop's copies: offsets, identities and what is set aside."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.mirror import HostMirror, OutOfStep, StreamMirror
from agents.remote.identity import matches

JOB = "train-20240607-120000-abcd"


@pytest.fixture
def mirror(tmp_path):
    mirror = StreamMirror(tmp_path / "job" / "run.jsonl")
    yield mirror
    mirror.close()


def test_chunks_are_appended_where_the_copy_ends(mirror):
    assert mirror.append(0, b"abc", 5) == 3
    assert mirror.append(3, b"def", 5) == 6
    assert mirror.path.read_bytes() == b"abcdef"
    assert mirror.size == 6


@pytest.mark.parametrize("offset", [0, 2, 4, 1000])
def test_a_chunk_out_of_step_writes_nothing(mirror, offset):
    mirror.append(0, b"abc", 5)
    with pytest.raises(OutOfStep):
        mirror.append(offset, b"zzz", 5)
    assert mirror.path.read_bytes() == b"abc"


def test_the_cursor_is_the_length_and_the_hashes_of_both_ends(mirror):
    assert mirror.cursor() == (0, {})
    data = os.urandom(10_000)
    mirror.append(0, data, 77)
    size, identity = mirror.cursor()
    assert size == 10_000
    assert identity == {
        "ino": 77,
        "head": hashlib.sha256(data[:4096]).hexdigest(),
        "tail": hashlib.sha256(data[-4096:]).hexdigest(),
        "all": hashlib.sha256(data).hexdigest(),
    }


def test_the_identity_is_there_again_after_a_restart(mirror):
    mirror.append(0, b"abc", 77)
    again = StreamMirror(mirror.path)
    assert again.cursor() == mirror.cursor()
    assert again.append(3, b"def", 77) == 6
    again.close()


def test_a_damaged_identity_file_is_only_a_missing_inode(mirror):
    mirror.append(0, b"abc", 77)
    (mirror.path.parent / ".identity.json").write_text("{")
    assert StreamMirror(mirror.path).cursor()[1]["ino"] is None


def test_set_aside_keeps_every_earlier_copy(mirror):
    for number, text in enumerate((b"one", b"two", b"three"), 1):
        mirror.append(0, text, number)
        kept = mirror.set_aside()
        assert kept == mirror.path.with_name(f"run.jsonl.old-{number}")
        assert kept.read_bytes() == text
    assert mirror.size == 0
    assert mirror.set_aside() is None


def test_a_copy_that_was_replaced_under_us_is_opened_again(mirror):
    mirror.append(0, b"abc", 5)
    mirror.path.unlink()
    with pytest.raises(OutOfStep):
        mirror.append(3, b"def", 5)
    assert mirror.append(0, b"abc", 5) == 3


@given(
    st.binary(min_size=0, max_size=9000),
    st.binary(max_size=300),
    st.sampled_from(["same", "byte", "short", "inode", "unknown inode"]),
    st.data(),
)
@settings(max_examples=120, deadline=None)
def test_host_and_laptop_agree_on_what_is_the_same_file(tmp_path_factory, data, more, change, draw):
    folder = tmp_path_factory.mktemp("identity")
    source = folder / "source"
    source.write_bytes(data)
    ino = source.stat().st_ino
    copy = StreamMirror(folder / "copy")
    copy.append(0, data, ino)
    expected = True
    if change == "byte" and data:
        # Only the ends are compared: the middle of a long file is taken on trust.
        ends = [*range(min(len(data), 4096)), *range(max(0, len(data) - 4096), len(data))]
        position = draw.draw(st.sampled_from(ends))
        source.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        expected = False
    elif change == "short" and data:
        source.write_bytes(data[:-1])
        expected = False
    elif change == "inode" and data:
        copy._write_ino(ino + 1)
        expected = False
    elif change == "unknown inode":
        copy._write_ino(None)
    if change != "short":
        with source.open("ab") as file:
            file.write(more)
    size, identity = copy.cursor()
    copy.close()
    with source.open("rb") as file:
        # An empty copy is never asked about: it belongs to any file.
        assert size == 0 or matches(file.fileno(), size, identity) is expected


def test_documents_are_replaced_whole(tmp_path):
    mirror = HostMirror(tmp_path, "tower")
    path = mirror.document(JOB, "job.json", b"{}")
    assert path == tmp_path / "tower" / JOB / "job.json"
    mirror.document(JOB, "job.json", b'{"pid": 1}')
    assert path.read_bytes() == b'{"pid": 1}'
    assert [p.name for p in path.parent.iterdir()] == ["job.json"]


@pytest.mark.parametrize(
    "job_id",
    ["..", "../../x-20240607-120000-abcd", "a/b-20240607-120000-abcd", "", "x", JOB + "\n"],
)
def test_names_from_a_host_never_leave_the_folder(tmp_path, job_id):
    mirror = HostMirror(tmp_path, "tower")
    with pytest.raises(ValueError, match="no job id"):
        mirror.document(job_id, "job.json", b"")
    with pytest.raises(ValueError, match="no document"):
        mirror.document(JOB, "../x", b"")
    assert list(tmp_path.iterdir()) == []
