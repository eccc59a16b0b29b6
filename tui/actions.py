"""What a person can do, once: the screens, the palette and the keys all come here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from textual import work

from tui.help import help_content
from tui.roadmap.budget import summarize
from tui.roadmap.computed import effective_fields
from tui.roadmap.document import Box, Field
from tui.roadmap.gate import evaluate, needs_override
from tui.roadmap.progress import box_status
from tui.roadmap.state import FieldValue, Record
from tui.roadmap.workspace import Workspace, WorkspaceError
from tui.screens.dialogs import (
    ChoiceScreen,
    ConfirmScreen,
    DetailScreen,
    Entry,
    FormScreen,
)

if TYPE_CHECKING:
    from textual.app import App

    from tui.fleet import Fleet

    Base = App[None]
else:
    Base = object

OUTCOMES = (
    ("GO", "GO        proceed to Phase 1"),
    ("HOLD", "HOLD      collect more evidence first"),
    ("NO-GO", "NO-GO     stop and investigate"),
)


def amount_problem(text: str) -> str:
    """A sentence when `text` is no amount of money, else ''."""
    try:
        amount = Decimal(text.lstrip("$"))
    except InvalidOperation:
        return f"“{text}” is not an amount; write it like 13.10"
    return "" if amount.is_finite() else "the amount must be finite"


def required(what: str, least: int = 1) -> Callable[[str], str]:
    """A check that at least `least` characters were typed."""
    return lambda text: "" if len(text) >= least else f"{what} needs at least {least} characters"


class Actions(Base):
    """Mixed into the app."""

    ws: Workspace
    fleet: Fleet
    saved: str
    writing: bool = False
    _fields: dict[str, FieldValue]
    _fields_at: int = -1

    def state_changed(self) -> None:
        """Redraw; the app's own."""

    # --- writing ------------------------------------------------------------------------------

    @property
    def actor(self) -> str:
        """Who the records name."""
        return f"user:{self.ws.settings.user}"

    async def commit(self, change: Callable[[], Record | None]) -> Record | None:
        """Write one record; the screen says saved only after fsync, and says why when it failed."""
        self.writing = True
        try:
            record = await asyncio.to_thread(change)
        except WorkspaceError as problem:
            self.notify(str(problem), severity="error", timeout=12, markup=False)
            return None
        finally:
            self.writing = False
        if record is not None:
            from tui.detail import clock

            self.saved = f"saved {clock(record.at)[11:]}"
        self.state_changed()
        return record

    @work(group="commit", exit_on_error=False)
    async def write(self, change: Callable[[], Record | None]) -> None:
        """`commit` as a worker."""
        await self.commit(change)

    def toggle(self, box: Box) -> None:
        """Tick or untick a box; one that a probe passed asks before it is unticked."""
        status = box_status(self.ws.document, self.ws.state, box.id)
        if status.computed or box.kind == "tracker":
            self.notify(f"{box.id} is computed from other boxes.", markup=False)
        elif status.informational:
            self.notify(f"{box.id} is an estimate; there is nothing to tick.", markup=False)
        elif status.tick in ("done", "waived"):
            self._untick(box, bool(status.verdict and status.verdict.verdict == "PASS"))
        else:
            self.write(lambda: self.ws.tick(box.id, self.actor))

    @work(group="dialog", exit_on_error=False)
    async def _untick(self, box: Box, ask: bool) -> None:
        if ask and not await self.push_screen_wait(
            ConfirmScreen(
                f"Untick {box.id}?", "A probe passed it; its evidence stays in the journal."
            )
        ):
            return
        await self.commit(lambda: self.ws.untick(box.id, self.actor))

    def action_undo(self) -> None:
        """Undo the newest own action."""
        self.write(lambda: self.ws.undo(self.actor))

    def action_redo(self) -> None:
        """Redo what was undone last."""
        self.write(lambda: self.ws.redo(self.actor))

    # --- fields, notes, money -----------------------------------------------------------------

    def field_value(self, field: Field) -> tuple[str, str]:
        """Value and source of a blank, empty strings when it is not filled."""
        count = len(self.ws.state.records)
        if self._fields_at != count:
            self._fields = effective_fields(self.ws.document, self.ws.state, self.ws.settings)
            self._fields_at = count
        value = self._fields.get(field.id)
        return ("", "") if value is None else (str(value.value), value.source)

    @work(group="dialog", exit_on_error=False)
    async def edit_field(self, field_id: str) -> None:
        """Ask for a value until it fits or the person gives up."""
        field = self.ws.document.fields[field_id]
        value = self.field_value(field)[0]
        while True:
            entry = Entry("value", f"{field.label} ({field.type})", value, field.type)
            values = await self.push_screen_wait(FormScreen(f"{field.id}", [entry]))
            if values is None:
                return
            value = values["value"]
            if await self.commit(lambda v=value: self.ws.set_field(field_id, v, self.actor)):  # type: ignore[misc]
                return

    @work(group="dialog", exit_on_error=False)
    async def edit_note(self, section_id: str, title: str) -> None:
        """A note on a stage."""
        old = self.ws.state.notes.get(section_id, "")
        values = await self.push_screen_wait(
            FormScreen(f"Note on {title}", [Entry("text", "Note", str(old))])
        )
        if values is not None:
            await self.commit(lambda: self.ws.note(section_id, values["text"], self.actor))

    @work(group="dialog", exit_on_error=False)
    async def action_add_cost(self) -> None:
        """Row, amount, note: one ledger entry."""
        names = [
            row.name for row in summarize(self.ws.settings, self.ws.document, self.ws.state).rows
        ]
        current = getattr(self.screen, "current_row", lambda: "")() or (names[0] if names else "")
        values = {"row": current, "amount": "", "note": ""}
        while True:
            form = FormScreen(
                "Add a cost",
                [
                    Entry(
                        "row",
                        f"Budget row ({', '.join(names)})",
                        values["row"],
                        check=lambda v: "" if v in names else f"there is no budget row “{v}”",
                    ),
                    Entry("amount", "Amount in $", values["amount"], "13.10", amount_problem),
                    Entry("note", "Note", values["note"], "what it was for"),
                ],
            )
            typed = await self.push_screen_wait(form)
            if typed is None:
                return
            values = typed
            row, amount, note = typed["row"], typed["amount"].lstrip("$"), typed["note"]
            if await self.commit(lambda: self.ws.add_cost(row, amount, self.actor, note)):  # noqa: B023
                return

    @work(group="dialog", exit_on_error=False)
    async def void_cost(self, cost_id: str) -> None:
        """Void a ledger entry with a reason."""
        form = FormScreen("Void this entry", [Entry("why", "Why", check=required("the reason", 3))])
        values = await self.push_screen_wait(form)
        if values is not None:
            await self.commit(lambda: self.ws.void_cost(cost_id, self.actor, values["why"]))

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def decide(self) -> None:
        """Outcome, reason, and the word OVERRIDE when it goes against the rule."""
        report = evaluate(self.ws)
        outcome = await self.push_screen_wait(
            ChoiceScreen(f"Decide: the rule says {report.rule}", OUTCOMES)
        )
        if outcome is None:
            return
        against = needs_override(report.rule, outcome)
        values = {"reason": "", "override": ""}
        while True:
            least = 20 if against else 3
            entries = [
                Entry(
                    "reason",
                    "Reason (required)",
                    values["reason"],
                    check=required("the reason", least),
                )
            ]
            if against:
                entries.append(
                    Entry(
                        "override",
                        f"The rule says {report.rule}. Type OVERRIDE to go against it",
                        values["override"],
                        check=lambda v: "" if v == "OVERRIDE" else "type the word OVERRIDE",
                    )
                )
            typed = await self.push_screen_wait(FormScreen(f"Sign {outcome}", entries))
            if typed is None:
                return
            values = {"override": "", **typed}
            reason, override = values["reason"], values["override"]
            if await self.commit(
                lambda: self.ws.decide(outcome, reason, self.actor, override=override)  # noqa: B023
            ):
                self.notify(f"{outcome} recorded and pinned to its evidence.", markup=False)
                return

    # --- reading ------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Keys of this screen and of the app."""
        self.push_screen(DetailScreen(help_content(self.screen), "Help"))

    @work(group="commit", exit_on_error=False)
    async def export_roadmap(self) -> None:
        """The filled-in roadmap as Markdown in exports/."""
        from tui.roadmap.export import export_markdown

        text = export_markdown(self.ws.document, self.ws.state, self.ws.settings)
        path = self.ws.root / "exports" / self.ws.settings.roadmap
        await asyncio.to_thread(path.parent.mkdir, exist_ok=True)
        await asyncio.to_thread(path.write_text, text, "utf-8")
        self.notify(f"written: {path}", timeout=10, markup=False)
