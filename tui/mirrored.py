"""Jobs as they are to be listed: those the hosts tell of, and those of which only the mirror here knows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tui.later import later
from tui.live import JOB_RANK, LiveStore
from tui.run_view import RunView, whole
from tui.vocabulary import age

if TYPE_CHECKING:
    from agents import JobState, JobStatus
else:
    JobState, JobStatus = later("agents", "JobState", "JobStatus")

ENDS = {"succeeded": "succeeded", "interrupted": "stopped"}
"""How a journal says that it ended, as a job's state; every other end is a failure."""

FAR = 2**53


def _moment(value: object) -> int | None:
    """UTC ms, None for what can be no time."""
    return whole(value) if 0 < whole(value) < FAR else None


def mirrored_job(run: RunView, live: bool, now_ms: int) -> JobStatus:
    """What the mirrored journal tells of a job of which its host has not told."""
    started = _moment(run.first_t)
    if run.end:
        state = ENDS.get(str(run.end.get("status")), "failed")
        return JobStatus(
            run.job_id, run.name, JobState(state), created_ms=started, started_ms=started,
            ended_ms=_moment(run.end.get("t")), detail="from the mirror",
        )  # fmt: skip
    last = _moment(run.last.get("t")) or started
    known = "" if last is None else f"last point {age(max(0, now_ms - last) / 1000)} ago, "
    why = "the host does not know it" if live else "link down"
    return JobStatus(
        run.job_id, run.name, JobState.unknown, created_ms=started, started_ms=started,
        ended_ms=last, detail=f"{known}{why}",
    )  # fmt: skip


def listed_jobs(store: LiveStore, now_ms: int | None = None) -> list[tuple[str, JobStatus]]:
    """All jobs: running first, then the newest. Without any host at hand what is mirrored stays listed."""
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    pairs = [(host, job) for (host, _), job in store.jobs.items()]
    for (name, job_id), run in store.runs.items():
        if (name, job_id) not in store.jobs:
            host = store.hosts.get(name)
            pairs.append((name, mirrored_job(run, host is not None and host.live, now_ms)))
    return sorted(pairs, key=lambda p: (JOB_RANK.get(str(p[1].state), 9), -(p[1].created_ms or 0)))


def empty_text(store: LiveStore) -> str:
    """What an empty list of jobs means: there is none, or nobody could be asked."""
    if store.hosts and not any(host.live for host in store.hosts.values()):
        names = ", ".join(store.hosts)
        return f"{names} cannot be reached, and nothing is mirrored here yet   r tries again"
    return "no job on any host yet   t starts a training, T a pair"
