"""Keeps the laptop's copy of a host's jobs: states, documents, run journals and logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agents.checked import boolean_free_int, short_text
from agents.errors import LinkDown
from agents.events import Event, JobChanged, Mirrored, MirrorFailed, Stream
from agents.jobs import JobStatus, parse_status
from agents.mirror import HostMirror, OutOfStep, StreamMirror

STREAMS: tuple[Stream, ...] = ("run", "log")
RETRY = 5.0
SUM_AT_ONCE = 1 << 20
MAX_COPY = 8 * 1024**3
OVERSIZE_RETRY = 600.0
"""Seconds until a file over MAX_COPY is looked at again: it may have been cut or replaced."""
CREDIT = 64 * 1024
"""Bytes for which the host is given credit at once: far below its window, and no packet a point."""

logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], None]


class JobSync:
    """Fed with the session's frames; one subscription per (job, stream) and connection."""

    def __init__(self, host: str, root: Path, emit: Callable[[Event], None]) -> None:
        self.host = host
        self.mirror = HostMirror(root, host)
        self.known: dict[str, JobStatus] = {}
        self._emit = emit
        self._send: Send | None = None
        self._subs: dict[int, tuple[str, Stream]] = {}
        self._followed: set[str] = set()
        self._next_sub = 0
        self._retries: dict[tuple[str, Stream], asyncio.TimerHandle] = {}
        self._summing: dict[tuple[str, Stream], asyncio.Task[None]] = {}
        self._owed = 0
        self._reset: set[tuple[str, Stream]] = set()
        self._changed = asyncio.Event()

    def connected(self, send: Send) -> None:
        self._forget()
        self._send = send
        self._owed = 0
        self._followed.clear()

    def _forget(self) -> None:
        """Nothing of the last connection may act on the next one: no retry, no late sum."""
        self._send = None
        self._subs.clear()
        for timer in self._retries.values():
            timer.cancel()
        for task in self._summing.values():
            task.cancel()
        self._retries.clear()
        self._summing.clear()

    def disconnected(self, why: str) -> None:
        """Jobs that were not over are unknown from here on, not failed."""
        self._forget()
        self._changed.set()
        for job_id, status in self.known.items():
            unknown = status.as_unknown(why)
            if unknown != status:
                self.known[job_id] = unknown
                self._emit(JobChanged(self.host, unknown))

    def receive(self, message: dict[str, Any], blob: bytes | None) -> None:
        """One frame: job, document, chunk or tail_reset. Raises ValueError when malformed."""
        kind = message.get("m")
        if kind == "job":
            self.note(parse_status(message))
        elif kind == "document":
            self._document(message, blob or b"")
        elif kind == "chunk":
            self._chunk(message, blob or b"")
        elif kind == "tail_reset":
            self._tail_reset(message)

    def note(self, status: JobStatus) -> None:
        """Take a status; subscribe to the job's files when it is new on this connection."""
        before = self.known.get(status.job_id)
        # An answer may be older than the news that overtook it; what is over stays over.
        overtaken = before is not None and before.state.terminal and not status.state.terminal
        if status != before and not overtaken:
            self.known[status.job_id] = status
            self._emit(JobChanged(self.host, status))
            self._changed.set()
        if self._send is not None and status.job_id not in self._followed:
            self._followed.add(status.job_id)
            for stream in STREAMS:
                self._subscribe(status.job_id, stream)

    async def until_terminal(self, job_id: str) -> JobStatus:
        """Wait for the news that a job is over; LinkDown if the link goes first."""
        while True:
            status = self.known.get(job_id)
            if status is not None and status.state.terminal:
                return status
            if self._send is None:
                raise LinkDown(f"the link to {self.host} went down while {job_id} was stopping")
            self._changed.clear()
            try:
                async with asyncio.timeout(1.0):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _subscribe(self, job_id: str, stream: Stream) -> None:
        """Ask for the rest of a file; without effect when it is asked for already."""
        key = (job_id, stream)
        if self._send is None or key in self._subs.values() or key in self._summing:
            return
        timer = self._retries.pop(key, None)
        if timer is not None:
            timer.cancel()
        try:
            mirror = self.mirror.stream(job_id, stream)
            if mirror.unsummed > SUM_AT_ONCE:
                self._summing[key] = asyncio.create_task(self._sum(job_id, stream, mirror))
                return
            self._ask(job_id, stream, *mirror.cursor())
        except OSError as error:
            self._failed(job_id, stream, error)

    async def _sum(self, job_id: str, stream: Stream, mirror: StreamMirror) -> None:
        """Read a long copy outside the loop before asking for the rest."""
        try:
            offset, identity = await asyncio.to_thread(mirror.cursor)
        except OSError as error:
            del self._summing[job_id, stream]
            self._failed(job_id, stream, error)
        else:
            del self._summing[job_id, stream]
            self._ask(job_id, stream, offset, identity)

    def _ask(self, job_id: str, stream: Stream, offset: int, identity: dict[str, Any]) -> None:
        self._next_sub += 1
        self._subs[self._next_sub] = (job_id, stream)
        self._tell(
            {
                "m": "tail",
                "sub": self._next_sub,
                "job": job_id,
                "stream": stream,
                "offset": offset,
                "identity": identity,
            }
        )

    def _drop(self, number: int) -> tuple[str, Stream]:
        self._tell({"m": "untail", "sub": number})
        return self._subs.pop(number)

    def _tell(self, message: dict[str, Any]) -> None:
        # A send that finds the connection closed needs no answer: the next one starts anew.
        if self._send is not None:
            with suppress(LinkDown):
                self._send(message)

    def _failed(self, job_id: str, stream: Stream, error: OSError) -> None:
        reason = f"{error.filename or self.mirror.folder}: {error.strerror or error}"
        self._emit(MirrorFailed(self.host, job_id, stream, reason))
        self._retry(job_id, stream, RETRY)

    def _retry(self, job_id: str, stream: Stream, delay: float) -> None:
        if self._send is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(delay, self._subscribe, job_id, stream)
            self._retries[job_id, stream] = timer

    def _document(self, message: dict[str, Any], blob: bytes) -> None:
        job_id = str(message.get("job"))
        try:
            self.mirror.document(job_id, str(message.get("name")), blob)
        except OSError as error:
            reason = f"{error.filename or self.mirror.folder}: {error.strerror or error}"
            self._emit(MirrorFailed(self.host, job_id, "run", reason))

    def _sub_of(self, message: dict[str, Any]) -> tuple[int, tuple[str, Stream] | None]:
        number = boolean_free_int(message.get("sub"))
        if number is None:
            raise ValueError("a chunk without its subscription")
        return number, self._subs.get(number)

    def _tail_reset(self, message: dict[str, Any]) -> None:
        number, key = self._sub_of(message)
        if key is None:
            return
        logger.info("%s %s %s: %s", self.host, *key, short_text(message.get("reason")))
        try:
            self.mirror.stream(*key).set_aside()
        except OSError as error:
            self._drop(number)
            self._failed(*key, error)
            return
        self._reset.add(key)

    def _chunk(self, message: dict[str, Any], blob: bytes) -> None:
        number, key = self._sub_of(message)
        try:
            if key is None:
                return
            self._store(number, key, message, blob)
        finally:
            self._owed += len(blob)
            if self._owed >= CREDIT:
                self._tell({"m": "credit", "bytes": self._owed})
                self._owed = 0

    def _store(
        self, number: int, key: tuple[str, Stream], message: dict[str, Any], blob: bytes
    ) -> None:
        job_id, stream = key
        offset, total = (
            boolean_free_int(message.get("offset")),
            boolean_free_int(message.get("size")),
        )
        if offset is None or total is None:
            raise ValueError("a chunk without its place")
        if total > MAX_COPY:
            self._drop(number)
            reason = f"the file on the host has {total} bytes, over the limit of {MAX_COPY}"
            self._emit(MirrorFailed(self.host, job_id, stream, reason))
            self._retry(job_id, stream, OVERSIZE_RETRY)
            return
        mirror = self.mirror.stream(job_id, stream)
        try:
            size = mirror.append(offset, blob, boolean_free_int(message.get("ino")))
        except OutOfStep:
            self._drop(number)
            mirror.close()
            self._subscribe(job_id, stream)
            return
        except OSError as error:
            self._drop(number)
            self._failed(job_id, stream, error)
            return
        reset = key in self._reset
        self._reset.discard(key)
        behind = max(0, total - size)
        self._emit(Mirrored(self.host, job_id, stream, mirror.path, size, behind, reset))

    def close(self) -> None:
        self._forget()
        self.mirror.close()
