"""`gonogo keys`: every action that a key does, with the id under which [keymap] binds it to another."""

from __future__ import annotations

import click

from tui.cli_common import Run, common


@click.command()
@common
def keys(run: Run) -> None:
    """List the keys, their actions and the ids for [keymap] in gonogo.toml."""
    from textual.binding import Binding

    from tui.app import GonogoApp
    from tui.roadmap.errors import WorkspaceError
    from tui.screens.room import Room
    from tui.widgets.row_list import RowList

    try:
        keymap = dict(run.open(read_only=True).settings.keymap) if run.found() else {}
    except WorkspaceError:
        keymap = {}
    entries: dict[tuple[str, str], dict[str, str]] = {}
    places: list[tuple[str, type]] = [
        ("everywhere", GonogoApp),
        ("everywhere", Room),
        ("lists", RowList),
    ]
    places += [(name, screen) for name, screen in GonogoApp.MODES.items()]
    for place, owner in places:
        for binding in owner.__dict__.get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id:
                key = keymap.get(binding.id, binding.key)
                entries.setdefault(
                    (place, binding.id),
                    {
                        "id": binding.id,
                        "key": key,
                        "where": place,
                        "does": binding.description or binding.action,
                    },
                )
    found = list(entries.values())
    lines = [f"{e['id']:<20} {e['key']:<28} {e['where']:<11} {e['does']}" for e in found]
    run.answer({"keys": found}, "\n".join(lines))
