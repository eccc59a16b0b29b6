"""Going places and leaving: stages, filters, the command line, and what must be saved before the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events, work

from tui.keymap import checked
from tui.later import later
from tui.saving import Saving
from tui.screens.too_small import LEAST, TooSmall
from tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from tui.roadmap.state import State
    from tui.screens.command import CommandScreen
    from tui.screens.dialogs import ConfirmScreen
    from tui.screens.edit import EditScreen
    from tui.screens.journal import JournalScreen
    from tui.screens.notes import NotesScreen
    from tui.screens.roadmap import RoadmapScreen
    from tui.screens.room import Room
else:
    CommandScreen = later("tui.screens.command", "CommandScreen")
    ConfirmScreen = later("tui.screens.dialogs", "ConfirmScreen")
    EditScreen = later("tui.screens.edit", "EditScreen")
    JournalScreen = later("tui.screens.journal", "JournalScreen")
    NotesScreen = later("tui.screens.notes", "NotesScreen")
    RoadmapScreen = later("tui.screens.roadmap", "RoadmapScreen")


class Going(Saving):
    """Mixed into the app."""

    keymap_now: dict[str, str]

    @property
    def room(self) -> Room | None:
        """The room on top; the app's own."""
        return None

    def action_room(self, name: str) -> None:
        """Go to a screen; the app's own."""

    def on_resize(self, event: events.Resize) -> None:
        """Below the smallest size one sentence covers a dialog as well, until there is room again."""
        width, height = event.size
        small = width < LEAST[0] or height < LEAST[1]
        if not self.screen_stack:
            return
        top = self.screen
        if isinstance(top, TooSmall):
            if small:
                top.say(width, height)
            else:
                top.dismiss(None)
        elif small and top.is_modal:
            self.push_screen(TooSmall(width, height))

    def check_keymap(self) -> None:
        """Say which entries of [keymap] cannot be used; their actions keep the keys they have."""
        if not self.ws.settings.keymap:
            return
        good, problems = checked(self.ws.settings.keymap)
        for problem in problems:
            self.notify(f"gonogo.toml {problem}", severity="warning", timeout=20, markup=False)
        if good != self.keymap_now:
            self.keymap_now = good
            self.set_keymap(good)
            room = self.room
            if room is not None:
                room.query_one(KeyBar).show(room.shown_keys())

    def action_command_line(self) -> None:
        """The `:` line."""
        self.push_screen(CommandScreen())

    def command_line(self, text: str) -> None:
        """The `:` line with a text that waits for enter."""
        self.push_screen(CommandScreen(text))

    def show_stage(self, section_id: str) -> None:
        """A stage on the roadmap."""
        self.action_room("roadmap")

        def show() -> None:
            if isinstance(self.screen, RoadmapScreen):
                self.screen.open_section(section_id)

        self.call_after_refresh(show)

    def show_filter(self, text: str) -> None:
        """Filter the journal where it is shown, else the roadmap."""
        if not isinstance(self.room, JournalScreen):
            self.action_room("roadmap")

        def show() -> None:
            if isinstance(self.screen, (RoadmapScreen, JournalScreen)):
                self.screen.set_filter(text)

        self.call_after_refresh(show)

    @work(group="commit", exit_on_error=False)
    async def save_note(self, section: str, text: str, seen: State, screen: NotesScreen) -> None:
        """Write a note; what cannot be written stays in its editor."""
        if await self.commit(lambda: self.ws.note(section, text, self.actor), seen) is None:
            screen.not_saved(section, text)

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def leave_asking(self) -> None:
        """`q`: out at once, unless something would be cut off that the hosts do not go on with."""
        cut = {"verify": "Checks are running; what they found is not recorded.",
               "fetch": "A file is being fetched; it goes on from here the next time."}  # fmt: skip
        said = [cut[w.group] for w in self.workers if w.group in cut and not w.is_finished]
        if said and not await self.push_screen_wait(ConfirmScreen("Leave now?", said[0])):
            return
        self.leave_app()

    def leave_app(self) -> None:
        """Save what was typed and end; where it cannot be saved, say so and stay."""
        for stack in self._screen_stacks.values():
            for screen in stack:
                if isinstance(screen, EditScreen) and screen.dirty:
                    self.notify(
                        "The text was changed: ctrl+s writes it, esc asks what becomes of it.",
                        severity="warning", markup=False,
                    )  # fmt: skip
                    return
                complaint = screen.save_now() if isinstance(screen, NotesScreen) else ""
                if complaint:
                    self.notify(
                        f"The note is not saved: {complaint}", severity="error", markup=False
                    )
                    return
        self.exit()

    async def action_quit(self) -> None:
        """ctrl+q."""
        self.leave_app()
