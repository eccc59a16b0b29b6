"""Copies are byte for byte the host's, however often and wherever the link is cut."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agents import Mirrored, bootstrap
from agents.mirror import StreamMirror
from tests.transport.conftest import Proxy, Watched
from tests.transport.openssh import OpenSsh

SEED = 20240607
CUTS = int(os.environ.get("GONOGO_CUTS", "60"))
JOB = "train-20240607-120000-abcd"


class Writer:
    """Appends journal lines to a file in bursts, as a training job on the host does."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.lines = 0
        self.stopped = False
        self._random = random.Random(seed)

    async def run(self) -> None:
        with self.path.open("ab", buffering=0) as file:
            while not self.stopped:
                for _ in range(self._random.randrange(1, 400)):
                    line = {
                        "v": 1,
                        "kind": "point",
                        "step": self.lines,
                        "loss": self._random.random(),
                    }
                    file.write(json.dumps(line).encode() + b"\n")
                    self.lines += 1
                await asyncio.sleep(self._random.uniform(0.0, 0.02))


def make_job(home: Path, job_id: str = JOB) -> Path:
    folder = home / ".gonogo/jobs" / job_id
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"job_id": job_id, "name": "train"}))
    return folder


def count_points(path: Path) -> int:
    """Lines of the copy, each the one that is due: nothing lost, doubled or out of order."""
    due = 0
    with path.open("rb") as file:
        for due, line in enumerate(file, 1):
            assert json.loads(line)["step"] == due - 1
    return due


async def cut_at_random(sshd, proxy, make_link, wait_until, cuts: int) -> tuple[Path, Path, int]:
    """Mirror a growing file through `cuts` cuts; (the host's file, the copy, cuts that hit)."""
    folder = make_job(sshd.home)
    writer = Writer(folder / "run.jsonl", SEED)
    growing = asyncio.create_task(writer.run())
    watched = make_link(proxy.port, gauge_interval=0.2)
    generator = random.Random(SEED)
    hit = 0
    for _ in range(cuts):
        # From inside the SSH handshake to well inside the backfill.
        proxy.budget = int(10 ** generator.uniform(2.0, 6.0))
        watched.link.retry_now()
        if watched.task is None:
            watched.start()
        deadline = time.monotonic() + 2
        while proxy.budget is not None and time.monotonic() < deadline:
            watched.link.retry_now()
            await asyncio.sleep(0.01)
        hit += proxy.budget is None
        proxy.budget = None
        proxy.cut()
    writer.stopped = True
    await growing
    source, copy = folder / "run.jsonl", watched.root / "tower" / JOB / "run.jsonl"
    size = source.stat().st_size

    def caught_up() -> bool:
        watched.link.retry_now()
        return copy.exists() and copy.stat().st_size >= size

    await wait_until(caught_up, 30, "the copy catches up")
    return source, copy, hit


@pytest.mark.slow
@pytest.mark.timeout(60 + CUTS)
async def test_random_cuts_lose_and_double_nothing(sshd, proxy, make_link, wait_until):
    source, copy, hit = await cut_at_random(sshd, proxy, make_link, wait_until, CUTS)
    assert hit >= CUTS * 3 // 4, "most cuts must fall where bytes flow"
    assert copy.read_bytes() == source.read_bytes()
    points = count_points(copy)
    assert points > 10_000
    assert not list(copy.parent.glob("*.old-*")), "the same file must never count as another one"
    print(f"\n{hit} cuts, {points} points, 0 lost, 0 doubled, {copy.stat().st_size} bytes")


