"""Rules over public services, against a server on this machine that stands for all of them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.rule_kit import run_rule, write
from tui.roadmap.public import MAX_BYTES, Public
from tui.roadmap.rules.base import ProbeFailed, Unreachable
from tui.roadmap.rules.launch import arxiv_id
from tui.roadmap.verify import verify
from tui.roadmap.workspace import Workspace

Page = tuple[int, bytes, dict[str, str]]


class Services:
    """Pages by path and query; `seen` are the requests with their headers."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.seen.append((self.path, dict(self.headers)))
                if self.path == "/trickle":
                    self.send_response(200)
                    self.end_headers()
                    for _ in range(200):
                        try:
                            self.wfile.write(b".")
                            self.wfile.flush()
                        except OSError:
                            return
                        time.sleep(0.02)
                    return
                status, body, headers = outer.pages.get(self.path, (404, b"{}", {}))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                del format, args

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def put(self, path: str, content: Any, status: int = 200, **headers: str) -> None:
        """A page; anything but bytes is sent as JSON."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.pages[path] = (status, body, headers)

    def repo(self, name: str, stars: int = 9000, spdx: str | None = "MIT") -> None:
        """A repository as GitHub describes it."""
        license_ = {"spdx_id": spdx} if spdx else None
        self.put(f"/repos/{name}", {"stargazers_count": stars, "license": license_})


@pytest.fixture(scope="module")
def server() -> Iterator[Services]:
    services = Services()
    yield services
    services.server.shutdown()
    services.server.server_close()


@pytest.fixture
def web(server: Services) -> Services:
    server.pages.clear()
    server.seen.clear()
    return server


NAMES = ("github", "arxiv", "hacker_news", "youtube", "scholar", "hugging_face", "pypi")


@pytest.fixture
def ws(tmp_path: Path, web: Services) -> Workspace:
    bases = "".join(f'{name} = "{web.base}"\n' for name in NAMES)
    return Workspace.create(
        tmp_path / "w", settings_text=f'[public]\nrepository = "me/demo"\n{bases}'
    )


async def test_sources_on_github(ws: Workspace, web: Services) -> None:
    names = [f"o/r{n}" for n in range(4)]
    for name in names:
        web.repo(name, spdx="Apache-2.0")
    write(ws.root / "datasets" / "sources.json", {"scenarios": {"react": {"repos": names}}})
    rule = {"file": "datasets/sources.json", "at": ["scenarios.*.repos.*"], "least": 3, "most": 5,
            "licenses": ["MIT", "Apache-2.0"], "stars_above": 5000}  # fmt: skip
    found = await run_rule(ws, "github-repositories", **rule)
    assert (found.verdict, found.by) == ("PASS", "public:github")
    assert found.data["repositories"]["o/r0"] == {"license": "Apache-2.0", "stars": 9000}
    for change, words in (
        ({"most": 3}, "4 repositories"), ({"stars_above": 9000}, "o/r0 has 9000 stars"),
        ({"licenses": ["MIT"]}, "is licensed Apache-2.0"),
    ):  # fmt: skip
        found = await run_rule(ws, "github-repositories", **(rule | change))
        assert (found.verdict, words in found.reason) == ("FAIL", True)
    web.repo("o/r1", spdx=None)
    assert "o/r1 is licensed none" in (await run_rule(ws, "github-repositories", **rule)).reason
    del web.pages["/repos/o/r2"]
    assert "o/r2 answers 404" in (await run_rule(ws, "github-repositories", **rule)).reason
    web.put("/repos/o/r0", {}, 403)
    with pytest.raises(ProbeFailed, match="no more for now"):
        await run_rule(ws, "github-repositories", **rule)
    write(ws.root / "datasets" / "sources.json", {"scenarios": {"x": {"repos": ["../../etc"]}}})
    rule["least"] = 1
    assert "is no owner/name" in (await run_rule(ws, "github-repositories", **rule)).reason


async def test_the_projects_own_repository(ws: Workspace, web: Services) -> None:
    issues = "/repos/me/demo/issues?state=open&labels=bug&per_page=100"
    web.put(issues, [{"pull_request": {}}])
    assert (await run_rule(ws, "github-issues")).verdict == "PASS"
    web.put(issues, [{}, {}])
    assert (await run_rule(ws, "github-issues")).found == "2 open"
    assert (await run_rule(ws, "github-tag", tag="v1")).verdict == "FAIL"
    web.put("/repos/me/demo/git/ref/tags/v1", {})
    assert (await run_rule(ws, "github-tag", tag="v1")).verdict == "PASS"
    ws.tick("P5.L1", "user:ana")
    ws.set_field("P5.arxiv_url", "https://arxiv.org/abs/2401.01234", "user:ana")
    readme = {"after": "P5.L1", "link": "P5.arxiv_url"}
    day = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime())
    path = f"/repos/me/demo/commits?path=README.md&since={day}"
    web.put(path, [])
    web.put("/repos/me/demo/readme", {"content": base64.b64encode(b"nothing").decode()})
    found = await run_rule(ws, "github-readme", **readme)
    assert "no commit on README.md" in found.reason
    assert "does not hold the address" in found.reason
    web.put(path, [{"sha": "a"}])
    text = b"see https://arxiv.org/abs/2401.01234!"
    web.put("/repos/me/demo/readme", {"content": base64.b64encode(text).decode()})
    assert (await run_rule(ws, "github-readme", **readme)).verdict == "PASS"


FEED = b"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><id>q</id>%s</feed>"""
ENTRY = b"<entry><id>http://arxiv.org/abs/2401.01234v2</id><title>T</title></entry>"


