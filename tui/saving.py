"""How a change gets to the disk and what the screen says of it: saved, in conflict, or not saved."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from textual import work

from tui.later import later
from tui.roadmap.errors import Conflict, WorkspaceError
from tui.roadmap.state import Record, State

if TYPE_CHECKING:
    from textual.app import App

    from tui.roadmap.describe import notice, when
    from tui.roadmap.workspace import Workspace
    from tui.screens.conflict import ConflictScreen
    from tui.screens.lost import LostScreen
    from tui.screens.reconcile import ReconcileScreen
    from tui.screens.recovery import RecoveryScreen

    Base = App[None]
else:
    notice, when = later("tui.roadmap.describe", "notice", "when")
    ConflictScreen = later("tui.screens.conflict", "ConflictScreen")
    LostScreen = later("tui.screens.lost", "LostScreen")
    ReconcileScreen = later("tui.screens.reconcile", "ReconcileScreen")
    RecoveryScreen = later("tui.screens.recovery", "RecoveryScreen")
    Base = object

Change = Callable[[], Record | None]


P = ParamSpec("P")


def writes(act: Callable[Concatenate[Any, P], object]) -> Callable[Concatenate[Any, P], None]:
    """An action that writes: where nothing can be written it says why at once, before anything is typed."""

    @functools.wraps(act)
    def checked(app: Any, /, *args: P.args, **kwargs: P.kwargs) -> None:
        if app.ws.read_only:
            app.notify(app.why_read_only, severity="warning", timeout=8, markup=False)
        else:
            act(app, *args, **kwargs)

    return checked


class Saving(Base):
    """Mixed into the app."""

    ws: Workspace
    saved: str
    _writers: int = 0
    _problem: str = ""

    def state_changed(self) -> None:
        """Redraw; the app's own."""

    def action_retry_links(self) -> None:
        """Try every link now; the app's own."""

    @property
    def actor(self) -> str:
        """Who the records name."""
        return f"user:{self.ws.settings.user}"

    @property
    def writing(self) -> bool:
        """True while a record is on its way to the disk."""
        return self._writers > 0

    @property
    def banner(self) -> str:
        """What keeps everything from being saved, with the way out; empty when nothing does."""
        if self.ws.unsaved:
            return f"{self.ws.unsaved} Read-only until r succeeds."
        if self.ws.journal.problem:
            mended = self.ws.journal.bad_line or self.ws.journal.lost
            way = ":recover shows it" if mended else "the app is read-only"
            return f"{self.ws.journal.problem} {way}"
        return ""

    @property
    def why_read_only(self) -> str:
        """Why nothing is written now, and the way out."""
        if self.banner:
            return f"Nothing more is written. {self.banner}"
        return "Nothing is written: this workspace is open read-only; :ro lifts it."

    # --- writing ------------------------------------------------------------------------------

    async def commit(self, change: Change, seen: State | None = None) -> Record | None:
        """Write one record; the screen says saved only after fsync, and says why when it failed.

        `seen` is the state that the person had before the eyes. Where the item has changed since, both
        sides are shown; the other side's record is returned when it is kept. Call it from a worker.
        """
        believed = seen or self.ws.state
        while True:
            try:
                record = await self._store(change, believed)
            except Conflict as conflict:
                self.state_changed()
                if conflict.theirs is None:
                    self._refuse(conflict)
                    return None
                choice = await self.push_screen_wait(ConflictScreen(conflict.theirs))
                if choice != "mine":
                    kept = [r for r in self.ws.state.records if r.at == conflict.theirs.at]
                    return kept[-1] if kept and choice == "theirs" else None
                believed = self.ws.state
            except WorkspaceError as problem:
                self._refuse(problem)
                self.state_changed()
                return None
            else:
                if record is not None:
                    self.saved = f"saved {when(record.at)[11:]}"
                self.state_changed()
                return record

    async def store(self, change: Callable[[], Record]) -> Record:
        """Write one record that carries its own preconditions. Raises WorkspaceError."""
        self._writers += 1
        try:
            record = await asyncio.to_thread(change)
        finally:
            self._writers -= 1
            self.state_changed()
        self.saved = f"saved {when(record.at)[11:]}"
        return record

    async def _store(self, change: Change, believed: State) -> Record | None:
        def under() -> Record | None:
            with self.ws.believing(believed):
                return change()

        self._writers += 1
        try:
            return await asyncio.to_thread(under)
        finally:
            self._writers -= 1

    def _refuse(self, problem: WorkspaceError) -> None:
        self.notify(str(problem), severity="error", timeout=12, markup=False)

    def write(self, change: Change) -> None:
        """`commit` as a worker, with what is on the screen now as precondition."""
        self._write(change, self.ws.state)

    @work(group="commit", exit_on_error=False)
    async def _write(self, change: Change, seen: State) -> None:
        await self.commit(change, seen)

    @writes
    def action_undo(self) -> None:
        """Undo the newest own action."""
        self._back(lambda: self.ws.undo(self.actor), "undone", "U does it again")

    @writes
    def action_redo(self) -> None:
        """Redo what was undone last."""
        self._back(lambda: self.ws.redo(self.actor), "done again", "u takes it back")

    @work(group="commit", exit_on_error=False)
    async def _back(self, change: Change, word: str, way: str) -> None:
        record = await self.commit(change)
        if record is not None:
            what = f"{record.data.get('of', record.do)} {record.item}".strip()
            self.notify(f"{word}: {what}   {way}", timeout=6, markup=False)

    # --- what others wrote --------------------------------------------------------------------

    def poll_state(self) -> None:
        """Take over what others appended, with one line of notice; the cursor stays."""
        if self.writing:
            return
        try:
            records = self.ws.refresh()
        except OSError as problem:
            self.saved = f"state file: {problem.strerror}"
            return
        if records:
            text = notice(records[-1])
            if len(records) > 1:
                text = f"{len(records)} changes, the last: {text}"
            self.notify(text, timeout=8, markup=False)
        said = self.ws.refresh_plan()
        if said:
            self.notify(said, timeout=10, markup=False)
            self.plan_changed()
        if records or said or self.ws.journal.problem != self._problem:
            self.state_changed()
            self.show_problem()

    def plan_changed(self) -> None:
        """The plan has another text: ask where something needs an answer."""
        if self.ws.needs_reconcile and not self.ws.read_only:
            self.action_reconcile()

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_reconcile(self) -> None:
        """Which reworded boxes are still the same; what is asked waits until it is answered."""
        ws = self.ws
        name, reading = ws.settings.roadmap, ws.reading
        if reading.current and not ws.orphans:
            self.notify(f"{name}: nothing to reconcile.", markup=False)
            return
        screen = ReconcileScreen(name, reading, ws.questions, ws.orphans)
        answer = await self.push_screen_wait(screen)
        if answer is None or (reading.current and not answer.matched):
            return
        if ws.reading is not reading:
            self.notify(f"{name} changed again meanwhile; look once more.", markup=False)
            self.plan_changed()
            return
        await self.commit(
            lambda: ws.reconcile(answer.same, self.actor, confirmed=True, matched=answer.matched)
        )

    def show_problem(self) -> None:
        """The recovery screen where the state file is damaged or lost records, once for each."""
        before, self._problem = self._problem, self.ws.journal.problem
        journal = self.ws.journal
        if self._problem and self._problem != before and (journal.bad_line or journal.lost):
            self.action_recover()

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_recover(self) -> None:
        """Show the damaged line or what is lost; a person says what becomes of it."""
        if self.ws.journal.lost:
            await self._settle_lost()
            return
        bad = self.ws.journal.bad_line
        if bad is None:
            text = self.ws.journal.problem or f"{self.ws.journal.path.name} is in order."
            self.notify(text, markup=False)
            return
        screen = RecoveryScreen(self.ws.journal.path.name, bad, len(self.ws.state.records))
        if not await self.push_screen_wait(screen):
            return
        by = f"hand:{self.ws.settings.user}"
        await self.commit(lambda: self.ws.accept_bad_line(by))
        self.show_problem()

    async def _settle_lost(self) -> None:
        try:
            name = "" if self.ws.closed else await asyncio.to_thread(self.ws.keep_lost)
            kept = f"Everything that was read is in {name}." if name else ""
        except WorkspaceError as problem:
            kept = str(problem)
        answer = await self.push_screen_wait(LostScreen(self.ws.journal.problem, kept))
        by = f"hand:{self.ws.settings.user}"
        if answer == "back":
            await self.commit(lambda: self.ws.put_back(by))
        elif answer == "without":
            await self.commit(lambda: self.ws.go_on_without(by))
        self.show_problem()

    # --- read-only ----------------------------------------------------------------------------

    def action_toggle_read_only(self) -> None:
        """Let changes through, or none."""
        self.ws.set_read_only(not self.ws.closed)
        word = "read-only: nothing is written" if self.ws.closed else "changes are written again"
        self.notify(word, markup=False)
        self.state_changed()

    @work(group="commit", exit_on_error=False)
    async def action_refresh_all(self) -> None:
        """Try the links, the state file and, after a failure, the disk once more."""
        self.action_retry_links()
        if self.ws.unsaved:
            try:
                await asyncio.to_thread(self.ws.retry)
            except WorkspaceError as problem:
                self._refuse(problem)
            else:
                self.saved = "the disk takes records again"
        self.poll_state()
        self.state_changed()
