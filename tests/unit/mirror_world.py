"""A small world of one host's file, its agent, a link and a laptop, moved by random events.

The real tails of the agent and the real mirror of the laptop, joined by two queues of frames
instead of a channel; time is what the events say. The reference is the host's file itself.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import jobsync
from agents import mirror as mirror_module
from agents.events import Mirrored, MirrorFailed
from agents.jobsync import JobSync
from agents.mirror import StreamMirror
from agents.remote import identity, tail
from agents.remote.tail import Tails
from tests.unit.host_file import HostFile

JOB = "train-20240607-120000-abcd"


class Agent:
    """The tails of one agent, on a loop that runs as many steps as it is told."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._work: list[Any] = []
        self.backlog = 0
        self.on_drained: Callable[[], None] | None = None
        self.root = world.file.path.parent
        self.tails = Tails(self, self, self, self)

    def every(self, interval: float, callback: Callable[[], None]) -> None:
        self.tick = callback

    def work(self, steps: Any) -> None:
        self._work.append(steps)

    def run(self, steps: int) -> None:
        while self._work and steps:
            steps -= 1
            work = self._work.pop(0)
            try:
                next(work)
                self._work.append(work)
            except StopIteration:
                pass

    def folder(self, job_id: str) -> str:
        return str(self.root)

    def is_over(self, job_id: str) -> bool:
        return False

    def send(self, message: dict[str, Any], blob: bytes | None = None) -> None:
        self._world.to_laptop.append((message, blob))

    def receive(self, message: dict[str, Any]) -> None:
        if message["m"] == "tail":
            self.tails.subscribe(message)
        elif message["m"] == "untail":
            self.tails.unsubscribe(message["sub"])
        elif message["m"] == "credit":
            self.tails.credit(message["bytes"])

    def end(self) -> None:
        for number in list(self.tails._subs):
            self.tails.unsubscribe(number)


class Consumer:
    """What a reader of the events holds: it reads on from where it was, anew after a reset."""

    def __init__(self) -> None:
        self.data = b""
        self.failures = 0

    def take(self, event: Any) -> None:
        if isinstance(event, MirrorFailed):
            self.failures += 1
        if isinstance(event, Mirrored) and event.stream == "run":
            if event.reset:
                self.data = b""
            with event.path.open("rb") as file:
                file.seek(len(self.data))
                self.data += file.read(event.size - len(self.data))


class World:
    def __init__(self, folder: Path, seed: int, monkeypatch: Any) -> None:
        self.chance = random.Random(seed)
        (folder / "host").mkdir(parents=True)
        self.file = HostFile(folder / "host" / "run.jsonl", self.chance)
        self.root = folder / "runs"
        self.copy = self.root / "tower" / JOB / "run.jsonl"
        self.to_laptop: list[Any] = []
        self.to_host: list[dict[str, Any]] = []
        self.full = False
        self.aside: list[bytes] = []
        self.agent: Agent | None = None
        self.resets = 0
        self._patch(monkeypatch)
        self.restart_laptop()

    def _patch(self, monkeypatch: Any) -> None:
        for name, value in (("CHUNK", 3000), ("WINDOW", 9000)):
            monkeypatch.setattr(tail, name, value)
        monkeypatch.setattr(identity, "PIECE", 2000)
        monkeypatch.setattr(tail, "SPACING", 0.0)
        monkeypatch.setattr(jobsync, "RETRY", 0.0)
        # A chunk and what is owed must fit into the window, as 256 and 64 KiB fit into 1 MiB.
        monkeypatch.setattr(jobsync, "CREDIT", 3000)
        real_write, real_aside = os.pwrite, StreamMirror.set_aside
        real_atomic = mirror_module.write_atomic

        def pwrite(fd: int, data: Any, offset: int) -> int:
            if self.full:
                half = len(data) // 2
                if not half or self.chance.random() < 0.5:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real_write(fd, data[:half], offset)
            return real_write(fd, data, offset)

        def atomic(path: Path, data: bytes) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            real_atomic(path, data)

        def set_aside(mirror: StreamMirror) -> Path | None:
            present = mirror.path.read_bytes() if mirror.path.exists() else b""
            kept = real_aside(mirror)
            if kept is not None:
                self.aside.append(present)
            return kept

        monkeypatch.setattr(mirror_module.os, "pwrite", pwrite)
        monkeypatch.setattr(mirror_module, "write_atomic", atomic)
        monkeypatch.setattr(StreamMirror, "set_aside", set_aside)

    # -- events -------------------------------------------------------------------------

    def restart_laptop(self) -> None:
        self.cut_link()
        if hasattr(self, "sync"):
            self.sync.close()
        self.consumer = Consumer()
        if self.copy.exists():
            self.consumer.data = self.copy.read_bytes()
        self.sync = JobSync("tower", self.root, self.consumer.take)

    def cut_link(self) -> None:
        """Frames on their way are lost, and with them the agent."""
        self.to_laptop.clear()
        self.to_host.clear()
        if self.agent is not None:
            self.agent.end()
            self.agent = None
            self.sync.disconnected("cut")

    def connect(self) -> None:
        if self.agent is None:
            self.agent = Agent(self)
            self.sync.connected(self.to_host.append)
            self.sync._subscribe(JOB, "run")

    def fill_or_clear_the_disk(self) -> None:
        self.full = not self.full and self.chance.random() < 0.5

    def look(self) -> None:
        if self.agent is not None:
            self.agent.tick()
            self.agent.run(self.chance.choice((1, 3, 30)))

    def deliver(self) -> None:
        for _ in range(self.chance.choice((1, 2, 10))):
            if self.to_host and self.agent is not None:
                self.agent.receive(self.to_host.pop(0))
            if self.to_laptop:
                self.sync.receive(*self.to_laptop.pop(0))

    # -- the course of a world ----------------------------------------------------------

    async def run(self, steps: int) -> None:
        moves = [self.file.anything] * 16 + [self.look] * 16 + [self.deliver] * 24
        moves += [self.connect] * 12 + [self.cut_link] * 2
        moves += [self.restart_laptop, self.fill_or_clear_the_disk]
        for _ in range(steps):
            self.chance.choice(moves)()
            if self.chance.random() < 0.2:
                await asyncio.sleep(0)  # timers run
            self._check_readers()

    def _check_readers(self) -> None:
        readers = len(self.agent.tails._subs) if self.agent is not None else 0
        assert readers <= 1, "one file, one reader"

    async def settle(self) -> None:
        """No more harm: everything must come to rest with the host's bytes on the laptop."""
        self.full = False
        self.file.come_back()
        self.file.append()
        for _ in range(300):
            self.connect()
            self.agent.tick()
            self.agent.run(10_000)
            while self.to_host or self.to_laptop:
                self.deliver()
                self.agent.run(10_000)
            await asyncio.sleep(0)
            self._check_readers()
            compared = self.agent.tails._compare_at and not self.agent.tails._comparing
            if compared and self.copy.exists() and self.copy.read_bytes() == self.file.data:
                return

    def check(self) -> None:
        assert self.copy.read_bytes() == self.file.data
        assert self.consumer.data == self.file.data, "what a reader of the events holds"
        kept = sorted(self.copy.parent.glob("run.jsonl.old-*"), key=lambda p: int(p.name[14:]))
        assert [path.read_bytes() for path in kept] == self.aside
        self.cut_link()
        self.sync.close()
