"""The keys of the current screen, at most two lines, each entry also a click target.

Textual's own Footer keeps one widget a key and leaks them when bindings are refreshed
(Textualize/textual#6666); this is one widget that draws text.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.content import Content
from textual.widget import Widget


@dataclass(frozen=True)
class Key:
    """What is shown and what a click runs (an action string). One that is pinned always fits."""

    key: str
    label: str
    action: str
    pin: bool = False


class KeyBar(Widget):
    """Footer."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 2; padding: 0 1; background: $panel; color: $foreground 70%; }
    """

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        super().__init__()
        self._keys = keys

    @property
    def keys(self) -> tuple[Key, ...]:
        """The entries now shown."""
        return self._keys

    def show(self, keys: tuple[Key, ...]) -> None:
        """Show other keys; nothing is redrawn when they are the same."""
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def render(self) -> Content:
        """Keys packed into two lines, never cut; what does not fit is left to help."""
        lines = packed(self._keys, max(10, self.size.width))
        return Content("\n").join([Content("  ").join(map(_entry, line)) for line in lines])

    async def on_click(self, event: events.Click) -> None:
        """Do what the entry under the pointer says."""
        lines = packed(self._keys, max(10, self.size.width))
        place = event.get_content_offset(self)
        if place is None or place.y >= len(lines):
            return
        start = 0
        for key in lines[place.y]:
            if start <= place.x < start + _length(key):
                await self.run_action(key.action)
                return
            start += _length(key) + 2


SCREENS = Key("0-8", "screens", "app.command_palette", pin=True)


def packed(keys: tuple[Key, ...], width: int) -> list[list[Key]]:
    """Two lines of whole entries: the pinned ones always, the others in their order while they fit."""
    pinned = [key for key in keys if key.pin]
    others = [key for key in keys if not key.pin]
    if _needs(others) + _needs(pinned) > 2 * width - 16 and any(_room(key) for key in others):
        others = [key for key in others if not _room(key)]
        pinned.insert(0, SCREENS)
    kept = _needs(pinned)
    lines: list[list[Key]] = [[], []]
    used = [0, kept]
    for key in others:
        need = _length(key) + 2
        line = 0 if not lines[1] and used[0] + need - 2 <= width else 1
        if used[line] + need - 2 <= width:
            lines[line].append(key)
            used[line] += need
    lines[1] += pinned
    return lines


def _room(key: Key) -> bool:
    return key.action.startswith("app.room(")


def _needs(keys: list[Key]) -> int:
    return sum(_length(key) + 2 for key in keys)


def _length(key: Key) -> int:
    return len(key.key) + 1 + len(key.label)


def _entry(key: Key) -> Content:
    return Content.assemble((key.key, "bold $primary"), " ", (key.label, "$foreground 70%"))
