"""A scrolling list of one-line rows with a cursor: the spine of every screen.

Rows are drawn by the line API, so a list of hundreds of boxes costs one widget and only the
visible lines are rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from tui.widgets.lines import same_content


@dataclass(frozen=True)
class Row:
    """One line: `draw(width)` gives its content; a row without selectable is a heading."""

    key: str
    draw: Callable[[int], Content]
    selectable: bool = True
    glyph: tuple[int, int] = (0, 0)
    """Half-open range of columns in which a click counts as a click on the row's bracket."""


REVERSED = Style(reverse=True)
"""Of the cursor where there are no colours: a shade is lost on a terminal of eight of them."""


class RowList(ScrollView, can_focus=True):
    """List with a cursor that keeps its row by key when the rows are replaced."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row-list--cursor", "row-list--row"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False, id="list.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="list.up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="list.page_down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="list.page_up"),
        Binding("home,g", "end(-1)", "First", show=False, id="list.first"),
        Binding("end,G", "end(1)", "Last", show=False, id="list.last"),
        Binding("enter", "choose", "Open", show=False, id="list.open"),
    ]
    DEFAULT_CSS = """
    RowList { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    RowList .row-list--cursor { background: $block-cursor-blurred-background; }
    RowList:focus .row-list--cursor { background: $primary 35%; text-style: bold; }
    """

    cursor: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class Moved(Message):
        """The cursor stands on another row."""

        row_list: RowList
        key: str

        @property
        def control(self) -> RowList:
            """The list the message comes from."""
            return self.row_list

    @dataclass
    class Chosen(Message):
        """Enter, or a second click, on a row."""

        row_list: RowList
        key: str

        @property
        def control(self) -> RowList:
            """The list the message comes from."""
            return self.row_list

    @dataclass
    class GlyphClicked(Message):
        """A click on the leading bracket of a row."""

        row_list: RowList
        key: str

        @property
        def control(self) -> RowList:
            """The list the message comes from."""
            return self.row_list

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: tuple[Row, ...] = ()
        self._contents: dict[int, Content] = {}
        """What stands on a line, for `_width` cells: rows that say the same are not drawn again."""
        self._width = 0

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows now shown."""
        return self._rows

    @property
    def key(self) -> str:
        """Key of the row under the cursor, or an empty string."""
        return self._rows[self.cursor].key if self.cursor < len(self._rows) else ""

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Replace all rows; the cursor stays on the row with the same key, else near its place."""
        key, chosen = self.key, self.cursor
        self._rows = tuple(rows)
        self.virtual_size = Size(self.size.width, len(self._rows))
        index = next((i for i, row in enumerate(self._rows) if row.key == key and key), None)
        if index is None:
            index = self._nearest(min(self.cursor, max(0, len(self._rows) - 1)))
        self.set_reactive(RowList.cursor, index)
        self._refresh_changed({chosen, index} if chosen != index else set())
        if self.key != key:
            self.post_message(self.Moved(self, self.key))

    def _refresh_changed(self, also: set[int]) -> None:
        """Draw the visible lines whose content is another one, and those in `also`."""
        size, before = self.scrollable_content_region.size, self._contents
        if not size or size.width != self._width:
            self._contents = {}
            self.refresh()
            return
        top, self._contents = self.scroll_offset.y, {}
        for index in range(top, top + size.height):
            old = before.get(index)
            new = self._content(index, size.width) if index < len(self._rows) else None
            if index in also or not same_content(old, new):
                self.refresh(Region(0, index - top, self.size.width, 1))

    def _content(self, index: int, width: int) -> Content:
        if width != self._width:
            self._contents, self._width = {}, width
        if index not in self._contents:
            row = self._rows[index]
            self._contents[index] = row.draw(width).truncate(width, pad=True)
        return self._contents[index]

    def select(self, key: str) -> bool:
        """Put the cursor on the row with this key; False when there is none."""
        for index, row in enumerate(self._rows):
            if row.key == key and row.selectable:
                self.cursor = index
                return True
        return False

    def _nearest(self, index: int) -> int:
        count = len(self._rows)
        for distance in range(count):
            for candidate in (index + distance, index - distance):
                if 0 <= candidate < count and self._rows[candidate].selectable:
                    return candidate
        return 0

    def _step(self, start: int, direction: int) -> int:
        index = start + direction
        while 0 <= index < len(self._rows):
            if self._rows[index].selectable:
                return index
            index += direction
        return start

    def watch_cursor(self, old: int, new: int) -> None:
        """Redraw the two lines concerned and keep the cursor in view."""
        for line in (old, new):
            self.refresh(Region(0, line - self.scroll_offset.y, self.size.width, 1))
        top = 0 if new == self._nearest(0) else new
        self.scroll_to_region(
            Region(0, top, 1, new - top + 1), animate=False, force=True, immediate=True
        )
        if self.key:
            self.post_message(self.Moved(self, self.key))

    def action_move(self, direction: int) -> None:
        """One selectable row up or down."""
        self.cursor = self._step(self.cursor, direction)

    def action_page(self, direction: int) -> None:
        """One screen up or down."""
        index = self.cursor + direction * max(1, self.size.height - 1)
        self.cursor = self._nearest(max(0, min(len(self._rows) - 1, index)))

    def action_end(self, direction: int) -> None:
        """The first or the last row."""
        self.cursor = self._nearest(0 if direction < 0 else len(self._rows) - 1)

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        if self.key:
            self.post_message(self.Chosen(self, self.key))

    def on_click(self, event: events.Click) -> None:
        """Select; on the bracket act, on the selected row open."""
        index = event.y + self.scroll_offset.y
        if not (0 <= index < len(self._rows)) or not self._rows[index].selectable:
            return
        already = index == self.cursor
        self.cursor = index
        first, last = self._rows[index].glyph
        if first <= event.x < last:
            self.post_message(self.GlyphClicked(self, self.key))
        elif already and event.chain >= 1:
            self.post_message(self.Chosen(self, self.key))

    def on_resize(self) -> None:
        """Rows are as wide as the list."""
        self.virtual_size = Size(self.size.width, len(self._rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One visible line."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        if not (0 <= index < len(self._rows)):
            return Strip.blank(width, self.rich_style)
        row = self._rows[index]
        chosen = index == self.cursor and row.selectable
        name = "row-list--cursor" if chosen else "row-list--row"
        style = self.get_visual_style(name)
        if chosen and self.has_focus and self.app.no_color:
            style += REVERSED
        strips = Visual.to_strips(self, self._content(index, width), width, 1, style, pad=True)
        return strips[0] if strips else Strip.blank(width, self.rich_style)
