"""The few MLflow REST calls the laptop needs, through whatever port leads to the server.

The laptop app does not install mlflow (167 MB of imports); the REST API is stable and documented:
https://mlflow.org/docs/latest/rest-api.html
"""

from __future__ import annotations

import html
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

LIMIT = 64 * 2**20
"""Bytes of one answer that are read at most."""

INFINITE = 1.7e308
"""MLflow's SQL store keeps infinities as +-1.797e308 (mlflow/mlflow#22826)."""


class MlflowError(Exception):
    """The server did not answer as documented; the text is one sentence."""


def call(base: str, path: str, body: dict[str, Any] | None = None, timeout: float = 10) -> Any:
    """One call: GET without a body, POST with one. Raises MlflowError."""
    if not base.startswith("http://127.0.0.1:"):
        raise MlflowError(f"refusing to call {base}: MLflow is reached on the loopback only")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310  (checked above)
        f"{base}{path}", data=data, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return json.loads(answer.read(LIMIT))
    except urllib.error.HTTPError as problem:
        raise MlflowError(
            f"MLflow answered {problem.code} to {path}: {_said(problem)}"
        ) from problem
    except (OSError, ValueError) as problem:
        raise MlflowError(f"MLflow did not answer {path}: {problem}") from problem


def _said(problem: urllib.error.HTTPError) -> str:
    """What an error page says, on one line: it may be the HTML of another program."""
    text = problem.read(2000).decode("utf-8", "replace")
    text = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
    words = html.unescape(" ".join(text.split()))
    return "".join(c if c.isprintable() else " " for c in words)[:200]


def get_text(base: str, path: str, timeout: float = 10) -> tuple[int, str]:
    """(status, text) of one GET; status 0 with the reason when no answer came."""
    if not base.startswith("http://127.0.0.1:"):
        raise MlflowError(f"refusing to call {base}: MLflow is reached on the loopback only")
    try:
        with urllib.request.urlopen(f"{base}{path}", timeout=timeout) as answer:  # noqa: S310
            return answer.status, answer.read(4096).decode("utf-8", "replace")
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read(4096).decode("utf-8", "replace")
    except (OSError, ValueError) as problem:
        return 0, str(problem)


def find_run(base: str, run_id: str) -> dict[str, Any] | None:
    """The MLflow run that carries the tag `gonogo.run_id` = `run_id`, or None."""
    found = call(base, "/api/2.0/mlflow/experiments/search", {"max_results": 1000})
    ids = [e["experiment_id"] for e in found.get("experiments", [])]
    wanted = run_id.replace("'", "")
    body = {
        "experiment_ids": ids,
        "filter": f"tags.`gonogo.run_id` = '{wanted}'",
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