async def test_the_launch(ws: Workspace, web: Services) -> None:
    ws.set_field("P5.arxiv_url", "https://arxiv.org/abs/2401.01234v1", "user:ana")
    ws.set_field("P5.video_url", "https://youtu.be/x?a=1&b=2", "user:ana")
    query = "/api/query?id_list=2401.01234&max_results=2"
    web.put(query, FEED % b"")
    assert (await run_rule(ws, "arxiv", field="P5.arxiv_url")).verdict == "FAIL"
    web.put(query, FEED % ENTRY)
    found = await run_rule(ws, "arxiv", field="P5.arxiv_url", fill="P5.arxiv_url")
    assert (found.verdict, dict(found.fills)) == (
        "PASS", {"P5.arxiv_url": "https://arxiv.org/abs/2401.01234"},
    )  # fmt: skip
    web.put(query, b"<!DOCTYPE f [<!ENTITY a 'b'>]><feed/>")
    with pytest.raises(ProbeFailed, match="entities"):
        await run_rule(ws, "arxiv", field="P5.arxiv_url")
    hn = "/api/v1/search?query=arxiv.org%2Fabs%2F2401.01234v1&restrictSearchableAttributes=url"
    for hits, verdict in ((0, "FAIL"), (2, "PASS")):
        web.put(hn, {"nbHits": hits})
        assert (await run_rule(ws, "hacker-news", field="P5.arxiv_url")).verdict == verdict
    tube = "/oembed?format=json&url=https%3A%2F%2Fyoutu.be%2Fx%3Fa%3D1%26b%3D2"
    assert (await run_rule(ws, "youtube", field="P5.video_url")).verdict == "FAIL"
    web.put(tube, {"title": "[bold]Demo[/]"})
    assert (await run_rule(ws, "youtube", field="P5.video_url")).found == "HTTP 200 [bold]Demo[/]"
    assert (await run_rule(ws, "citations", field="P5.arxiv_url")).verdict == "SKIP"
    web.put("/graph/v1/paper/arXiv:2401.01234?fields=citationCount", {"citationCount": 3})
    assert (await run_rule(ws, "citations", field="P5.arxiv_url")).found == "cited 3 times"
    known = {"https://arxiv.org/pdf/2401.01234v3.pdf": "2401.01234", "math/0309136": "math/0309136"}
    assert {text: arxiv_id(text) for text in known} == known
    assert arxiv_id("https://arxiv.org/") == ""


async def test_registries(ws: Workspace, web: Services) -> None:
    assert (await run_rule(ws, "pypi", package="gonogo", version="1.0")).verdict == "FAIL"
    web.put("/pypi/gonogo/1.0/json", {})
    assert (await run_rule(ws, "pypi", package="gonogo", version="1.0")).verdict == "PASS"
    assert (await run_rule(ws, "hugging-face", name="meta-llama/X")).verdict == "FAIL"
    web.put("/api/models/meta-llama/X", {"gated": "manual"})
    assert (await run_rule(ws, "hugging-face", name="meta-llama/X")).found == "HTTP 200 (gated)"
    web.put("/api/datasets/a/b", {})
    assert (await run_rule(ws, "hugging-face", kind="datasets", name="a/b")).verdict == "PASS"


