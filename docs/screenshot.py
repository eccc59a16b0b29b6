"""Make the pictures of the README: run the demo for real, without a terminal, and save two screens.

python docs/screenshot.py [--steps 250]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from agents.loopback import stop_loopback
from tui.app import GonogoApp
from tui.demo_hosts import prepare, stop_followers, stop_jobs
from tui.roadmap.workspace import Workspace
from tui.screens.roadmap import RoadmapScreen
from tui.story import SERVER, TOWER, Story

DOCS = Path(__file__).parent
SIZE = (120, 36)


async def pictures(root: Path, steps: int) -> None:
    """Run the story and save the Roadmap and the Live screen while the experiment trains."""
    done = asyncio.Event()

    async def story(app: GonogoApp) -> None:
        try:
            await Story(app.fleet, app.commit, lambda _kind, text: print(text), steps).run()
        finally:
            done.set()

    app = GonogoApp(prepare(root, simulate=True), story, mode="live")
    async with app.run_test(size=SIZE) as pilot:
        half = steps // 2

        def training() -> bool:
            runs = app.fleet.store.runs.values()
            return any(run.arm == "experiment" and run.step > half for run in runs)

        while not training() and not done.is_set():
            await pilot.pause(0.2)
        app.save_screenshot("live.svg", str(DOCS))
        await pilot.press("1")
        await pilot.pause(0.5)
        if isinstance(app.screen, RoadmapScreen):
            app.screen.go_to("S1.K6")
        await pilot.pause(0.5)
        app.save_screenshot("roadmap.svg", str(DOCS))
        await asyncio.wait_for(done.wait(), 600)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=250)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory(prefix="gonogo-") as folder:
        root = Path(folder) / "demo"
        try:
            asyncio.run(pictures(root, steps))
        finally:
            asyncio.run(stop_jobs(Workspace.open(root)))
            stop_followers(root)
            for name in (TOWER, SERVER):
                stop_loopback(root / "hosts", name)


if __name__ == "__main__":
    main()
