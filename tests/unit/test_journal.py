"""The state file: what a line is, what damage does, and what happens when the disk refuses."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import zlib
from pathlib import Path

import pytest

from tui.roadmap.errors import InvalidValue, Locked, NotSaved, ReadOnly
from tui.roadmap.journal import Journal, Syscalls
from tui.roadmap.records import MAX_LINE, BadLine, Record, seal, unseal


def add(journal: Journal, item: str = "S0.T1", **more: object) -> Record:
    with journal.exclusive():
        fields = {"by": "t", "do": "tick", "item": item, "old": "open", "new": "done", **more}
        return journal.write(fields)


def filled(path: Path, count: int = 5) -> Journal:
    journal = Journal(path)
    for n in range(count):
        add(journal, f"S0.T{n + 1}")
    return journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.jsonl"


def test_a_record_is_one_sealed_line(path: Path) -> None:
    record = add(Journal(path))
    raw = path.read_bytes()
    assert raw.count(b"\n") == 1
    body, crc = raw.rstrip(b"}\n").rstrip(b'"').split(b',"crc":"')
    assert int(crc, 16) == zlib.crc32(body)
    data = json.loads(raw)
    assert list(data) == [
        "v",
        "id",
        "at",
        "by",
        "do",
        "item",
        "old",
        "new",
        "crc",
    ]  # the first follows none
    assert data["id"][14] == "7"
    assert (data["id"], data["at"]) == (record.id, record.at)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_times_never_go_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = filled(path, 3)
    monkeypatch.setattr("tui.roadmap.journal.time.time_ns", lambda: 1_000_000)
    late = add(journal, "S0.T9")
    assert late.at == journal.records[-2].at + 1


def test_readers_change_neither_a_byte_nor_an_mtime_and_take_no_lock(path: Path) -> None:
    writer = filled(path)
    path.write_bytes(path.read_bytes() + b'{"v":1,"torn')
    with writer._lock:
        before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in path.parent.iterdir()}
        reader = Journal(path)
        reader.refresh()
        assert len(reader.records) == 5
        after = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in path.parent.iterdir()}
    assert after == before


def test_refresh_reads_only_what_is_new(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = filled(path), Journal(path)
    new = add(writer, "S0.S1")
    read: list[int] = []
    original = Journal._take
    monkeypatch.setattr(
        Journal, "_take", lambda self, blob: read.append(len(blob)) or original(self, blob)
    )
    assert [record.id for record in reader.refresh()] == [new.id]
    assert read == [len(path.read_bytes().splitlines(keepends=True)[-1])]
    assert reader.refresh() == []
    assert len(read) == 1


def test_a_replaced_or_shortened_file_is_read_again(path: Path) -> None:
    filled(path)
    reader = Journal(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    assert len(reader.refresh()) == 2
    assert reader.generation == 1
    other = path.with_name("other")
    other.write_bytes(b"".join(lines))
    other.replace(path)
    reader.refresh()
    assert (len(reader.records), reader.generation) == (5, 2)
    path.unlink()
    reader.refresh()
    assert reader.records == []


def test_an_edit_in_place_of_the_same_length_is_seen(path: Path) -> None:
    filled(path)
    reader = Journal(path)
    raw = path.read_bytes().replace(b'"by":"t"', b'"by":"u"', 1)
    with path.open("r+b") as file:
        file.write(raw)
    os.utime(path, ns=(1, 1))
    reader.refresh()
    assert "line 1" in reader.problem


@pytest.mark.parametrize("cut", [1, 2, 17, 60, 119])
def test_a_torn_tail_is_ignored_by_readers_and_set_aside_by_the_next_writer(
    path: Path, cut: int
) -> None:
    filled(path, 3)
    whole = path.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    tail = whole[len(whole) - last :][: last - cut - 1] if cut < last - 1 else b"{"
    path.write_bytes(whole[: len(whole) - last] + tail)
    reader = Journal(path)
    assert (len(reader.records), reader.torn, reader.problem) == (2, len(tail), "")
    add(reader, "S0.S2")
    torn = list(path.parent.glob("state.torn-*"))
    assert [t.read_bytes() for t in torn] == [tail]
    again = Journal(path)
    assert [r.item for r in again.records] == ["S0.T1", "S0.T2", "S0.S2"]
    assert again.torn == 0


def test_zeros_after_a_power_cut_are_a_torn_tail(path: Path) -> None:
    filled(path, 2)
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    journal = Journal(path)
    assert (len(journal.records), journal.torn) == (2, 4096)
    add(journal, "S0.S1")
    assert len(Journal(path).records) == 3


def test_a_whole_last_line_without_its_line_feed_counts(path: Path) -> None:
    filled(path, 2)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    journal = Journal(path)
    assert (len(journal.records), journal.torn) == (2, 0)
    add(journal, "S0.S1")
    assert [r.item for r in Journal(path).records] == ["S0.T1", "S0.T2", "S0.S1"]
    assert journal.records[-1].line == 3


def test_damage_in_the_middle_opens_read_only_and_names_the_line(path: Path) -> None:
    filled(path)
    raw = path.read_bytes().replace(b"S0.T3", b"S0.T4", 1)
    path.write_bytes(raw)
    journal = Journal(path)
    assert "line 3" in journal.problem
    assert journal.bad_line is not None
    assert b"S0.T4" in journal.bad_line.raw
    assert len(journal.records) == 2
    with pytest.raises(ReadOnly, match="line 3"):
        add(journal)
    assert path.read_bytes() == raw


def test_a_damaged_last_line_is_not_taken_for_a_torn_one(path: Path) -> None:
    filled(path)
    raw = bytearray(path.read_bytes())
    raw[-1] = 0x0B
    path.write_bytes(bytes(raw))
    assert "line 5" in Journal(path).problem
    raw[-1] = 0x0A
    raw[-30] ^= 1
    path.write_bytes(bytes(raw))
    assert "line 5" in Journal(path).problem


def test_mending_the_file_opens_it_again(path: Path) -> None:
    filled(path)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"S0.T3", b"S0.T4", 1))
    journal = Journal(path)
    path.write_bytes(good)
    journal.refresh()
    assert journal.problem == ""
    add(journal, "S0.S1")


def test_hand_written_lines_are_taken_and_marked(path: Path) -> None:
    filled(path, 1)
    with path.open("ab") as file:
        file.write(b'{"do":"tick","item":"S0.S1","new":"done"}\n\n')
        file.write(b'{"do":"note","item":"S0","new":"by hand","by":"hand:ana"}')
    journal = Journal(path)
    assert [(r.item, r.hand, r.by) for r in journal.records[1:]] == [
        ("S0.S1", True, "hand"), ("S0", True, "hand:ana"),
    ]  # fmt: skip
    add(journal, "S0.S2")
    assert len(Journal(path).records) == 4


@pytest.mark.parametrize(
    "line",
    [
        b"{", b"[]", b"nonsense", b'{"do":"fly","item":"x"}', b'{"do":"tick","item":"x","nwe":"done"}',
        b'{"do":"tick","item":3}', b'{"do":"tick","at":"now"}', b"<<<<<<< HEAD", b'{"v":1}',
        b'{"do":"tick","item":"x","crc":"00000000"}', b"\xff\xfe", b"[" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(path: Path, line: bytes) -> None:
    filled(path, 1)
    path.write_bytes(path.read_bytes() + line + b"\n")
    journal = Journal(path)
    assert "line 2" in journal.problem
    with pytest.raises(BadLine):
        unseal(line, 2, 0)


def test_a_newer_format_opens_read_only(path: Path) -> None:
    filled(path, 1)
    path.write_bytes(path.read_bytes() + seal({"v": 2, "id": "x", "at": 1, "do": "levitate"}))
    before = path.read_bytes()
    journal = Journal(path)
    assert "newer version (needs >= 2)" in journal.problem
    with pytest.raises(ReadOnly):
        add(journal)
    assert path.read_bytes() == before


def test_union_merged_lines_are_taken_once_in_any_order(path: Path) -> None:
    filled(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[3], lines[1], lines[0], lines[2], lines[3]]))
    journal = Journal(path)
    assert journal.problem == ""
    assert len(journal.records) == 4


def test_an_id_used_twice_is_damage(path: Path) -> None:
    record = add(Journal(path))
    forged = seal({**{k: v for k, v in record.data.items() if k != "crc"}, "new": "open"})
    path.write_bytes(path.read_bytes() + forged)
    assert "used before" in Journal(path).problem


class Disk:
    """System calls that go wrong on request."""

    def __init__(self, **faults: object) -> None:
        self.faults = faults

    def calls(self) -> Syscalls:
        return Syscalls(self.write, self.fsync, os.ftruncate)

    def write(self, fd: int, data: bytes) -> int:
        if "write" in self.faults:
            raise OSError(self.faults["write"], os.strerror(int(str(self.faults["write"]))))
        if "short" in self.faults:
            return os.write(fd, data[: len(data) // 2])
        return os.write(fd, data)

    def fsync(self, fd: int) -> None:
        if "fsync" in self.faults:
            raise OSError(self.faults["fsync"], os.strerror(int(str(self.faults["fsync"]))))
        os.fsync(fd)


@pytest.mark.parametrize("faults", [{"write": errno.ENOSPC}, {"short": True}, {"fsync": errno.EIO}])
def test_a_disk_that_refuses_leaves_the_old_state(path: Path, faults: dict[str, object]) -> None:
    filled(path, 3)
    before = path.read_bytes()
    journal = Journal(path, syscalls=Disk(**faults).calls())
    with pytest.raises(NotSaved, match="unchanged"):
        add(journal, "S0.S1")
    assert path.read_bytes() == before
    assert len(journal.records) == 3
    assert len(Journal(path).records) == 3


def test_after_a_failed_fsync_nothing_more_is_written(path: Path) -> None:
    journal = Journal(path, syscalls=Disk(fsync=errno.EIO).calls())
    with pytest.raises(NotSaved):
        add(journal)
    with pytest.raises(ReadOnly, match="disk failed"):
        add(journal)


def test_a_full_disk_can_be_tried_again(path: Path) -> None:
    disk = Disk(write=errno.ENOSPC)
    journal = Journal(path, syscalls=disk.calls())
    with pytest.raises(NotSaved, match="no space left"):
        add(journal)
    disk.faults.clear()
    add(journal)
    assert len(Journal(path).records) == 1


def test_lock_held_elsewhere(path: Path) -> None:
    holder, waiter = Journal(path), Journal(path, lock_seconds=0.2)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with holder.exclusive():
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with pytest.raises(Locked, match=rf"Locked by .*pid {os.getpid()}\) since \d\d:\d\d:\d\d"):
        add(waiter)
    done.set()
    thread.join()
    add(waiter)


def test_a_lock_that_is_a_link_is_refused(path: Path) -> None:
    path.with_suffix(".lock").symlink_to(path.parent / "elsewhere")
    with pytest.raises(ReadOnly, match="symbolic link"):
        add(Journal(path))
    assert not (path.parent / "elsewhere").exists()


def test_what_cannot_be_one_line_is_refused(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(InvalidValue, match="too long"):
        add(journal, why="x" * MAX_LINE)
    with pytest.raises(InvalidValue):
        add(journal, why="\ud800")
    with pytest.raises(InvalidValue):
        add(journal, why=float("nan"))
    assert not path.exists() or path.read_bytes() == b""
