"""What is said to the Docker engine and what its words mean. Pure: nothing runs from here.

A container writes its own log: its entry point is a two-line shell that sends stdout and stderr
to log.txt in the job folder, which is mounted at its own path. So the log is the same file as a
process job's, mirrored byte for byte, and no follower has to live, be restarted or cut twice.
"""

from __future__ import annotations

import os
import re

from agents.remote.errors import OpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}\Z")
NETWORK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
CONTAINER_ID = re.compile(r"[0-9a-f]{64}\Z")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,3}))?\d*Z\Z")
LABEL = "gonogo.job"
SCRIPT = 'exec >>"$0" 2>&1 </dev/null; exec "$@"'
CONFLICT = "is already in use by container"
ENGINE_AWAY = 255
SHUTDOWN_MS = 600_000
MAX_MOUNTS = 32

KNOWN = (
    (
        "no such image",
        "no-image",
        "the image {image} is not on this host: build or pull it there first",
    ),
    (
        "permission denied while trying to connect",
        "docker-permission",
        "this user may not use the Docker engine: `sudo usermod -aG docker $USER`, then log in anew",
    ),
    (
        "is the docker daemon running",
        "docker-down",
        "the Docker engine does not run: start it (`sudo systemctl start docker`, or Docker Desktop)",
    ),
    (
        "cannot connect to the docker daemon",
        "docker-down",
        "the Docker engine does not run: start it (`sudo systemctl start docker`, or Docker Desktop)",
    ),
    (
        "pipe/dockerdesktoplinuxengine",
        "docker-down",
        "the Docker engine does not answer: log in on the host and start Docker Desktop",
    ),
    (
        "failed to connect to the docker api",
        "docker-down",
        "the Docker engine does not run: start it (`sudo systemctl start docker`, or Docker Desktop)",
    ),
    (
        "can't evaluate field servererrors",
        "podman",
        "`docker` is Podman here: install the Docker Engine, or run the job as a process",
    ),
    (
        "could not be found in this wsl 2 distro",
        "no-docker",
        "switch on WSL integration for this distribution in Docker Desktop's settings",
    ),
    (
        "error during connect",
        "docker-down",
        "the Docker engine does not answer: log in on the host and start Docker Desktop",
    ),
    (
        "could not select device driver",
        "no-gpu",
        "Docker has no access to the GPU: install the NVIDIA Container Toolkit and restart Docker",
    ),
    (
        "no adapters were found",
        "no-gpu",
        "WSL shows Docker no GPU: update the NVIDIA driver on Windows and run `wsl --update`",
    ),
    (
        "gpu access blocked",
        "no-gpu",
        "Windows blocks the GPU for WSL: update the NVIDIA driver and restart Windows",
    ),
    (
        "bind source path does not exist",
        "no-path",
        "a folder to mount does not exist on this host: {text}",
    ),
    (
        '"/bin/sh": stat /bin/sh',
        "no-shell",
        "the image {image} has no /bin/sh, which writes the job's log",
    ),
    (
        "no space left on device",
        "no-space",
        "the disk of the Docker engine is full: `docker system prune`",
    ),
    (
        "minimum memory limit",
        "invalid",
        "the memory limit is too small: Docker wants at least 6 MB",
    ),
)
"""(part of what docker says, code, one sentence with the next step)."""


def name_of(job_id: str) -> str:
    return "gonogo-" + job_id


