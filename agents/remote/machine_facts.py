"""Probes of the machine itself: card and driver, system, disks, journal folder, editor's server."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time

from agents.remote.machine import SHOWN, Failed, find, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CARD = ("index", "name", "uuid", "driver_version", "memory.total", "memory.used", "compute_cap")
CUDA = re.compile(r"CUDA Version:\s*(\d+\.\d+)")
JOB = re.compile(r"doctor-[\w-]{1,40}\Z")
WALKED = 5000


def read(path: str, limit: int = 65536) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8", "replace")
    except OSError:
        return ""


def parse_cards(text: str, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of `nvidia-smi --query-gpu`; a number that the card does not tell is None."""
    cards = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) > len(fields):  # a name may hold commas; nothing else does
            name, more = fields.index("name"), len(parts) - len(fields)
            parts[name : name + more + 1] = [", ".join(parts[name : name + more + 1])]
        if len(parts) != len(fields) or not parts[0].isdecimal():
            continue
        card = dict(zip(fields, parts))  # noqa: B905 - not on 3.8
        numbers = {}
        for key, name in (("memory.total", "total_mib"), ("memory.used", "used_mib")):
            told = card.pop(key, "")
            numbers[name] = int(told) if told.isdecimal() and len(told) < 16 else None
        cards.append(dict(card, **numbers))
    return cards


def gpu(params: dict[str, Any]) -> dict[str, Any]:
    """{program, code, text, cards, cuda, dxg}: what nvidia-smi tells; program "" where there is none."""
    limit = float(params.get("limit", 10))
    program = find("nvidia-smi", "nvidia-smi.exe")
    found: dict[str, Any] = {"program": program, "dxg": os.path.exists("/dev/dxg"), "cards": []}
    if not program:
        return dict(found, code=None, text="", cuda="")
    fields = CARD
    code, text = run(
        [program, "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"], limit
    )
    if code and "compute_cap" in text:  # drivers before 2021 do not know the field
        fields = CARD[:-1]
        code, text = run(
            [program, "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"], limit
        )
    found.update(code=code, text=text[:SHOWN], cards=[] if code else parse_cards(text, fields))
    found["cuda"] = ""
    if not code:
        header = CUDA.search(run([program], limit)[1])
        found["cuda"] = header.group(1) if header else ""
    return found


def _memory() -> dict[str, int]:
    found = {}
    for line in read("/proc/meminfo").splitlines():
        key, _, rest = line.partition(":")
        if key in ("MemTotal", "MemAvailable", "SwapTotal"):
            found[key] = int(rest.split()[0]) * 1024
    return found


def system(params: dict[str, Any]) -> dict[str, Any]:
    """Kernel, WSL, Python, memory, shared memory, clock, and whether jobs outlive a logout."""
    kernel = os.uname()
    wsl = "microsoft" in kernel.release.lower() or os.path.exists("/dev/dxg")
    user = os.path.join("/var/lib/systemd/linger", os.environ.get("USER", "") or "-")
    killing = re.findall(
        r"^\s*KillUserProcesses\s*=\s*(\w+)", read("/etc/systemd/logind.conf"), re.M
    )
    found: dict[str, Any] = {
        "system": kernel.sysname,
        "release": kernel.release,
        "machine": kernel.machine,
        "wsl": wsl,
        "python": "%d.%d.%d" % sys.version_info[:3],
        "cpus": os.cpu_count(),
        "memory": _memory(),
        "linger": os.path.exists(user),
        "kill_user_processes": bool(killing) and killing[-1].lower() in ("yes", "true", "1"),
        "distributions": [],
        "t_ms": int(time.time() * 1000),
    }
    try:
        space = os.statvfs("/dev/shm")  # noqa: S108
        found["shm"] = space.f_frsize * space.f_blocks
    except OSError:
        found["shm"] = None
    program = find("wsl.exe") if wsl else ""
    if program:
        found["distributions"] = parse_wsl(run([program, "-l", "-v"], 10)[1])
    return found


def parse_wsl(text: str) -> list[dict[str, Any]]:
    """The rows of `wsl.exe -l -v`: name, state, version 1 or 2, whether it is the default."""
    rows = []
    for line in text.splitlines():
        parts = line.replace("*", " * ").split()
        default = parts[:1] == ["*"]
        parts = parts[1:] if default else parts
        if len(parts) >= 3 and parts[-1] in ("1", "2"):
            # The state is in the language of Windows and may be more than one word.
            state = " ".join(parts[1:-1])
            rows.append(
                {"name": parts[0], "state": state, "version": int(parts[-1]), "default": default}
            )
    return rows


