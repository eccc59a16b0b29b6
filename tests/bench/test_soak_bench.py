"""Long runs at high speed, with the real app and widgets: six hours of a person, 21 hours of a pair of runs.

GONOGO_BENCH_SOAK=1 draws a frame for each second (and each ten of the pair's); without it a frame stands
for ten (and thirty) seconds.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.soak import Census, Player, soak_app
from tests.ui.conftest import until

GROWTH_MB = 10.0
HOURS, PAIR_HOURS = 6, 21
LONG = bool(os.environ.get("GONOGO_BENCH_SOAK"))
FRAME = 1.0 if LONG else 10.0


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_six_hours(tmp_path: Path) -> None:
    """All rooms, dialogs, chart keys and lost links each ten minutes."""
    app = soak_app(tmp_path)
    begun = time.monotonic()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.arrived, 60, "everything is imported")
        player = Player(app, pilot)
        await player.begin()
        for _ in range(2):  # caches fill
            await player.round(600, FRAME)
        first = Census.take(app)
        census = [first]
        while player.now < HOURS * 3600:
            await player.round(600, FRAME)
            census.append(Census.take(app))
    last = census[-1]
    half = census[len(census) // 2]
    spent = time.monotonic() - begun
    print(
        f"\n{player.now / 3600:.1f} hours in {spent:.0f} s: widgets {first.widgets} -> {last.widgets},"
        f" timers {first.timers} -> {last.timers}, tasks {first.tasks} -> {last.tasks}, objects"
        f" {first.objects:,} -> {last.objects:,}, RSS {first.rss_mb:.1f} -> {half.rss_mb:.1f} ->"
        f" {last.rss_mb:.1f} MB; covered screens drawn {player.covered_renders} times"
    )
    first.grown_to(last)
    assert player.covered_renders == 0
    assert last.rss_mb - first.rss_mb < GROWTH_MB


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_memory_of_a_pair_of_runs(tmp_path: Path) -> None:
    """15,120 points of five curves a run, a gauge a second, on the Live screen."""
    app = soak_app(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.arrived, 60, "everything is imported")
        player = Player(app, pilot)
        await player.begin()
        app.action_room("live")
        await pilot.pause()
        await player.play(600, 2.0)
        before = Census.take(app)
        while player.now < PAIR_HOURS * 3600:
            await player.play(3600, 10.0 if LONG else 30.0)
        after = Census.take(app)
    grown = after.rss_mb - before.rss_mb
    print(
        f"\n{player.now / 3600:.1f} hours of a pair, {sum(player.steps.values()):,} points: RSS"
        f" {before.rss_mb:.1f} -> {after.rss_mb:.1f} MB, {grown:+.1f} MB ({grown / GROWTH_MB:.2f} of"
        f" {GROWTH_MB:g}); objects {before.objects:,} -> {after.objects:,}"
    )
    assert grown < GROWTH_MB
