"""Hundreds of random worlds: the copy ends equal to the host's file, whatever happened to both."""

from __future__ import annotations

import asyncio
import os

import pytest

from agents import jobsync
from agents.mirror import StreamMirror
from agents.remote import identity, tail
from agents.remote.identity import Sent
from tests.unit.mirror_world import JOB, World

WORLDS = int(os.environ.get("GONOGO_WORLDS", "300"))
GROUP = 50
STEPS = 200


@pytest.mark.timeout(120)
@pytest.mark.parametrize("group", range(-(-WORLDS // GROUP)))
async def test_every_world_ends_with_the_hosts_bytes(group, tmp_path):
    asides = failures = 0
    for seed in range(group * GROUP, min(WORLDS, (group + 1) * GROUP)):
        with pytest.MonkeyPatch.context() as patch:
            world = World(tmp_path / str(seed), seed, patch)
            try:
                await world.run(STEPS)
                await world.settle()
                world.check()
            except BaseException:
                print(f"world {seed}")
                raise
            asides += len(world.aside)
            failures += world.consumer.failures
    print(f"\n{GROUP} worlds: {asides} copies set aside, {failures} refused writes")
    assert asides > GROUP // 2, "the worlds must hold what they are made for"


@pytest.fixture
async def world(tmp_path, monkeypatch):
    """A live link whose copy is up to date, and a `look` of the agent that is delivered whole."""
    world = World(tmp_path, 1, monkeypatch)
    world.file.path.write_bytes(b"first\n" * 5000)
    os.utime(world.file.path, (1_600_000_000, 1_600_000_000))
    world.connect()
    look(world)
    assert world.copy.read_bytes() == b"first\n" * 5000
    yield world
    world.cut_link()
    world.sync.close()


def look(world: World, compare: bool = False) -> None:
    """One look of the agent, and all that follows from it. Without the slow comparison: the quick one."""
    for _ in range(12):
        world.agent.tails._comparing = not compare
        world.agent.tick()
        world.agent.run(10_000)
        while world.to_host or world.to_laptop:
            world.deliver()
            world.agent.run(10_000)


def rewrite(path, data: bytes, new_inode: bool = False) -> None:
    if new_inode:
        path.with_name("other").write_bytes(data)
        path.with_name("other").replace(path)
    else:
        path.write_bytes(data)
    os.utime(path, (1_600_000_100, 1_600_000_100))


@pytest.mark.parametrize("new_inode", [False, True])
@pytest.mark.parametrize("length", [5000, 5001, 9000])
async def test_a_file_rewritten_without_becoming_shorter_is_a_new_mirror(world, length, new_inode):
    for text in (b"other\n", b"first\n" * 4999 + b"OTHER\n"):
        data = (text * length)[: 6 * length]
        before = world.copy.read_bytes()
        rewrite(world.file.path, data, new_inode)
        look(world)
        assert world.copy.read_bytes() == data
        assert world.aside[-1] == before
        assert world.consumer.data == data


@pytest.mark.parametrize("while_away", [False, True], ids=["agent stays", "new connection"])
async def test_a_file_that_was_away_for_one_look_and_is_back_as_another(world, while_away):
    world.file.path.unlink()
    look(world)
    if while_away:
        world.cut_link()
    world.file.path.write_bytes(b"other\n" * 6000)  # often the same inode number again
    world.connect()
    look(world)
    assert world.copy.read_bytes() == b"other\n" * 6000
    assert world.aside == [b"first\n" * 5000]


@pytest.mark.parametrize("grown", [False, True])
@pytest.mark.parametrize("resumed", [False, True])
async def test_an_edit_far_from_both_ends_is_found_by_comparing_all(world, grown, resumed):
    if resumed:
        world.restart_laptop()
    data = bytearray(b"first\n" * 5000 + (b"more\n" * 100 if grown else b""))
    data[15_000] ^= 1
    rewrite(world.file.path, bytes(data))
    world.connect()
    look(world, compare=True)
    assert world.copy.read_bytes() == bytes(data)
    # What grew may have been copied before the edit was found.
    assert [kept[:30_000] for kept in world.aside] == [b"first\n" * 5000]


async def test_comparing_costs_a_thousandth_of_the_time(world, monkeypatch):
    """After one comparison the next waits a thousand times as long as it took."""
    monkeypatch.setattr(tail, "SPACING", 1000.0)
    now = [100.0]
    monkeypatch.setattr(identity.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Sent, "compare", lambda self, fd: iter([0.25, 0.25]))
    rewrite(world.file.path, b"first\n" * 5001)
    look(world, compare=True)
    assert world.agent.tails._compare_at == 600.0


async def test_a_pipe_in_the_place_of_a_journal_stops_nothing(world):
    world.file.path.unlink()
    os.mkfifo(world.file.path)
    look(world)
    assert world.aside == [b"first\n" * 5000]
    world.file.path.unlink()
    world.file.append()
    look(world)
    assert world.copy.read_bytes() == world.file.data


async def test_a_full_disk_here_and_a_drop_lead_to_one_subscription(world):
    """The retry of the old connection must not ask once more on the new one."""
    world.full = True
    world.file.append()
    look(world)
    assert world.consumer.failures
    world.cut_link()
    world.full = False
    world.connect()
    for _ in range(5):
        await asyncio.sleep(0)
    look(world)
    assert len(world.agent.tails._subs) == 1
    assert world.consumer.data == world.file.data


async def test_nothing_is_asked_after_the_end(world):
    world.full = True
    world.file.append()
    look(world)
    world.sync.close()
    world.to_host.clear()
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.to_host == []


async def test_a_long_copy_is_summed_outside_the_loop_and_asked_for_once(world, monkeypatch):
    monkeypatch.setattr(jobsync, "SUM_AT_ONCE", 1000)
    world.restart_laptop()
    world.file.append()
    world.connect()
    for _ in range(3):
        world.sync._subscribe(JOB, "run")
    assert world.to_host == []
    await asyncio.gather(*world.sync._summing.values())
    look(world)
    assert world.copy.read_bytes() == world.file.data
    world.restart_laptop()
    world.connect()
    world.sync.disconnected("cut while summing")
    await asyncio.sleep(0.05)
    assert world.to_host == []


async def test_two_programs_set_one_copy_aside_once(world):
    """The second finds the new copy in its place and leaves it."""
    second = StreamMirror(world.copy)
    assert second.cursor()[0] == 30_000
    rewrite(world.file.path, b"other\n" * 10)
    look(world)
    assert second.set_aside() is None
    assert world.copy.read_bytes() == b"other\n" * 10


def test_what_is_owed_never_stops_the_host() -> None:
    assert tail.CHUNK + jobsync.CREDIT <= tail.WINDOW
