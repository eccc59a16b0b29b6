"""Scenario 28: 80x24, no colour, LANG=C. The real program in a pseudo-terminal, and every screen by keys."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.ui.conftest import until
from tui import vocabulary
from tui.app import GonogoApp
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace
from tui.screens.room import Room
from tui.widgets.row_list import RowList

ROOT = Path(__file__).parents[2]
ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*\x1b\\|[ -/]*[0-~])"
)


class Terminal:
    """`gonogo` in a pseudo-terminal of 80x24."""

    def __init__(self, root: Path, *args: str, **env: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            base = {
                k: v
                for k, v in os.environ.items()
                if not k.startswith(("LC_", "LANG", "PYTHONUTF8"))
            }
            argv = [sys.executable, "-m", "tui.cli", "-C", str(root), *args]
            os.chdir(ROOT)
            os.execve(sys.executable, argv, {**base, "TERM": "xterm-256color", **env})  # noqa: S606
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.seen = b""

    def read_until(self, text: bytes, seconds: float = 8) -> bytes:
        """What came since the last call, up to and with `text`."""
        deadline, fresh = time.monotonic() + seconds, b""
        while text not in ESCAPES.sub(b"", fresh):
            assert time.monotonic() < deadline, f"no {text!r} in {ESCAPES.sub(b'', fresh)[-600:]!r}"
            if select.select([self.fd], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):
                    chunk = os.read(self.fd, 65536)
                    fresh += chunk
                    self.seen += chunk
        return fresh

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.mark.parametrize(
    ("args", "env"), [((), {"LANG": "C", "NO_COLOR": "1"}), (("--ascii",), {"LANG": "C.UTF-8"})]
)
def test_scenario_28_not_one_byte_above_7f(
    workspace: Workspace, args: tuple[str, ...], env: dict[str, str]
) -> None:
    workspace.tick("S0.T1", "user:ana", "gesehen — für gut befunden ✓")
    workspace.note("S0", "ein Häkchen ☑ über “alles”", "user:ana")
    terminal = Terminal(workspace.root, *args, **env)
    try:
        terminal.read_until(b"[x]")
        # Screens and overlays that close by a letter: an escape could be read together with the next key.
        for keys, text in (
            ("2", b"rule"), ("3", b"Total"), ("4", b"etrics"), ("5", b"metric"), ("6", b"records"),
            ("\r", b"back"), ("q", b"records"), ("7", b"lessons"), ("1", b"[x]"), ("?", b"search"),
            ("q", b"[x]"), (":", b"verify ID"), ("gate\r", b"rule"), ("$", b"Amount"),
        ):  # fmt: skip
            terminal.press(keys)
            terminal.read_until(text)
    finally:
        terminal.close()
    foreign = sorted({bytes([b]) for b in terminal.seen if b > 0x7F})
    assert foreign == []
    if "NO_COLOR" in env:
        colours = re.findall(rb"\x1b\[[0-9;]*[34]8;2;(\d+);(\d+);(\d+)", terminal.seen)
        assert all(r == g == b for r, g, b in colours)


def test_the_same_look_finds_what_is_drawn_in_utf8(workspace: Workspace) -> None:
    terminal = Terminal(workspace.root, LANG="C.UTF-8")
    try:
        terminal.read_until(b"[ ]")
        terminal.press("3")
        terminal.read_until(b"Total")
    finally:
        terminal.close()
    assert any(b > 0x7F for b in terminal.seen)


async def test_scenario_28_fourteen_rows_a_footer_and_words_for_every_state(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(vocabulary, "marks", vocabulary.ASCII)
    words = ("PASS", "WARN", "FAIL", "ERROR", "TIMEOUT", "UNREACHABLE", "STALE")
    verdicts = [
        Verdict(f"S0.T{n}", word, "a", "b", at=1, by="probe:tower")  # type: ignore[arg-type]
        for n, word in enumerate(words, start=1)
    ]
    workspace.record_verdicts(verdicts, "probe:tower")
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, Room) and app.screen.ready, 5, "the room")
        await pilot.pause()
        shown = ["".join(s.text for s in strip) for strip in app.screen._compositor.render_strips()]
        assert all(line.isascii() for line in shown)
        boxes = app.screen.query_one("#boxes", RowList)
        items = [line for line in shown if re.search(r"\[[ x]\] +[TSLC]\d", line)]
        assert len(items) >= 14, "\n".join(shown)
        assert "[x] T1" in items[0]
        for line, word in zip(
            items, ("ok", "WARN", "FAIL", "ERR", "SLOW", "no link", "old"), strict=False
        ):
            assert word in line
        assert "? help" in "\n".join(shown[-2:])
        assert boxes.size.height >= 14
