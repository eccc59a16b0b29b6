"""The `:` line at the bottom of the screen: typed commands with completion and a history."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from tui import commands
from tui.roadmap.errors import InvalidValue
from tui.vocabulary import DIM, FAIL, STRONG

if TYPE_CHECKING:
    from tui.app import GonogoApp

SHOWN = 6


def _common(lines: list[str]) -> str:
    """The longest beginning of all lines."""
    first, last = min(lines), max(lines)
    same = next((i for i, c in enumerate(first) if c != last[i : i + 1]), len(first))
    return first[:same]


class CommandScreen(ModalScreen[None]):
    """Enter runs the line and closes; a line that cannot run stays, with one sentence why not."""

    HISTORY: ClassVar[list[str]] = []
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="command.cancel"),
        Binding("tab", "complete", "Complete", id="command.complete", priority=True),
        Binding("up", "history(-1)", show=False, id="command.older"),
        Binding("down", "history(1)", show=False, id="command.newer"),
    ]

    def __init__(self, text: str = "", complaint: str = "") -> None:
        super().__init__()
        self._at = len(self.HISTORY)
        self._first = (text, complaint)

    @property
    def gonogo(self) -> GonogoApp:
        """The app, typed."""
        return cast("GonogoApp", self.app)

    def compose(self) -> ComposeResult:
        """Hints above the line."""
        with Vertical(id="command"):
            yield Static(id="command-hints", markup=False)
            with Horizontal():
                yield Label(":", markup=False)
                yield Input(id="command-line", compact=True)

    def on_mount(self) -> None:
        """First hints; a line that came along waits for enter."""
        text, complaint = self._first
        line = self.query_one("#command-line", Input)
        with line.prevent(Input.Changed):
            line.value = text
        line.cursor_position = len(text)
        self._hint(text, complaint)

    def _hint(self, text: str, complaint: str = "") -> None:
        lines: list[Content] = []
        if " " in text:
            try:
                command = commands.find(text)[0]
                lines.append(Content.assemble((command.usage, STRONG), (f"  {command.help}", DIM)))
            except InvalidValue:
                pass
            found = [line.rpartition(" ")[2] for line in commands.candidates(self.gonogo, text)]
            if found:
                more = f"  and {len(found) - 12} more" if len(found) > 12 else ""
                lines.append(Content("  ".join(found[:12]) + more))
        else:
            matching = [c for c in commands.COMMANDS if c.name.startswith(text.casefold())]
            for command in matching[:SHOWN]:
                lines.append(
                    Content.assemble((f"{command.usage:<24}", STRONG), (command.help, DIM))
                )
            if len(matching) > SHOWN:
                names = "  ".join(c.name for c in matching[SHOWN:])
                lines.append(Content.styled(names, DIM))
        if complaint:
            lines.append(Content.styled(complaint, FAIL))
        self.query_one("#command-hints", Static).update(Content("\n").join(lines))

    @on(Input.Changed, "#command-line")
    def _typed(self, event: Input.Changed) -> None:
        self._hint(event.value)

    @on(Input.Submitted, "#command-line")
    def _submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if not text:
            self.dismiss(None)
            return
        try:
            commands.find(text)
        except InvalidValue as problem:
            self._hint(text, str(problem))
            return
        self._run(text)

    def _run(self, text: str) -> None:
        """Close first: a command may open a screen of its own."""
        app = self.gonogo

        def then(_result: None) -> None:
            complaint = commands.run(app, text)
            if complaint:
                app.push_screen(CommandScreen(text, complaint))

        if text in self.HISTORY:
            self.HISTORY.remove(text)
        self.HISTORY.append(text)
        del self.HISTORY[:-50]
        app.call_later(then, None)
        self.dismiss(None)

    def action_complete(self) -> None:
        """As far as all candidates agree; a single one whole."""
        line = self.query_one("#command-line", Input)
        found = commands.candidates(self.gonogo, line.value)
        if found:
            line.value = f"{found[0]} " if len(found) == 1 else _common(found)
            line.cursor_position = len(line.value)

    def action_history(self, step: int) -> None:
        """An older or newer line."""
        self._at = max(0, min(len(self.HISTORY), self._at + step))
        line = self.query_one("#command-line", Input)
        line.value = self.HISTORY[self._at] if self._at < len(self.HISTORY) else ""
        line.cursor_position = len(line.value)

    def action_cancel(self) -> None:
        """Back without doing anything."""
        self.dismiss(None)
