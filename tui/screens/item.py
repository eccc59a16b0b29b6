"""One box or blank over the whole screen (W4), for terminals without the detail pane."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from tui.widgets.hint import Hint
from tui.widgets.pane import Pane

if TYPE_CHECKING:
    from tui.screens.roadmap import RoadmapScreen

KEYS = "space tick  v verify  e field  n note  w waive  x n/a  o evidence  u undo"
MOVES = "j k next, previous item   pgup pgdn scroll   y copy   ? help   esc back"


class ItemScreen(ModalScreen[None]):
    """Shows the row under the cursor of the roadmap; its keys do there what they do on the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "close", "Back", id="dialog.back"),
        Binding("j,down", "step(1)", "Next item", show=False, id="list.down"),
        Binding("k,up", "step(-1)", "Item before", show=False, id="list.up"),
        Binding("pagedown", "page(1)", "Scroll down", show=False, id="list.page_down"),
        Binding("pageup", "page(-1)", "Scroll up", show=False, id="list.page_up"),
        Binding("space", "act('tick')", "Tick", show=False, id="box.tick"),
        Binding("v", "act('verify')", "Verify", show=False, id="box.verify"),
        Binding("e", "act('edit')", "Edit field", show=False, id="field.edit"),
        Binding("n", "act('note')", "Note", show=False, id="note.edit"),
        Binding("w", "act('waive')", "Waive", show=False, id="box.waive"),
        Binding("x", "act('drop')", "Not applicable", show=False, id="box.na"),
        Binding("o", "act('evidence')", "Evidence", show=False, id="box.evidence"),
        Binding("y", "act('copy')", "Copy", show=False, id="list.copy"),
        Binding("u", "app.undo", "Undo", show=False, id="state.undo"),
        Binding("U", "app.redo", "Redo", show=False, id="state.redo"),
        Binding("question_mark,f1", "app.help", "Help", show=False, id="app.help"),
    ]

    def __init__(self, room: RoadmapScreen) -> None:
        super().__init__()
        self.room = room

    def compose(self) -> ComposeResult:
        """Place, everything that is known, keys."""
        with Vertical(classes="dialog -whole"):
            yield Label(self.room.item_place(), id="place", classes="dialog--title", markup=False)
            with Pane(id="item-pane"):
                yield Static(id="item", markup=False)
            yield Hint(f"{KEYS}\n{MOVES}")

    def on_mount(self) -> None:
        """The text scrolls; the room keeps the cursor."""
        self.query_one("#item-pane", Pane).can_focus = False
        self.show()

    def on_resize(self) -> None:
        """Text is as wide as the screen."""
        self.show()

    def show(self) -> None:
        """The row under the cursor as it is now."""
        self.query_one("#place", Label).update(self.room.item_place())
        width = max(20, self.size.width - 6)
        self.query_one("#item", Static).update(self.room.detail_content(width))

    def changed(self) -> None:
        """The workspace has another state: the list below and this."""
        if self.is_mounted and self.room.ready:
            self.room.update_state()
            self.show()

    def action_step(self, direction: int) -> None:
        """The next row of the list."""
        self.room.main_list().action_move(direction)
        self.query_one("#item-pane", Pane).scroll_home(animate=False)
        self.show()

    def action_page(self, direction: int) -> None:
        """Scroll what is longer than the screen."""
        pane = self.query_one("#item-pane", Pane)
        pane.scroll_relative(y=direction * max(1, pane.size.height - 1), animate=False)

    def action_act(self, name: str) -> None:
        """What the key does on the list."""
        getattr(self.room, f"action_{name}")()
        if self.app.current_mode != "roadmap":  # a GO box leads to the gate
            self.dismiss(None)

    def action_close(self) -> None:
        """Back to the list."""
        self.dismiss(None)
