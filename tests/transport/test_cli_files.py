"""`gonogo send`, `fetch` and `tunnel` as processes, with this machine as the host."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from tui.roadmap.workspace import Workspace

SETTINGS = """\
title = "t"
[hosts.server]
local = true
role = "server"
[mlflow]
host = "server"
port = {port}
"""


class Tracking(http.server.BaseHTTPRequestHandler):
    """MLflow's answers to the two questions of the lights."""

    refuse = False

    def do_GET(self):
        self.reply(200, b"OK")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.refuse:
            self.reply(403, b"Invalid Host header - possible DNS rebinding attack detected")
        else:
            self.reply(200, b'{"experiments": []}')

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def tracking():
    handler = type("Handler", (Tracking,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.handler = handler
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def gonogo(tmp_path, tracking):
    """Runs the command in a workspace whose only host is this machine with another HOME."""
    home = tmp_path / "home"
    home.mkdir()
    root = tmp_path / "ws"
    Workspace.create(root, settings_text=SETTINGS.format(port=tracking.server_port))
    environment = {**os.environ, "HOME": str(home)}

    def call(*words, start=False):
        argv = [sys.executable, "-c", "from tui.cli import main; main()", "-C", str(root), *words]
        if start:
            # A shell starts background programs with ctrl-c ignored, and children inherit that.
            return subprocess.Popen(
                argv, env=environment, stdout=subprocess.PIPE, text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )  # fmt: skip
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)

    call.home, call.root = home, root
    return call


def test_send(gonogo, tmp_path):
    local = tmp_path / "data.jsonl"
    local.write_bytes(b"x" * 700_000)
    done = gonogo("send", str(local), "server:datasets/", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert (answer["path"], answer["size"]) == ("~/datasets/data.jsonl", 700_000)
    assert (gonogo.home / "datasets/data.jsonl").read_bytes() == local.read_bytes()
    done = gonogo("send", str(local), "nowhere:x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "gonogo: “nowhere:x” is no HOST:PATH; hosts: server\n"
    done = gonogo("send", str(local), "server:/proc/nope/x")
    assert done.returncode == 1
    assert "/proc/nope/x" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_fetch(gonogo):
    job = "control-s0-20260101-000000-abcd"
    folder = gonogo.home / ".gonogo/jobs" / job
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter/adapter_config.json").write_text("{}")
    (folder / "job.json").write_text(json.dumps({"name": "control-s0", "created": 1}))
    (folder / "exit.json").write_text(json.dumps({"code": 0, "t": 2}))
    done = gonogo("fetch", "control-s0")
    target = gonogo.root / "models/adapters" / job
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{target}  1 files, 2 B, checked\n"
    assert (target / "adapter_config.json").read_text() == "{}"
    done = gonogo("fetch", job)
    assert done.returncode == 1
    assert "exists already: name another place or replace it" in done.stderr
    done = gonogo("fetch", "ghost")
    assert done.stderr == "gonogo: no reachable host has a job “ghost”; `gonogo jobs` lists them\n"


def test_the_three_lights(gonogo, tracking):
    done = gonogo("tunnel", "--once", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, [light["ok"] for light in answer["lights"]]) == (0, [True] * 3)
    first = answer["url"]
    tracking.handler.refuse = True
    done = gonogo("tunnel", "--once", "--json")
    answer = json.loads(done.stdout)
    assert answer["url"] == first  # a bookmark stays good
    assert (done.returncode, [light["ok"] for light in answer["lights"]]) == (
        1,
        [True, True, False],
    )
    assert "--allowed-hosts" in answer["lights"][2]["text"]
    tracking.shutdown()
    tracking.server_close()
    done = gonogo("tunnel", "--once")
    assert done.returncode == 1
    assert f"{first}  ○ socket nothing answers on port" in done.stdout
    assert "· API" in done.stdout


def test_a_tunnel_alone_in_a_shell_ends_with_ctrl_c(gonogo):
    process = gonogo("tunnel", start=True)
    line = process.stdout.readline()
    assert line.startswith("http://127.0.0.1:")
    assert line.count("●") == 3
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