def explain(text: str, image: str = "") -> tuple[str, str]:
    """(code, sentence) for what the docker command said on stderr."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = next((line for line in lines if "rror" in line or "annot" in line), "")
    said = said or next((line for line in lines if not line.startswith("Run '")), "")
    said = said.replace("docker: ", "").replace("Error response from daemon: ", "")[:300]
    for part, code, sentence in KNOWN:
        if part in text.lower():
            return code, sentence.format(image=image, text=said)
    return "docker", said or "docker ended without a word"


def _size(value: Any, what: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**50:
        raise OpError("invalid", "%s is a number of bytes, not %r" % (what, value))
    return value


def _place(value: Any, what: str) -> str:
    path = os.path.expanduser(value) if isinstance(value, str) else ""
    if not os.path.isabs(path) or any(c in path for c in '"\n\r\0'):
        raise OpError("invalid", "%s is an absolute path without quotes, not %r" % (what, value))
    return os.path.normpath(path)


def check_container(value: Any) -> dict[str, Any]:
    """The checked container part of a start request; `~` of a source is this host's home.

    {image, mounts: [{source, target, read_only}], memory, shm (bytes or None), gpus, network}
    Raises OpError with a sentence.
    """
    if not isinstance(value, dict):
        raise OpError("invalid", "a docker job needs its container settings")
    image, network, mounts = value.get("image"), value.get("network") or "", value.get("mounts")
    if not isinstance(image, str) or not IMAGE.match(image):
        raise OpError("invalid", "%r is no image name" % (image,))
    if not isinstance(network, str) or (network and not NETWORK.match(network)):
        raise OpError("invalid", "%r is no network name" % (network,))
    checked: list[dict[str, Any]] = []
    for mount in mounts or []:
        if not isinstance(mount, dict) or len(checked) == MAX_MOUNTS:
            raise OpError("invalid", "at most %d mounts with source and target" % MAX_MOUNTS)
        source = _place(mount.get("source"), "a mount's source")
        target = _place(mount.get("target") or source, "a mount's target")
        if target == "/":
            raise OpError("invalid", "nothing can be mounted at /")
        if not os.path.exists(source):
            raise OpError("no-path", "%s, which the job mounts, does not exist here" % source)
        checked.append(
            {"source": source, "target": target, "read_only": mount.get("read_only") is True}
        )
    return {
        "image": image,
        "mounts": checked,
        "memory": _size(value.get("memory"), "the memory limit"),
        "shm": _size(value.get("shm"), "the shared memory"),
        "gpus": value.get("gpus") is True,
        "network": network,
    }


def engine_path(path: str, program: str, distribution: str) -> str:
    """`path` as the engine behind `program` knows it: docker.exe in WSL wants Windows paths."""
    if not program.endswith(".exe"):
        return path
    drive = re.match(r"/mnt/([a-z])(/.*)?\Z", path)
    if drive:
        return "%s:%s" % (drive.group(1).upper(), (drive.group(2) or "/").replace("/", "\\"))
    return "\\\\wsl.localhost\\%s%s" % (distribution, path.replace("/", "\\"))


def _mount(source: str, target: str, read_only: bool) -> list[str]:
    # The value is one CSV line, so a comma in a path needs the field in quotes.
    fields = ["type=bind", '"source=%s"' % source, '"target=%s"' % target]
    return ["--mount", ",".join(fields + (["readonly"] if read_only else []))]


def run_argv(
    program: str, job: dict[str, Any], folder: str, user: str, options: str, distribution: str = ""
) -> list[str]:
    """The one `docker run` of a job.

    Environment variables go by name: their values are in the environment of the docker command,
    never in an argv that every user of the host can read. `options` are the engine's security
    options as `docker info` prints them.
    """
    box = job["docker"]
    if "name=rootless" in options:
        user = "0:0"
    argv = [
        program, "run", "--detach", "--init", "--pull", "never",
        "--name", name_of(job["job_id"]),
        "--label", "%s=%s" % (LABEL, job["job_id"]),
        "--label", "gonogo.cmd=%s" % job["cmd_sha256"],
        "--user", user,
        "--workdir", job["cwd"] or folder,
        "--env", "GONOGO_JOB_DIR=" + folder,
    ]  # fmt: skip
    if "HOME" not in job["env"]:
        argv += ["--env", "HOME=/tmp"]
    for name in job["env"]:
        argv += ["--env", name]
    if "name=selinux" in options:
        argv += ["--security-opt", "label=disable"]
    if "name=userns" in options:
        argv += ["--userns", "host"]
    argv += _mount(engine_path(folder, program, distribution), folder, False)
    for mount in box["mounts"]:
        source = engine_path(mount["source"], program, distribution)
        argv += _mount(source, mount["target"], mount["read_only"])
    if box["memory"]:
        # Without the same limit on memory + swap the job would swap for hours instead of failing.
        argv += ["--memory", str(box["memory"]), "--memory-swap", str(box["memory"])]
    if box["shm"]:
        argv += ["--shm-size", str(box["shm"])]
    if box["gpus"]:
        argv += ["--gpus", "all"]
    if box["network"]:
        argv += ["--network", box["network"]]
    argv += ["--entrypoint", "/bin/sh", box["image"], "-c", SCRIPT, os.path.join(folder, "log.txt")]
    return argv + list(job["argv"])


def time_ms(text: Any) -> int | None:
    """UTC ms of an engine's RFC 3339 time; None for its zero time or anything else."""
    match = TIME.match(text) if isinstance(text, str) else None
    if match is None or match.group(1) == "0001":
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    # Days since 1970-01-01, counted in years that begin in March.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = year * 365 + year // 4 - year // 100 + year // 400
    days += (153 * month + 2) // 5 + day - 719469
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    return seconds * 1000 + int((match.group(7) or "0").ljust(3, "0"))


STOP_CODES = (128 + 15, 128 + 9, 128 + 2)


def _was_stopped(code: Any, ended: int, stop: dict[str, Any] | None) -> bool:
    """Did the order to stop come before the end? The engine's clock may be another machine's (WSL2)."""
    if stop is None:
        return False
    return code in STOP_CODES or (isinstance(stop.get("t"), int) and stop["t"] <= ended)


def outcome(
    state: dict[str, Any], job: dict[str, Any], stop: dict[str, Any] | None, boot: tuple[str, int]
) -> dict[str, Any]:
    """What exit.json says of an ended container; `boot` is (boot id, ms of the boot).

    An engine that comes back after its host went away reports its containers with code 255, and
    one that was shut down with the host ended them itself: that is no failure of the program.
    """
    code = state.get("ExitCode")
    ended = time_ms(state.get("FinishedAt")) or 0
    oom = state.get("OOMKilled") is True
    number = code - 128 if isinstance(code, int) and 128 < code < 160 else None
    result: dict[str, Any] = {
        "code": None if number else code,
        "signal": number,
        # The kernel may have ended a helper while the program itself came through.
        "oom": (oom and code != 0) or code in (job.get("oom_codes") or []),
        "t": ended,
        "stopped": _was_stopped(code, ended, stop),
    }
    if result["stopped"] or result["oom"] or code == 0:
        return result
    if job.get("boot_id") != boot[0]:
        if code == ENGINE_AWAY or ended > boot[1] - SHUTDOWN_MS:
            result["lost"] = "the host rebooted while it ran"
    elif code == ENGINE_AWAY:
        result["lost"] = "the Docker engine went away under it (code 255)"
    return result
