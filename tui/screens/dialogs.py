"""Overlays: a form, a question, text to read, help, and the decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from tui import rows
from tui.screens.unasked import Unasked
from tui.widgets.hint import Hint
from tui.widgets.row_list import RowList
from tui.words import counted


@dataclass(frozen=True)
class Entry:
    """One line of a form. `check` returns a sentence when the value will not do, else ''."""

    key: str
    label: str
    value: str = ""
    placeholder: str = ""
    check: Callable[[str], str] = lambda _value: ""
    secret: bool = False
    """Typed without being shown, and taken as it is: blanks count."""


class FormScreen(Unasked[dict[str, str] | None]):
    """Some labelled inputs. Enter goes on and at last saves; escape changes nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
        Binding("ctrl+s", "save", "Save", id="dialog.save"),
    ]

    def __init__(
        self, title: str, entries: Sequence[Entry], hint: str = "", unasked: bool = False
    ) -> None:
        super().__init__()
        self.unasked = unasked
        self.form_title, self.entries, self.hint = title, tuple(entries), hint

    def compose(self) -> ComposeResult:
        """Title, inputs, hint, error line."""
        with Vertical(classes="dialog" if len(self.entries) < 4 else "dialog -many"):
            yield Label(self.form_title, classes="dialog--title", markup=False)
            for entry in self.entries:
                yield Label(entry.label, classes="dialog--label", markup=False)
                yield Input(
                    entry.value,
                    placeholder=entry.placeholder,
                    password=entry.secret,
                    id=f"in-{entry.key}",
                    compact=True,
                )
            yield Label("", id="error", classes="dialog--error", markup=False)
            hint = self.hint or "enter saves   esc cancels"
            yield Hint(hint)

    def values(self) -> dict[str, str]:
        """What is typed now."""
        typed = {e.key: self.query_one(f"#in-{e.key}", Input).value for e in self.entries}
        return {e.key: typed[e.key] if e.secret else typed[e.key].strip() for e in self.entries}

    @on(Input.Submitted)
    def _next(self, event: Input.Submitted) -> None:
        if self.fresh:
            return
        inputs = list(self.query(Input))
        index = inputs.index(event.input)
        if index + 1 < len(inputs):
            inputs[index + 1].focus()
        else:
            self.action_save()

    def action_save(self) -> None:
        """Close with the values, or say what is wrong with them and lose nothing."""
        values = self.values()
        for entry in self.entries:
            complaint = entry.check(values[entry.key])
            if complaint:
                self.query_one("#error", Label).update(complaint)
                self.query_one(f"#in-{entry.key}", Input).focus()
                return
        self.dismiss(values)

    def action_cancel(self) -> None:
        """Close without a result."""
        self.dismiss(None)


class ConfirmScreen(Unasked[bool]):
    """A yes/no question; no is the default."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="dialog.yes"),
        Binding("n,escape", "answer(False)", "No", id="dialog.no"),
    ]

    def __init__(self, question: str, detail: str = "", unasked: bool = False) -> None:
        super().__init__()
        self.unasked = unasked
        self.question, self.detail = question, detail

    def compose(self) -> ComposeResult:
        """Question, detail, answers."""
        with Vertical(classes="dialog"):
            yield Label(self.question, classes="dialog--title", markup=False)
            if self.detail:
                yield Static(self.detail, markup=False)
            yield Hint("y yes   n, esc no")

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


class DetailScreen(ModalScreen[None]):
    """Content to read, scrolled by the usual keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy", show=False, id="list.copy"),
        Binding("escape,q,enter", "close", "Back", id="dialog.back"),
        Binding("down,j", "scroll(1)", show=False, id="dialog.down"),
        Binding("up,k", "scroll(-1)", show=False, id="dialog.up"),
    ]

    def __init__(self, content: Content, title: str = "") -> None:
        super().__init__()
        self.content, self.heading = content, title

    def compose(self) -> ComposeResult:
        """Scroller with the text."""
        with Vertical(classes="dialog -tall"):
            if self.heading:
                yield Label(self.heading, classes="dialog--title", markup=False)
            with VerticalScroll(can_focus=False):
                yield Static(self.content, markup=False)
            yield Hint("j k scroll   y copy   esc back")

    def action_copy(self) -> None:
        """All of it."""
        self.app.copy_to_clipboard(self.content.plain)
        self.notify("Copied.", markup=False)

    def action_scroll(self, direction: int) -> None:
        """Two lines up or down."""
        self.query_one(VerticalScroll).scroll_relative(y=2 * direction, animate=False)

    def action_close(self) -> None:
        """Back."""
        self.dismiss(None)


class LinesScreen(ModalScreen[None]):
    """Many lines of text (a log, a piece of evidence) as rows; opens at the end of a log."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "close", "Back", id="dialog.back"),
        Binding("y", "copy", "Copy", show=False, id="list.copy"),
    ]

    def __init__(self, title: str, lines: Sequence[str], at_end: bool = False) -> None:
        super().__init__()
        self.heading, self.text_lines, self.at_end = title, list(lines), at_end

    def compose(self) -> ComposeResult:
        """A list over the whole dialog."""
        with Vertical(classes="dialog -tall"):
            yield Label(self.heading, classes="dialog--title", markup=False)
            yield RowList(id="lines")
            yield Hint("j k g G move   enter whole line   y copy   esc back")

    @on(RowList.Chosen, "#lines")
    def _chosen(self) -> None:
        number = self.query_one("#lines", RowList).cursor
        self.app.push_screen(DetailScreen(Content(self.text_lines[number]), f"Line {number + 1}"))

    def on_mount(self) -> None:
        """Fill and go to the end when asked."""
        lines = self.query_one("#lines", RowList)
        lines.set_rows(rows.plain_rows(self.text_lines))
        if self.at_end:
            lines.action_end(1)
        lines.focus()

    def action_copy(self) -> None:
        """All lines."""
        self.app.copy_to_clipboard("\n".join(self.text_lines))
        self.notify(f"Copied {counted(len(self.text_lines), 'line')}.", markup=False)

    def action_close(self) -> None:
        """Back."""
        self.dismiss(None)


class Options(OptionList):
    """Moved by the keys that move every list here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False, id="list.down"),
        Binding("k", "cursor_up", show=False, id="list.up"),
        Binding("g", "first", show=False, id="list.first"),
        Binding("G", "last", show=False, id="list.last"),
        Binding("space", "select", show=False, id="list.choose"),
    ]


class ChoiceScreen(ModalScreen[str | None]):
    """Pick one of a few."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="dialog.cancel"),
    ]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], now: str = "") -> None:
        super().__init__()
        self.heading, self.choices, self.now = title, tuple(choices), now

    def compose(self) -> ComposeResult:
        """Title and options."""
        with Vertical(classes="dialog"):
            yield Label(self.heading, classes="dialog--title", markup=False)
            yield Options(*(Option(Content(text), id=key) for key, text in self.choices))
            yield Hint("enter chooses   esc cancels")

    def on_mount(self) -> None:
        """Begin at what is chosen now."""
        at = [key for key, _ in self.choices]
        if self.now in at:
            self.query_one(Options).highlighted = at.index(self.now)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def action_cancel(self) -> None:
        """Close without a choice."""
        self.dismiss(None)
