"""Checks of the machines by keys: one that passes, one that fails later, a tower that is off."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ui.conftest import until
from tests.ui.test_account_scenarios import open_box, records, row_of
from tui.app import GonogoApp
from tui.fleet import Fleet
from tui.roadmap.attention import attention
from tui.roadmap.workspace import Workspace

HOSTS = """user = "ana"
[hosts.tower]
role = "tower"
ssh = "nobody@127.0.0.1:1"
known_hosts = "/nonexistent"
"""


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Workspace.create(tmp_path / "ws", settings_text=HOSTS)


async def test_scenarios_04_and_07_a_driver_passes_and_fails_later(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = "560.94"

    async def probe(self: Fleet, host: str, name: str, **params: Any) -> dict[str, Any]:
        card = {"driver_version": driver, "name": "NVIDIA GeForce RTX 4070 Ti", "total_mib": 12282}
        return {"program": "nvidia-smi", "code": 0, "text": "", "cuda": "12.6", "cards": [card]}

    monkeypatch.setattr(Fleet, "probe", probe)
    for box in [b.id for b in ws.document.section("S0").boxes if b.id != "S0.T2"]:  # type: ignore[union-attr]
        ws.tick(box, "user:ana")
    ws.set_field("S0.date", "2026-01-05", "user:ana")
    app = GonogoApp(ws)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await open_box(app, pilot, "S0.T2")
        await pilot.press("v")
        await until(pilot, lambda: "S0.T2" in ws.state.ticks, 5, "the tick")
        assert ws.state.verdicts["S0.T2"].found == "560.94 >= 535"
        assert ws.state.ticks["S0.T2"].by == "probe:tower"
        before, at = len(attention(ws)), ws.state.ticks["S0.T2"].at
        driver = "530.30"
        await pilot.press("v")
        await until(pilot, lambda: ws.state.verdicts["S0.T2"].verdict == "FAIL", 5, "the failure")
        await until(pilot, lambda: "FAIL" in row_of(app, "#boxes", "S0.T2").plain, 5, "its row")
        row = row_of(app, "#boxes", "S0.T2").plain
        assert "[x]" in row
        assert len(attention(ws)) == before + 1
        assert attention(ws)[0].text == "expected >= 535, found 530.30"
        assert ws.state.ticks["S0.T2"].at == at
        assert ws.state.fields["S0.date"].value == "2026-01-05"


async def test_scenario_05_the_tower_is_off(ws: Workspace) -> None:
    ws.tick("S0.T4", "user:ana")
    at = ws.state.ticks["S0.T4"].at
    app = GonogoApp(ws)
    async with app.run_test(size=(120, 36)) as pilot:
        await open_box(app, pilot, "S0.T1")
        before, began = records(ws.root), time.monotonic()
        await pilot.press("V")
        await pilot.press("down")
        assert app.screen.current_key() == "S0.T2", "the screen answers meanwhile"  # type: ignore[attr-defined]
        await until(pilot, lambda: "S0.T7" in ws.state.verdicts, 15, "the verdicts")
        assert time.monotonic() - began < 10
        tower = [ws.state.verdicts[f"S0.T{n}"].verdict for n in range(1, 8)]
        assert tower == ["UNREACHABLE"] * 7
        assert records(ws.root) == before + 1
        last = json.loads((ws.root / "state.jsonl").read_bytes().splitlines()[-1])
        assert {"S0.T1", "S0.T7"} <= {v["item"] for v in last["verdicts"]}
        assert set(ws.state.ticks) == {"S0.T4"}
        assert ws.state.ticks["S0.T4"].at == at
        assert "no link" in row_of(app, "#boxes", "S0.T1").plain