async def test_pages(ws: Workspace, web: Services) -> None:
    web.put("/", b"<script>gtag('x')</script>")
    web.put("/api/runs", {"runs": [1, 2]})
    write(ws.root / "dashboard" / "deploy.json", {"public_url": web.base})
    rule = {"file": "dashboard/deploy.json#public_url"}
    assert (
        await run_rule(ws, "url", **rule, contains_any=["plausible", "gtag("])
    ).verdict == "PASS"
    assert (await run_rule(ws, "url", **rule, path="/api/runs", items=2)).verdict == "PASS"
    bad: list[tuple[dict[str, Any], str]] = [
        ({"path": "/none"}, "answers 404"), ({"ends": ".azurestaticapps.net"}, "no host of"),
        ({"contains_any": ["umami"]}, "holds none"), ({"path": "/api/runs", "items": 3}, "lists 2 entries"),
    ]  # fmt: skip
    for change, words in bad:
        found = await run_rule(ws, "url", **(rule | change))
        assert (found.verdict, words in found.reason) == ("FAIL", True), found
    ws.set_field("P5.blog_urls", f"{web.base}/, {web.base}/api/runs", "user:ana")
    found = await run_rule(ws, "url", field="P5.blog_urls")
    assert (found.verdict, found.found) == ("PASS", "127.0.0.1 200, 127.0.0.1 200")


async def test_no_secret_leaves_and_each_address_is_asked_once(
    ws: Workspace, web: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "HF_TOKEN"):
        monkeypatch.setenv(name, "do-not-send-this")
    web.repo("o/r")
    public = Public()
    for _ in range(3):
        await public.get(f"{web.base}/repos/o/r")
    assert len(web.seen) == 1
    assert {name.lower() for name in web.seen[0][1]} <= {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
    }
    assert "do-not-send" not in repr(web.seen)


async def test_what_public_services_may_be_asked(web: Services) -> None:
    public = Public()
    for address in (
        "http://example.org/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://u:p@x.org/",
        "x",
    ):
        with pytest.raises(ProbeFailed):
            await public.get(address)
    web.put("/away", b"", 302, Location="http://example.org/")
    with pytest.raises(ProbeFailed, match="not https"):
        await public.get(f"{web.base}/away")
    web.put("/round", b"", 302, Location="/round")
    assert (await public.get(f"{web.base}/round")).status == 302
    web.put("/large", b"x" * (MAX_BYTES + 5000))
    assert len((await public.get(f"{web.base}/large")).body) == MAX_BYTES
    with pytest.raises(TimeoutError):
        await public.get(f"{web.base}/trickle", timeout=0.2)
    web.put("/text", b"hello")
    with pytest.raises(ProbeFailed, match="JSON"):
        (await public.get(f"{web.base}/text")).json()
    with pytest.raises(Unreachable):
        await public.get("http://127.0.0.1:1/")
    with pytest.raises(Unreachable, match="not asked: because"):
        await Public("because").get(web.base)


async def test_trouble_with_a_service_is_never_a_fail(ws: Workspace, web: Services) -> None:
    ws.set_field("P5.arxiv_url", "https://arxiv.org/abs/2401.01234", "user:ana")
    (one,) = await verify(ws, ["P5.L2"], None)
    assert (one.verdict, one.reason) == ("ERROR", "hn: Hacker News answers 404")
    (one,) = await verify(ws, ["P5.L2"], None, offline=True)
    assert one.verdict == "UNREACHABLE"
    assert one.reason == "public services are not asked: this is an offline check"
    text = (ws.root / "gonogo.toml").read_text()
    (ws.root / "gonogo.toml").write_text(text.replace("[public]\n", "[public]\nenabled = false\n"))
    (one,) = await verify(Workspace.open(ws.root), ["P5.L2"], None)
    assert (one.verdict, "[public] enabled = false" in one.reason) == ("UNREACHABLE", True)
    assert [path for path, _ in web.seen] == [web.seen[0][0]]
