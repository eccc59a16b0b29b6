"""The keys of the current screen, at most two lines, each entry also a click target.

Textual's own Footer keeps one widget a key and leaks them when bindings are refreshed
(Textualize/textual#6666); this is one widget that draws text.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.style import Style
from textual.widget import Widget


@dataclass(frozen=True)
class Key:
    """What is shown and what a click runs (an action string)."""

    key: str
    label: str
    action: str


class KeyBar(Widget):
    """Footer."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 2; padding: 0 1; background: $panel; color: $foreground 70%;
        link-style: none; link-color: $foreground 70%; link-style-hover: underline; }
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
        """Keys packed into two lines; what does not fit is left to help, and help and quit always fit."""
        width = max(10, self.size.width)
        pinned = [key for key in self._keys if key.key in PINNED]
        kept = sum(_length(key) + 2 for key in pinned)
        others = [key for key in self._keys if key.key not in PINNED]
        if sum(_length(key) + 2 for key in others) > 2 * width - kept:
            others = [key for key in others if not key.action.startswith("app.room(")]
            others.append(SCREENS)
        lines: list[list[Content]] = [[]]
        used = 0
        for key in others:
            gap = 2 if lines[-1] else 0
            room = width - (kept if len(lines) == 2 else 0)
            if used + gap + _length(key) > room:
                if len(lines) == 2:
                    continue  # a shorter one may still fit
                lines.append([])
                used = gap = 0
            lines[-1].append(_entry(key))
            used += gap + _length(key)
        lines[-1] += [_entry(key) for key in pinned]
        return Content("\n").join([Content("  ").join(line) for line in lines])


PINNED = ("?", "q")
SCREENS = Key("1-8", "screens", "app.command_palette")


def _length(key: Key) -> int:
    return len(key.key) + 1 + len(key.label)


def _entry(key: Key) -> Content:
    click = Style.from_meta({"@click": key.action})
    entry = Content.assemble((key.key, "bold $primary"), " ", (key.label, ""))
    return entry.stylize(click)
