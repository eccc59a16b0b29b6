"""Boxes, blanks and notes as text inside the app: what `gonogo edit` opens in $EDITOR, with the same checks.

A browser and some terminals cannot lend their screen to an editor, so the text stands in an area here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, Static, TextArea

from tui.roadmap.describe import visible
from tui.roadmap.errors import Conflict, InvalidValue, Theirs, WorkspaceError
from tui.roadmap.textview import Change, line_of_error, view
from tui.screens.conflict import ConflictScreen
from tui.screens.dialogs import ChoiceScreen
from tui.widgets.hint import Hint

if TYPE_CHECKING:
    from tui.app import GonogoApp

Value = Callable[[str, str], str | None]
"""The value of an item now, by kind and id."""

LISTED = 12
"""Changes that the question before the write names; the others are counted."""


class EditArea(TextArea):
    """Escape asks what becomes of the changes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.leave", "Back", show=False, id="edit.leave"),
        Binding("ctrl+s", "screen.save", "Save", show=False, id="dialog.save"),
    ]


class EditScreen(ModalScreen[None]):
    """Stays open until the text is written as one record, or given up."""

    def __init__(self, item: str = "") -> None:
        super().__init__()
        self.item = item
        self.text = ""

    @property
    def gonogo(self) -> GonogoApp:
        """The app, typed."""
        return cast("GonogoApp", self.app)

    @property
    def area(self) -> EditArea:
        """The text."""
        return self.query_one("#edit", EditArea)

    @property
    def dirty(self) -> bool:
        """True where something was typed."""
        return self.is_mounted and self.area.text != self.text

    def compose(self) -> ComposeResult:
        """The text over the whole screen, what is wrong with it, keys."""
        ws = self.gonogo.ws
        self.text = view(ws.document, ws.state)
        with Vertical(classes="dialog -whole"):
            yield Label("Boxes, blanks and notes as text", classes="dialog--title", markup=False)
            yield EditArea(
                self.text, id="edit", soft_wrap=False, show_line_numbers=True, tab_behavior="focus"
            )
            yield Static("", id="error", classes="dialog--error", markup=False)
            hint = "ctrl+s writes all changes as one record   esc leaves (asks first)"
            yield Hint(hint)

    def on_mount(self) -> None:
        """Begin at the item that the cursor stood on."""
        lines = self.text.splitlines()
        found = [n for n, line in enumerate(lines) if line.startswith(f'"{self.item}"')]
        first = found[0] if found else lines.index("[boxes]") + 1 if "[boxes]" in lines else 0
        self.area.focus()
        self.call_after_refresh(self._go, first)

    def _go(self, row: int) -> None:
        line = self.area.document.get_line(row) if row < self.area.document.line_count else ""
        at = line.find('= "')
        self.area.move_cursor((row, at + 3 if at >= 0 else 0))
        self.area.scroll_to(0, row - self.area.size.height // 2, animate=False, force=True)

    def _complain(self, sentence: str) -> None:
        self.query_one("#error", Static).update(Content(sentence))

    # --- keys ---------------------------------------------------------------------------------

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_save(self) -> None:
        """Check, ask, write; what cannot be written stays as it was typed."""
        await self._save()

    @work(group="dialog", exclusive=True, exit_on_error=False)
    async def action_leave(self) -> None:
        """Back; with changes the person says what becomes of them."""
        if not self.dirty:
            self.dismiss(None)
            return
        answers = [
            ("edit", "go on editing"),
            ("save", "write them"),
            ("drop", "throw them away"),
        ]
        answer = await self.app.push_screen_wait(ChoiceScreen("The text was changed", answers))
        if answer == "drop":
            self.dismiss(None)
        elif answer == "save":
            await self._save()

    async def _save(self) -> None:
        ws = self.gonogo.ws
        self._complain("")
        try:
            changes = ws.read_edit(self.area.text)
        except InvalidValue as problem:
            self._complain(str(problem))
            row = line_of_error(str(problem))
            if row:
                self._go(row - 1)
            return
        if not changes:
            self._complain("Nothing was changed; esc leaves.")
            return
        if await self.app.push_screen_wait(ChoiceScreen(_question(changes), ANSWERS)) == "write":
            await self._write(changes)

    async def _write(self, changes: list[Change]) -> None:
        """One record; where somebody else changed one of the values, both sides are shown first."""
        ws, by = self.gonogo.ws, self.gonogo.actor  # so that u in the app takes it back
        while changes:
            mine = list(changes)
            try:
                record = await self.gonogo.store(lambda: ws.apply_edit(mine, by))  # noqa: B023
            except Conflict as conflict:
                if conflict.theirs is None:
                    self._complain(str(conflict))
                    return
                answer = await self.app.push_screen_wait(ConflictScreen(conflict.theirs))
                if answer not in ("theirs", "mine"):
                    self._complain("Not written; your text is as you typed it.")
                    return
                changes = _settled(changes, conflict.theirs, answer, ws.state.value)
            except WorkspaceError as problem:
                self._complain(f"{problem} Your text is as you typed it.")
                return
            else:
                self.dismiss(None)
                said = f"{record.item} written; u undoes it."
                self.app.notify(said, markup=False)
                return
        self.dismiss(None)
        self.app.notify("Nothing is left to write: all values are theirs.", markup=False)


ANSWERS = (("write", "write them as one record"), ("edit", "go on editing"))


def _question(changes: list[Change]) -> str:
    word = "change" if len(changes) == 1 else "changes"
    lines = [f"{len(changes)} {word}"]
    for change in changes[:LISTED]:
        old, new = (visible(value or "empty")[:30] for value in (change.old, change.new))
        lines.append(f"  {change.item}: {old} > {new}")
    if len(changes) > LISTED:
        lines.append(f"  and {len(changes) - LISTED} more")
    return "\n".join(lines)


def _settled(changes: list[Change], theirs: Theirs, answer: str, now: Value) -> list[Change]:
    """The changes after a person chose a side for one item."""
    if answer == "theirs":
        return [c for c in changes if c.item != theirs.item]
    return [
        Change(c.kind, c.item, now(c.kind, c.item), c.new, c.line) if c.item == theirs.item else c
        for c in changes
    ]
