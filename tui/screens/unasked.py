"""Dialogs that come by themselves: keys that were meant for what was there before do nothing for a moment."""

from __future__ import annotations

import time

from textual.screen import ModalScreen, ScreenResultType

GRACE = 0.6
"""Seconds; long enough to see that something else stands there now."""


class Unasked(ModalScreen[ScreenResultType]):
    """Base of a dialog that nobody asked for at that moment. `unasked` may be set for one instance."""

    unasked = True
    _since: float | None = None

    @property
    def fresh(self) -> bool:
        """True while an answer cannot be meant for this dialog."""
        if self._since is None:
            self._since = time.monotonic()
        return self.unasked and time.monotonic() - self._since < GRACE

    def on_mount(self) -> None:
        """From now on it can be seen."""
        self._since = time.monotonic()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No action of its own while it is fresh."""
        return None if self.fresh else super().check_action(action, parameters)
