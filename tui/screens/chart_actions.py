"""The chart's keys on a screen: whatever has the focus, they reach the chart. Saving and copying too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

from textual import work
from textual.binding import Binding, BindingType
from textual.widget import Widget

from tui.chart.paint import difference_fits
from tui.chart.save import SaveError, check_name, plain, save
from tui.curves import CURVES, TITLES, file_stem
from tui.screens.dialogs import ChoiceScreen, Entry, FormScreen
from tui.tail import clean
from tui.widgets.curve import CHART_KEYS, Curve
from tui.widgets.key_bar import Key

if TYPE_CHECKING:
    from tui.app import GonogoApp


def passed_on(action: str) -> str:
    """The screen's action that runs a chart's action: smooth(1) becomes curve('smooth',1)."""
    name, _, arguments = action.partition("(")
    return f"curve('{name}',{arguments}" if arguments else f"curve('{name}')"


CHART_BINDINGS: list[BindingType] = [
    *(
        Binding(key, passed_on(action), word, show=False, id=name)
        for key, action, word, name in CHART_KEYS
    ),
    Binding("m", "metric", "Metric", show=False, id="curve.metric"),
    Binding("comma", "choose_metric", "Choose a metric", show=False, id="curve.choose"),
    Binding("s", "save_chart", "Save chart or points", show=False, id="curve.save"),
    Binding("C", "copy_chart", "Copy chart", show=False, id="curve.copy"),
]

CHART_BAR = (
    Key("m", "metric", "screen.metric"),
    Key("l", "log", "screen.curve('toggle_log')"),
    Key("[ ]", "smooth", "screen.curve('smooth', 1)"),
    Key("x", "axis", "screen.curve('axis')"),
    Key("y", "robust y", "screen.curve('fit')"),
    Key("c", "crosshair", "screen.curve('cross')"),
    Key("d", "difference", "screen.curve('difference')"),
    Key("+/-", "zoom", "screen.curve('zoom', 0.5)"),
    Key("f", "follow", "screen.curve('follow')"),
    Key("s", "save", "screen.save_chart"),
    Key("C", "copy", "screen.copy_chart"),
)


class ChartActions(Widget):
    """Mixed into a screen that shows one Curve with the id `curve`."""

    metric = "loss"

    def chart(self) -> Curve:
        """The chart of this screen."""
        return self.query_one("#curve", Curve)

    def update_chart(self) -> None:
        """Show the curves of the current metric."""
        raise NotImplementedError

    def action_curve(self, name: str, *arguments: float) -> None:
        """Pass a chart key on to the chart, whatever has the focus."""
        chart = self.chart()
        getattr(chart, f"action_{name}")(*arguments)
        shown = name != "difference" or not chart.view.difference
        if not shown and not difference_fits(chart.view, chart.size.height):
            self.notify(
                "The difference needs a taller chart: z shows the chart alone.", markup=False
            )

    def show_metric(self, metric: str) -> None:
        """Another metric; the range stays with the old one."""
        self.metric = metric
        self.chart().view.follow()
        self.update_chart()

    def action_metric(self) -> None:
        """Next metric."""
        at = CURVES.index(self.metric) if self.metric in CURVES else -1
        self.show_metric(CURVES[(at + 1) % len(CURVES)])

    def metric_keys(self) -> list[str]:
        """What there is to choose from."""
        return list(CURVES)

    @work(group="chart")
    async def action_choose_metric(self) -> None:
        """Pick a metric from the list."""
        keys = self.metric_keys()
        # A key of a server may hold anything, an option's id only letters: numbers stand for them.
        choices = [(str(i), TITLES.get(key, clean(key)[:60])) for i, key in enumerate(keys)]
        now = str(keys.index(self.metric)) if self.metric in keys else ""
        chosen = await self.app.push_screen_wait(ChoiceScreen("Metric", choices, now))
        if chosen is not None:
            self.show_metric(keys[int(chosen)])

    def action_copy_chart(self) -> None:
        """The chart as text into the clipboard, through the terminal (OSC 52)."""
        self.app.copy_to_clipboard(plain(self.chart().rows()))
        self.notify("Copied the chart as text, if the terminal allows it (OSC 52).", markup=False)

    @work(group="chart")
    async def action_save_chart(self) -> None:
        """Ask for a name and save the chart or its points."""
        app = cast("GonogoApp", self.app)
        chart, folder = self.chart(), app.ws.root / "exports"
        stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
        entry = Entry(
            "name", "File in exports/", f"{file_stem(self.metric)}-{stamp}.svg", check=check_name
        )
        hint = (
            ".svg as seen   .png drawn anew   .csv every point   .txt   enter saves   esc cancels"
        )
        values = await app.push_screen_wait(FormScreen("Save the chart", [entry], hint))
        if values is None:
            return
        path = folder / values["name"]
        if not path.resolve().is_relative_to(folder.resolve()):
            self.notify(f"{values['name']} lies outside exports/.", severity="error", markup=False)
            return
        try:
            # The curves grow and are smoothed anew meanwhile: the other thread gets a copy.
            lines = tuple(replace(line, series=line.series.frozen()) for line in chart.lines)
            size = await asyncio.to_thread(
                save, path, lines, replace(chart.view), chart.rows(), chart.title, app.ws.root
            )
        except SaveError as problem:
            self.notify(str(problem), severity="error", markup=False)
            return
        self.notify(f"Saved exports/{values['name']} ({size:,} bytes).", markup=False)
