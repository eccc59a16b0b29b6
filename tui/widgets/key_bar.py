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
        """Keys packed into the lines that the width allows; what does not fit is left to help."""
        width = max(10, self.size.width)
        lines: list[list[Content]] = [[]]
        used = 0
        for key in self._keys:
            length = len(key.key) + 1 + len(key.label)
            gap = 2 if lines[-1] else 0
            if used + gap + length > width:
                if len(lines) == 2:
                    break
                lines.append([])
                used = gap = 0
            click = Style.from_meta({"@click": key.action})
            entry = Content.assemble((key.key, "bold $primary"), " ", (key.label, ""))
            lines[-1].append(entry.stylize(click))
            used += gap + length
        return Content("\n").join([Content("  ").join(line) for line in lines])
