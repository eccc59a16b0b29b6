"""From the command to the first paint, beside a bare Textual app in the same run, in turns.

The first paint is the header with title and progress; the whole first frame is the roadmap with its
stages, boxes, detail and keys. Both from outside, in a pseudo-terminal of 120 x 40.
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

import pytest

from tests.bench.terminal import ENV, Terminal, cpu_seconds
from tui.roadmap.workspace import Workspace

LIMIT = 2.0
"""Times a bare app's start, for title and progress."""

WHOLE = 2.0
"""Times a bare app's start, for everything; measured 1.7 to 1.8."""

TURNS = int(os.environ.get("GONOGO_BENCH_STARTS", "7"))
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("bare-ready")
Bare().run()
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_first_paint_beside_a_bare_textual_app(tmp_path: Path) -> None:
    ws = Workspace.create(tmp_path / "ws", settings_text='title = "Bench"\nuser = "ana"\n')
    ws.tick("S0.T1", "user:ana")
    program = str(Path(sys.executable).with_name("gonogo"))
    env = ENV | {"HOME": str(tmp_path)}
    script = tmp_path / "bare.py"
    script.write_text(BARE)
    times: dict[str, list[float]] = {"bare": [], "paint": [], "whole": []}
    cpu: dict[str, list[float]] = {"bare": [], "whole": []}

    def started(argv: list[str], *steps: tuple[str, tuple[bytes, ...]]) -> None:
        terminal = Terminal(argv, env, tmp_path, (120, 40))
        try:
            for name, words in steps:
                times[name].append(terminal.seconds_to(*words))
            cpu.get(steps[-1][0], []).append(cpu_seconds(terminal.pid))
            if name == "whole":
                terminal.read(2.5)  # the app keeps its header for the next start
        finally:
            terminal.close()

    for turn in range(TURNS + 1):
        started([sys.executable, str(script)], ("bare", (b"bare-ready",)))
        started(
            [program, "-C", str(ws.root)],
            ("paint", (b"Bench", b"1/270")),
            ("whole", (b"quit", b"Gaming Tower", b"S0.T", b"State", b"Hardware")),
        )
        if not turn:  # files come from the disk, nothing is kept yet
            print(f"\nvery first start: paint {times['paint'][0]:.2f} s", end="")
            for found in (*times.values(), *cpu.values()):
                found.clear()
    bare, paint, whole = (statistics.median(times[name]) for name in times)
    print(
        f"\nfirst paint, title and progress: {paint:.3f} s, a bare Textual app {bare:.3f} s:"
        f" {paint / bare:.2f} x (limit {LIMIT:g}); whole first frame {whole:.3f} s:"
        f" {whole / bare:.2f} x (limit {WHOLE:g}); CPU {statistics.median(cpu['whole']):.2f} s beside"
        f" {statistics.median(cpu['bare']):.2f} s"
    )
    assert paint <= LIMIT * bare
    assert whole <= WHOLE * bare
