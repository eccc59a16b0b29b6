"""The keys of the roadmap and what they do to the row under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui import rows
from tui.later import later
from tui.roadmap.document import Box, Section
from tui.screens.room import Room
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_bar import Key
from tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from tui.roadmap.budget import summarize
else:
    summarize = later("tui.roadmap.budget", "summarize")


class BoxKeys(Room):
    """The part of the roadmap's screen that acts."""

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
        Key("/", "filter", "screen.filter"),
        Key("[ ]", "stage", "screen.section(1)"),
        Key("enter", "open", "screen.open"),
        Key("o", "evidence", "screen.evidence"),
        Key("!", "attention", "screen.attention"),
        Key("y", "copy", "screen.copy"),
        Key("h l", "fold", "screen.fold"),
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
        Binding("h,left", "fold", "Fold", id="list.fold"),
        Binding("l,right", "unfold", "Unfold", id="list.unfold"),
    ]

    section_id: str
    folded: set[str]

    @property
    def section(self) -> Section | None:
        """The stage now shown; the screen's own."""
        return None

    def current_key(self) -> str:
        """Key of the row under the cursor; the screen's own."""
        return ""

    def current_box(self) -> Box | None:
        """The box under the cursor; the screen's own."""
        return None

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

    def action_section(self, direction: int) -> None:
        """Previous or next stage."""
        ids = [s.id for s in self.gonogo.ws.document.all_sections if s.groups]
        if self.section_id in ids:
            self.section_id = ids[(ids.index(self.section_id) + direction) % len(ids)]
            self.update_state()
            self.update_header()

    def action_fold(self) -> None:
        """Fold what the cursor stands in: inner boxes, then their group; then to the stages."""
        key, box = self.current_key(), self.current_box()
        document = self.gonogo.ws.document
        if box is not None and box.children and box.id not in self.folded:
            self._fold(box.id, box.id)
        elif box is not None and box.parent in document.boxes:
            self._fold(box.parent, box.parent)
        elif box is not None:
            self._fold(box.group_id, f"group:{box.group_id}")
        elif key.startswith("group:") or not key:
            nav = self.query_one("#sections", RowList)
            if nav.display:
                nav.focus()

    def _fold(self, item: str, key: str) -> None:
        self.folded.add(item)
        self.update_state()
        self.query_one("#boxes", RowList).select(key)

    def action_unfold(self) -> None:
        """Unfold what the cursor stands on; from the stages to the boxes."""
        boxes = self.query_one("#boxes", RowList)
        if self.focused is not None and self.focused.id == "sections":
            boxes.focus()
            return
        item = self.current_key().removeprefix("group:")
        if item not in self.folded:
            return
        self.folded.discard(item)
        group = next(
            (g for g in (self.section.groups if self.section else ()) if g.id == item), None
        )
        self.update_state()
        if group is not None and group.boxes:
            boxes.select(group.boxes[0].id)

    def action_filter(self) -> None:
        """Show the filter line."""
        self.query_one(FilterLine).open()

    def action_attention(self) -> None:
        """Everything that wants a person."""
        self.gonogo.attend()
