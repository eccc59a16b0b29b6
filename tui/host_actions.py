"""What a person can ask of the hosts: probes with their evidence, trainings, logs, reconnects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from textual import work

from agents import AgentError
from tui.later import later
from tui.roadmap.errors import WorkspaceError
from tui.roadmap.progress import section_progress
from tui.saving import writes
from tui.train_actions import TrainActions
from tui.words import counted

if TYPE_CHECKING:
    from agents import LinkChanged, LoginRequest
    from tui.roadmap.dates import proposal
    from tui.screens.dialogs import ConfirmScreen, Entry, FormScreen, LinesScreen
    from tui.screens.log import LogScreen
else:
    proposal = later("tui.roadmap.dates", "proposal")
    ConfirmScreen, Entry, FormScreen, LinesScreen = later(
        "tui.screens.dialogs", "ConfirmScreen", "Entry", "FormScreen", "LinesScreen"
    )
    LogScreen = later("tui.screens.log", "LogScreen")


class HostActions(TrainActions):
    """Mixed into the app beside what concerns the workspace alone."""

    # --- probes and evidence ------------------------------------------------------------------

    @writes
    @work(group="verify", exit_on_error=False)
    async def verify_boxes(self, ids: Iterable[str]) -> None:
        """Run the bound probes, show each result as it comes, write them as one record."""
        wanted = [i for i in ids if i in self.ws.bindings.bound or i in self.ws.bindings.broken]
        done: list[str] = []

        def shown(verdict: Any) -> None:
            done.append(verdict.item)
            self.saved = f"verified {len(done)} of {len(wanted)}: {verdict.item} {verdict.verdict}"

        self.saved = f"verifying {counted(len(wanted), 'box', 'boxes')}"
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
        sections = {box.section_id for v in verdicts if (box := self.ws.document.boxes.get(v.item))}
        for section_id in sorted(sections):
            found = proposal(self.ws.document, self.ws.state, section_id)
            if found is not None:
                self.notify(f"{found.question} ! stores it.", timeout=12, markup=False)

    def open_evidence(self, box_id: str) -> None:
        """The evidence blob of a box, as indented JSON."""
        verdict = self.ws.state.verdicts.get(box_id)
        if verdict is None or not verdict.evidence:
            self.notify(f"{box_id} has no evidence yet; v runs its probe.", markup=False)
            return
        try:
            text = self.ws.read_evidence(verdict.evidence)
        except WorkspaceError as problem:
            self.notify(str(problem), severity="error", markup=False)
            return
        title = f"{box_id} {verdict.verdict}   {verdict.evidence[:23]}"
        self.push_screen(LinesScreen(title, text.splitlines()))

    # --- hosts and jobs -----------------------------------------------------------------------

    def action_retry_links(self) -> None:
        """Try every link now instead of at the end of its pause."""
        for link in self.fleet.links.values():
            link.retry_now()

    @work(group="dialog", exit_on_error=False)
    async def needs_user(self, event: LinkChanged) -> None:
        """A host that waits for the person: an unknown key, a password, a passphrase."""
        link = self.fleet.links[event.host]
        request = link.pending_login
        if request is not None:
            await self._log_in(event.host, request)
            return
        fingerprint = link.pending_host_key
        if not fingerprint:
            self.notify(f"{event.host}: {event.detail}", severity="error", timeout=20, markup=False)
            return
        question = f"Trust the host key of {link.asker}?"
        detail = (
            f"{fingerprint}\nIt is not in known_hosts yet. Compare it on the host itself."
            " After a no, r asks again."
        )
        if await self.push_screen_wait(ConfirmScreen(question, detail, unasked=True)):
            link.accept_host_key()

    async def _log_in(self, host: str, request: LoginRequest) -> None:
        """Ask for what the login lacks; escape tries the next key, `r` asks again later."""
        link = self.fleet.links[host]
        entries = [
            Entry(str(number), text, secret=not shown)
            for number, (text, shown) in enumerate(request.prompts)
        ]
        hint = "enter logs in   esc not now (r asks again)   kept in memory only"
        answers = await self.push_screen_wait(FormScreen(request.sentence(host), entries, hint))
        if link.pending_login is not request:
            if answers is not None:  # it was typed for nothing
                self.notify(f"{host} no longer waits for this; r asks again.", markup=False)
            return
        if answers is not None:
            link.answer_login(list(answers.values()))
        elif request.kind == "passphrase":
            link.skip_login()

    @work(group="dialog", exit_on_error=False)
    async def stop_job(self, host: str, job_id: str) -> None:
        """Ask, then stop. What is over, or not yet told of, is not asked about."""
        from tui.fleet import ENDED

        store, key = self.fleet.store, (host, job_id)
        job, run = store.jobs.get(key), store.runs.get(key)
        if job is None:
            said = f"{host} has not told of this job yet: it can be stopped once the link is back."
            if run is not None and run.end:
                said = f"{job_id} is over."
            self.notify(said, markup=False)
            return
        if str(job.state) in ENDED:
            self.notify(f"{job_id} is over: {job.state}.", markup=False)
            return
        detail = "SIGTERM; a training writes a checkpoint first."
        if job.backend == "queue":
            detail = "What it runs now is stopped as well, and nothing more of it starts."
        if not await self.push_screen_wait(ConfirmScreen(f"Stop {job_id} on {host}?", detail)):
            return
        try:
            await self.fleet.stop_job(host, job_id)
        except (AgentError, TimeoutError) as problem:
            self.notify(f"{host}: {problem}", severity="error", markup=False)

    def open_log(self, host: str, job_id: str) -> None:
        """The mirrored log of a job, at its end."""
        path = self.ws.runs_dir / host / job_id / "log.txt"
        self.push_screen(LogScreen(f"{host}/{job_id}", path))

    def vram_limit(self) -> int | None:
        """The stage's own line in the VRAM gauge: 7 GB until Stage 1 is done, then none."""
        document = self.ws.document
        if "S1" not in {section.id for section in document.sections}:
            return None
        done, total = section_progress(document, self.ws.state, "S1")
        return 7 * 2**30 if done < total else None
