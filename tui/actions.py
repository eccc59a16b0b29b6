"""What a person can do, once: the screens, the palette and the keys all come here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import work

from tui.help import help_content
from tui.roadmap.computed import effective_fields
from tui.roadmap.document import Field
from tui.roadmap.state import FieldValue, Record
from tui.roadmap.workspace import Workspace, WorkspaceError
from tui.screens.dialogs import (
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

    def action_room(self, name: str) -> None:
        """Go to a screen; the app's own."""

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
    async def edit_note(self, section_id: str, title: str) -> None:
        """A note on a stage."""
        old = self.ws.state.notes.get(section_id, "")
        values = await self.push_screen_wait(
            FormScreen(f"Note on {title}", [Entry("text", "Note", str(old))])
        )
        if values is not None:
            await self.commit(lambda: self.ws.note(section_id, values["text"], self.actor))

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
