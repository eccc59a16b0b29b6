"""What every screen has: header on top, keys at the bottom, the common keys, and one live tick."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui.keymap import display, screen_entries
from tui.screens.too_small import LEAST, too_small
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_bar import Key, KeyBar
from tui.widgets.status_header import StatusHeader

if TYPE_CHECKING:
    from tui.app import GonogoApp

COMMON_KEYS = (
    Key("0", "overview", "app.room('overview')"),
    Key("1", "roadmap", "app.room('roadmap')"),
    Key("2", "gate", "app.room('gate')"),
    Key("3", "budget", "app.room('budget')"),
    Key("4", "metrics", "app.room('metrics')"),
    Key("5", "live", "app.room('live')"),
    Key("6", "journal", "app.room('journal')"),
    Key("7", "notes", "app.room('notes')"),
    Key("8", "jobs", "app.room('jobs')"),
    Key(":", "command", "app.command_line", pin=True),
    Key("?", "help", "app.help", pin=True),
    Key("q", "back", "app.leave", pin=True),
)


class Room(Screen[None]):
    """Base of the main screens."""

    PLACE = ""
    _painted = False
    """True once the widgets of `body` exist; a screen may be resumed before that."""
    _banner = ""
    KEYS: ClassVar[tuple[Key, ...]] = ()
    LEAVING = "back"
    """Where `q` leads: from a room to the roadmap, from there out."""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-low"), (30, "-high")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("0", "app.room('overview')", "Overview", show=False, id="room.overview"),
        Binding("1", "app.room('roadmap')", "Roadmap", show=False, id="room.roadmap"),
        Binding("2", "app.room('gate')", "Gate", show=False, id="room.gate"),
        Binding("3", "app.room('budget')", "Budget", show=False, id="room.budget"),
        Binding("4", "app.room('metrics')", "Metrics and fields", show=False, id="room.metrics"),
        Binding("5", "app.room('live')", "Live", show=False, id="room.live"),
        Binding("6", "app.room('journal')", "Journal", show=False, id="room.journal"),
        Binding("7", "app.room('notes')", "Notes", show=False, id="room.notes"),
        Binding("8", "app.room('jobs')", "Jobs", show=False, id="room.jobs"),
        Binding("question_mark,f1", "app.help", "Help", show=False, id="app.help"),
        Binding("colon", "app.command_line", "Command line", show=False, id="app.commands"),
        Binding("equals_sign", "app.reconcile", "Reconcile", show=False, id="plan.reconcile"),
        Binding("u", "app.undo", "Undo", show=False, id="state.undo"),
        Binding("U", "app.redo", "Redo", show=False, id="state.redo"),
        Binding("dollar_sign", "app.add_cost", "Add cost", show=False, id="budget.add"),
        Binding("exclamation_mark", "app.attend", "Attention", show=False, id="list.attention"),
        Binding("r", "app.refresh_all", "Refresh", show=False, id="link.retry"),
        Binding("q", "app.leave", "Roadmap, then quit", show=False, id="app.quit"),
        Binding("escape", "screen.back", "Back", show=False, id="app.back"),
        Binding("y", "screen.copy", "Copy", show=False, id="list.copy"),
    ]

    @property
    def gonogo(self) -> GonogoApp:
        """The app, typed."""
        return cast("GonogoApp", self.app)

    @property
    def ready(self) -> bool:
        """Whether the widgets exist: not before the mount, and no more once they are taken down."""
        # Display turns false as soon as the removal begins; an app that ends takes the widgets first.
        if not self._painted or not self.display:
            return False
        kinds = {type(child) for child in self.children}
        return KeyBar in kinds and StatusHeader in kinds

    def compose(self) -> ComposeResult:
        """Header, the screen's own body, keys."""
        yield StatusHeader()
        yield Static(id="banner", markup=False)
        yield from self.body()
        yield KeyBar(self.shown_keys())
        yield Static(id="too-small", markup=False)

    @classmethod
    def all_keys(cls) -> tuple[Key, ...]:
        """The screen's own keys, then those of every room; `q` says where it leads from here."""
        return (*cls.KEYS, *COMMON_KEYS[:-1], replace(COMMON_KEYS[-1], label=cls.LEAVING))

    def shown_keys(self) -> tuple[Key, ...]:
        """The entries of the key bar, with the keys that [keymap] gives them."""
        keymap = self.gonogo.keymap_now
        if not keymap:
            return self.all_keys()
        bound = {e.action: e for e in screen_entries(type(self), keymap) if e.id in keymap}
        shown = []
        for key in self.all_keys():
            entry = bound.get(key.action) or bound.get(key.action.removeprefix("screen."))
            shown.append(replace(key, key=display(entry.key)) if entry else key)
        return tuple(shown)

    def on_resize(self, event: events.Resize) -> None:
        """Below the smallest size one sentence stands instead of half a screen."""
        width, height = event.size
        small = width < LEAST[0] or height < LEAST[1]
        if small:
            self.query_one("#too-small", Static).update(too_small(width, height))
        self.set_class(small, "-too-small")

    def body(self) -> list[Widget]:
        """The widgets between header and keys."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """First paint with everything that is already known."""
        self._painted = True
        self.update_all()

    def on_screen_resume(self) -> None:
        """A screen that was covered catches up."""
        self.update_all()

    def update_all(self) -> None:
        """Redraw from the workspace and the live store."""
        if not self.ready:
            return
        self.update_header()
        self.update_state()
        self.update_live()

    def update_header(self) -> None:
        """New header figures; nothing is drawn when they are the same."""
        self.query_one(StatusHeader).show(self.gonogo.header_model(self.place()))
        text, banner = self.gonogo.banner, self.query_one("#banner", Static)
        if text != self._banner:
            self._banner = text
            banner.update(Content(text))
            banner.display = bool(text)

    # --- common keys --------------------------------------------------------------------------

    def action_back(self) -> None:
        """Escape: first out of a filter, then to the main list, then to the roadmap; never out of the app."""
        lines = [line for line in self.query(FilterLine) if line.display or line.text]
        main = self.main_list()
        if lines:
            lines[0].clear()
        elif main is not None and self.focused is not main:
            main.focus()
        elif self.gonogo.current_mode != "roadmap":
            self.gonogo.action_room("roadmap")
        else:
            self.notify("q quits; the jobs on the hosts go on.", markup=False)

    def main_list(self) -> Widget | None:
        """What escape goes back to from the other panes of this room."""
        return None

    def copied(self) -> tuple[str, str]:
        """What `y` copies, and what it is called; empty strings where there is nothing."""
        return "", ""

    def action_copy(self) -> None:
        """Copy what is under the cursor to the clipboard of the terminal."""
        text, name = self.copied()
        if not text:
            self.notify("Nothing to copy here.", markup=False)
            return
        self.app.copy_to_clipboard(text)
        self.notify(f"Copied {name}.", markup=False)

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text is never run: a command goes to the command line, a filter to the filter."""
        text = (event.text.strip().splitlines() or [""])[0]
        event.stop()
        if text.startswith(":"):
            self.gonogo.command_line(text[1:])
        elif text.startswith("/") and self.query(FilterLine):
            self.query_one(FilterLine).open()
            self.query_one(FilterLine).input.value = text[1:]
        elif text:
            self.notify("Open a form, a filter (/) or the command line (:) to paste.", markup=False)

    def place(self) -> str:
        """Where in the app we are, for the header."""
        return self.PLACE

    def update_state(self) -> None:
        """The workspace changed: ticks, fields, money, decisions."""

    def update_live(self) -> None:
        """Gauges, points or jobs changed."""
