"""Keys on the server: MLflow started from the Live screen, an adapter fetched from the palette."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import ChoiceScreen, ConfirmScreen
from tui.widgets.status_header import StatusHeader

JOB = "control-s0-20260101-000000-abcd"


class Tracking(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._reply(b"OK")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(b'{"experiments": []}')

    def _reply(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def tracking() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tracking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracking: http.server.ThreadingHTTPServer
) -> Workspace:
    """A workspace whose server is this machine, with a finished training in another HOME."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tui.fleet.LIGHTS_SECONDS", 0.2)
    folder = tmp_path / "home/.gonogo/jobs" / JOB
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter/adapter_config.json").write_text("{}")
    record = {"name": "control-s0", "created": 1, "labels": {"kind": "train", "arm": "control"}}
    (folder / "job.json").write_text(json.dumps(record))
    (folder / "exit.json").write_text(json.dumps({"code": 0, "t": 2}))
    text = (
        f'[hosts.server]\nlocal = true\nrole = "server"\n[mlflow]\nport = {tracking.server_port}\n'
    )
    return Workspace.create(tmp_path / "ws", settings_text=text)


async def test_the_lights_in_the_header_and_the_mlflow_key(
    local: Workspace, tracking: http.server.ThreadingHTTPServer
) -> None:
    app = GonogoApp(local, mode="live")
    async with app.run_test(size=(140, 36)) as pilot:
        view = app.fleet.store.hosts["server"]
        await until(pilot, lambda: view.tunnel and view.tunnel.ok, 20, "three lights")
        chip = app.header_model("").hosts[0]
        assert chip.tunnel is not None
        assert chip.tunnel.marks == "●●●"
        header = app.screen.query_one(StatusHeader)
        await until(pilot, lambda: "mlflow ●●● :" in header.render().plain, 10, "lights drawn")
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 10, "what to do with it")
        await pilot.press("escape")
        tracking.shutdown()
        tracking.server_close()
        await until(pilot, lambda: view.tunnel and view.tunnel.marks == "○··", 20, "lights out")
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen), 10, "the question")
        await pilot.press("escape")


async def test_an_adapter_is_fetched_from_the_app(local: Workspace) -> None:
    app = GonogoApp(local, mode="live")
    async with app.run_test(size=(140, 36)) as pilot:
        await until(pilot, lambda: app.fleet.store.jobs, 20, "the training")
        app.action_fetch_adapter()
        await until(pilot, lambda: isinstance(app.screen, ChoiceScreen), 10, "the list")
        await pilot.press("enter")
        target = local.root / "models/adapters" / JOB / "adapter_config.json"
        await until(pilot, target.exists, 10, "the adapter")
