"""Jobs as the laptop sees them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from agents.checked import boolean_free_int, mapping_of_strings, short_text, strings

JOB_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}-\d{8}-\d{6}-[0-9a-f]{4}\Z")


class JobState(StrEnum):
    """`unknown` means the link is down: the job may well go on."""

    requested = "requested"
    starting = "starting"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    oom = "oom"
    stopped = "stopped"
    lost = "lost"
    unknown = "unknown"

    @property
    def terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset(
    {JobState.succeeded, JobState.failed, JobState.oom, JobState.stopped, JobState.lost}
)


@dataclass(frozen=True)
class Mount:
    """A path of the host inside a container; `target` "" is the same path, so that argv, journal
    and results name one place on both sides. A leading ``~/`` of `source` is the host's home."""

    source: str
    target: str = ""
    read_only: bool = True


@dataclass(frozen=True)
class Container:
    """How a job runs in Docker. The image must be on the host: nothing is pulled in passing.

    `memory` and `shm` are bytes, None for the engine's own; over `memory` the job is out of
    memory. `network` "" is the engine's default. The job folder is mounted by itself.
    """

    image: str
    mounts: tuple[Mount, ...] = ()
    memory: int | None = None
    shm: int | None = None
    gpus: bool = False
    network: str = ""

    def params(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class JobSpec:
    """A program to start on a host, detached.

    `argv` runs without a shell; only a leading ``~/`` of argv[0] and of `cwd` expands (empty
    cwd is the home folder). Two starts with the same `op_id` are one job. An exit code in
    `oom_codes` counts as out of memory. With a `container` the Docker engine of the host runs it
    (`cwd` is then a folder in the container, the job's own when empty), else it is a process.
    With `steps` it is a queue: the host itself starts them one after the other, each after the
    one before succeeded; each becomes a job of its own with the queue's id in its label `queue`.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    op_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    oom_codes: tuple[int, ...] = ()
    container: Container | None = None
    steps: tuple[JobSpec, ...] = ()

    @property
    def backend(self) -> str:
        """`docker`, `process`, or `queue` for a job with steps."""
        if self.steps:
            return "queue"
        return "process" if self.container is None else "docker"

    def params(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "argv": list(self.argv),
            "env": dict(self.env),
            "cwd": self.cwd,
            "labels": dict(self.labels),
            "op_id": self.op_id or str(uuid.uuid4()),
            "oom_codes": list(self.oom_codes),
            "backend": self.backend,
            "container": self.container and self.container.params(),
            "steps": [step.params() for step in self.steps],
        }


@dataclass(frozen=True)
class JobStatus:
    """One reading of a job; times are UTC ms of the host's clock, code 128+n for signal n."""

    job_id: str
    name: str
    state: JobState
    code: int | None = None
    argv: tuple[str, ...] = ()
    created_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    pid: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    backend: str = "process"

    def as_unknown(self, why: str) -> JobStatus:
        """This status once the link is gone; what is over stays what it is."""
        if self.state.terminal or self.state is JobState.unknown:
            return self
        return replace(self, state=JobState.unknown, detail=why)


def parse_status(message: Mapping[str, Any]) -> JobStatus:
    """Check a job message from a host. Raises ValueError when it is not one."""
    job_id = message.get("job_id")
    if not isinstance(job_id, str) or not JOB_ID.match(job_id):
        raise ValueError(f"{job_id!r:.80} is no job id")
    return JobStatus(
        job_id=job_id,
        name=short_text(message.get("name"), 80) or job_id[:-21],
        state=JobState(str(message.get("state"))),
        code=boolean_free_int(message.get("code")),
        argv=strings(message.get("argv"), 1000),
        created_ms=boolean_free_int(message.get("created_ms")),
        started_ms=boolean_free_int(message.get("started_ms")),
        ended_ms=boolean_free_int(message.get("ended_ms")),
        pid=boolean_free_int(message.get("pid")),
        labels=mapping_of_strings(message.get("labels"), 64),
        detail=short_text(message.get("detail"), 500),
        backend=short_text(message.get("backend"), 20) or "process",
    )
