"""The living checklist: stages on the left, boxes and blanks in the middle, the chosen one on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui import rows
from tui.detail import box_detail
from tui.field_detail import field_detail
from tui.filtering import filter_count, filtered_rows
from tui.later import later
from tui.roadmap.document import Box, Section
from tui.roadmap.progress import section_progress
from tui.roadmap.query import HINT
from tui.roadmap_rows import (
    attention_rows,
    box_line,
    field_line,
    section_head,
    view_rows,
)
from tui.screens.box_keys import BoxKeys
from tui.vocabulary import DIM
from tui.widgets.filter_line import FilterLine
from tui.widgets.pane import Pane
from tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from tui.copying import box_text, field_text
    from tui.roadmap.attention import Attention, attention
    from tui.screens.item import ItemScreen
else:
    box_text, field_text = later("tui.copying", "box_text", "field_text")
    attention = later("tui.roadmap.attention", "attention")
    ItemScreen = later("tui.screens.item", "ItemScreen")


class RoadmapScreen(BoxKeys):
    """W1 and W3 of the plan: three panes from 120 columns, two from 100, one below."""

    PLACE = "Roadmap"
    LEAVING = "quit"

    def __init__(self) -> None:
        super().__init__()
        self.section_id = ""
        self.filter_text = ""
        self.folded: set[str] = set()
        """Ids of groups and of boxes whose inner rows are not shown."""
        self._wants: tuple[object, tuple[Attention, ...]] = (None, ())

    def body(self) -> list[Widget]:
        """Navigation, filter line, list, detail."""
        nav, boxes = RowList(id="sections"), RowList(id="boxes")
        filter_line = FilterLine("filter", boxes, HINT)
        detail = Pane(Static(id="detail", markup=False), id="detail-pane")
        said = Static(id="said", markup=False)
        middle = VerticalScroll(filter_line, boxes, said, id="middle", can_focus=False)
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
        ws, section = self.gonogo.ws, self.section
        self._draw_navigation()
        boxes, value_of = self.query_one("#boxes", RowList), self.gonogo.field_value
        line = self.query_one(FilterLine)
        if self.filter_text.strip():
            found = filtered_rows(ws, section, self.filter_text, value_of)
            boxes.set_rows(found)
            line.say(filter_count(ws, self.filter_text, found, value_of))
        elif section is not None:
            table = rows.section_rows(
                section, ws.document, ws.state, value_of, folded=self.folded
            ) or [rows.heading("nothing", "This part of the plan has no boxes and no blanks.")]
            # Below 100 columns the header names the stage.
            head = section_head(section, ws) if self.size.width >= 100 else []
            boxes.set_rows([*head, *table])
        else:
            name = ws.settings.roadmap
            text = f"{name} has no task lists yet: write lines like “- [ ] a task” and save it."
            boxes.set_rows([rows.heading("nothing", text)])
        self.update_detail()

    def _draw_navigation(self) -> None:
        ws, nav = self.gonogo.ws, self.query_one("#sections", RowList)
        stages = [s for s in ws.document.all_sections if s.groups]
        table = [rows.section_row(s, ws.document, ws.state) for s in stages]
        if self.size.width >= 100 and ws.checks_wanted:
            table += attention_rows(self.wants())
            table += view_rows(self._figures())
        nav.set_rows(table)
        if not nav.has_focus or nav.key in {s.id for s in stages}:
            nav.select(self.section_id)

    def wants(self) -> tuple[Attention, ...]:
        """What wants a person; counted anew when a record came or the plan changed."""
        ws = self.gonogo.ws
        key = (len(ws.state.records), id(ws.document), int(self.gonogo.fleet.store.clock() / 60))
        if self._wants[0] != key:
            self._wants = (key, attention(ws))
        return self._wants[1]

    def _figures(self) -> dict[str, str]:
        ws, model = self.gonogo.ws, self.gonogo.header_model("")
        blanks = [f for f in ws.document.fields.values() if not f.implicit]
        filled = sum(bool(self.gonogo.field_value(f)[0]) for f in blanks)
        return {
            "gate": model.gate, "budget": f"{model.spent}", "metrics": f"{filled}/{len(blanks)}",
            "journal": str(model.records), "notes": str(len(ws.state.notes) or ""),
            "jobs": str(len(self.gonogo.fleet.store.jobs) or ""),
        }  # fmt: skip

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
        """Right pane, or the line below the list where there is no room for one."""
        if self.size.width >= 120:
            pane = self.query_one("#detail", Static)
            pane.update(self.detail_content(max(20, pane.size.width)))
        else:
            self.query_one("#said", Static).update(self._said())

    def _said(self) -> Content:
        ws, key, box = self.gonogo.ws, self.current_key(), self.current_box()
        field = ws.document.fields.get(key[6:]) if key.startswith("field:") else None
        if field is not None:
            return field_line(field, self.gonogo.field_value(field)[0])
        if key.startswith("group:"):
            return Content.styled("folded: l or enter unfolds", DIM)
        return box_line(ws, box) if box is not None else Content("")

    @on(RowList.Moved, "#boxes")
    def _moved(self) -> None:
        self.update_detail()

    @on(RowList.Moved, "#sections")
    def _section_moved(self, event: RowList.Moved) -> None:
        # A message may be older than the cursor: following it would chase the next one for ever.
        known = {s.id for s in self.gonogo.ws.document.all_sections}
        if event.key == event.row_list.key and event.key in known - {self.section_id}:
            self.section_id = event.key
            self.update_state()
            self.update_header()

    @on(RowList.Chosen, "#sections")
    def _section_chosen(self, event: RowList.Chosen) -> None:
        kind, _, name = event.key.partition(":")
        if kind == "room":
            self.gonogo.action_room(name)
        elif kind == "attn":
            wants = self.wants()
            if name.isdecimal() and int(name) < len(wants):
                self.gonogo.attend_to(wants[int(name)])
            else:
                self.gonogo.attend()
        else:
            self.query_one("#boxes", RowList).focus()

    # --- rows ---------------------------------------------------------------------------------

    @on(RowList.GlyphClicked, "#boxes")
    def _clicked(self) -> None:
        self.action_tick()

    @on(RowList.Chosen, "#boxes")
    def _chosen(self, event: RowList.Chosen) -> None:
        if event.key.startswith("field:"):
            self.gonogo.edit_field(event.key[6:])
        elif event.key.startswith("group:"):
            self.action_unfold()
        else:
            self.action_open()

    def action_open(self) -> None:
        """The item over the whole screen."""
        if self.current_key():
            self.app.push_screen(ItemScreen(self))

    def item_place(self) -> str:
        """Where the row under the cursor stands in the plan."""
        key, document = self.current_key(), self.gonogo.ws.document
        box, field = document.boxes.get(key), document.fields.get(key.removeprefix("field:"))
        item = box or field
        section = document.section(item.section_id) if item is not None else self.section
        parts = [section.short if section else ""]
        group = (
            next((g for g in section.groups if g.id == box.group_id), None)
            if box and section
            else None
        )
        parts += [group.title] if group is not None else []
        if box is not None and box.parent in document.boxes:
            parts.append(document.boxes[box.parent].label)
        return "  >  ".join(parts)

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

    def set_filter(self, text: str) -> None:
        """Filter from the command line."""
        self.query_one(FilterLine).put(text)

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.filter_text = event.value
        self.update_state()

    def show_key(self, key: str, section_id: str) -> None:
        """Show a row of a section."""
        self.query_one(FilterLine).put("")
        self.filter_text = ""
        self.section_id = section_id
        self.unfold(key)
        self.update_state()
        self.main_list().select(key)
        self.main_list().focus()

    def unfold(self, key: str) -> None:
        """Open everything that a row stands in."""
        box = self.gonogo.ws.document.boxes.get(key)
        while box is not None:
            self.folded -= {box.group_id, box.parent}
            box = self.gonogo.ws.document.boxes.get(box.parent)

    def go_to(self, box_id: str) -> None:
        """Show a box by id."""
        for section in self.gonogo.ws.document.sections:
            if any(box.id == box_id for group in section.groups for box in group.boxes):
                self.show_key(box_id, section.id)
