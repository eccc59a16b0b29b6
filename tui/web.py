"""The app in a browser on this machine's loopback: textual-serve behind three checks.

A page of another site can reach a loopback port too, by a name of its own that points here (DNS
rebinding) or by opening a WebSocket, which no same-origin rule stops. So every request must name the
loopback as its host, a WebSocket must come from a page of this server, and both need the token that the
printed address carries (as Jupyter does); it goes into a cookie that no script and no other site sees.
"""

from __future__ import annotations

import asyncio
import hmac
import shlex
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp_jinja2
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server
from yarl import URL

LOOPBACK = "127.0.0.1"
NAMES = frozenset({"localhost", LOOPBACK, "::1"})
SITE = Path(__file__).with_name("site")
OWN = ("/gonogo.css", "/gonogo.js")
MOST_TABS = 8
"""Each open tab is a process of its own, with its own links to the hosts."""
END_SECONDS = 10.0
"""For an app to let go of its hosts after its tab was closed; then it is killed."""
WIDTHS, HEIGHTS = (20, 500), (8, 300)
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def app_command(root: Path, writable: bool) -> str:
    """The shell line that textual-serve runs for a tab; every word of it is quoted."""
    words = [sys.executable, "-m", "tui.cli", "-C", str(root)]
    return "exec " + shlex.join(words if writable else [*words, "--read-only"])


def _between(text: str, usual: int, limits: tuple[int, int]) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else usual
    return min(max(number, limits[0]), limits[1])


class WebServer(Server):  # type: ignore[misc]
    """One workspace for browsers on this machine."""

    def __init__(self, command: str, title: str, token: str) -> None:
        super().__init__(command, host=LOOPBACK, title=title, templates_path=SITE)
        self.token = token
        self.tabs: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None

    @property
    def cookie(self) -> str:
        """Its name holds the port: a browser keeps one set of cookies for all ports of a host."""
        return f"gonogo-{self.port}"

    async def open(self, port: int) -> None:
        """Listen; `self.port` says where. Raises OSError when the port is taken."""
        app = await self._make_app()
        app.middlewares.append(self._check)
        for name in OWN:
            app.router.add_get(name, self._own)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def close(self) -> None:
        """End every tab's process, then stop to listen."""
        for tab in list(self.tabs):
            await tab.close(code=1001, message=b"gonogo serve ended")
        if self._runner is not None:
            await self._runner.cleanup()

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: the command does."""

    # --- the checks ---------------------------------------------------------------------------

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            named = URL(f"http://{request.host}").host
        except ValueError:
            named = None
        if named not in NAMES:
            raise web.HTTPForbidden(text="This server answers to localhost only.\n")
        if request.path == "/ws" and request.headers.get("Origin") != f"http://{request.host}":
            raise web.HTTPForbidden(text="A page of another site asked.\n")
        given = request.query.get("token")
        if request.path == "/" and given is not None:
            if not self._knows(given):
                raise self._no_token()
            answer = web.HTTPSeeOther(request.rel_url.with_query(self._rest(request)))
            answer.set_cookie(self.cookie, self.token, httponly=True, samesite="Strict", path="/")
            raise answer
        secret = request.path not in OWN and not request.path.startswith("/static/")
        if secret and not self._knows(request.cookies.get(self.cookie, "")):
            raise self._no_token()
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _knows(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.token.encode())

    @staticmethod
    def _no_token() -> web.HTTPForbidden:
        return web.HTTPForbidden(
            text="Open the address that `gonogo serve` printed; it carries a token.\n"
        )

    @staticmethod
    def _rest(request: web.Request) -> dict[str, str]:
        return {key: value for key, value in request.query.items() if key != "token"}

    # --- the page and its socket ---------------------------------------------------------------

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page. Addresses follow the request: through a tunnel the port may be another one."""
        return aiohttp_jinja2.render_template(
            "app_index.html",
            request,
            {
                "title": self.title,
                "websocket_url": f"ws://{request.host}/ws",
                "font_size": _between(request.query.get("fontsize", ""), 16, (6, 64)),
            },
        )

    async def _own(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(SITE / request.path[1:])

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One tab: one process, which ends with the tab."""
        if len(self.tabs) >= MOST_TABS:
            raise web.HTTPServiceUnavailable(text=f"{MOST_TABS} tabs are open; close one.\n")
        tab = web.WebSocketResponse(heartbeat=15)
        self.tabs.add(tab)
        service: Any = None
        try:
            await tab.prepare(request)
            service = AppService(
                self.command, write_bytes=tab.send_bytes, write_str=tab.send_str,
                close=tab.close, download_manager=self.download_manager,
            )  # fmt: skip
            await service.start(
                _between(request.query.get("width", ""), 80, WIDTHS),
                _between(request.query.get("height", ""), 24, HEIGHTS),
            )
            # A frame that is no message of the page's script ends this tab and nothing else.
            with suppress(ValueError, TypeError, KeyError, IndexError, AssertionError):
                await self._process_messages(tab, service)
        finally:
            self.tabs.discard(tab)
            if service is not None:
                await _end(service)
            await tab.close()
        return tab


async def _end(service: Any) -> None:
    """Ask the app to quit; kill it when it does not."""
    try:
        async with asyncio.timeout(END_SECONDS):
            await service.stop()
    except TimeoutError:
        process = service._process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
