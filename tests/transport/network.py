"""Networks that misbehave: hosts in namespaces of their own, and a proxy that is slow.

The namespaces have addresses that exist on this machine only; everything made here is
removed by `close`. Needs root, iproute2 and iptables.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Sequence

import pytest


def run(*argv: str) -> None:
    """Run a command of the test's own; its output goes with the failure."""
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=20)


def need_namespaces() -> None:
    """Skip with the reason where no network namespace can be made."""
    if os.getuid() != 0:
        pytest.skip("network namespaces need root")
    for program in ("ip", "iptables"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    name = f"gonogo-try-{os.getpid()}"
    try:
        run("ip", "netns", "add", name)
        run("ip", "netns", "exec", name, "iptables", "-L", "-n")
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"no network namespaces here: {getattr(error, 'stderr', '') or error}")
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


class Namespace:
    """A host of its own: `address` here reaches it over a veth pair that rules can break."""

    def __init__(self, number: int) -> None:
        self.name = f"gonogo{os.getpid() % 10000}x{number}"
        self.near, self.far = f"gnear{os.getpid() % 10000}x{number}", "host0"
        self.here, self.address = f"10.213.{number}.1", f"10.213.{number}.2"
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", self.near, "type", "veth", "peer", "name", self.far,
                "netns", self.name)  # fmt: skip
            run("ip", "addr", "add", f"{self.here}/30", "dev", self.near)
            run("ip", "link", "set", self.near, "up")
            for words in (
                ("addr", "add", f"{self.address}/30", "dev", self.far),
                ("link", "set", self.far, "up"),
                ("link", "set", "lo", "up"),
            ):
                run(*self.inside("ip", *words))
        except BaseException:
            self.close()
            raise

    def inside(self, *argv: str) -> Sequence[str]:
        """`argv` run in the namespace."""
        return ("ip", "netns", "exec", self.name, *argv)

    def rule(self, action: str, *match: str) -> None:
        """Append ("-A") or delete ("-D") a rule that drops packets of both directions."""
        for chain in ("INPUT", "OUTPUT"):
            run(*self.inside("iptables", action, chain, *match, "-j", "DROP"))

    def black_hole(self, on: bool) -> None:
        """Drop every packet, without a reset, until switched off."""
        self.rule("-A" if on else "-D")

    def lossy(self, probability: float) -> None:
        """Drop packets at random in both directions."""
        self.rule("-A", "-m", "statistic", "--mode", "random", "--probability", str(probability))

    def dropped(self) -> int:
        """Packets that the rules dropped so far."""
        listing = subprocess.run(
            self.inside("iptables", "-L", "-v", "-n", "-x"),
            check=True, capture_output=True, text=True, timeout=20,
        ).stdout  # fmt: skip
        rows = [line.split() for line in listing.splitlines()]
        return sum(int(row[0]) for row in rows if len(row) > 2 and row[2] == "DROP")

    def close(self) -> None:
        subprocess.run(["ip", "link", "del", self.near], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)


class SlowProxy:
    """TCP with a long way: `delay` s +- `jitter` each way, stalls, and one-byte trickles.

    Seeded; order is kept. `stalls` and `trickles` count what was done.
    """

    def __init__(self, target: tuple[str, int], seed: int, delay: float, jitter: float) -> None:
        self.target, self.delay, self.jitter = target, delay, jitter
        self.stalls = self.trickles = 0
        self.port = 0
        self._random = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> SlowProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self.target)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
            for work in (self._take(source, queue), self._give(queue, sink)):
                task = asyncio.create_task(work)
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _take(
        self, source: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        due = 0.0
        with contextlib.suppress(OSError):
            while data := await source.read(16384):
                wait = self.delay + self._random.uniform(-self.jitter, self.jitter)
                if self._random.random() < 0.01:
                    self.stalls += 1
                    wait += 1.5
                due = max(due, time.monotonic() + wait)
                queue.put_nowait((due, data))
        queue.put_nowait((due, b""))

    async def _give(
        self, queue: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    break
                if self._random.random() < 0.1:
                    self.trickles += 1
                    for byte in data[:64]:
                        sink.write(bytes([byte]))
                        await sink.drain()
                        await asyncio.sleep(0)
                    data = data[64:]
                sink.write(data)
                await sink.drain()
        sink.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