@pytest.mark.slow
@pytest.mark.sshd
@pytest.mark.timeout(60 + CUTS)
async def test_random_cuts_of_openssh_lose_and_double_nothing(
    tmp_path, client_key, watch, wait_until
):
    """The same through OpenSSH's own server."""
    server = OpenSsh(tmp_path / "openssh", client_key, settings="MaxStartups 500\n").start()
    proxy = Proxy(server.port)
    await proxy.start()
    known = tmp_path / "known_hosts"
    key = (tmp_path / "openssh/known_hosts").read_text().split(" ", 1)[1]
    known.write_text(f"[127.0.0.1]:{proxy.port} {key}")
    made = []

    def make(port: int, gauge_interval: float) -> Watched:
        spec = server.spec("tower")
        made.append(
            watch(replace(spec, ssh=f"root@127.0.0.1:{port}", known_hosts=known,
                          gauge_interval=gauge_interval))
        )  # fmt: skip
        return made[-1]

    try:
        source, copy, hit = await cut_at_random(server, proxy, make, wait_until, CUTS)
        assert hit >= CUTS * 2 // 3
        assert copy.read_bytes() == source.read_bytes()
        points = count_points(copy)
        print(f"\nOpenSSH: {hit} cuts, {points} points, 0 lost, 0 doubled")
    finally:
        for watched in made:
            await watched.link.close()
        await proxy.stop()
        server.stop()


@pytest.mark.slow
async def test_the_test_sees_a_reader_that_resumes_one_byte_off(
    sshd, proxy, make_link, wait_until, monkeypatch
):
    """Negative control: a cursor one short, without the checks that would notice."""

    def off_by_one(self):
        return max(0, self.size - 1), {}

    def append_anyway(self, offset, data, ino):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(data)
        return self.size

    monkeypatch.setattr(StreamMirror, "cursor", off_by_one)
    monkeypatch.setattr(StreamMirror, "append", append_anyway)
    monkeypatch.setattr(StreamMirror, "set_aside", lambda self: None)
    tail = (bootstrap.REMOTE / "tail.py").read_text()
    blind = tail.replace("same = sub.sent.begins(sub.fd, sub.identity)", "same = True")
    assert blind != tail
    original = bootstrap._sources

    def sources(names):
        modules = original(names)
        if "agents.remote.tail" in modules:
            modules["agents.remote.tail"] = blind
        return modules

    monkeypatch.setattr(bootstrap, "_sources", sources)
    bootstrap.build_payload.cache_clear()
    try:
        source, copy, _ = await cut_at_random(sshd, proxy, make_link, wait_until, 12)
        assert copy.read_bytes() != source.read_bytes()
    finally:
        bootstrap.build_payload.cache_clear()


async def test_a_replaced_file_is_a_new_mirror(sshd, make_link, wait_until):
    folder = make_job(sshd.home)
    (folder / "run.jsonl").write_bytes(b"first\n" * 100)
    watched = make_link()
    await watched.live()
    copy = watched.root / "tower" / JOB / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.stat().st_size == 600)
    (folder / "new").write_bytes(b"second\n" * 200)
    (folder / "new").replace(folder / "run.jsonl")
    await wait_until(lambda: copy.exists() and copy.read_bytes() == b"second\n" * 200)
    assert (copy.parent / "run.jsonl.old-1").read_bytes() == b"first\n" * 100
    assert [e.reset for e in watched.mirrored("run")].count(True) == 1


@pytest.mark.parametrize("how", ["rewritten", "cut short", "replaced"])
async def test_a_file_changed_while_away_is_a_new_mirror(how, sshd, make_link, wait_until):
    folder = make_job(sshd.home)
    path = folder / "run.jsonl"
    path.write_bytes(b"first\n" * 100)
    watched = make_link()
    link = await watched.live()
    copy = watched.root / "tower" / JOB / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.stat().st_size == 600)
    await link.close()
    if how == "rewritten":  # the same inode, longer, another beginning
        path.write_bytes(b"again\n" * 150)
    elif how == "cut short":
        path.write_bytes(b"first\n" * 10)
    else:  # another inode that begins alike
        (folder / "new").write_bytes(b"first\n" * 120)
        (folder / "new").replace(path)
    again = make_link()
    await again.live()
    await wait_until(lambda: copy.exists() and copy.read_bytes() == path.read_bytes(), what=how)
    assert (copy.parent / "run.jsonl.old-1").read_bytes() == b"first\n" * 100
    assert again.mirrored("run")[0].reset


