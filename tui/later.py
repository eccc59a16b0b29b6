"""Names that are imported when they are first used, and all of them by a thread once the app has painted.

A first frame needs a small part of the program. What it does not need costs three times as much to
import: the SSH library, numpy, the rules, the rooms and dialogs that are not open. A module says so:

    if TYPE_CHECKING:
        from tui.screens.dialogs import ConfirmScreen, FormScreen
    else:
        ConfirmScreen, FormScreen = later("tui.screens.dialogs", "ConfirmScreen", "FormScreen")

Such a name can be called, asked for attributes and given to isinstance. It is no base class, no
pattern and nothing to catch.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FIRST = ("tui.chart.plot", "tui.curves", "tui.screens.live")
"""Loaded before the others: curves are what a person waits for next."""

ALSO = (
    "agents.link", "agents.tunnel", "tui.roadmap.verify", "tui.roadmap.bindings", "tui.roadmap.export",
    "textual.widgets._toast", "textual.command", "uuid6",
)  # fmt: skip
"""Imported inside of functions, so that no name of theirs stands here."""

_names: list[Later] = []


class Later:
    """Stands for `module.name` until it is used."""

    __slots__ = ("_module", "_name", "_object")

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name
        self._object: Any = None

    def _load(self) -> Any:
        if self._object is None:
            self._object = getattr(importlib.import_module(self._module), self._name)
        return self._object

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._load()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._load(), name)

    def __instancecheck__(self, instance: object) -> bool:
        # Nothing can be an instance of a class whose module was never loaded.
        return self._module in sys.modules and isinstance(instance, self._load())

    def __repr__(self) -> str:
        return f"<later {self._module}.{self._name}>"


def later(module: str, *names: str) -> Any:
    """One stand-in, or a tuple of them for several names of one module."""
    made = tuple(Later(module, name) for name in names)
    _names.extend(made)
    return made[0] if len(made) == 1 else made


POLITE = 0.0005
"""Seconds after which the importing thread lets the app go on; Python's own 5 ms are felt at each step."""


@contextmanager
def politely() -> Iterator[None]:
    """While a thread imports, the app gets its turn soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(POLITE)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


THREADS = "OPENBLAS_NUM_THREADS"
_given: list[str] = []


def lean_numpy() -> None:
    """Let numpy come without threads for linear algebra, of which there is none here: 40 ms less."""
    if THREADS not in os.environ:
        os.environ[THREADS] = "1"
        _given.append(THREADS)


def load_first() -> None:
    """Import what reads and draws curves; runs in a thread beside the app."""
    for module in FIRST:
        importlib.import_module(module)
    while _given:  # nothing that is started from here shall go by it
        os.environ.pop(_given.pop(), None)


def load_all() -> None:
    """Import everything that was left for later; runs in a thread beside the app."""
    for module in dict.fromkeys((*FIRST, *(name._module for name in list(_names)), *ALSO)):
        importlib.import_module(module)
