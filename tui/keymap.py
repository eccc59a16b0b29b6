"""`[keymap]` of the settings: which keys an action has now, and what cannot be bound, one sentence each."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHOWN = {
    "question_mark": "?", "colon": ":", "slash": "/", "dollar_sign": "$", "equals_sign": "=",
    "exclamation_mark": "!", "left_square_bracket": "[", "right_square_bracket": "]", "comma": ",",
    "plus": "+", "minus": "-", "full_stop": ".", "escape": "esc", "left": "←", "right": "→",
    "pagedown": "pgdn", "pageup": "pgup",
}  # fmt: skip
NEVER = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+j": "enter", "ctrl+h": "backspace"}
"""What a terminal sends instead of these."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One action: `place` is a room, a dialog's name, "lists" or "everywhere"; `key` as settings write it."""

    id: str
    key: str
    place: str
    does: str
    action: str = ""


def display(keys: str) -> str:
    """Keys as a person sees them: `question_mark,f1` is `?`, the first one counts."""
    first = keys.split(",")[0].strip()
    return SHOWN.get(first, first)


def own_entries(owner: type, place: str) -> Iterator[Entry]:
    """The actions that a class itself binds."""
    from textual.binding import Binding

    for binding in owner.__dict__.get("BINDINGS", ()):
        if isinstance(binding, Binding) and binding.id:
            does = binding.tooltip or binding.description or binding.action
            yield Entry(binding.id, binding.key, place, does, binding.action)


def screen_entries(screen: type, keymap: Mapping[str, str]) -> list[Entry]:
    """The actions of a screen, its own before those that it shares, with the keys they have now."""
    found: dict[str, Entry] = {}
    for owner in screen.__mro__:
        for entry in own_entries(owner, screen.__name__):
            key = keymap.get(entry.id, entry.key)
            found.setdefault(entry.id, Entry(entry.id, key, entry.place, entry.does, entry.action))
    return list(found.values())


def scopes() -> dict[str, list[Entry]]:
    """The actions that a key can mean at one place, by place. Imports every screen."""
    from textual.dom import DOMNode

    from tui.app import GonogoApp
    from tui.later import load_all
    from tui.screens.room import Room
    from tui.widgets.row_list import RowList

    load_all()
    everywhere = list(own_entries(GonogoApp, "everywhere"))
    shared = list(own_entries(Room, "everywhere")) + list(own_entries(RowList, "lists"))
    found: dict[str, list[Entry]] = {}
    for mode, room in GonogoApp.MODES.items():
        mro = [c for c in _real(room).__mro__ if issubclass(c, Room) and c is not Room]
        own = [entry for owner in mro for entry in own_entries(owner, mode)]
        taken = {key for e in own for key in e.key.split(",")}
        rest = [e for e in shared if not taken & set(e.key.split(","))]
        found[mode] = [*own, *rest, *everywhere]
    waiting: list[Any] = list(DOMNode.__subclasses__())
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one.__module__.startswith("tui.") and not issubclass(one, (Room, RowList, GonogoApp)):
            entries = list(own_entries(one, one.__name__))
            if entries:
                found.setdefault(one.__name__, []).extend(entries)
    return found


def _real(room: Any) -> type:
    return room if isinstance(room, type) else room._load()


def known_key(key: str) -> bool:
    """Whether a terminal may send it."""
    from textual.keys import Keys

    base = key.rsplit("+", 1)[-1] or "+"
    if len(base) == 1 or base in {k.value for k in Keys}:
        return True
    try:
        unicodedata.lookup(base.replace("_", " ").upper())
    except KeyError:
        return base in SHOWN
    return True


def checked(keymap: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The entries that can be used, and one sentence for each that cannot."""
    places = scopes()
    ids = {entry.id for entries in places.values() for entry in entries}
    good: dict[str, str] = {}
    said: list[str] = []
    for item, keys in keymap.items():
        bad = next((k for k in _split(keys) if k in NEVER or not known_key(k)), None)
        if item not in ids:
            said.append(f"[keymap] {item}: there is no such action; `gonogo keys` lists them.")
        elif not _split(keys):
            said.append(f"[keymap] {item}: a key is missing.")
        elif bad in NEVER:
            said.append(f"[keymap] {item}: {bad} never arrives; a terminal sends {NEVER[bad]}.")
        elif bad is not None:
            said.append(f"[keymap] {item}: there is no key “{bad[:20]}”.")
        else:
            good[item] = ",".join(_split(keys))
    for item, keys in list(good.items()):
        other = _taken(item, keys, good, places)
        if other:
            del good[item]
            said.append(
                f"[keymap] {item} = “{keys}”: {other} has that key; give it another one too."
            )
    return good, said


def _split(keys: str) -> list[str]:
    if keys == ",":
        return ["comma"]
    from textual.keys import _character_to_key

    parts = [part.strip() for part in keys.split(",") if part.strip()]
    return [_character_to_key(p) if len(p) == 1 else p for p in parts]


def _taken(item: str, keys: str, good: Mapping[str, str], places: Mapping[str, list[Entry]]) -> str:
    """The id of another action that has one of the keys where `item` can be used, "" without one."""
    wanted = set(keys.split(","))
    for entries in places.values():
        if item not in {entry.id for entry in entries}:
            continue
        for entry in entries:
            if entry.id != item and wanted & set(good.get(entry.id, entry.key).split(",")):
                return entry.id
    return ""
