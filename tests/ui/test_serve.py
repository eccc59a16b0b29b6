"""`gonogo serve`: a real server, real sockets, the app's own process behind each tab."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tui.roadmap.workspace import Workspace

pytest.importorskip("textual_serve", reason="the web extra is not installed")
aiohttp = pytest.importorskip("aiohttp")

SECONDS = 60


class Served:
    """The command as a process; `children()` are the apps of open tabs."""

    def __init__(self, root: Path, *options: str, token: str = "") -> None:
        environment = {**os.environ, "GONOGO_SERVE_TOKEN": token} if token else dict(os.environ)
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui.cli", "-C", str(root), "serve", "--port", "0", "--json", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.said = json.loads(self.process.stdout.readline())
        self.port = self.said["port"]
        self.origin = f"http://127.0.0.1:{self.port}"

    def children(self) -> list[int]:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=SECONDS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Workspace.create(tmp_path / "ws")
    settings = tmp_path / "ws/gonogo.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text[: text.index("[hosts")], "utf-8")
    return tmp_path / "ws"


@pytest.fixture
def served(root: Path) -> Iterator[Served]:
    one = Served(root)
    yield one
    if one.process.poll() is None:
        one.end()


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Any, what: str) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 (another process has no event to wait for)
            await asyncio.sleep(0.05)
    assert condition(), what


async def read(socket: Any, words: str) -> str:
    """Everything that comes until `words` were drawn."""
    text = ""
    async with asyncio.timeout(SECONDS):
        async for message in socket:
            if isinstance(message.data, bytes):
                text += message.data.decode("utf-8", "replace")
            if words in text:
                return text
    pytest.fail(f"no {words!r} in {text[-400:]!r}")


def opener(**headers: str) -> Any:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers=headers)


async def test_the_token_opens_the_page_and_nothing_else_does(served: Served) -> None:
    async with opener() as browser:
        for path in ("/", "/?token=", "/?token=wrong-wrong-wrong", "/ws", "/download/x", "/no"):
            headers = {"Origin": served.origin}
            async with browser.get(served.origin + path, headers=headers) as answer:
                assert answer.status == 403, path
        async with browser.get(served.said["url"]) as answer:
            text = await answer.text()
            assert answer.status == 200
            assert "token" not in str(answer.url)
            assert f"ws://127.0.0.1:{served.port}/ws" in text
            assert "https://" not in text, "nothing comes from another server"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def test_other_names_and_other_sites_are_refused(served: Served) -> None:
    async with opener() as browser:
        async with browser.get(served.said["url"]) as answer:
            assert answer.status == 200
        for host in (
            "evil.example",
            f"evil.example:{served.port}",
            "127.0.0.1.evil.example",
            "10.0.0.1",
        ):
            async with browser.get(served.origin, headers={"Host": host}) as answer:
                assert answer.status == 403, host
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{served.port}",
                       f"http://localhost:{served.port}", "http://127.0.0.1:1"):  # fmt: skip
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await browser.ws_connect(served.origin + "/ws", headers={"Origin": origin})
            assert refused.value.status == 403, origin
        assert not served.children()


async def test_a_tab_is_a_process_that_shows_the_plan_and_writes_nothing(served: Served) -> None:
    before = (served.root / "state.jsonl").read_bytes()
    async with opener(Origin=served.origin) as browser:
        async with browser.get(served.said["url"]):
            pass
        one = await browser.ws_connect(served.origin + "/ws?width=100&height=30")
        two = await browser.ws_connect(served.origin + "/ws?width=9999999&height=-3")
        await read(one, "READ-ONLY")
        await until(lambda: len(served.children()) == 2, "one process a tab")
        await one.send_json(["stdin", " "])
        await read(one, "ead-only")  # the notice
        await two.send_str("not JSON")
        await until(lambda: len(served.children()) == 1, "a tab with a bad message ends alone")
        await one.close()
        await until(lambda: not served.children(), "a closed tab's process ends")
    assert (served.root / "state.jsonl").read_bytes() == before


async def test_the_page_writes_with_rw_and_the_server_ends_its_tabs(root: Path) -> None:
    served = Served(root, "--rw", token="a-token-of-ones-own-1")
    assert served.said["url"].endswith("?token=a-token-of-ones-own-1")
    try:
        async with opener(Origin=served.origin) as browser:
            async with browser.get(served.said["url"]):
                pass
            tab = await browser.ws_connect(served.origin + "/ws?width=100&height=30")
            await read(tab, "Hardware")
            (app,) = served.children()
            assert b"a-token-of-ones-own" not in environment(app)
            await tab.send_json(["stdin", " "])
            await read(tab, "saved")
            assert b'"tick"' in (root / "state.jsonl").read_bytes()
            served.end()
            await until(lambda: not alive(app), "the app ends with its server")
    finally:
        if served.process.poll() is None:
            served.process.kill()


async def test_an_app_whose_server_was_killed_ends_by_itself(served: Served) -> None:
    async with opener(Origin=served.origin) as browser:
        async with browser.get(served.said["url"]):
            pass
        tab = await browser.ws_connect(served.origin + "/ws")
        await read(tab, "READ-ONLY")
        (app,) = served.children()
        served.process.kill()
        await until(lambda: not alive(app), "nobody can see it any more")


def test_a_taken_port_and_a_short_token_are_one_sentence(served: Served, root: Path) -> None:
    base = [sys.executable, "-m", "tui.cli", "-C", str(root), "serve", "--port", str(served.port)]
    done = subprocess.run(base, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 2
    assert done.stderr == (
        f"gonogo: Port {served.port} cannot be used (Address already in use); --port 0 takes a free one.\n"
    )
    environment = {**os.environ, "GONOGO_SERVE_TOKEN": "short"}
    done = subprocess.run(
        base, capture_output=True, text=True, check=False, env=environment, timeout=SECONDS
    )
    assert done.returncode == 2
    assert "at least 16" in done.stderr
