"""The living checklist: stages on the left, boxes and blanks in the middle, the chosen one on the right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui import rows
from tui.detail import box_detail
from tui.field_detail import field_detail
from tui.filtering import filtered_rows
from tui.later import later
from tui.roadmap.budget import summarize
from tui.roadmap.document import Box, Section
from tui.roadmap.progress import section_progress
from tui.roadmap.query import HINT
from tui.screens.room import Room
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_bar import Key
from tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from tui.copying import box_text, field_text
    from tui.screens.dialogs import DetailScreen
else:
    box_text, field_text = later("tui.copying", "box_text", "field_text")
    DetailScreen = later("tui.screens.dialogs", "DetailScreen")


class RoadmapScreen(Room):
    """W1 and W3 of the plan: three panes from 120 columns, two from 100, one below."""

    PLACE = "Roadmap"
    KEYS = (
        Key("space", "tick", "screen.tick"),
        Key("v", "verify", "screen.verify"),
        Key("V", "verify all", "screen.verify_section"),
        Key("e", "field", "screen.edit"),
        Key("n", "note", "screen.note"),
        Key("w", "waive", "screen.waive"),
        Key("x", "n/a", "screen.drop"),
        Key("$", "cost", "app.add_cost"),
        Key("u", "undo", "app.undo"),
        Key("[ ]", "stage", "screen.section(1)"),
        Key("enter", "open", "screen.open"),
        Key("o", "evidence", "screen.evidence"),
        Key("y", "copy", "screen.copy"),
        Key("/", "filter", "screen.filter"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "tick", "Tick", id="box.tick"),
        Binding("v", "verify", "Verify", id="box.verify"),
        Binding("V", "verify_section", "Verify section", id="box.verify_section"),
        Binding("e", "edit", "Edit field", id="field.edit"),
        Binding("n", "note", "Note", id="note.edit"),
        Binding("w", "waive", "Waive", id="box.waive"),
        Binding("x", "drop", "Not applicable", id="box.na"),
        Binding("o", "evidence", "Evidence", id="box.evidence"),
        Binding("left_square_bracket", "section(-1)", "Previous stage", id="stage.previous"),
        Binding("right_square_bracket", "section(1)", "Next stage", id="stage.next"),
        Binding("slash", "filter", "Filter", id="list.filter"),
        Binding("exclamation_mark", "attention", "Attention", id="list.attention"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.section_id = ""
        self.filter_text = ""

    def body(self) -> list[Widget]:
        """Navigation, filter line, list, detail."""
        nav, boxes = RowList(id="sections"), RowList(id="boxes")
        boxes.glyph_columns = rows.BRACKET
        filter_line = FilterLine("filter", boxes, HINT)
        detail = VerticalScroll(
            Static(id="detail", markup=False), id="detail-pane", can_focus=False
        )
        middle = VerticalScroll(filter_line, boxes, id="middle", can_focus=False)
        return [Horizontal(nav, middle, detail, id="panes")]

    def on_mount(self) -> None:
        """Open on the first stage that is not finished."""
        doc, state = self.gonogo.ws.document, self.gonogo.ws.state
        sections = [section for section in doc.all_sections if section.groups]
        open_sections = [s for s in sections if section_progress(doc, state, s.id)[1]]
        unfinished = [
            s
            for s in open_sections
            if s.id != "PT"
            and section_progress(doc, state, s.id)[0] < section_progress(doc, state, s.id)[1]
        ]
        chosen = (unfinished or open_sections or sections)[:1]
        self.section_id = chosen[0].id if chosen else ""
        super().on_mount()
        self.query_one("#boxes", RowList).focus()

    # --- drawing ------------------------------------------------------------------------------

    @property
    def section(self) -> Section | None:
        """The stage now shown."""
        doc = self.gonogo.ws.document
        return next((s for s in doc.all_sections if s.id == self.section_id), None)

    def place(self) -> str:
        """Below 100 columns the stage is named in the header."""
        section = self.section
        if section is None or self.size.width >= 100:
            return ""
        return f"{section.id} {rows.short_title(section)}"

    def update_state(self) -> None:
        """Stages, boxes, detail."""
        ws = self.gonogo.ws
        nav = self.query_one("#sections", RowList)
        nav.set_rows(
            [
                rows.section_row(s, ws.document, ws.state)
                for s in ws.document.all_sections
                if s.groups
            ]
        )
        nav.select(self.section_id)
        section = self.section
        boxes = self.query_one("#boxes", RowList)
        if self.filter_text.strip():
            boxes.set_rows(filtered_rows(ws, section, self.filter_text, self.gonogo.field_value))
        elif section is not None:
            boxes.set_rows(
                rows.section_rows(section, ws.document, ws.state, self.gonogo.field_value)
            )
        self.update_detail()

    def current_key(self) -> str:
        """Key of the row under the cursor."""
        return self.query_one("#boxes", RowList).key

    def current_box(self) -> Box | None:
        """The box under the cursor, if it is one."""
        return self.gonogo.ws.document.boxes.get(self.current_key())

    def detail_content(self, width: int) -> Content:
        """Everything known of the row under the cursor."""
        key, ws = self.current_key(), self.gonogo.ws
        if key.startswith("field:"):
            field = ws.document.fields.get(key[6:])
            return field_detail(ws, field) if field else Content("")
        box = self.current_box()
        return box_detail(ws, box, width) if box else Content("")

    def update_detail(self) -> None:
        """Right pane; not drawn where it is not shown."""
        if self.size.width >= 120:
            pane = self.query_one("#detail", Static)
            pane.update(self.detail_content(max(20, pane.size.width)))

    @on(RowList.Moved, "#boxes")
    def _moved(self) -> None:
        self.update_detail()

    @on(RowList.Moved, "#sections")
    def _section_moved(self, event: RowList.Moved) -> None:
        # A message may be older than the cursor: following it would chase the next one for ever.
        if event.key == event.row_list.key and event.key not in ("", self.section_id):
            self.section_id = event.key
            self.update_state()
            self.update_header()

    @on(RowList.Chosen, "#sections")
    def _section_chosen(self) -> None:
        self.query_one("#boxes", RowList).focus()

    # --- actions ------------------------------------------------------------------------------

    @on(RowList.GlyphClicked, "#boxes")
    def _clicked(self) -> None:
        self.action_tick()

    @on(RowList.Chosen, "#boxes")
    def _chosen(self, event: RowList.Chosen) -> None:
        if event.key.startswith("field:"):
            self.gonogo.edit_field(event.key[6:])
        elif self.size.width < 120:
            self.action_open()

    def action_open(self) -> None:
        """The detail as a screen of its own."""
        self.app.push_screen(DetailScreen(self.detail_content(76)))

    def action_tick(self) -> None:
        """Tick or untick; the GO and NO-GO boxes lead to the gate, fields to their editor."""
        key, box = self.current_key(), self.current_box()
        if key.startswith("field:"):
            self.gonogo.edit_field(key[6:])
        elif box is not None and box.kind == "radio":
            self.gonogo.action_room("gate")
            self.notify("GO and NO-GO are decided at the gate.", markup=False)
        elif box is not None:
            self.gonogo.toggle(box)

    def _set_aside(self, act: Callable[[str, str], object]) -> None:
        box = self.current_box()
        if box is None or box.computed or box.informational:
            self.notify("Only a task of its own can be waived or dropped.", markup=False)
        else:
            act(box.id, box.section_id)

    def action_waive(self) -> None:
        """Let the box under the cursor count as done for a while."""
        self._set_aside(self.gonogo.waive_box)

    def action_drop(self) -> None:
        """The box under the cursor does not apply here."""
        self._set_aside(self.gonogo.drop_box)

    def current_row(self) -> str:
        """The budget row of this stage, for a new cost."""
        ws = self.gonogo.ws
        rows = summarize(ws.settings, ws.document, ws.state).rows
        return next((row.name for row in rows if row.section_id == self.section_id), "")

    def action_edit(self) -> None:
        """Edit the blank under the cursor, else the first blank of this stage."""
        key = self.current_key()
        if key.startswith("field:"):
            self.gonogo.edit_field(key[6:])
            return
        own = [f.id for f in self.gonogo.ws.document.fields.values() if f.box == key]
        if own:
            values = [self.gonogo.ws.state.fields.get(i) for i in own]
            empty = [i for i, value in zip(own, values, strict=True) if value is None]
            self.gonogo.edit_field((empty or own)[0])
            return
        fields = [
            f for group in (self.section.groups if self.section else ()) for f in group.fields
        ]
        if fields:
            self.query_one("#boxes", RowList).select(f"field:{fields[0].id}")
            self.gonogo.edit_field(fields[0].id)

    def action_note(self) -> None:
        """A note on this stage."""
        if self.section is not None:
            self.gonogo.edit_note(self.section.id, rows.short_title(self.section))

    def action_verify(self) -> None:
        """Verify the box under the cursor."""
        box = self.current_box()
        if box is not None:
            self.gonogo.verify_boxes([box.id])

    def action_verify_section(self) -> None:
        """Verify every bound box of this stage."""
        if self.section is not None:
            self.gonogo.verify_boxes([b.id for g in self.section.groups for b in g.boxes])

    def action_evidence(self) -> None:
        """Open what the probe saw."""
        box = self.current_box()
        if box is not None:
            self.gonogo.open_evidence(box.id)

    def main_list(self) -> RowList:
        """The boxes."""
        return self.query_one("#boxes", RowList)

    def copied(self) -> tuple[str, str]:
        """The box or blank under the cursor with its evidence; of the stages the title."""
        key, box, ws = self.current_key(), self.current_box(), self.gonogo.ws
        section = self.section
        if self.focused is not None and self.focused.id == "sections" and section is not None:
            return f"{section.id} {section.title}", section.id
        if key.startswith("field:") and key[6:] in ws.document.fields:
            field = ws.document.fields[key[6:]]
            return field_text(field, *self.gonogo.field_value(field)), field.id
        return (box_text(ws, box), box.id) if box is not None else ("", "")

    def open_section(self, section_id: str) -> None:
        """Show a stage by id."""
        self.section_id = section_id
        self.update_state()
        self.update_header()

    def action_section(self, direction: int) -> None:
        """Previous or next stage."""
        ids = [s.id for s in self.gonogo.ws.document.all_sections if s.groups]
        if self.section_id in ids:
            self.section_id = ids[(ids.index(self.section_id) + direction) % len(ids)]
            self.update_state()
            self.update_header()

    def set_filter(self, text: str) -> None:
        """Filter from the command line."""
        self.query_one(FilterLine).put(text)

    def action_filter(self) -> None:
        """Show the filter line."""
        self.query_one(FilterLine).open()

    def action_attention(self) -> None:
        """Everything that wants a person."""
        self.gonogo.attend()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.filter_text = event.value
        self.update_state()

    def show_key(self, key: str, section_id: str) -> None:
        """Show a row of a section."""
        self.section_id = section_id
        self.update_state()
        self.query_one("#boxes", RowList).select(key)

    def go_to(self, box_id: str) -> None:
        """Show a box by id."""
        for section in self.gonogo.ws.document.sections:
            if any(box.id == box_id for group in section.groups for box in group.boxes):
                self.section_id = section.id
                self.update_state()
                self.query_one("#boxes", RowList).select(box_id)
