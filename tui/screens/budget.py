"""Money: planned, actual, left and used per row of the plan, and every entry of the ledger."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui import rows
from tui.roadmap.budget import summarize
from tui.screens.room import Room
from tui.vocabulary import DIM, FAIL, PASS, WARN
from tui.widgets.key_bar import Key
from tui.widgets.row_list import Row, RowList


class BudgetScreen(Room):
    """W6 of the plan."""

    PLACE = "Budget"
    KEYS = (
        Key("$", "add cost", "app.add_cost"),
        Key("V", "void entry", "screen.void"),
        Key("u", "undo", "app.undo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("V", "void", "Void entry", id="budget.void"),
    ]

    def body(self) -> list[Widget]:
        """Table with the ledger below, summary lines."""
        return [RowList(id="budget"), Static(id="budget-sum", markup=False)]

    def update_state(self) -> None:
        """Rows and sums anew."""
        ws = self.gonogo.ws
        summary = summarize(ws.settings, ws.document, ws.state)
        table: list[Row] = [rows.budget_head()]
        table += [rows.budget_row(row) for row in summary.rows]
        table.append(rows.budget_total(summary))
        if ws.state.costs:
            table.append(rows.heading("ledger", "Ledger", f"{len(ws.state.costs)} entries"))
            table += [rows.cost_row(cost) for cost in reversed(ws.state.costs)]
        self.query_one("#budget", RowList).set_rows(table)
        limit, goal = ws.settings.budget.limit, ws.settings.budget.goal
        share = summary.spent / limit if limit else 0
        style = FAIL if share >= 1 else WARN if share >= ws.settings.budget.warn_at else PASS
        self.query_one("#budget-sum", Static).update(
            Content.assemble(
                f"Budget Status: {summary.status_sentence}\n",
                (f"{100 * share:.1f}% of the ${limit} limit", style),
                (f"   ${goal} is the goal at the top of the plan", DIM),
                (f"   {summary.unknown_rows} rows unknown, which is not zero", DIM)
                if summary.unknown_rows
                else "",
            )
        )

    def current_row(self) -> str:
        """Name of the budget row under the cursor, or an empty string."""
        key = self.query_one("#budget", RowList).key
        return key[4:] if key.startswith("row:") else ""

    @on(RowList.Chosen, "#budget")
    def _chosen(self, event: RowList.Chosen) -> None:
        if event.key.startswith("row:"):
            self.gonogo.action_add_cost()

    def action_void(self) -> None:
        """Void the ledger entry under the cursor; it stays visible."""
        key = self.query_one("#budget", RowList).key
        if key.startswith("cost:"):
            self.gonogo.void_cost(key[5:])
        else:
            self.notify("Put the cursor on a ledger entry to void it.", markup=False)
