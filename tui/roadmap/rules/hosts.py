"""Rules that ask a host through its link."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
import time
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, ClassVar, Literal

from agents.errors import NO_SERVICE
from tui.roadmap.causes import Cause, explain
from tui.roadmap.rules.base import (
    Context,
    Finding,
    Params,
    ProbeFailed,
    Rule,
    judge,
    on_hosts,
    skip,
)
from tui.roadmap.rules.journals import Run, RunParams, of_run, the_run
from tui.settings import Settings

MAX_HEADER = 100 * 1024 * 1024
_TENSOR = re.compile(r'"([^"\\]+)":\{"dtype":"(\w+)","shape":\[([\d,]*)\]')

Role = Literal["tower", "server"]


class ImageParams(Params):
    """A Docker image on the host of a role; empty means the training image of the settings."""

    TTL_HOURS: ClassVar[float] = 24.0
    host: Role = "tower"
    image: str = ""

    def expects(self, settings: Settings) -> str:
        return f"Docker image {self.image or settings.training.image}"


class HttpParams(Params):
    """A GET on the host's own loopback; port 0 means MLflow's of the settings."""

    host: Role = "server"
    port: int = 0
    TTL_HOURS: ClassVar[float] = 24.0
    path: str = "/health"
    body: str = ""

    def expects(self, settings: Settings) -> str:
        url = f"http://127.0.0.1:{self.port or settings.mlflow.port}{self.path}"
        return f"HTTP 200{' ' + self.body if self.body else ''} from {url} on the {self.host}"


class LinkParams(Params):
    """The link to the host of a role answers."""

    TTL_HOURS: ClassVar[float] = 24.0
    host: Role

    def expects(self, settings: Settings) -> str:
        del settings
        return "an answer over SSH"


async def docker_image(ctx: Context, params: ImageParams) -> Finding:
    """The image exists; its id is recorded."""
    image = params.image or ctx.ws.settings.training.image
    host, expected = ctx.host(params.host), f"Docker image {image}"
    try:
        answer = await ctx.ask(host, "docker_image", image=image)
    except Exception as error:
        code = getattr(error, "code", "")
        if code in ("no-docker", "docker-down"):
            return replace(skip(f"needs Docker: {host}: {error}", expected), by=f"probe:{host}")
        raise
    found = str(answer.get("id", ""))[:80] if answer.get("exists") else "no such image"
    result = judge(bool(answer.get("exists")), expected, found, f"{host} has no image {image}")
    return replace(result, by=f"probe:{host}", data={"host": host, "answer": answer})


async def http(ctx: Context, params: HttpParams) -> Finding:
    """HTTP 200, with the wanted body where one is given."""
    host = ctx.host(params.host)
    url = f"http://127.0.0.1:{params.port or ctx.ws.settings.mlflow.port}{params.path}"
    expected = f"HTTP 200{' ' + params.body if params.body else ''} from {url} on {host}"
    answer = await ctx.ask(host, "http", url=url)
    status, body = answer.get("status"), str(answer.get("body", "")).strip()[:80]
    found = f"HTTP {status} {body}" if status else str(answer.get("error", "no answer"))[:120]
    passed = status == 200 and (not params.body or body == params.body)
    data: dict[str, Any] = {"host": host, "answer": answer}
    reason = found
    if not passed and not params.port:
        cause = no_service(status, body, found)
        reason, data["next"] = str(cause), cause.next
    result = judge(passed, expected, found, reason)
    return replace(result, by=f"probe:{host}", data=data)


def no_service(status: Any, body: str, found: str) -> Cause:
    """Why MLflow did not answer as it should: one cause and one next step."""
    if status in (401, 407):
        return Cause(f"{found}: MLflow asks for a login", "switch its login off: the tunnel is one")
    if NO_SERVICE in body:  # our own tunnel's page
        words = body[body.index(NO_SERVICE) :].partition(":")[0][:60]
        return Cause(words, "start MLflow with `gonogo mlflow up`")
    if status:
        known = explain(body)
        return known or Cause(
            f"{found}: something else than MLflow listens there, or it is broken",
            "look at `gonogo mlflow logs`, or set mlflow.port in gonogo.toml",
        )
    return Cause(found, "start MLflow with `gonogo mlflow up`")


async def link(ctx: Context, params: LinkParams) -> Finding:
    """The host answers a probe over SSH with a known host key."""
    host = ctx.host(params.host)
    await ctx.ask(host, "file", path="~")  # whatever it takes to connect is no latency
    began = time.monotonic()
    answer = await ctx.ask(host, "file", path="~")
    ms = (time.monotonic() - began) * 1000
    found = f"answered in {ms:.0f} ms"
    result = judge(bool(answer.get("exists")), "an answer over SSH", found, "no home folder")
    return replace(result, by=f"probe:{host}", data={"host": host, "latency_ms": round(ms, 1)})


def tensors(head: bytes, size: int) -> int | None:
    """Number of tensors that the head of a safetensors file names, None where it is none.

    `head` holds the first bytes (at most 4 KiB), `size` the length of the whole file. A header longer
    than the head is read as far as it goes. Source: the safetensors format, 8 bytes little-endian length,
    then that many bytes of JSON.
    """
    if len(head) < 10:
        return None
    (length,) = struct.unpack("<Q", head[:8])
    if not 2 <= length <= min(MAX_HEADER, size - 8) or head[8:9] != b"{":
        return None
    if length <= len(head) - 8:
        try:
            header = json.loads(head[8 : 8 + length])
        except ValueError:
            return None
        entries = [v for k, v in header.items() if k != "__metadata__"]
        whole = all(
            isinstance(v, dict) and {"dtype", "shape", "data_offsets"} <= set(v) for v in entries
        )
        return len(entries) if whole and entries else None
    text = head[8:].decode("utf-8", "ignore")
    return len(_TENSOR.findall(text)) or None


def _head(answer: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(str(answer.get("head_b64", "")), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _place(run: Run, path: str, name: str) -> str:
    base = PurePosixPath(path or ".")
    if not base.is_absolute() and not path.startswith("~"):
        base = PurePosixPath("~/.gonogo/jobs") / run.job_id / base
    return str(base / name)


class SavedParams(RunParams):
    """The adapter that a run saved, on its host."""

    def expects(self, settings: Settings) -> str:
        del settings
        return "adapter_config.json and adapter_model.safetensors on the host, sha256 as in the journal"


async def adapter_saved(ctx: Context, params: SavedParams) -> Finding:
    """The files the journal names are on the host's disk now, with the same hashes."""
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, params)
    if isinstance(run, Finding):
        return run
    saved = run.record.saved
    if not saved:
        ended = bool(run.record.end or run.exit)
        waiting = skip(f"{run.job_id} has not saved an adapter yet", expected)
        failed = judge(
            False, expected, "nothing saved", f"{run.job_id} ended without saving an adapter"
        )
        return of_run(run, failed if ended else waiting)
    listed = saved.get("files")
    files = [f for f in listed if isinstance(f, dict)][:50] if isinstance(listed, list) else []
    names = {PurePosixPath(str(f.get("name"))).name for f in files}
    problems = [n for n in ("adapter_config.json", "adapter_model.safetensors") if n not in names]
    problems = [f"{name} is not in the journal" for name in problems]
    answers, found = {}, []
    for file in files:
        name = str(file.get("name"))
        answer = await ctx.ask(run.host, "file", path=_place(run, str(saved.get("path", "")), name))
        answers[name] = {key: value for key, value in answer.items() if key != "head_b64"}
        if not answer.get("exists"):
            problems.append(f"{name} is gone")
        elif answer.get("sha256") != file.get("sha256"):
            problems.append(f"{name} has another sha256 than the journal")
        elif name.endswith(".safetensors"):
            count = tensors(_head(answer), int(answer.get("size", 0)))
            if count is None:
                problems.append(f"{name} has no readable header")
            else:
                found.append(
                    f"{name} {answer.get('size')} bytes, sha256 equal, {count} tensors in its head"
                )
    text = "; ".join(found) or f"{len(files)} files"
    result = judge(not problems, expected, text, "; ".join(problems), saved=saved, answers=answers)
    return replace(of_run(run, result), by=f"probe:{run.host}")


RULES = {
    "adapter-saved": Rule(SavedParams, adapter_saved, frozenset({"runs", "hosts"})),
    "docker-image": on_hosts(ImageParams, docker_image),
    "http": on_hosts(HttpParams, http),
    "link": on_hosts(LinkParams, link),
}

__all__ = ["ProbeFailed", "adapter_saved", "docker_image", "http", "link", "tensors"]
