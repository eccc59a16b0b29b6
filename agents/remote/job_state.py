"""What a job's documents and processes say of its state. The documents are data: any of it may be damaged."""

from __future__ import annotations

import json
import os
import signal

from agents.remote import launch
from agents.remote.host import is_alive, now_ms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DOCUMENT = 256 * 1024
START_GRACE_MS = 60_000
SHELLS = ("sh", "bash", "/bin/sh", "/bin/bash", "/usr/bin/env")
UNREADABLE = "%s on the host cannot be read: it is damaged or was changed by hand"


def read_document(path: str) -> bytes | None:
    """A small document's bytes, None when there is none that can be read as a file."""
    try:
        # Somebody may have put a FIFO there: opening it must not wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(fd, MAX_DOCUMENT + 1)[:MAX_DOCUMENT]
    except OSError:
        return None
    finally:
        os.close(fd)


def parse(data: bytes | None) -> dict[str, Any] | None:
    """The object of a document; None when absent, {} when unreadable."""
    if data is None:
        return None
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def whole(value: Any) -> int | None:
    """A whole number, None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: Any, default: str = "") -> str:
    return value if isinstance(value, str) else default


def supervisor_of(job: dict[str, Any]) -> tuple[int, int] | None:
    """(pid, start time) of a living supervisor of this record."""
    told = job.get("supervisor")
    if isinstance(told, dict) and is_alive(told.get("pid"), told.get("starttime")):
        return told["pid"], told["starttime"]
    return None


def is_running(job: dict[str, Any], boot: str) -> bool:
    """Does the program or its supervisor live, on this boot, under the identity that was noted?"""
    if job.get("boot_id") != boot:
        return False
    return is_alive(job.get("pid"), job.get("starttime")) or supervisor_of(job) is not None


def base(job_id: str, job: dict[str, Any]) -> dict[str, Any]:
    """A status without its state, as the laptop's JobStatus expects it."""
    argv, labels = job.get("argv"), job.get("labels")
    return {
        "job_id": job_id,
        "name": text(job.get("name"), job_id[:-21]),
        "argv": argv if isinstance(argv, list) else [],
        "created_ms": whole(job.get("created")),
        "started_ms": whole(job.get("started")),
        "ended_ms": None,
        "pid": whole(job.get("pid")),
        "labels": labels if isinstance(labels, dict) else {},
        "op_id": text(job.get("op_id")),
        "backend": text(job.get("backend"), "process"),
        "code": None,
        "detail": "",
    }


def describe_end(status: dict[str, Any], ended: dict[str, Any]) -> None:
    """State and detail from exit.json."""
    code, number = whole(ended.get("code")), whole(ended.get("signal"))
    status["ended_ms"] = whole(ended.get("t"))
    status["code"] = code if number is None else 128 + number
    if ended.get("error"):
        status["detail"] = str(ended["error"])
    elif number is not None:
        try:
            status["detail"] = "ended by %s" % signal.Signals(number).name
        except ValueError:
            status["detail"] = "ended by signal %s" % number
    if ended.get("lost"):
        status.update(state="lost", detail=str(ended["lost"]))
    elif ended.get("stopped") is True:
        status["state"] = "stopped"
    elif ended.get("oom") is True:
        status["state"] = "oom"
        status["detail"] = "out of memory" + (status["detail"] and ", " + status["detail"])
    elif status["code"] is None and not ended.get("error"):
        status.update(state="lost", detail=UNREADABLE % "exit.json")
    elif code == 0:
        status["state"] = "succeeded"
    else:
        status["state"] = "failed"
        status["detail"] = status["detail"] or "exit code %s" % code + _hint(status, code)


def _hint(status: dict[str, Any], code: Any) -> str:
    """A container's shell ends so where the program itself could not be executed."""
    argv = status["argv"]
    if status["backend"] != "docker" or not argv or argv[0] in SHELLS:
        return ""
    if code == 127:
        return ": the image has no program %s" % argv[0]
    return ": %s in the image cannot be executed" % argv[0] if code == 126 else ""


def describe_open(
    status: dict[str, Any], job: dict[str, Any], folder: str, running: bool, boot: str
) -> None:
    """State and detail of a process job that left no exit.json."""
    stopping = os.path.exists(os.path.join(folder, "stop.json"))
    if running:
        status["state"] = "running"
        status["detail"] = "stopping" if stopping else text(job.get("warning"))
    elif not job:
        status.update(state="lost", detail=UNREADABLE % "job.json")
    elif job.get("pid") is None and is_starting(job, folder):
        status["state"] = "starting"
    elif stopping and job.get("boot_id") == boot:
        status.update(state="stopped", detail="its exit code is not known")
    elif job.get("boot_id") not in (None, boot):
        status.update(state="lost", detail="the host rebooted while it ran")
    elif job.get("pid") is None:
        detail = "it never started: the connection ended before; start it again"
        status.update(state="lost", detail=detail)
    else:
        status.update(state="lost", detail="its processes are gone and left no exit code")


def is_starting(job: dict[str, Any], folder: str) -> bool:
    """Is somebody about to start it? A record without a lock is given a minute."""
    try:
        if launch.is_held(folder):
            return True
        created = whole(job.get("created"))
        if created is None:
            created = int(os.stat(folder).st_mtime * 1000)
    except OSError:
        return False
    return job.get("locks") is not True and abs(now_ms() - created) < START_GRACE_MS
