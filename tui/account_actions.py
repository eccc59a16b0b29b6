"""What a person can do with blanks, dates, waivers, money and the gate, for all screens."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual import work

from tui.later import later
from tui.money_actions import MoneyActions, problem, required
from tui.roadmap.progress import box_status
from tui.saving import writes

if TYPE_CHECKING:
    from tui.cli_accounts import fetch_measured
    from tui.roadmap.attention import Attention, attention
    from tui.roadmap.computed import effective_fields
    from tui.roadmap.dates import proposal
    from tui.roadmap.document import Box
    from tui.roadmap.gate import evaluate
    from tui.roadmap.gate_lock import reason_wanted
    from tui.roadmap.waivers import waiver_days, waiver_reason
    from tui.screens.decide import DecideScreen, Signed
    from tui.screens.dialogs import ChoiceScreen, ConfirmScreen, Entry, FormScreen
else:
    fetch_measured = later("tui.cli_accounts", "fetch_measured")
    attention = later("tui.roadmap.attention", "attention")
    effective_fields = later("tui.roadmap.computed", "effective_fields")
    proposal = later("tui.roadmap.dates", "proposal")
    evaluate = later("tui.roadmap.gate", "evaluate")
    reason_wanted = later("tui.roadmap.gate_lock", "reason_wanted")
    waiver_days, waiver_reason = later("tui.roadmap.waivers", "waiver_days", "waiver_reason")
    DecideScreen, Signed = later("tui.screens.decide", "DecideScreen", "Signed")
    ChoiceScreen, ConfirmScreen, Entry, FormScreen = later(
        "tui.screens.dialogs", "ChoiceScreen", "ConfirmScreen", "Entry", "FormScreen"
    )


class AccountActions(MoneyActions):
    """Mixed into the app."""

    # --- boxes --------------------------------------------------------------------------------

    @writes
    def toggle(self, box: Box) -> None:
        """Tick or untick a box; unticking one that a probe passed asks, so does a phase before GO."""
        status = box_status(self.ws.document, self.ws.state, box.id)
        if status.computed or box.kind == "tracker":
            children = f" from {len(box.children)} items" if box.children else " from other boxes"
            self.notify(f"{box.id} is computed{children}.", markup=False)
        elif status.informational:
            self.notify(f"{box.id} is an estimate; there is nothing to tick.", markup=False)
        elif status.tick in ("done", "waived", "na"):
            self._untick(box, bool(status.verdict and status.verdict.verdict == "PASS"))
        elif reason_wanted(self.ws, box.id):
            self._tick_with_reason(box)
        else:
            self._tick(box)

    @work(group="commit", exit_on_error=False)
    async def _tick(self, box: Box) -> None:
        if await self.commit(lambda: self.ws.tick(box.id, self.actor)):
            self.offer_date(box.section_id)

    @work(group="dialog", exit_on_error=False)
    async def _tick_with_reason(self, box: Box) -> None:
        entry = Entry("why", f"{reason_wanted(self.ws, box.id)}. Why tick it now?")
        entry = Entry(entry.key, entry.label, check=required("the reason", 3))
        values = await self.push_screen_wait(FormScreen(f"Tick {box.id}", [entry]))
        if values is not None and await self.commit(
            lambda: self.ws.tick(box.id, self.actor, values["why"])
        ):
            self.offer_date(box.section_id)

    @work(group="dialog", exit_on_error=False)
    async def _untick(self, box: Box, ask: bool) -> None:
        if ask and not await self.push_screen_wait(
            ConfirmScreen(
                f"Untick {box.id}?", "A probe passed it; its evidence stays in the journal."
            )
        ):
            return
        await self.commit(lambda: self.ws.untick(box.id, self.actor))

    @work(group="dialog", exit_on_error=False)
    async def offer_date(self, section_id: str) -> None:
        """Propose the completion date of a stage that is finished now."""
        found = proposal(self.ws.document, self.ws.state, section_id)
        if found is None:
            return
        entry = Entry(
            "date", found.label, found.date, "YYYY-MM-DD",
            lambda v: problem(lambda: self.ws.check_field(found.field_id, v)),
        )  # fmt: skip
        hint = "enter stores it   esc leaves it open (it stays in Attention)"
        values = await self.push_screen_wait(
            FormScreen(found.question, [entry], hint, unasked=True)
        )
        if values is not None:
            await self.commit(lambda: self.ws.set_field(found.field_id, values["date"], self.actor))

    @writes
    @work(group="dialog", exit_on_error=False)
    async def waive_box(self, box_id: str, section_id: str) -> None:
        """Why a box need not be done, and until when."""
        values = await self.push_screen_wait(
            FormScreen(
                f"Waive {box_id}: it counts as done until the waiver ends",
                [
                    Entry(
                        "why", "Why (at least 10 characters)",
                        check=lambda v: problem(lambda: waiver_reason(v)),
                    ),
                    Entry(
                        "until", "Until: days (at most 90), YYYY-MM-DD, or the word permanent",
                        placeholder="30", check=lambda v: problem(lambda: waiver_days(v)),
                    ),
                ],
            )
        )  # fmt: skip
        if values is not None and await self.commit(
            lambda: self.ws.waive(box_id, self.actor, values["why"], values["until"])
        ):
            self.offer_date(section_id)

    @writes
    @work(group="dialog", exit_on_error=False)
    async def drop_box(self, box_id: str, section_id: str) -> None:
        """Why a box does not apply here."""
        entry = Entry(
            "why", "Why (at least 10 characters)", check=lambda v: problem(lambda: waiver_reason(v))
        )
        values = await self.push_screen_wait(FormScreen(f"{box_id} does not apply", [entry]))
        if values is not None and await self.commit(
            lambda: self.ws.not_applicable(box_id, self.actor, values["why"])
        ):
            self.offer_date(section_id)

    # --- blanks -------------------------------------------------------------------------------

    @writes
    @work(group="dialog", exit_on_error=False)
    async def edit_field(self, field_id: str) -> None:
        """Ask for a value until it fits or the person gives up; the old one stays till then."""
        field, seen = self.ws.document.fields[field_id], self.ws.state
        if field.kind == "notes":
            section = self.ws.document.section(field.section_id)
            self.edit_note(field.section_id, section.short if section else field.section_id)
            return
        refused = problem(lambda: self.ws.check_field(field_id, ""))
        if refused:
            self.notify(refused, markup=False)
            return
        value = self.field_value(field)[0]
        entry = Entry(
            "value", f"{field.label} ({field.type})", value, field.type,
            lambda v: problem(lambda: self.ws.check_field(field_id, v)),
        )  # fmt: skip
        values = await self.push_screen_wait(FormScreen(field_id, [entry]))
        if values is not None and values["value"] != value:
            await self.commit(
                lambda: self.ws.set_field(field_id, values["value"], self.actor), seen
            )

    @writes
    @work(group="dialog", exit_on_error=False)
    async def choose_value(self, field_id: str) -> None:
        """Hand-set or measured: the person chooses."""
        value = effective_fields(self.ws.document, self.ws.state, self.ws.settings).get(field_id)
        if value is None or not value.differs or value.source != "hand":
            self.notify(f"{field_id} has no two values to choose from.", markup=False)
            return
        choices = [
            ("hand", f"by hand    {value.value}   {value.by}"),
            ("measured", f"measured   {value.measured}"),
        ]
        which = await self.push_screen_wait(ChoiceScreen(f"{field_id}: which one counts?", choices))
        if which is not None:
            await self.commit(lambda: self.ws.choose_value(field_id, which, self.actor))

    @writes
    @work(group="commit", exit_on_error=False)
    async def fetch_fields(self) -> None:
        """Store what the evaluation measured."""
        record = await self.commit(lambda: fetch_measured(self.ws, self.actor))
        if record is not None:
            self.notify(f"{len(record.data['new'])} measured values stored.", markup=False)

    def show_on_roadmap(self, key: str, section_id: str) -> None:
        """A row of the roadmap, wherever the person is."""
        self.action_room("roadmap")

        def show() -> None:
            from tui.screens.roadmap import RoadmapScreen

            if isinstance(self.screen, RoadmapScreen):
                self.screen.show_key(key, section_id)

        self.call_after_refresh(show)

    def action_attend(self) -> None:
        """Key !, wherever one is."""
        self.attend()

    @work(group="dialog", exit_on_error=False)
    async def attend(self) -> None:
        """What wants a person; choosing one goes there."""
        found = attention(self.ws)
        if not found:
            self.notify("Nothing in the plan wants attention.", markup=False)
            return
        choices = [
            (str(n), f"{entry.word:<9} {entry.item:<14} {entry.text}")
            for n, entry in enumerate(found)
        ]
        chosen = await self.push_screen_wait(ChoiceScreen(f"Attention ({len(found)})", choices))
        if chosen is None:
            return
        self.attend_to(found[int(chosen)])

    def attend_to(self, entry: Attention) -> None:
        """Go to what wants a person, or ask at once."""
        box = self.ws.document.boxes.get(entry.item)
        if entry.word == "date":
            self.offer_date(entry.item)
        elif entry.word == "conflict":
            self.choose_value(entry.item)
        elif box is not None:
            self.show_on_roadmap(box.id, box.section_id)
        else:
            self.action_room("gate" if entry.word == "gate" else "budget")

    # --- the gate -----------------------------------------------------------------------------

    @writes
    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def decide(self) -> None:
        """Outcome, reason, and the word OVERRIDE when it goes against the rule."""
        typed: Signed | None = None
        while True:
            shown = evaluate(self.ws)
            typed = await self.push_screen_wait(DecideScreen(shown, typed))
            if typed is None:
                return
            sign = partial(
                self.ws.decide, typed.outcome, typed.reason, self.actor, typed.override, shown
            )
            now = typed
            if await self.commit(sign):
                self.notify(f"{now.outcome} recorded and pinned to its evidence.", markup=False)
                return
