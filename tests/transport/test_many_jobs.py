"""A host with hundreds of job folders and a user who may open few files."""

from __future__ import annotations

import json
from pathlib import Path

from agents import JobSpec, MirrorFailed

JOBS = 150
RECORD = {"v": 1, "name": "old", "argv": ["x"], "pid": None, "boot_id": "b", "created": 1}


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_few_files_are_open_and_no_job_is_told_lost(sshd, make_link, tmp_path, wait_until):
    root = sshd.home / ".gonogo" / "jobs"
    for number in range(JOBS):
        folder = root / f"old-20250101-000000-{number:04x}"
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps({**RECORD, "op_id": f"o{number}"}))
        (folder / "exit.json").write_text('{"code": 0, "t": 5}')
        for name in ("run.jsonl", "log.txt"):
            (folder / name).write_text('{"step": 1}\n' * 50)
    shell = tmp_path / "shell"
    shell.write_text('#!/bin/sh\nulimit -n 48\nexec /bin/sh "$@"\n')
    shell.chmod(0o755)
    sshd.shell = (str(shell), "-c")
    watched = make_link()
    link = await watched.live()
    job = await link.start_job(JobSpec("now", ("sleep", "600")))
    try:
        copies = watched.root / "tower"
        await wait_until(
            lambda: (
                sum(1 for path in copies.glob("old-*/*") if path.stat().st_size == 600) == 2 * JOBS
            ),
            30,
            "all copies",
        )
        assert open_files(link.host_info["pid"]) < 48
        assert "Too many open files" not in link.host_stderr
        assert not watched.of(MirrorFailed)
        assert set(watched.job_states(job.job_id)) <= {"starting", "running"}
    finally:
        await link.stop_job(job.job_id, 1)
