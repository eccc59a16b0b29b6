"""The few MLflow REST calls the laptop needs, through whatever port leads to the server.

The laptop app does not install mlflow (167 MB of imports); the REST API is stable and documented:
https://mlflow.org/docs/latest/rest-api.html

Only the loopback is called: no proxy of the environment is asked and no redirect followed. An answer
is bounded in bytes and in time, and whatever is wrong with it becomes one MlflowError.
"""

from __future__ import annotations

import html
import http.client
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

LIMIT = 16 * 2**20
"""Bytes of one answer that are read at most; a page of history has about 3 MB."""

CHUNK = 256 * 1024
"""Bytes between two looks at the clock."""

INFINITE = 1.7e308
"""MLflow's SQL store keeps infinities as +-1.797e308 (mlflow/mlflow#22826)."""

RUN_TAG = "gonogo.run_id"
"""Tag of the runs that our own trainings report."""


class MlflowError(Exception):
    """The server did not answer as documented; the text is one sentence. `status` is 0 without an answer."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: it may lead anywhere."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


def _request(base: str, path: str, data: bytes | None = None) -> urllib.request.Request:
    if not base.startswith("http://127.0.0.1:"):
        raise MlflowError(f"refusing to call {base}: MLflow is reached on the loopback only")
    headers = {"Content-Type": "application/json"}
    return urllib.request.Request(f"{base}{path}", data=data, headers=headers)  # noqa: S310


def _body(answer: Any, limit: int, seconds: float) -> bytes:
    """All of an answer. ValueError when it is longer than `limit`, TimeoutError when it takes too long."""
    until, parts, size = time.monotonic() + seconds, [], 0
    while part := answer.read1(CHUNK):
        size += len(part)
        if size > limit:
            raise ValueError(f"it is longer than {limit // 2**20} MiB")
        if time.monotonic() > until:
            raise TimeoutError(f"it was not complete after {seconds:g} s")
        parts.append(part)
    return b"".join(parts)


def _refusal(problem: urllib.error.HTTPError, path: str) -> MlflowError:
    if 300 <= problem.code < 400:
        return MlflowError(f"MLflow answered {path} with a redirect, which is not followed", 300)
    try:
        text = _said(problem)
    except (OSError, http.client.HTTPException):
        text = ""
    if problem.code == 503:
        from agents.errors import NO_SERVICE

        if NO_SERVICE in text:  # our own tunnel's page: the host is there, and MLflow is not
            port = text[text.index(NO_SERVICE) :].partition(":")[0][:60]
            return MlflowError(f"MLflow does not run: {port} of its host", 503)
        return MlflowError("MLflow is out of reach: the link to its host is down (answer 503)", 503)
    return MlflowError(f"MLflow answered {problem.code} to {path}: {text}", problem.code)


def call(base: str, path: str, body: dict[str, Any] | None = None, timeout: float = 10) -> Any:
    """One call: GET without a body, POST with one. Raises MlflowError."""
    data = None if body is None else json.dumps(body).encode()
    plain = path.partition("?")[0]
    try:
        with _opener.open(_request(base, path, data), timeout=timeout) as answer:
            raw = _body(answer, LIMIT, timeout)
    except urllib.error.HTTPError as problem:
        raise _refusal(problem, plain) from problem
    except urllib.error.URLError as problem:
        raise MlflowError(f"MLflow did not answer {plain}: {problem.reason}") from problem
    except (OSError, ValueError, http.client.HTTPException) as problem:
        reason = str(problem) or type(problem).__name__
        raise MlflowError(f"MLflow did not answer {plain}: {reason}") from problem
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as problem:
        raise MlflowError(
            f"MLflow's answer to {plain} is no JSON that can be read", 200
        ) from problem


def _said(problem: urllib.error.HTTPError) -> str:
    """What an error page says, on one line: it may be the HTML of another program."""
    text = problem.read(2000).decode("utf-8", "replace")
    text = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    words = html.unescape(" ".join(text.split()))
    return "".join(c if c.isprintable() else " " for c in words)[:200]


def get_text(base: str, path: str, timeout: float = 10) -> tuple[int, str]:
    """(status, text) of one GET; status 0 with the reason when no answer came."""
    try:
        with _opener.open(_request(base, path), timeout=timeout) as answer:
            return answer.status, answer.read(4096).decode("utf-8", "replace")
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read(4096).decode("utf-8", "replace")
    except (OSError, ValueError, http.client.HTTPException) as problem:
        return 0, str(problem)


def find_run(base: str, run_id: str) -> dict[str, Any] | None:
    """The MLflow run that carries the tag `gonogo.run_id` = `run_id`, or None."""
    found = call(base, "/api/2.0/mlflow/experiments/search", {"max_results": 1000})
    ids = [e["experiment_id"] for e in found.get("experiments", [])]
    wanted = run_id.replace("'", "")
    body = {
        "experiment_ids": ids,
        "filter": f"tags.`{RUN_TAG}` = '{wanted}'",
        "max_results": 2,
    }
    runs = call(base, "/api/2.0/mlflow/runs/search", body).get("runs", [])
    return runs[0] if runs else None


def history(base: str, run_uuid: str, key: str) -> Iterator[tuple[int, float]]:
    """(step, value) of every point of one metric, in the server's order."""
    token = ""
    while True:
        query = {"run_id": run_uuid, "metric_key": key, "max_results": 25000}
        if token:
            query["page_token"] = token
        page = call(base, f"/api/2.0/mlflow/metrics/get-history?{urllib.parse.urlencode(query)}")
        for point in page.get("metrics", []):
            value = float(point.get("value", "nan"))
            if abs(value) >= INFINITE:
                value = float("inf") if value > 0 else float("-inf")
            yield int(point.get("step", 0)), value
        token = page.get("next_page_token", "")
        if not token:
            return
