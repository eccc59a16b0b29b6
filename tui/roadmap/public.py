"""Answers of public services over https: short, bounded, without any secret, each asked once a batch."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

from tui.roadmap.rules.base import ProbeFailed, Unreachable

MAX_BYTES = 2 * 1024 * 1024
MAX_REDIRECTS = 5
TIMEOUT = 8.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")
OFF = "public services are not asked: "


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer: status, the first 2 MiB of its body, and the address it came from in the end."""

    status: int
    body: bytes
    url: str

    def json(self) -> Any:
        """The body as JSON. Raises ProbeFailed where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ProbeFailed("not-json", f"{host_of(self.url)} did not answer in JSON") from None


def host_of(url: str) -> str:
    """The host name of an address."""
    return urllib.parse.urlsplit(url).hostname or url[:60]


def check_address(url: str, plain: bool) -> None:
    """Only https, and http where it is meant (`plain`) or stays on this machine. Raises ProbeFailed."""
    try:
        parts = urllib.parse.urlsplit(url)
        name = parts.hostname
    except ValueError:
        name = None
    if not name or parts.username or parts.password:
        raise ProbeFailed("address", f"“{url[:80]}” is no address that can be asked")
    if parts.scheme != "https" and not (parts.scheme == "http" and (plain or name in LOOPBACK)):
        raise ProbeFailed("address", f"“{url[:80]}” is not https")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and none that leaves https."""

    max_redirections = MAX_REDIRECTS

    def __init__(self, plain: bool) -> None:
        self.plain = plain

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        check_address(newurl, self.plain)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _body(answer: Any, timeout: float) -> bytes:
    """The first 2 MiB, read until `timeout` seconds have gone: a server may trickle for ever."""
    end, parts, size = time.monotonic() + timeout, [], 0
    while size < MAX_BYTES and (part := answer.read1(64 * 1024)):
        parts.append(part)
        size += len(part)
        if time.monotonic() > end:
            raise TimeoutError("the answer did not end in time")
    return b"".join(parts)[:MAX_BYTES]


def _get(url: str, plain: bool, timeout: float) -> Answer:
    check_address(url, plain)
    opener = urllib.request.build_opener(_Redirects(plain))
    headers = {"User-Agent": "gonogo", "Accept": "*/*"}
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:  # noqa: S310 - checked above
            return Answer(answer.status, _body(answer, timeout), answer.url)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _body(error, timeout), url)
    except TimeoutError:
        raise
    except ssl.SSLError as error:
        raise ProbeFailed("tls", f"{host_of(url)}: {error.reason or error}") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        if isinstance(cause, TimeoutError):
            raise TimeoutError(f"{host_of(url)} did not answer in time") from None
        if isinstance(cause, ssl.SSLError):
            raise ProbeFailed("tls", f"{host_of(url)}: {cause.reason or cause}") from None
        raise Unreachable(f"{host_of(url)} cannot be reached: {cause}") from None


async def _in_thread(url: str, plain: bool, timeout: float) -> Answer:
    """`_get` in a daemon thread: one that hangs must not keep the program from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()

    def settle(answer: Answer | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if answer is not None:
            future.set_result(answer)
        else:
            future.set_exception(error or Unreachable("no answer"))

    def work() -> None:
        answer, problem = None, None
        try:
            answer = _get(url, plain, timeout)
        except Exception as error:
            problem = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer, problem)

    threading.Thread(target=work, name="public", daemon=True).start()
    return await future


class Public:
    """Asks public services; an address is asked once, however many boxes stand on it.

    `off` says why nothing may be asked, "" where it may.
    """

    def __init__(self, off: str = "") -> None:
        self.off = off
        self._asked: dict[tuple[str, bool], asyncio.Task[Answer]] = {}

    async def get(self, url: str, *, plain: bool = False, timeout: float = TIMEOUT) -> Answer:
        """The answer of one address. Raises Unreachable, ProbeFailed or TimeoutError."""
        if self.off:
            raise Unreachable(f"{OFF}{self.off}")
        key = (url, plain)
        if key not in self._asked:
            self._asked[key] = asyncio.ensure_future(_in_thread(url, plain, timeout))
        return await asyncio.shield(self._asked[key])
