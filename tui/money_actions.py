"""What a person can do with money: costs in and out of the ledger, CSV files, electricity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from tui.actions import Actions
from tui.later import later
from tui.roadmap.costs import KINDS
from tui.roadmap.values import money_sign
from tui.roadmap.workspace import WorkspaceError
from tui.saving import writes
from tui.words import counted

if TYPE_CHECKING:
    from tui.energy import all_energy, book_energy, energy_cost
    from tui.files import write_file
    from tui.roadmap.budget import summarize
    from tui.roadmap.costs import CostEntry
    from tui.roadmap.ledger_csv import export_csv, import_csv
    from tui.screens.dialogs import ChoiceScreen, Entry, FormScreen
else:
    all_energy, book_energy, energy_cost = later(
        "tui.energy", "all_energy", "book_energy", "energy_cost"
    )
    write_file = later("tui.files", "write_file")
    summarize = later("tui.roadmap.budget", "summarize")
    CostEntry = later("tui.roadmap.costs", "CostEntry")
    export_csv, import_csv = later("tui.roadmap.ledger_csv", "export_csv", "import_csv")
    ChoiceScreen, Entry, FormScreen = later(
        "tui.screens.dialogs", "ChoiceScreen", "Entry", "FormScreen"
    )


def problem(check: Callable[[], object]) -> str:
    """The sentence with which `check` refuses, "" where it accepts."""
    try:
        check()
    except WorkspaceError as error:
        return str(error)
    return ""


def required(what: str, least: int = 1) -> Callable[[str], str]:
    """A check that at least `least` characters were typed."""
    return lambda text: "" if len(text) >= least else f"{what} needs at least {least} characters"


class MoneyActions(Actions):
    """Mixed into the app."""

    @writes
    @work(group="dialog", exit_on_error=False)
    async def action_add_cost(self) -> None:
        """Row, amount, date, kind, note: one ledger entry."""
        names = [r.name for r in summarize(self.ws.settings, self.ws.document, self.ws.state).rows]
        if not names:
            self.notify("The plan has no budget table to book a cost on.", markup=False)
            return
        current = getattr(self.screen, "current_row", lambda: "")() or names[0]

        def entry(**typed: str) -> CostEntry:
            return CostEntry(**{"row": names[0], "amount": "1", **typed})

        def check(key: str) -> Callable[[str], str]:
            return lambda v: problem(lambda: self.ws.cost_fields(entry(**{key: v})))

        rows = f"Budget row: {names[0]} to {names[-1]}, or a stage's id as S3"
        currency = money_sign(self.ws.settings.budget.currency).strip()
        form = FormScreen(
            "Add a cost",
            [
                Entry("row", rows, current, check=check("row")),
                Entry(
                    "amount", f"Amount in {currency} (0 must be typed; negative is a refund)", "", "13.10",
                    check("amount"),
                ),
                Entry("note", "Note", "", "what it was for", check("note")),
                Entry("date", "Date (empty: today)", "", "YYYY-MM-DD", check("date")),
                Entry("kind", f"Kind ({', '.join(KINDS)}; may be empty)"),
            ],
        )  # fmt: skip
        typed = await self.push_screen_wait(form)
        if typed is not None:
            await self.commit(
                lambda: self.ws.add_cost(
                    typed["row"], typed["amount"], self.actor, typed["note"], typed["date"],
                    typed["kind"],
                )
            )  # fmt: skip

    @writes
    @work(group="dialog", exit_on_error=False)
    async def void_cost(self, cost_id: str) -> None:
        """Void a ledger entry with a reason."""
        form = FormScreen("Void this entry", [Entry("why", "Why", check=required("the reason", 3))])
        values = await self.push_screen_wait(form)
        if values is not None:
            await self.commit(lambda: self.ws.void_cost(cost_id, self.actor, values["why"]))

    @writes
    @work(group="dialog", exit_on_error=False)
    async def import_costs(self) -> None:
        """Take in a CSV file: all of it or nothing."""
        form = FormScreen(
            "Import costs from a CSV file",
            [
                Entry("path", "File", "", "azure.csv", required("the path")),
                Entry("row", "Budget row, where the file has no row column"),
            ],
        )
        typed = await self.push_screen_wait(form)
        if typed is None:
            return
        path = Path(typed["path"])
        try:
            record, parsed = await asyncio.to_thread(
                import_csv, self.ws, path, self.actor, typed["row"]
            )
        except WorkspaceError as error:
            self.notify(str(error), severity="error", timeout=20, markup=False)
            return
        known = f", {parsed.duplicates} known already" if parsed.duplicates else ""
        self.notify(
            f"{counted(len(parsed.entries), 'entry', 'entries')} taken in{known}.", markup=False
        )
        if record is not None:
            self.state_changed()

    @work(group="commit", exit_on_error=False)
    async def export_costs(self) -> None:
        """The ledger as exports/costs.csv."""
        target = self.ws.root / "exports" / "costs.csv"
        text = export_csv(self.ws.state.costs)
        try:
            await asyncio.to_thread(target.parent.mkdir, exist_ok=True)
            await asyncio.to_thread(write_file, target, text.encode("utf-8"), True, self.ws.root)
        except (OSError, WorkspaceError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"written: {target}", timeout=10, markup=False)

    @writes
    @work(group="dialog", exit_on_error=False)
    async def book_electricity(self) -> None:
        """Pick a job and add what its GPU used to the ledger."""
        price = self.ws.settings.budget.price_per_kwh
        booked = {c.origin for c in self.ws.state.costs if not c.voided}
        found = {e.origin: e for e in all_energy(self.ws.runs_dir) if e.origin not in booked}
        if not found:
            self.notify("No job has measured energy that is not in the ledger yet.", markup=False)
            return
        choices = []
        for origin, energy in found.items():
            amount = energy_cost(energy, price)
            money = (
                "price unknown"
                if amount is None
                else f"{money_sign(self.ws.settings.budget.currency)}{amount}"
            )
            note = " simulated" * energy.simulated + " running" * (not energy.ended)
            choices.append(
                (origin, f"{energy.name or energy.job_id}  {energy.kwh:.3f} kWh  {money}{note}")
            )
        chosen = await self.push_screen_wait(ChoiceScreen("Electricity of which job?", choices))
        if chosen is not None:
            row = getattr(self.screen, "current_row", lambda: "")()
            await self.commit(lambda: book_energy(self.ws, found[chosen], self.actor, row))
