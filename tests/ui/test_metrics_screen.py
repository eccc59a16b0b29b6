"""Metrics and fields by keys: fetch what was measured, edit in place, choose between two values."""

from __future__ import annotations

from textual.widgets import Input, OptionList

from tests.ui.conftest import until
from tests.ui.test_account_scenarios import open_box, row_of, shown, text_of
from tests.unit.test_gate import comparison, put
from tui.app import GonogoApp
from tui.roadmap.derived import metric_names
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import ChoiceScreen, FormScreen
from tui.screens.metrics import MetricsScreen
from tui.screens.roadmap import RoadmapScreen
from tui.widgets.row_list import RowList


async def test_measured_and_hand_values_side_by_side(workspace: Workspace) -> None:
    data = comparison()
    for metric, name in zip(data["metrics"], metric_names(workspace.document), strict=True):
        metric["name"] = name
    put(workspace, data)
    workspace.set_field("KM.p_value", "0.2", "user:ana")
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await shown(app, pilot, MetricsScreen, "the screen")
        assert "not stored" in row_of(app, "#fields", "metric:code_accuracy", 80).plain
        await pilot.press("v")
        await until(pilot, lambda: "KM.f1.control" in workspace.state.fields, 5, "the values")
        await pilot.pause()
        line = row_of(app, "#fields", "metric:code_accuracy", 80).plain
        for word in ("50%", "56.2%", "+12.4%", "15"):
            assert word in line
        await pilot.press("f", "f")
        assert "KM.p_value" in text_of(app, "#fields")
        assert "KM.f1" not in text_of(app, "#fields"), "only conflicts are shown"
        assert "CONFLICT measured 0.031" in row_of(app, "#fields", "field:KM.p_value").plain
        app.screen.query_one("#fields", RowList).select("field:KM.p_value")
        await pilot.press("c")
        await shown(app, pilot, ChoiceScreen, "the choice")
        app.screen.query_one(OptionList).highlighted = 1
        await pilot.press("enter")
        await until(
            pilot, lambda: workspace.state.fields["KM.p_value"].value == "0.031", 5, "the choice"
        )
        assert workspace.state.fields["P3.p_value"].value == "0.031", "one fact, two places"


async def test_edit_in_place_and_go_to_the_stage(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("4")
        await shown(app, pilot, MetricsScreen, "the screen")
        await pilot.press("slash", *"loss_start", "enter")
        await pilot.pause()
        await pilot.press("e")
        await shown(app, pilot, FormScreen, "the form")
        app.screen.query_one(Input).value = "4.71"
        await pilot.press("enter")
        await until(pilot, lambda: "S1.loss_start" in workspace.state.fields, 5, "the value")
        await pilot.pause()
        assert "4.71" in row_of(app, "#fields", "field:S1.loss_start").plain
        await pilot.press("s")
        await shown(app, pilot, RoadmapScreen, "the roadmap")
        assert isinstance(app.screen, RoadmapScreen)
        assert (app.screen.section_id, app.screen.current_key()) == ("S1", "field:S1.loss_start")


async def test_a_phase_before_go_asks_for_a_reason(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_box(app, pilot, "P1.R1")
        await pilot.press("space")
        await shown(app, pilot, FormScreen, "the question")
        await pilot.press("enter")
        await pilot.pause()
        assert "P1.R1" not in workspace.state.ticks, "no reason, no tick"
        await pilot.press(*"prepared early", "enter")
        await until(pilot, lambda: "P1.R1" in workspace.state.ticks, 5, "the tick")
        assert workspace.state.ticks["P1.R1"].why == "prepared early"


async def test_the_direction_is_right_before_anything_is_measured(workspace: Workspace) -> None:
    app = GonogoApp(workspace)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await pilot.pause()
        table = app.screen.query_one("#fields", RowList)
        ways = {r.key[7:]: r.draw(78).plain.split("--")[0].split()[-1] for r in table.rows
                if r.key.startswith("metric:")}  # fmt: skip
        assert ways["code_vulnerability"] == "down"
        assert {way for name, way in ways.items() if name != "code_vulnerability"} == {"up"}
