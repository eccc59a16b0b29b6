"""A single-threaded poll loop: file descriptors, timers and slices of long work."""

from __future__ import annotations

import heapq
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator


def log(text: str) -> None:
    """One line to stderr, which the laptop keeps in a ring."""
    try:
        sys.stderr.write(text.rstrip("\n") + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass


def log_exception(where: str) -> None:
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "%s:%d" % (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else "?"
    log("%s: %s: %s (%s)" % (where, getattr(kind, "__name__", kind), error, place))


class Timer:
    """A pending call; `cancel()` makes it a no-op."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None] | None) -> None:
        self.callback = callback

    def cancel(self) -> None:
        self.callback = None


class Loop:
    """Callbacks must return quickly; an exception in one is logged and ends nothing else."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._writers: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._work: list[Iterator[Any]] = []
        self.running = True

    def _register(self, fd: int) -> None:
        mask = (select.POLLIN if fd in self._readers else 0) | (
            select.POLLOUT if fd in self._writers else 0
        )
        if mask:
            self._poll.register(fd, mask)
        else:
            try:
                self._poll.unregister(fd)
            except KeyError:
                pass

    def read_with(self, fd: int, callback: Callable[[], None] | None) -> None:
        """Call `callback` whenever `fd` is readable or closed; None stops that."""
        if callback is None:
            self._readers.pop(fd, None)
        else:
            self._readers[fd] = callback
        self._register(fd)

    def write_with(self, fd: int, callback: Callable[[], None] | None) -> None:
        if callback is None:
            self._writers.pop(fd, None)
        else:
            self._writers[fd] = callback
        self._register(fd)

    def later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(callback)
        self._count += 1
        heapq.heappush(self._timers, (time.monotonic() + delay, self._count, timer))
        return timer

    def every(self, interval: float, callback: Callable[[], None]) -> None:
        """Call now and then every `interval` seconds, without drift bursts after a sleep."""

        def again() -> None:
            self.later(interval, again)
            callback()

        self.later(0.0, again)

    def work(self, steps: Iterator[Any]) -> None:
        """Run a generator one step a turn, so that long reads never stop the heartbeat."""
        self._work.append(steps)

    def _guard(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            log_exception("callback")

    def run(self) -> None:
        while self.running:
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                timer = heapq.heappop(self._timers)[2]
                if timer.callback is not None:
                    self._guard(timer.callback)
            if self._work:
                steps = self._work.pop(0)
                try:
                    next(steps)
                    self._work.append(steps)
                except StopIteration:
                    pass
                except Exception:
                    log_exception("work")
            wait = 0.0
            if not self._work:
                wait = 60.0
                if self._timers:
                    wait = max(0.0, self._timers[0][0] - time.monotonic())
            for fd, event in self._poll.poll(wait * 1000 + (1 if wait else 0)):
                if event & (select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL):
                    reader = self._readers.get(fd)
                    if reader is not None:
                        self._guard(reader)
                    elif fd in self._writers:
                        self._guard(self._writers[fd])
                        continue
                if event & select.POLLOUT and fd in self._writers:
                    self._guard(self._writers[fd])
