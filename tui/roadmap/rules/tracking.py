"""Rules over MLflow and over files on the training host, asked through the links of the hosts.

A training's follower keeps the id of its MLflow run in `track.json` of the job's folder; with that id the
run is read from the tracking server's own loopback, so that no port of it has to be open.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from tui.roadmap.rules.base import (
    Context,
    Finding,
    InsidePath,
    Params,
    ProbeFailed,
    Rule,
    judge,
    skip,
    warn,
)
from tui.roadmap.rules.journals import Run, RunParams, of_run, the_run
from tui.roadmap.rules.paths import matching, not_yet, read_manifest
from tui.settings import Settings

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_API = "/api/2.0/mlflow"
ANSWER = 65536
HISTORY = 200
"""Points asked for: at about 130 bytes each they fit into one answer."""


class LoggedParams(RunParams):
    """Runs of `arms` on the tracking server: `points` of the loss, parameters, and FINISHED where asked."""

    TTL_HOURS: ClassVar[float] = 24.0
    arms: tuple[str, ...] = ()
    points: Annotated[int, Field(ge=1, le=200)] = 2
    finished: bool = False
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0

    def expects(self, settings: Settings) -> str:
        del settings
        arms = " and ".join(self.arms or ((self.arm,) if self.arm else ()))
        end = ", FINISHED with parameters" if self.finished else ""
        return f"MLflow has the run{f' of {arms}' if arms else ''}, >= {self.points} points of the loss{end}"


async def _mlflow_id(ctx: Context, run: Run) -> str:
    """The id that the follower keeps beside the journal, "" while there is none."""
    path = str(PurePosixPath("~/.gonogo/jobs") / run.job_id / "track.json")
    answer = await ctx.ask(run.host, "file", path=path)
    if not answer.get("exists"):
        return ""
    try:
        data = json.loads(base64.b64decode(str(answer.get("head_b64", "")), validate=True))
        found = str(data["run"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise ProbeFailed("track", f"{path} on {run.host} cannot be read") from None
    return found if _RUN_ID.match(found) else ""


async def _get(ctx: Context, path: str) -> dict[str, Any]:
    settings = ctx.ws.settings.mlflow
    url = f"http://127.0.0.1:{settings.port}{_API}{path}"
    answer = await ctx.ask(settings.host, "http", url=url, limit=ANSWER)
    if answer.get("status") == 404:
        return {}
    if answer.get("status") != 200:
        told = answer.get("error") or f"HTTP {answer.get('status')}"
        raise ProbeFailed("mlflow", f"MLflow on {settings.host}: {str(told)[:120]}")
    try:
        data = json.loads(str(answer.get("body", "")))
    except (ValueError, RecursionError):
        raise ProbeFailed("mlflow", f"MLflow on {settings.host} did not answer in JSON") from None
    return data if isinstance(data, dict) else {}


async def _one(ctx: Context, params: LoggedParams, arm: str) -> Finding:
    expected = params.expects(ctx.ws.settings)
    run = await the_run(ctx, RunParams(stage=params.stage, arm=arm))
    if isinstance(run, Finding):
        return replace(run, expected=expected)
    run_id = await _mlflow_id(ctx, run)
    if not run_id:
        return of_run(run, skip(f"{run.job_id} reports to no tracking server", expected))
    query = f"run_id={quote(run_id)}"
    told = (await _get(ctx, f"/runs/get?{query}")).get("run")
    if not isinstance(told, dict):
        why = f"MLflow does not know run {run_id}"
        return of_run(run, judge(False, expected, "no such run", why))
    history = await _get(ctx, f"/metrics/get-history?{query}&metric_key=loss&max_results={HISTORY}")
    points = len([m for m in history.get("metrics") or [] if isinstance(m, dict)])
    status = str((told.get("info") or {}).get("status", ""))[:20]
    data = told.get("data") or {}
    count = len(data.get("params") or [])
    problems = [f"{points} points of the loss"] if points < params.points else []
    if params.finished:
        problems += [f"it is {status}"] if status != "FINISHED" else []
        problems += ["it has no parameters"] if not count else []
    found = f"{run.job_id}: {status}, {points} points, {count} parameters"
    why = f"{run.job_id}: {', '.join(problems)}"
    finding = judge(not problems, expected, found, why, mlflow=run_id)
    if problems and not run.record.end and run.exit is None:
        finding = replace(skip(f"{why}; it is still running", expected), found=found)
    return of_run(run, finding)


async def logged(ctx: Context, params: LoggedParams) -> Finding:
    """Every run asked for is on the server; the worst of them counts."""
    arms = params.arms or (params.arm,)
    findings = [await _one(ctx, params, arm) for arm in arms]
    worst = next(
        (f for word in ("FAIL", "SKIP") for f in findings if f.verdict == word), findings[0]
    )
    shown = "; ".join(f.found for f in findings if f.found)
    return replace(worst, found=shown, by=f"probe:{ctx.ws.settings.mlflow.host}")


class OnHostParams(Params):
    """The files of a manifest in the workspace, below `folder` on the host of a role."""

    TTL_HOURS: ClassVar[float] = 24.0
    path: InsidePath = "datasets/manifest.json"
    host: str = "tower"
    folder: Annotated[str, Field(pattern=r"^(/|~/)[^\x00-\x1f]{1,400}$")] = "~/gonogo/datasets"
    count: Annotated[int, Field(ge=0)] = 0
    made_by: str = ""
    timeout: Annotated[float, Field(gt=0, le=600)] = 60.0

    def expects(self, settings: Settings) -> str:
        del settings
        many = f"{self.count} files" if self.count else "every file"
        return f"{many} of {self.path} in {self.folder} of the {self.host}, sha256 equal"


async def on_host(ctx: Context, params: OnHostParams) -> Finding:
    """The host has the same bytes."""
    expected = params.expects(ctx.ws.settings)
    paths = matching(ctx.root, params.path)
    if not paths:
        return not_yet(params.path, params.made_by, expected)
    listed = await asyncio.to_thread(read_manifest, paths[0])
    host, problems = ctx.host(params.host), []
    for name, digest in list(listed.items())[:200]:
        answer = await ctx.ask(host, "file", path=str(PurePosixPath(params.folder) / name))
        if not answer.get("exists"):
            problems.append(f"{name} is not there")
        elif answer.get("sha256") != digest:
            problems.append(f"{name} has another sha256")
    if params.count and len(listed) != params.count:
        problems.append(f"{len(listed)} files listed")
    found = f"{len(listed) - len(problems)} of {len(listed)} equal"
    return replace(
        judge(not problems, expected, found, "; ".join(problems[:5])), by=f"probe:{host}"
    )


class ServedParams(Params):
    """A container or program on the host of a role that answers on its loopback.

    The port is `port`, or the number at a dotted path of a JSON file ("dashboard/deploy.json#port").
    """

    TTL_HOURS: ClassVar[float] = 24.0
    host: str = "server"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    file: str = ""
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/"
    seconds: Annotated[float, Field(gt=0)] = 8.0

    def expects(self, settings: Settings) -> str:
        del settings
        return f"HTTP 200 on port {self.port or self.file} of the {self.host}"


async def served(ctx: Context, params: ServedParams) -> Finding:
    """It answers where it runs."""
    from tui.roadmap.rules.jsonfile import pick
    from tui.roadmap.rules.paths import read_json

    expected, port = params.expects(ctx.ws.settings), params.port
    if not port:
        name, _, at = params.file.partition("#")
        paths = matching(ctx.root, name)
        if not paths:
            return not_yet(name, "the deployment", expected)
        found = pick(read_json(paths[0]), at)
        port = found[0] if found and isinstance(found[0], int) and 0 < found[0] < 65536 else 0
        if not port:
            return judge(False, expected, "no port", f"{params.file} holds no port")
    host = ctx.host(params.host)
    answer = await ctx.ask(host, "http", url=f"http://127.0.0.1:{port}{params.path}")
    status = answer.get("status")
    told = f"HTTP {status}" if status else str(answer.get("error", "no answer"))[:120]
    finding = judge(status == 200, expected, told, told)
    took = answer.get("ms")
    if status == 200 and isinstance(took, int | float) and took > 1000 * params.seconds:
        finding = warn(finding, f"it took {took / 1000:.1f} s")
    return replace(finding, by=f"probe:{host}", data={"host": host, "port": port})


RULES = {
    "mlflow-run": Rule(LoggedParams, logged, frozenset({"runs", "hosts"})),
    "files-on-host": Rule(OnHostParams, on_host, frozenset({"hosts"})),
    "served": Rule(ServedParams, served, frozenset({"hosts"})),
}
