"""What a person can do, once: the screens, the palette and the keys all come here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from textual import work

from agents import AgentError, LinkChanged
from tui.help import help_content
from tui.launch import train_job
from tui.roadmap.budget import summarize
from tui.roadmap.document import Box, Field
from tui.roadmap.gate import evaluate
from tui.roadmap.progress import box_status
from tui.roadmap.state import Record
from tui.roadmap.workspace import Workspace, WorkspaceError
from tui.screens.dialogs import (
    ChoiceScreen,
    ConfirmScreen,
    DetailScreen,
    Entry,
    FormScreen,
    LinesScreen,
)
from tui.tail import tail_lines

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
        value = self.ws.state.fields.get(field.fact or field.id) or self.ws.state.fields.get(
            field.id
        )
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
        against = outcome == "GO" and report.rule != "GO"
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

    # --- probes and evidence ------------------------------------------------------------------

    @work(group="verify", exit_on_error=False)
    async def verify_boxes(self, ids: Iterable[str]) -> None:
        """Run the bound probes, show each result as it comes, write them as one record."""
        wanted = list(ids)
        done: list[str] = []

        def shown(verdict: Any) -> None:
            done.append(verdict.item)
            self.saved = f"verifying {len(done)}: {verdict.item} {verdict.verdict}"

        self.saved = f"verifying {len(wanted)} boxes"
        verdicts = await self.fleet.verify(wanted, shown)
        if not verdicts:
            self.saved = ""
            self.notify("No probe is bound to this; tick it by hand.", markup=False)
            return
        await self.commit(lambda: self.ws.record_verdicts(verdicts, self.actor))
        words = {v.verdict: sum(x.verdict == v.verdict for x in verdicts) for v in verdicts}
        text = ", ".join(f"{count} {word}" for word, count in words.items())
        if len(verdicts) == 1:
            one = verdicts[0]
            text = f"{one.item} {one.verdict}: {one.reason or one.found}"
        self.notify(text, timeout=8, markup=False)

    def open_evidence(self, box_id: str) -> None:
        """The evidence blob of a box, as indented JSON."""
        verdict = self.ws.state.verdicts.get(box_id)
        if verdict is None or not verdict.evidence:
            self.notify(f"{box_id} has no evidence yet; v runs its probe.", markup=False)
            return
        path = self.ws.evidence_path(verdict.evidence)
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as problem:
            self.notify(
                f"evidence {path.name[:12]}: {problem.strerror}", severity="error", markup=False
            )
            return
        try:
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except ValueError:
            pass
        title = f"{box_id} {verdict.verdict}   {verdict.evidence[:23]}"
        self.push_screen(LinesScreen(title, text.splitlines()))

    # --- hosts and jobs -----------------------------------------------------------------------

    def action_retry_links(self) -> None:
        """Try every link now instead of at the end of its pause."""
        for link in self.fleet.links.values():
            link.retry_now()

    @work(group="dialog", exit_on_error=False)
    async def needs_user(self, event: LinkChanged) -> None:
        """A host that waits for the person: an unknown key is shown and may be accepted."""
        link = self.fleet.links[event.host]
        fingerprint = link.pending_host_key
        if not fingerprint:
            self.notify(f"{event.host}: {event.detail}", severity="error", timeout=20, markup=False)
            return
        question = f"Trust the host key of {event.host}?"
        detail = f"{fingerprint}\nIt is not in known_hosts yet. Compare it on the host itself."
        if await self.push_screen_wait(ConfirmScreen(question, detail)):
            link.accept_host_key()

    @work(group="dialog", exit_on_error=False)
    async def stop_job(self, host: str, job_id: str) -> None:
        """Ask, then stop."""
        if not await self.push_screen_wait(
            ConfirmScreen(
                f"Stop {job_id} on {host}?", "SIGTERM; a training writes a checkpoint first."
            )
        ):
            return
        try:
            await self.fleet.stop_job(host, job_id)
        except AgentError as problem:
            self.notify(f"{host}: {problem}", severity="error", markup=False)

    @work(group="dialog", exit_on_error=False)
    async def action_train(self) -> None:
        """Arm and steps, the exact argv to look at, then the start."""
        settings = self.ws.settings
        host = settings.training.host
        if host not in self.fleet.links:
            self.notify(
                f"gonogo.toml names no host “{host}” to train on.", severity="error", markup=False
            )
            return
        arm = await self.push_screen_wait(
            ChoiceScreen(
                "Start a training: which arm?",
                [
                    ("control", "control      code with its comments"),
                    ("experiment", "experiment   code plus .comments metadata in the context"),
                ],
            )
        )
        if arm is None:
            return
        form = FormScreen(
            f"Train {arm} on {host}",
            [
                Entry("dataset", "Dataset on the host", settings.training.dataset),
                Entry(
                    "steps",
                    "Steps",
                    str(settings.training.max_steps),
                    check=lambda v: (
                        "" if v.isdigit() and int(v) > 0 else "steps: a whole number above 0"
                    ),
                ),
                Entry(
                    "seed",
                    "Seed",
                    "0",
                    check=lambda v: "" if v.isdigit() else "seed: a whole number",
                ),
            ],
        )
        typed = await self.push_screen_wait(form)
        if typed is None:
            return
        job = train_job(
            settings,
            arm=arm,
            dataset=typed["dataset"],
            max_steps=int(typed["steps"]),
            seed=int(typed["seed"]),
            name=f"{arm}-s{typed['seed']}",
            stage="adhoc",
        )
        if not await self.push_screen_wait(
            ConfirmScreen(f"Start this on {host}?", " ".join(job.argv))
        ):
            return
        try:
            status = await self.fleet.start_job(host, job)
        except AgentError as problem:
            self.notify(f"{host}: {problem}", severity="error", timeout=12, markup=False)
            return
        self.notify(f"{status.job_id} started on {host}.", markup=False)

    def open_log(self, host: str, job_id: str) -> None:
        """The mirrored log of a job, at its end."""
        path = self.ws.runs_dir / host / job_id / "log.txt"
        self.push_screen(LinesScreen(f"{host}/{job_id}", tail_lines(path), at_end=True))

    def vram_limit(self) -> int:
        """The stage's own line in the VRAM gauge: 7 GB in Stage 1."""
        return 7 * 2**30

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
