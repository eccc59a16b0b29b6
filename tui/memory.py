"""When Python looks for garbage: never in the middle of a key.

A full collection walks every object of the program, 300,000 of them, and takes 60 to 100 ms. What lives
as long as the app (modules, plan, widgets) is set aside once (`gc.freeze`); what comes later is looked
through when nobody has touched a key for a second, and sooner only where a lot has gathered.
"""

from __future__ import annotations

import contextlib
import gc

QUIET_SECONDS = 1.0
"""Without a key or the mouse for so long a full collection is not felt."""

YOUNG = (5_000, 20, 1_000_000)
"""Thresholds of Python's own collections: the young ones go on by themselves, the full one is ours."""

WORTH, MOST = 1, 40
"""Collections of the middle generation after which a full one is worth its time in a quiet moment, and after
which it is not left undone, key or no key. Each stands for at least 100,000 new objects that stayed."""


def give_back() -> None:
    """Hand freed memory back to the system, where the C library can: old runs are parsed in a lot of it."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)


def hold() -> None:
    """No collection while the program is being imported: there is no garbage yet."""
    gc.disable()


class Collector:
    """Calls for full collections in quiet moments. `look` is called a few times a second."""

    def __init__(self) -> None:
        self.settled = False
        self._before = gc.get_threshold()

    def settle(self) -> None:
        """The app is up: set aside what will stay, let the young collections go on."""
        gc.freeze()
        self._before = gc.get_threshold()
        gc.set_threshold(*YOUNG)
        gc.enable()
        self.settled = True

    def look(self, quiet_seconds: float) -> bool:
        """Collect where it is not felt, or where it must be; True when it was done."""
        waiting = gc.get_count()[2]
        if not self.settled or waiting < (WORTH if quiet_seconds >= QUIET_SECONDS else MOST):
            return False
        gc.collect()
        return True

    def release(self) -> None:
        """As it was before: for a process in which the app is not everything."""
        if self.settled:
            gc.unfreeze()
            gc.set_threshold(*self._before)
