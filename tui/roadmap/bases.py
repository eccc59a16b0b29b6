"""Fingerprints of the checks that are bound now: another one than a verdict remembers makes it stale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tui.settings import Settings

if TYPE_CHECKING:
    from tui.roadmap.bindings import Bindings
    from tui.roadmap.workspace import Workspace


class Bases(Mapping[str, str]):
    """Fingerprints of the checks of a workspace, by box; made when a verdict is first looked at."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._of: tuple[Bindings, Settings] | None = None
        self._known: dict[str, str] = {}

    def __getitem__(self, item: str) -> str:
        if not self._ws.checks_wanted:
            raise KeyError(item)
        of = (self._ws.bindings, self._ws.settings)
        if self._of is None or self._of[0] is not of[0] or self._of[1] is not of[1]:
            self._of, self._known = of, {}
        if item not in self._known:
            self._known[item] = of[0].bound[item].basis(of[1])
        return self._known[item]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ws.bindings.bound)

    def __len__(self) -> int:
        return len(self._ws.bindings.bound)
