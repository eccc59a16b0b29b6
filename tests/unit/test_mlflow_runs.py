"""Runs of a tracking server that answers badly: bounded, checked, and what is loaded stays."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tui.live import LiveStore
from tui.mlflow_rest import LIMIT, MlflowError, call
from tui.mlflow_runs import History, RunInfo, experiments, history, run_info, runs_page, value_of
from tui.run_view import RunView
from tui.tracked import PATIENCE, TrackedRun, TrackedRuns, server_key

RUN = "a" * 32


class Web:
    """A loopback server; `answers` maps a word of the path to (status, body) or a callable of the path."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                web.asked.append(self.path)
                found = next(
                    (a for word, a in web.answers.items() if word in self.path), (404, b"no")
                )
                status, body, *headers = found(self.path) if callable(found) else found
                self.send_response(status)
                for header in headers:
                    self.send_header(*header)
                self.end_headers()
                try:
                    self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())
                except OSError:
                    pass  # the reader had enough

            do_GET = do_POST = _answer

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


def points(first: int, last: int) -> dict[str, Any]:
    return {
        "metrics": [
            {"key": "loss", "value": 1 / (n + 1), "timestamp": 1_000 * n, "step": n}
            for n in range(first, last)
        ]
    }


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, b"<html><body>[/] broke</body></html>"), "answered 500"),
        ((200, b"<html>sign in</html>"), "no JSON"),
        ((200, b"[" * 200_000), "no JSON"),
        ((200, b" " * (LIMIT + 2**20)), "longer than 16 MiB"),
        ((200, b"5"), "no list"),
        ((200, {"experiments": {"a": 1}}), "no list"),
        ((302, b"", ("Location", "http://127.0.0.1:9/steal")), "redirect"),
        ((503, b"link down"), "the link to its host is down"),
        (
            (503, b"<p>s: nothing answers on port 5000: [Errno 111]</p>"),
            "not run: nothing .* 5000 of",
        ),
    ],
)
def test_a_bad_answer_is_one_sentence(web: Web, answer: Any, said: str) -> None:
    web.answers["experiments"] = answer
    with pytest.raises(MlflowError, match=said) as caught:
        experiments(web.base)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_no_proxy_of_the_environment_sees_a_request(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    web.answers["experiments"] = (200, {})
    assert experiments(web.base) == []
    with pytest.raises(MlflowError, match="loopback only"):
        call("http://192.0.2.1:5000", "/")


def test_what_is_no_run_is_left_out_and_names_are_plain_text() -> None:
    good = {
        "info": {"run_id": RUN, "experiment_id": "7", "status": "RUNNING", "start_time": "1000",
                 "run_name": "[/]\x1b[31mred\n" + "x" * 900},
        "data": {"metrics": [{"key": "loss", "value": "NaN", "step": 3}, {"key": 5}, "no"],
                 "tags": [{"key": "gonogo.run_id", "value": "r-1"}],
                 "params": [{"key": "arm", "value": "control"}]},
    }  # fmt: skip
    info = run_info(good)
    assert info is not None
    assert info.name.startswith("[/]red")
    assert len(info.name) <= 250
    assert (info.start_ms, info.ours, info.arm, info.running) == (1000, "r-1", "control", True)
    assert math.isnan(info.last["loss"][0])
    assert info.url("http://x") == f"http://x/#/experiments/7/runs/{RUN}"
    bad: Any
    for bad in (None, [], {"info": []}, {"info": {"run_id": "../x", "experiment_id": "1"}}):
        assert run_info(bad) is None
    assert value_of(10**400) is None
    assert value_of(1.7976931348623157e308) == math.inf
    assert value_of("-Infinity") == -math.inf
    assert value_of(True) is None


def test_a_page_that_names_itself_as_the_next_one_ends(web: Web) -> None:
    web.answers["get-history"] = (200, {**points(0, 5), "next_page_token": "x"})
    assert len(history(web.base, RUN, "loss")) == 10
    web.answers["runs/search"] = (200, {"runs": [{"info": 3}]})
    with pytest.raises(MlflowError, match="no run that can be read"):
        runs_page(web.base, ["1"])


def test_a_search_is_no_filter_language(web: Web) -> None:
    web.answers["runs/search"] = (200, {})
    assert runs_page(web.base, ["1"], 'a\' OR "1"=`1;%') == ([], "")
    assert runs_page(web.base, []) == ([], "")
    assert len(web.asked) == 1


async def test_a_run_grows_restarts_and_stays_when_the_server_goes(web: Web) -> None:
    now = [0.0]
    raw = {
        "info": {"run_id": RUN, "experiment_id": "1", "status": "RUNNING", "start_time": 0,
                 "run_name": "theirs"},
        "data": {"metrics": [{"key": "train/loss", "value": 1.0, "step": 9}]},
    }  # fmt: skip
    web.answers = {
        "interval": (404, b"no such page"),
        "get-history": (200, points(0, 10)),
        "runs/get": (200, {"run": raw}),
    }

    async def base() -> str:
        return web.base

    changes: list[int] = []
    tracked = TrackedRuns(base, lambda: changes.append(1), lambda: now[0])
    info = run_info(raw)
    assert info is not None
    assert server_key("loss", info) == "train/loss"
    tracked.add(info)
    run = tracked.runs[RUN]
    await tracked.look(run, "loss")
    assert run.series["loss"].x.tolist() == list(range(10))
    assert run.series["loss"].t.tolist() == list(range(10))
    first = run.series["loss"]

    now[0] += 40  # without intervals all points are asked for, but not at every look
    web.answers["get-history"] = (200, points(0, 12))
    await tracked.look(run, "loss")
    assert len(run.series["loss"]) == 12
    assert run.series["loss"] is first

    # With intervals only the newest points travel.
    web.answers = {"interval": (200, points(11, 14)), **web.answers}
    web.answers["interval"] = (200, points(11, 14))
    web.asked.clear()
    now[0] += 5
    await tracked.look(run, "loss")
    assert len(run.series["loss"]) == 14
    assert not any("get-history?" in path for path in web.asked)

    web.answers = {"runs/get": (500, b"broken")}
    now[0] += PATIENCE + 50
    await tracked.look(run, "loss")
    assert run.away
    assert "MLflow away 1m" in run.name
    assert len(run.series["loss"]) == 14
    (line,) = _lines(tracked)
    assert line.away
    web.answers = {"runs/get": (404, b"gone")}
    await tracked.look(run, "loss")
    assert "deleted on the server" in run.name
    web.asked.clear()
    await tracked.look(run, "loss")
    assert web.asked == []
    assert changes


def _lines(tracked: TrackedRuns) -> Any:
    from tui.curves import lines_of

    return lines_of(tracked.beside([], LiveStore(), "loss"), "loss")


def test_a_run_without_steps_is_drawn_in_its_order_and_a_damaged_one_is_replaced() -> None:
    run = TrackedRun(RunInfo(RUN, "1", "n", "RUNNING", 0))
    five = np.arange(5.0)
    assert run.take("loss", History(np.zeros(5), five * 1000, five))
    assert run.series["loss"].x.tolist() == [0, 1, 2, 3, 4]
    assert not run.take("loss", History(np.zeros(5), five * 1000, five))
    assert run.take("loss", History(five[:3], five[:3], five[:3] + 1))
    assert run.series["loss"].y.tolist() == [1, 2, 3]


def test_a_run_that_is_mirrored_is_drawn_once(tmp_path: Path) -> None:
    store = LiveStore()
    path = tmp_path / "run.jsonl"
    path.write_text(
        '{"v":1,"kind":"start","t":1,"run":"r/1","arm":"control"}\n'
        '{"v":1,"kind":"point","t":9,"step":1,"loss":1.5}\n'
    )
    mirrored = store.runs["tower", "job"] = RunView("tower", "job", path)
    mirrored.read()
    tracked = TrackedRuns(None, lambda: None)  # type: ignore[arg-type]
    tracked.add(RunInfo(RUN, "1", "same", "RUNNING", 0, None, {"loss": (1.0, 1)}, "control", "r1"))
    tracked.runs[RUN].take("loss", History(np.ones(1), np.ones(1), np.ones(1)))
    assert tracked.beside([mirrored], store, "loss") == [mirrored]
    assert tracked.beside([], store, "loss") == [mirrored]
    assert tracked.beside([], LiveStore(), "loss") == [tracked.runs[RUN]]
