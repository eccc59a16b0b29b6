"""Notes on every stage and the lessons learned. A text is saved when it is left."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Label, TextArea

from tui import rows
from tui.copying import field_text
from tui.roadmap.document import Field, Section
from tui.roadmap.errors import WorkspaceError
from tui.roadmap.state import State
from tui.screens.room import Room
from tui.vocabulary import DIM, PASS
from tui.widgets.key_bar import Key
from tui.widgets.row_list import Row, RowList


def note_row(section: Section, note: str) -> Row:
    """A stage with the first line of its note."""

    def draw(width: int) -> Content:
        return Content.assemble(
            (" * " if note else "   ", PASS),
            f"{section.id:<4}{rows.short_title(section)}",
            (f"  {note.splitlines()[0]}" if note else "", DIM),
        )

    return Row(section.id, draw)


def named(field: Field) -> Field:
    """A lesson whose blank has no text of its own is called after its place: `went well 1`."""
    return replace(field, label=" ".join(field.id.split(".")[1:]).replace("_", " "))


class NoteArea(TextArea):
    """Where the note is typed; tab and escape leave it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.leave_text", "Save and leave", id="note.leave"),
    ]

    def on_blur(self, _event: events.Blur) -> None:
        """Saved when left."""
        if isinstance(self.screen, NotesScreen):
            self.screen.save()


class NotesScreen(Room):
    """Key 7."""

    PLACE = "Notes and lessons learned"
    KEYS = (
        Key("enter", "write", "screen.write"),
        Key("esc", "save and leave the text", "screen.leave_text"),
        Key("y", "copy", "screen.copy"),
        Key("u", "undo", "app.undo"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e,n", "write", "Write", id="note.write"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.section_id = ""
        self._seen: State | None = None
        self._shown = ""

    def body(self) -> list[Widget]:
        """Stages and lessons beside the text."""
        area = NoteArea(id="note", tab_behavior="focus", soft_wrap=True, show_line_numbers=False)
        return [
            Horizontal(
                RowList(id="note-list"),
                Vertical(Label("", id="note-title", markup=False), area, id="note-side"),
                id="note-panes",
            )
        ]

    def on_mount(self) -> None:
        """The list has the cursor."""
        super().on_mount()
        self.query_one("#note-list", RowList).focus()

    @property
    def area(self) -> NoteArea:
        """The text."""
        return self.query_one("#note", NoteArea)

    @property
    def dirty(self) -> bool:
        """True where something was typed that is not saved."""
        return (
            self.ready and bool(self.section_id) and self.area.text.strip() != self._shown.strip()
        )

    def _sections(self) -> list[Section]:
        return [s for s in self.gonogo.ws.document.all_sections if s.groups or s.fields]

    def _lessons(self) -> list[Field]:
        fields = self.gonogo.ws.document.fields.values()
        return [f for f in fields if f.section_id == "NL"]

    def update_state(self) -> None:
        """List and text; a text that is being typed stays as it is."""
        ws = self.gonogo.ws
        known = {s.id for s in ws.document.sections}
        table = [rows.heading("notes", "Notes", str(len(ws.state.notes)))]
        table += [
            note_row(s, ws.state.notes.get(s.id, "")) for s in self._sections() if s.id in known
        ]
        lessons = self._lessons()
        if lessons:
            values = [self.gonogo.field_value(f) for f in lessons]
            filled = sum(bool(value) for value, _ in values)
            table.append(rows.heading("lessons", "Lessons learned", f"{filled}/{len(lessons)}"))
            table += [rows.field_row(named(f), *v) for f, v in zip(lessons, values, strict=True)]
        self.query_one("#note-list", RowList).set_rows(table)
        if not self.dirty:
            self._load(self.query_one("#note-list", RowList).key)

    def _load(self, section_id: str) -> None:
        ws = self.gonogo.ws
        section = ws.document.section(section_id)
        self.section_id = section.id if section else ""
        self._seen = ws.state
        self._shown = ws.state.notes.get(self.section_id, "")
        if self.area.text != self._shown:
            self.area.load_text(self._shown)
        self.area.read_only = section is None or ws.read_only
        title = rows.short_title(section) if section else "a lesson: enter fills it in"
        self.query_one("#note-title", Label).update(Content(f" {section_id}  {title}"))

    @on(RowList.Moved, "#note-list")
    def _moved(self, event: RowList.Moved) -> None:
        if event.key == event.row_list.key and event.key != self.section_id:
            self.save()
            self._load(event.key)

    @on(RowList.Chosen, "#note-list")
    def _chosen(self) -> None:
        self.action_write()

    def action_write(self) -> None:
        """Into the text, or the lesson under the cursor."""
        key = self.query_one("#note-list", RowList).key
        if key.startswith("field:"):
            self.gonogo.edit_field(key[6:])
        elif self.gonogo.ws.read_only:
            self.notify(self.gonogo.why_read_only, severity="warning", markup=False)
        else:
            self.area.focus()

    def action_leave_text(self) -> None:
        """Save and back to the list."""
        self.query_one("#note-list", RowList).focus()

    def main_list(self) -> RowList:
        """Stages and lessons."""
        return self.query_one("#note-list", RowList)

    def copied(self) -> tuple[str, str]:
        """The note, or the lesson, under the cursor."""
        key = self.query_one("#note-list", RowList).key
        field = self.gonogo.ws.document.fields.get(key.removeprefix("field:"))
        if field is not None:
            return field_text(named(field), *self.gonogo.field_value(field)), field.id
        return self.area.text, f"the note on {key}"

    def on_screen_suspend(self) -> None:
        """Another screen: save."""
        self.save()

    def save(self) -> None:
        """Write what was typed as one record, against what stood there when it was opened."""
        if not self.dirty or self._seen is None:
            return
        section, text, seen = self.section_id, self.area.text, self._seen
        self._shown = text
        self.gonogo.save_note(section, text, seen, self)

    def save_now(self) -> str:
        """Write before the app ends; a sentence where that is not possible."""
        if not self.dirty or self._seen is None:
            return ""
        try:
            with self.gonogo.ws.believing(self._seen):
                self.gonogo.ws.note(self.section_id, self.area.text, self.gonogo.actor)
        except WorkspaceError as problem:
            return str(problem)
        self._shown = self.area.text
        return ""

    def not_saved(self, section: str, text: str) -> None:
        """The typed text stays where it was typed."""
        if self.section_id == section and self.area.text == text:
            self._shown = self.gonogo.ws.state.notes.get(section, "")
