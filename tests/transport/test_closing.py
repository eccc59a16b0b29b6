"""Whatever a link is at, closing ends it: no task, descriptor or process stays."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path

import pytest

from agents import LinkState
from agents.login import LoginClient
from agents.remote.host import process_stat
from agents.session import Session


@pytest.mark.parametrize("hops", range(6))
async def test_a_cancellation_that_meets_the_end_of_the_login_is_not_lost(
    hops, sshd, make_link, monkeypatch, wait_until
):
    """`asyncio.wait_for` of Python 3.11 returns the connection instead, and nobody ends it."""
    watched = make_link()

    def later(left: int) -> None:
        if left:
            asyncio.get_running_loop().call_soon(later, left - 1)
        else:
            watched.task.cancel()

    monkeypatch.setattr(LoginClient, "auth_completed", lambda self: later(hops))
    watched.start()
    done, _ = await asyncio.wait({watched.task}, timeout=10)
    assert done, "the link went on"
    assert watched.task.cancelled()
    await wait_until(lambda: all(conn.is_closed() for conn in sshd.connections), 10)


async def test_a_cancelled_call_is_cancelled_also_when_its_answer_comes_at_that_moment():
    class Silent:
        def write(self, data: bytes) -> None: ...
        async def read_stderr(self) -> bytes:
            return b""

    session = Session("tower", Silent(), lambda message, blob: None)
    call = asyncio.create_task(session.call("jobs", {}))
    await asyncio.sleep(0)
    session._dispatch({"m": "result", "id": 1, "value": {}}, None)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def descriptors() -> set[str]:
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(f"{path.name} {path.readlink()}")
    return found


def children() -> list[int]:
    """Processes that this one started and that still run or wait to be reaped."""
    found = []
    for path in Path("/proc").iterdir():
        stat = process_stat(int(path.name)) if path.name.isdigit() else None
        if stat is not None and stat.ppid == os.getpid():
            found.append(int(path.name))
    return found


@pytest.mark.parametrize("local", [False, True], ids=["ssh", "local"])
async def test_closing_at_any_moment_leaves_nothing(local, sshd, make_link, wait_until):
    """Closed after n turns of the loop, for many n: from before the dial to well after it is live."""
    changes = {"local": True, "name": "local", "ssh": ""} if local else {}
    # What is made once and stays: the pool of threads, the resolver, the child watcher.
    await (await make_link(**changes).live()).close()
    await wait_until(lambda: not sshd.agent_pids())
    tasks, before = asyncio.all_tasks(), descriptors()
    for turns in [*range(0, 24, 3), 40, 80, 150, 300, 600]:
        watched = make_link(**changes).start()
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns == 600 and watched.link.state is LinkState.live:
            watched.link.drop()
        async with asyncio.timeout(20):
            await watched.link.close()
        await asyncio.wait({watched.task}, timeout=1)
        assert watched.task.done(), turns
    await wait_until(lambda: asyncio.all_tasks() <= tasks, 10, "tasks end")
    await wait_until(lambda: descriptors() <= before, 10, "descriptors are closed")
    await wait_until(lambda: not sshd.agent_pids())
    await wait_until(lambda: not children(), 10, "no process is left")
