"""A style sheet that is parsed once: Textual's own reads everything again where nothing has changed.

`App.refresh_css` parses every source anew at the start and when a screen is put on top, with a fresh cache;
and the cache that adding a widget's own style goes by holds 64 sources, fewer than this app has, so that
each new kind of widget had all of them parsed. Here a source is parsed again when the colours changed.
"""

from __future__ import annotations

from functools import lru_cache

from textual._styles_cache import StylesCache
from textual.cache import LRUCache
from textual.color import Color
from textual.css.stylesheet import Stylesheet
from textual.style import Style

SOURCES = 1024
"""Sources whose rules are kept; the app with all rooms and dialogs open has about 150."""


class SteadySheet(Stylesheet):
    """Put in the place of an app's `stylesheet`."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parse_cache = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take other colours, unless they are the same."""
        if variables != self._variables:
            super().set_variables(variables)
            self._require_parse = True

    def reparse(self) -> None:
        """Parse what is new; after another set of colours that is everything."""
        if self._require_parse:
            self.parse()


@lru_cache(1024)
def inner_outer(base_background: Color, background: Color) -> tuple[Style, Style]:
    """What `StylesCache.get_inner_outer` gives: the style inside and outside of a widget."""
    return Style(background=base_background + background), Style(background=base_background)


def let_go_of_closed_widgets() -> None:
    """Textual keeps that cache by widget, and with it the drawn lines of the last 1,024 that were closed."""
    StylesCache.get_inner_outer = staticmethod(inner_outer)  # type: ignore[method-assign,assignment]