async def test_a_restarted_laptop_goes_on_where_the_copy_ends(sshd, make_link, wait_until):
    folder = make_job(sshd.home)
    path = folder / "run.jsonl"
    path.write_bytes(b"0123456789" * 1000)
    first = make_link()
    link = await first.live()
    copy = first.root / "tower" / JOB / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.stat().st_size == 10_000)
    await link.close()
    with path.open("ab") as file:
        file.write(b"more")
    second = make_link()
    await second.live()
    await wait_until(lambda: copy.stat().st_size == 10_004)
    events = second.mirrored("run")
    assert [(e.size, e.reset) for e in events] == [(10_004, False)]
    assert copy.read_bytes() == path.read_bytes()


async def test_two_programs_may_mirror_into_one_workspace(sshd, make_link, wait_until):
    folder = make_job(sshd.home)
    writer = Writer(folder / "run.jsonl", 7)
    growing = asyncio.create_task(writer.run())
    one, two = make_link(), make_link()
    await asyncio.gather(one.live(), two.live())
    await asyncio.sleep(1.5)
    writer.stopped = True
    await growing
    source = (folder / "run.jsonl").read_bytes()
    copy = one.root / "tower" / JOB / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.stat().st_size >= len(source))
    assert copy.read_bytes() == source


async def test_a_copy_that_was_damaged_here_is_made_anew(sshd, make_link, wait_until):
    folder = make_job(sshd.home)
    (folder / "run.jsonl").write_bytes(b"line\n" * 1000)
    first = make_link()
    link = await first.live()
    copy = first.root / "tower" / JOB / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.stat().st_size == 5000)
    await link.close()
    with copy.open("r+b") as file:  # what a crash of the laptop may leave: zeros at the end
        file.seek(4900)
        file.write(b"\0" * 100)
    await make_link().live()
    await wait_until(lambda: copy.exists() and copy.read_bytes() == b"line\n" * 1000)


async def test_a_full_disk_here_is_told_and_survived(sshd, make_link, wait_until, monkeypatch):
    from agents import MirrorFailed, jobsync

    monkeypatch.setattr(jobsync, "RETRY", 0.2)
    folder = make_job(sshd.home)
    (folder / "run.jsonl").write_bytes(b"line\n" * 1000)
    real, failures = StreamMirror.append, {"left": 2}

    def full(self, offset, data, ino):
        if failures["left"]:
            failures["left"] -= 1
            raise OSError(28, "No space left on device", str(self.path))
        return real(self, offset, data, ino)

    monkeypatch.setattr(StreamMirror, "append", full)
    watched = make_link()
    await watched.live()
    copy = watched.root / "tower" / JOB / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.read_bytes() == b"line\n" * 1000)
    assert "No space left on device" in watched.of(MirrorFailed)[0].reason


async def test_backfill_of_a_long_outage(sshd, make_link, wait_until):
    folder = make_job(sshd.home)
    line = json.dumps({"v": 1, "kind": "point", "t": 1, "step": 1, "loss": 1.5, "epoch": 0.1})
    data = (line.encode() + b"\n") * 200_000
    (folder / "run.jsonl").write_bytes(data)
    watched = make_link()
    await watched.live()
    began = time.monotonic()
    await wait_until(
        lambda: watched.mirrored("run") and watched.mirrored("run")[-1].behind == 0, 60
    )
    seconds = time.monotonic() - began
    copy = watched.root / "tower" / JOB / "run.jsonl"
    assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(data).digest()
    assert any(isinstance(e, Mirrored) and e.behind > 0 for e in watched.events)
    print(f"\n200000 points, {len(data) / 1e6:.1f} MB in {seconds:.2f} s")