def _unescaped(field: str) -> str:
    """A field of /proc/mounts: blanks in it are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), field)


def disk(params: dict[str, Any]) -> dict[str, Any]:
    """Space (bytes) and inodes where a path is, or will be; on WSL the Windows drive as well."""
    path = os.path.expanduser(str(params.get("path", "~")))
    if not os.path.isabs(path):
        raise Failed("invalid", "%r is neither absolute nor below ~" % path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    best = ["", ""]
    real = os.path.realpath(path)
    for line in read("/proc/mounts", 1 << 20).splitlines():
        fields = [_unescaped(field) for field in line.split()]
        if len(fields) > 2 and (real + "/").startswith(fields[1].rstrip("/") + "/"):
            best = max(best, [fields[1], fields[2]], key=lambda row: len(row[0]))
    found: dict[str, Any] = {"path": path, "mount": best[0], "type": best[1]}
    for key, place in (("", path), ("windows_", "/mnt/c")):
        if key and (not os.path.exists("/dev/dxg") or not os.path.isdir(place)):
            continue
        space = os.statvfs(place)
        found[key + "available"] = space.f_bavail * space.f_frsize
        found[key + "total"] = space.f_blocks * space.f_frsize
        if not key:
            found["inodes"], found["inodes_free"] = space.f_files, space.f_favail
    return found


def journal(params: dict[str, Any]) -> dict[str, Any]:
    """What a job journal needs of its file system: exclusive create, append, fsync, rename."""
    folder = os.path.expanduser("~/.gonogo")
    new = not os.path.isdir(folder)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
    except OSError as error:
        return {"ok": False, "step": "mkdir", "text": error.strerror or str(error)}
    first = os.path.join(folder, ".probe-%d" % os.getpid())
    second = first + ".new"
    step = "create"
    try:
        fd = os.open(first, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            step = "append"
            os.write(fd, b"{}\n")
            os.write(fd, b"{}\n")
            step = "fsync"
            os.fsync(fd)
        finally:
            os.close(fd)
        step = "exclusive create"
        try:
            os.close(os.open(first, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            return {"ok": False, "step": step, "text": "an existing file was created again"}
        except FileExistsError:
            pass
        step = "rename"
        os.replace(first, second)
        kept = read(second) == "{}\n{}\n"
        return {"ok": kept, "step": "" if kept else "read back", "text": ""}
    except OSError as error:
        return {"ok": False, "step": step, "text": error.strerror or str(error)}
    finally:
        for path in (first, second):
            if os.path.exists(path):
                os.unlink(path)
        if new:
            _leave(folder)


def vscode(params: dict[str, Any]) -> dict[str, Any]:
    """{newest_ms, now_ms}: the newest file that VS Code's server left here, None where it never ran."""
    roots = [os.path.expanduser("~/.vscode-server")]
    users = "/mnt/c/Users"
    if os.path.isdir(users):
        roots += [os.path.join(users, name, ".vscode-server") for name in os.listdir(users)[:50]]
    newest, seen = 0.0, 0
    for root in roots:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in ("extensions", "node_modules")]
            for name in files:
                seen += 1
                try:
                    newest = max(newest, os.lstat(os.path.join(folder, name)).st_mtime)
                except OSError:
                    pass
            if seen > WALKED:
                break
    return {"newest_ms": int(newest * 1000) or None, "now_ms": int(time.time() * 1000)}


def process(params: dict[str, Any]) -> dict[str, Any]:
    """{pid, starttime, boot}: what identifies a running process; starttime None when it is gone."""
    pid, starttime = int(params.get("pid") or 0), None
    fields = read("/proc/%d/stat" % pid).rpartition(")")[2].split()
    if len(fields) > 19 and fields[0] not in "ZX":
        starttime = int(fields[19])
    return {
        "pid": pid,
        "starttime": starttime,
        "boot": read("/proc/sys/kernel/random/boot_id").strip(),
    }


def forget(params: dict[str, Any]) -> dict[str, Any]:
    """Takes the folder of an ended job of `gonogo doctor` away, of no other."""
    job_id = str(params.get("job_id", ""))
    folder = os.path.join(os.path.expanduser("~/.gonogo/jobs"), job_id)
    if not JOB.match(job_id) or not os.path.exists(os.path.join(folder, "exit.json")):
        raise Failed("invalid", "%r is no ended job" % job_id)
    if json.loads(read(os.path.join(folder, "job.json"))).get("labels") != {"kind": "doctor"}:
        raise Failed("invalid", "%s is not a job of the doctor" % job_id)
    shutil.rmtree(folder)
    _leave(os.path.dirname(folder))
    _leave(os.path.dirname(os.path.dirname(folder)))
    return {"removed": job_id}


def _leave(folder: str) -> None:
    """Take a folder away that holds nothing."""
    try:
        os.rmdir(folder)
    except OSError:
        pass


PROBES = {
    "process": process,
    "forget": forget,
    "gpu": gpu,
    "system": system,
    "disk": disk,
    "journal": journal,
    "vscode": vscode,
}
