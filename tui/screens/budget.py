"""Money: planned, actual, left and used per row of the plan, and every entry of the ledger."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.account_rows import budget_head, budget_row, budget_total, cost_row
from tui.copying import budget_text, cost_text
from tui.detail import Part
from tui.energy import all_energy, energy_cost
from tui.roadmap.budget import BudgetRow, BudgetSummary, summarize
from tui.roadmap.entries import Cost
from tui.roadmap.forecast import burn, expected_total, forecasts, limit_warnings
from tui.roadmap.values import money_sign
from tui.roadmap.writer import today
from tui.rows import heading
from tui.screens.dialogs import DetailScreen
from tui.screens.room import Room
from tui.vocabulary import DIM, FAIL, HEAD, PASS, WARN
from tui.widgets.burn import Burn, Points, burn_line
from tui.widgets.key_bar import Key
from tui.widgets.row_list import Row, RowList


class BudgetScreen(Room):
    """W6 of the plan."""

    PLACE = "Budget"
    KEYS = (
        Key("$", "add cost", "app.add_cost"),
        Key("enter", "entries", "screen.entries"),
        Key("x", "void entry", "screen.void"),
        Key("i", "import csv", "screen.import_csv"),
        Key("E", "export csv", "screen.export_csv"),
        Key("p", "book power", "screen.power"),
        Key("y", "copy", "screen.copy"),
        Key("u", "undo", "app.undo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x,V", "void", "Void entry", id="budget.void"),
        Binding("i", "import_csv", "Import CSV", id="budget.import"),
        Binding("E", "export_csv", "Export CSV", id="budget.export"),
        Binding("p", "power", "Book electricity", id="budget.power"),
    ]

    def body(self) -> list[Widget]:
        """Table with the ledger below; status, limits, forecast and the burn of the money."""
        foot = Horizontal(
            Static(id="budget-sum", markup=False), Burn(id="budget-burn"), id="budget-foot"
        )
        return [RowList(id="budget"), foot]

    def on_mount(self) -> None:
        """The table has the cursor."""
        super().on_mount()
        self.query_one("#budget", RowList).focus()

    def on_resize(self, event: events.Resize) -> None:
        """The burn is a line of its own below 100 columns."""
        if self.ready:
            self.update_state()

    def _summary(self) -> BudgetSummary:
        ws = self.gonogo.ws
        return summarize(ws.settings, ws.document, ws.state)

    def update_state(self) -> None:
        """Rows and sums anew."""
        ws, summary = self.gonogo.ws, self._summary()
        table: list[Row] = [budget_head()]
        table += [budget_row(row) for row in summary.rows]
        table.append(budget_total(summary))
        if ws.state.costs:
            table.append(heading("ledger", "Ledger", f"{len(ws.state.costs)} entries"))
            newest = sorted(ws.state.costs, key=lambda cost: (cost.date, cost.at), reverse=True)
            table += [cost_row(cost) for cost in newest]
        self.query_one("#budget", RowList).set_rows(table)
        self.query_one("#budget-sum", Static).update(self._text(summary))
        self.query_one("#budget-burn", Burn).show(self._points(), summary.sign)

    def _points(self) -> Points:
        ws = self.gonogo.ws
        own = [c for c in ws.state.costs if c.currency == ws.settings.budget.currency]
        return tuple(burn(own, today()))

    def _text(self, summary: BudgetSummary) -> Content:
        ws = self.gonogo.ws
        parts: list[Part] = [f"Budget Status: {summary.status_sentence}\n"]
        for name, limit in (
            ("plan", summary.planned_total), ("limit", summary.limit), ("goal", summary.goal),
        ):  # fmt: skip
            share = summary.spent / limit if limit else 0
            style = FAIL if share > 1 else WARN if share >= ws.settings.budget.warn_at else PASS
            parts.append((f"{100 * share:.1f}% of {name} {summary.sign}{limit:.0f}   ", style))
        parts.append((burn_line(self._points(), 14) if self.size.width < 100 else "", "$accent"))
        parts.append("\n")
        warnings = limit_warnings(summary, ws.settings.budget.warn_at)
        if warnings:
            parts.append((f"WARN {'; '.join(warnings)}\n", WARN))
        found = forecasts(ws.document, ws.state, summary)
        parts += [(f"Forecast {f.sentence}\n", "") for f in found]
        expected = expected_total(summary, found)
        past = expected > summary.limit
        parts.append((f"In all {summary.sign}{expected:.2f}", WARN if past else DIM))
        parts.append((" PAST THE LIMIT   " if past else "   ", WARN if past else DIM))
        parts.append((self._power(), DIM))
        return Content.assemble(*parts)

    def _power(self) -> str:
        """What the jobs' GPUs used, and what it costs where the price is known."""
        ws = self.gonogo.ws
        price, sign = ws.settings.budget.price_per_kwh, money_sign(ws.settings.budget.currency)
        jobs = [job for job in all_energy(ws.runs_dir) if not job.simulated]
        kwh = sum((job.kwh for job in jobs), start=0 * (price or 1))
        if price is None:
            used = f"{kwh:.3f} kWh measured, " if jobs else ""
            return f"Electricity {used}price unknown (price_per_kwh)"
        if not jobs:
            return f"Electricity no energy measured yet, {sign}{price} per kWh"
        booked = {c.origin for c in ws.state.costs if not c.voided}
        left = sum(job.origin not in booked for job in jobs)
        cost = sum((energy_cost(job, price) or 0 for job in jobs), start=0 * price)
        more = f", {left} not booked (p)" if left else ""
        return f"Electricity {kwh:.3f} kWh = {sign}{cost:.2f} at {sign}{price}{more}"

    def current_row(self) -> str:
        """Name of the budget row under the cursor, or of the entry's row."""
        key = self.query_one("#budget", RowList).key
        if key.startswith("cost:"):
            cost = self.gonogo.ws.state.cost(key[5:])
            return cost.row if cost else ""
        return key[4:] if key.startswith("row:") else ""

    def copied(self) -> tuple[str, str]:
        """The budget row or the ledger entry under the cursor."""
        key = self.query_one("#budget", RowList).key
        cost = self.gonogo.ws.state.cost(key[5:]) if key.startswith("cost:") else None
        if cost is not None:
            return cost_text(cost), "the entry"
        row = next((r for r in self._summary().rows if f"row:{r.name}" == key), None)
        return (budget_text(row), row.name) if row is not None else ("", "")

    @on(RowList.Chosen, "#budget")
    def action_entries(self) -> None:
        """What stands behind the row under the cursor, or behind the entry's row."""
        name = self.current_row()
        row = next((r for r in self._summary().rows if r.name == name), None)
        if row is not None:
            costs = [c for c in self.gonogo.ws.state.costs if c.row == name]
            self.app.push_screen(DetailScreen(row_detail(row, costs), name))

    def action_void(self) -> None:
        """Void the ledger entry under the cursor; it stays visible."""
        key = self.query_one("#budget", RowList).key
        if key.startswith("cost:"):
            self.gonogo.void_cost(key[5:])
        else:
            self.notify("Put the cursor on a ledger entry to void it.", markup=False)

    def action_import_csv(self) -> None:
        """Take in a CSV file."""
        self.gonogo.import_costs()

    def action_export_csv(self) -> None:
        """Write the ledger as CSV."""
        self.gonogo.export_costs()

    def action_power(self) -> None:
        """Book the electricity of a job."""
        self.gonogo.book_electricity()


def row_detail(row: BudgetRow, costs: list[Cost]) -> Content:
    """Plan, sum and every entry of one row, newest first; voided ones stay visible."""
    actual = "unknown: no entry yet" if row.actual is None else f"{row.actual:.2f}"
    parts: list[Part] = [(f"{row.notes}\n", DIM) if row.notes else ""]
    for label, text in (
        ("planned", "unknown" if row.unplanned else f"{row.planned:.2f}"), ("actual", actual),
        ("left", "?" if row.left is None else f"{row.left:.2f}"),
        ("used", f"{row.used:.0f} %" if row.used is not None else "" if row.actual is None else "--"),
    ):  # fmt: skip
        parts += [(f"{label:<9}", DIM), f"{text}\n"]
    parts.append((f"\nENTRIES ({len(costs)})\n" if costs else "\n$ adds an entry\n", HEAD))
    for cost in sorted(costs, key=lambda c: (c.date, c.at), reverse=True):
        parts.append((f"{cost_text(cost)}   {cost.by}\n", DIM if cost.voided else ""))
    return Content.assemble(*parts)
