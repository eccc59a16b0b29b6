"""A start request, checked before anything is made of it."""

from __future__ import annotations

import json
import os
import re

from agents.remote.digest import sha256
from agents.remote.docker import check_container
from agents.remote.errors import OpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_STEPS = 32
MAX_RECORD = 200 * 1024
"""Bytes of a job.json: one that could not be read back whole would let the job start twice."""
QUEUE_MARGIN = 10.0
"""Seconds that a queue has longer than the job which it stops."""
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}\Z")


def _is_argument(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _check_steps(steps: Any) -> list[str]:
    """The names of a queue's jobs, each of which could be started by itself."""
    if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
        raise OpError("invalid", "a queue has 1 to %d jobs" % MAX_STEPS)
    for step in steps:
        if not isinstance(step, dict) or step.get("backend") == "queue":
            raise OpError("invalid", "a queue holds start requests, no queue in a queue")
        check_request(step)
    if len({step["op_id"] for step in steps}) < len(steps):
        raise OpError("invalid", "the jobs of a queue need an op_id each")
    return [step["name"] for step in steps]


def check_request(params: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """(the job record without its id, its environment). Raises OpError with a sentence."""
    name, argv, env = params.get("name"), params.get("argv"), params.get("env") or {}
    op_id, labels = params.get("op_id"), params.get("labels") or {}
    backend = params.get("backend") or "process"
    if not isinstance(name, str) or not NAME.match(name):
        raise OpError("invalid", "a job name is lower-case letters, digits, '.', '_', '-'")
    is_argv = isinstance(argv, list) and argv and all(_is_argument(a) for a in argv)
    if backend != "queue" and not is_argv:
        raise OpError("invalid", "argv must be a list of strings without NUL")
    if not isinstance(env, dict) or not all(
        _is_argument(k) and k and "=" not in k and _is_argument(v) for k, v in env.items()
    ):
        raise OpError("invalid", "env must map names to strings")
    if not isinstance(op_id, str) or not op_id:
        raise OpError("invalid", "a start needs an op_id")
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise OpError("invalid", "labels must map names to strings")
    oom_codes = params.get("oom_codes") or []
    if not isinstance(oom_codes, list) or not all(isinstance(c, int) for c in oom_codes):
        raise OpError("invalid", "oom_codes must be a list of exit codes")
    if backend == "queue":
        argv = ["queue", *_check_steps(params.get("steps"))]
    if backend not in ("process", "docker", "queue"):
        raise OpError("invalid", "%r is no backend: process or docker" % (backend,))
    record: dict[str, Any] = {
        "v": 1,
        "op_id": op_id,
        "name": name,
        "env": sorted(env),
        "backend": backend,
        "pid": None,
        "starttime": None,
        "labels": labels,
        "oom_codes": oom_codes,
    }
    if backend == "queue":
        record["margin"] = QUEUE_MARGIN
    cwd = os.path.expanduser(str(params.get("cwd") or ""))
    if backend == "docker":
        if any(key.upper().startswith("DOCKER_") for key in env):
            raise OpError("invalid", "variables called DOCKER_… would steer the docker command")
        if cwd and not os.path.isabs(cwd):
            raise OpError("invalid", "the folder %s in the container must be absolute" % cwd)
        record.update(docker=check_container(params.get("container")), container=None)
    else:
        cwd = cwd or os.path.expanduser("~")
        if not os.path.isdir(cwd):
            raise OpError("invalid", "the folder %s does not exist on this host" % cwd)
        argv = [os.path.expanduser(argv[0]), *argv[1:]]
    joined = "\0".join(argv).encode("utf-8", "surrogatepass")
    record.update(argv=argv, cwd=cwd, cmd_sha256=sha256(joined).hexdigest())
    if len(json.dumps(record, indent=1)) > MAX_RECORD:
        raise OpError("invalid", "the arguments are too long for a job: put them into a file")
    return record, env
