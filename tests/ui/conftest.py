"""What every test of the app pins: no animation, UTC, no environment that changes colours or sizes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from agents.loopback import stop_loopback
from tui.demo_hosts import stop_followers
from tui.roadmap.workspace import Workspace
from tui.screens import unasked


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr(unasked, "GRACE", 0.0)
    for name in ("NO_COLOR", "TEXTUAL_THEME", "GONOGO_ASCII"):
        monkeypatch.delenv(name, raising=False)
    time.tzset()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """The shipped plan in an empty folder, without any host."""
    text = 'title = "AI Training Demo"\nuser = "ana"\n'
    return Workspace.create(tmp_path / "ws", settings_text=text)


@pytest.fixture
def demo_root(tmp_path: Path) -> Iterator[Path]:
    """A folder for a demo whose SSH servers end with the test."""
    root = tmp_path / "demo"
    yield root
    stop_followers(root)
    for name in ("tower", "server"):
        stop_loopback(root / "hosts", name)


async def until(pilot: Pilot[None], ready: Callable[[], object], timeout: float, what: str) -> None:
    """Let the app work until `ready()` is true; fails naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}"
        await pilot.pause()
        await asyncio.sleep(0.05)
