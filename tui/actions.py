"""What a person can do, once: the screens, the palette and the keys all come here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from tui.files import write_file
from tui.going import Going
from tui.later import later
from tui.roadmap.errors import WorkspaceError
from tui.saving import writes

if TYPE_CHECKING:
    from tui.fleet import Fleet
    from tui.help import help_lines
    from tui.roadmap.computed import shown_fields
    from tui.roadmap.document import Field
    from tui.roadmap.state import FieldValue
    from tui.screens.dialogs import Entry, FormScreen
    from tui.screens.edit import EditScreen
    from tui.screens.help import HelpScreen
else:
    help_lines = later("tui.help", "help_lines")
    HelpScreen = later("tui.screens.help", "HelpScreen")
    shown_fields = later("tui.roadmap.computed", "shown_fields")
    Entry, FormScreen = later("tui.screens.dialogs", "Entry", "FormScreen")
    EditScreen = later("tui.screens.edit", "EditScreen")


class Actions(Going):
    """Mixed into the app."""

    fleet: Fleet
    _fields: dict[str, FieldValue]
    _fields_at: int = -1

    def action_room(self, name: str) -> None:
        """Go to a screen; the app's own."""

    def read_runs(self) -> None:
        """Take in what the mirrors gained; the app's own."""

    # --- fields, notes, money -----------------------------------------------------------------

    def field_value(self, field: Field) -> tuple[str, str]:
        """Value and source of a blank, empty strings when it is not filled."""
        count = len(self.ws.state.records)
        if self._fields_at != count:
            self._fields = shown_fields(self.ws.document, self.ws.state, self.ws.settings)
            self._fields_at = count
        value = self._fields.get(field.id)
        return ("", "") if value is None else (str(value.value), value.source)

    @writes
    @work(group="dialog", exit_on_error=False)
    async def edit_note(self, section_id: str, title: str) -> None:
        """A note on a stage."""
        seen = self.ws.state
        old = seen.notes.get(section_id, "")
        values = await self.push_screen_wait(
            FormScreen(f"Note on {title}", [Entry("text", "Note", str(old))])
        )
        if values is not None:
            await self.commit(lambda: self.ws.note(section_id, values["text"], self.actor), seen)

    @writes
    def edit_as_text(self, item: str = "") -> None:
        """Boxes, blanks and notes as one text; begins at `item`, else at what the cursor is on."""
        here = getattr(self.screen, "current_key", lambda: "")()
        self.push_screen(EditScreen(item or here.removeprefix("field:")))

    # --- reading ------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Keys of this screen and of the app."""
        self.push_screen(HelpScreen(help_lines(self.screen, self.keymap_now)))

    @work(group="commit", exit_on_error=False)
    async def export_roadmap(self) -> None:
        """The filled-in roadmap as Markdown in exports/."""
        from tui.roadmap.export import export_markdown

        text = export_markdown(self.ws.document, self.ws.state, self.ws.settings)
        path = self.ws.root / "exports" / Path(self.ws.settings.roadmap).name
        try:
            await asyncio.to_thread(path.parent.mkdir, exist_ok=True)
            await asyncio.to_thread(write_file, path, text.encode("utf-8"), True, self.ws.root)
        except (OSError, WorkspaceError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"written: {path}", timeout=10, markup=False)
