"""However many jobs there are, few files are open at once, and none is told gone for lack of them."""

from __future__ import annotations

import os
from pathlib import Path

from agents.mirror import MAX_OPEN, HostMirror
from agents.remote import host


def opened() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_copies_of_many_jobs_need_few_open_files(tmp_path):
    before = opened()
    mirrors = [HostMirror(tmp_path, name) for name in ("tower", "server")]
    ids = [f"job-20260101-000000-{number:04x}" for number in range(100)]
    for turn in range(3):
        for mirror in mirrors:
            for job_id in ids:
                stream = mirror.stream(job_id, "run")
                assert stream.append(turn * 2, b"x\n", 7) == turn * 2 + 2
    assert opened() - before <= MAX_OPEN
    for mirror in mirrors:
        for job_id in ids:
            assert (mirror.folder / job_id / "run.jsonl").read_bytes() == b"x\n" * 3
        size, identity = mirror.stream(ids[0], "run").cursor()
        assert (size, identity["ino"]) == (6, 7)
        mirror.close()
    assert opened() == before


def test_a_process_that_cannot_be_looked_at_is_not_told_gone(monkeypatch):
    """A host that has no file descriptor left would else lose all its jobs in words."""
    stat = host.process_stat(os.getpid())
    assert host.is_alive(os.getpid(), stat.starttime)
    assert not host.is_alive(os.getpid(), stat.starttime + 1)
    monkeypatch.setattr(host, "read_text", lambda path, limit=0: "")
    assert host.is_alive(os.getpid(), stat.starttime)
    assert not host.is_alive(2**22 + 1, 5)
