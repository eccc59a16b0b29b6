"""The app from outside, as a person has it: keys, output and CPU at rest, memory, with two live hosts.

Two SSH hosts on the loopback, a control run on one and an experiment run on the other, each growing by
10 points a second, all rooms opened once. Everything is taken from the pseudo-terminal and from /proc.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.terminal import Terminal, cpu_seconds, rss_mb
from tests.bench.world import RATE, World, world

POINTS = 100_000
MEDIAN_MS, P99_MS = 16.0, 50.0
OUTPUT_KIB_S, CPU_PERCENT = 10.0, 3.0
MEMORY_MB = {100_000: 150.0, 500_000: 200.0}
"""Steps of each run, each told with five numbers, and the limit: a million points, then a million steps."""
SECONDS = float(os.environ.get("GONOGO_BENCH_REST", "5"))
ROUNDS = int(os.environ.get("GONOGO_BENCH_KEYS", "25"))
ROOMS = ("roadmap", "gate", "budget", "metrics", "live", "journal", "notes", "jobs")
KEYS: tuple[tuple[str, str], ...] = (
    ("5", "Live"), ("l", "┤"), ("x", "┤"), ("+", "┤"), ("\x1b[D", "┤"), ("f", "┤"), ("l", "┤"),
    ("x", "┤"), ("x", "┤"), ("x", "┤"), ("x", "┤"), ("8", "Jobs"), ("3", "Budget"), ("6", "Journal"),
    ("2", "Gate"), ("1", "Gaming Tower"), ("j", "S0.T2"), ("j", "S0.T3"), ("k", "S0.T2"),
    ("k", "S0.T1"), ("]", "S1"), ("[", "S0"),
)  # fmt: skip
"""Key and what its frame must hold: rooms, the chart's keys, the roadmap's cursor and stages."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("world"), POINTS) as made:
        yield made


@pytest.fixture(scope="module")
def app(trained: World) -> Iterator[Terminal]:
    """The app with all rooms opened once and everything loaded."""
    terminal = trained.app()
    try:
        terminal.seconds_to(b"quit")
        terminal.read(4)
        for number in range(1, len(ROOMS) + 1):
            os.write(terminal.fd, str(number).encode())
            terminal.read(1)
        yield terminal
    finally:
        terminal.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_key_to_frame(app: Terminal) -> None:
    """From the key's byte to the frame that answers it, any room, hosts live, points coming in."""
    times: list[tuple[float, str]] = []
    for turn in range(ROUNDS):
        for number, (key, answer) in enumerate(KEYS):
            app.read(0.03 + 0.017 * ((turn + number) % 5))
            times.append((app.press(key, answer.encode()), key))
    spent = sorted(ms for ms, _ in times)
    median, p99 = statistics.median(spent), spent[int(len(spent) * 0.99) - 1]
    slow = ", ".join(f"{key!r} {ms:.0f}" for ms, key in sorted(times)[-3:])
    print(
        f"\nkey to frame, 2 hosts at {RATE} points/s, 2 x {POINTS:,} points, {len(spent)} keys:"
        f" median {median:.1f} ms ({median / MEDIAN_MS:.2f} of {MEDIAN_MS:g}), p99 {p99:.1f} ms"
        f" ({p99 / P99_MS:.2f} of {P99_MS:g}); slowest {slow}"
    )
    assert median <= MEDIAN_MS
    assert p99 <= P99_MS


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_output_and_cpu_at_rest(app: Terminal) -> None:
    """Nobody touches a key; the runs grow on."""
    figures = {}
    for number, room in enumerate(ROOMS, start=1):
        os.write(app.fd, str(number).encode())
        app.read(2.5)
        before, app.out = cpu_seconds(app.pid), b""
        app.cost(SECONDS)
        figures[room] = (
            len(app.out) / 1024 / SECONDS,
            100 * (cpu_seconds(app.pid) - before) / SECONDS,
        )
    for room, (output, cpu) in figures.items():
        print(
            f"\nat rest on {room}, 120x40: {output:.2f} KiB/s ({output / OUTPUT_KIB_S:.2f} of"
            f" {OUTPUT_KIB_S:g}), {cpu:.1f} % of a core ({cpu / CPU_PERCENT:.2f} of {CPU_PERCENT:g})",
            end="",
        )
    print()
    assert max(output for output, _ in figures.values()) <= OUTPUT_KIB_S
    assert max(cpu for _, cpu in figures.values()) <= CPU_PERCENT


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("steps", sorted(MEMORY_MB))
def test_memory_with_a_million_points(tmp_path: Path, steps: int) -> None:
    """Two long runs of five curves each, on the Live screen."""
    limit = MEMORY_MB[steps]
    with world(tmp_path, steps) as made:
        terminal = made.app()
        try:
            terminal.seconds_to(b"quit")
            os.write(terminal.fd, b"5")
            first = terminal.curve_seconds()
            for _ in range(60):
                before = rss_mb(terminal.pid)
                terminal.read(2)
                if abs(rss_mb(terminal.pid) - before) < 0.2:
                    break
            rss = rss_mb(terminal.pid)
        finally:
            terminal.close()
    print(
        f"\n2 hosts, 2 x {steps:,} steps, {10 * steps:,} points: {rss:.0f} MB resident"
        f" ({rss / limit:.2f} of {limit:g}), first curve after {first:.2f} s"
    )
    assert rss <= limit
