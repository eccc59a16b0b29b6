"""`y` copies what is under the cursor, on every screen, and says what it copied."""

from __future__ import annotations

from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.state import Verdict
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import LinesScreen
from tui.widgets.row_list import RowList


async def test_y_copies_what_is_under_the_cursor(workspace: Workspace) -> None:
    evidence = workspace.put_evidence({"seen": "560.94"})
    workspace.record_verdicts(
        [Verdict("S0.T2", "FAIL", ">= 535", "530.30", 0.1, evidence=evidence, at=1, by="probe:tower")],
        "probe:tower",
    )  # fmt: skip
    workspace.add_cost("Stage 2", "1.10", "user:ana", "azure")
    workspace.note("S0", "tower runs hot", "user:ana")
    workspace.decide("HOLD", "not enough data yet", "user:ana")
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        await pilot.pause()

        async def copied(room: str, rows: str, key: str) -> str:
            await pilot.press(room)
            await pilot.pause()
            table = app.screen.query_one(rows, RowList)
            table.focus()
            if key:
                assert table.select(key), (key, [row.key for row in table.rows])
            app._clipboard = ""
            said = len(app._notifications)
            await pilot.press("y")
            await until(pilot, lambda: len(app._notifications) > said, 5, "the notice")
            return app.clipboard

        box = await copied("1", "#boxes", "S0.T2")
        for part in ("S0.T2 NVIDIA drivers", "FAIL", ">= 535", "530.30", evidence):
            assert part in box
        assert "S0.date Date Completed" in await copied("1", "#boxes", "field:S0.date")
        assert (await copied("1", "#sections", "S1")).startswith("S1 ")
        assert "needs:" in await copied("2", "#criteria", "")
        decision = workspace.state.decisions[0]
        text = await copied("2", "#criteria", f"decision:{decision.id}")
        assert text.startswith("HOLD")
        assert decision.digest in text
        assert "planned 3.00, actual 1.10, left 1.90" in await copied("3", "#budget", "row:Stage 2")
        cost = workspace.state.costs[0]
        assert "1.10 USD azure" in await copied("3", "#budget", f"cost:{cost.id}")
        assert "S0.date" in await copied("4", "#fields", "field:S0.date")
        assert '"do": "decision"' in await copied("6", "#records", "")
        assert await copied("7", "#note-list", "S0") == "tower runs hot"
        assert await copied("8", "#job-table", "") == ""
        await pilot.press("1")
        app.screen.query_one("#boxes", RowList).focus()
        app.screen.go_to("S0.T2")  # type: ignore[attr-defined]
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, LinesScreen), 5, "the evidence")
        await pilot.press("y")
        await until(pilot, lambda: "560.94" in app.clipboard, 5, "all lines of the evidence")
