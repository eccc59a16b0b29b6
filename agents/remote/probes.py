"""The fixed list of probes. There is none that runs a given command."""

from __future__ import annotations

import binascii
import os
import re
import stat

from agents.remote import docker
from agents.remote.child import run_command
from agents.remote.digest import sha256
from agents.remote.errors import OpError
from agents.remote.httpget import MAX_ANSWER, Get
from agents.remote.inspection import find_docker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from agents.remote.checks import Machine
    from agents.remote.loop import Loop

    Done = Callable[[dict[str, Any]], None]
    Fail = Callable[[str, str], None]

IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}\Z")
HEAD = 4096
STEP = 1 << 20


def probe(
    loop: Loop, machine: Machine, name: Any, params: dict[str, Any], done: Done, fail: Fail
) -> None:
    """Run one probe and call `done(result)` or `fail(code, sentence)` later."""
    if name == "file":
        loop.work(_file(str(params.get("path", "")), done, fail))
    elif name == "docker_image":
        _docker_image(
            loop, str(params.get("image", "")), float(params.get("timeout", 10)), done, fail
        )
    elif name == "http":
        limit = min(int(params.get("limit", HEAD)), MAX_ANSWER)
        _http(loop, str(params.get("url", "")), float(params.get("timeout", 10)), limit, done)
    else:
        machine.ask(str(name), params, done, fail)


def _file(path: str, done: Done, fail: Fail) -> Any:
    """{exists, kind, size, sha256, head_b64 (<= 4 KiB), mtime_ms} of a file; `~` expands."""
    full = os.path.expanduser(path)
    if not os.path.isabs(full):
        fail("invalid", "%r is neither absolute nor below ~" % path)
        return
    try:
        info = os.stat(full)
        if not stat.S_ISREG(info.st_mode):
            kind = "folder" if stat.S_ISDIR(info.st_mode) else "other"
            done(
                {"exists": True, "kind": kind, "path": full, "mtime_ms": int(info.st_mtime * 1000)}
            )
            return
        digest, head, size = sha256(), b"", 0
        with open(full, "rb", buffering=0) as file:
            while True:
                block = file.read(STEP)
                if not block:
                    break
                head = head or block[:HEAD]
                size += len(block)
                digest.update(block)
                yield
    except FileNotFoundError:
        done({"exists": False, "path": full})
        return
    except OSError as error:
        fail("unreadable", "%s: %s" % (full, error.strerror or error))
        return
    done(
        {
            "exists": True,
            "kind": "file",
            "path": full,
            "size": size,
            "sha256": digest.hexdigest(),
            "head_b64": binascii.b2a_base64(head, newline=False).decode("ascii"),
            "mtime_ms": int(info.st_mtime * 1000),
        }
    )


def _docker_image(loop: Loop, image: str, timeout: float, done: Done, fail: Fail) -> None:
    if not IMAGE.match(image):
        raise OpError("invalid", "%r is no image name" % image)
    program = find_docker()
    if not program:
        raise OpError("no-docker", "there is no docker command on this host")

    def finish(code: int | None, output: bytes) -> None:
        text = output.decode("utf-8", "replace").strip()
        if code is None:
            fail("timeout", "docker did not answer within %g s" % timeout)
        elif code == 0:
            fields = text.split("|")
            done({"exists": True, "id": fields[0], "size": fields[1] if len(fields) > 1 else ""})
        elif "no such image" in text.lower() or "no such object" in text.lower():
            done({"exists": False})
        else:
            fail(*docker.explain(text, image))

    argv = [program, "image", "inspect", "--format", "{{.Id}}|{{.Size}}", image]
    run_command(loop, argv, timeout, finish)


def _http(loop: Loop, url: str, timeout: float, limit: int, done: Done) -> None:
    def finish(answer: dict[str, Any]) -> None:
        if "error" in answer:
            done({"ok": False, "error": answer["error"]})
        else:
            body = answer["body"][:limit].decode("utf-8", "replace")
            ok = 200 <= answer["status"] < 300
            done({"ok": ok, "status": answer["status"], "body": body, "ms": answer["ms"]})

    try:
        Get(loop, url, timeout, finish)
    except ValueError as error:
        raise OpError("invalid", str(error)) from error
