"""`gonogo keys`: every action that a key does, with the id under which [keymap] binds it to another."""

from __future__ import annotations

import click

from tui.cli_common import Run, common


@click.command()
@common
def keys(run: Run) -> None:
    """List the keys, their actions and the ids for [keymap] in gonogo.toml."""
    from tui.keymap import Entry, checked, scopes
    from tui.roadmap.errors import WorkspaceError

    try:
        keymap = dict(run.open(read_only=True).settings.keymap) if run.found() else {}
    except WorkspaceError:
        keymap = {}
    good, problems = checked(keymap)
    entries: dict[tuple[str, str], Entry] = {}
    named: set[str] = set()
    for place, owned in scopes().items():
        room = place.islower()  # a dialog repeats the ids of the rooms it serves
        for entry in owned:
            if room or entry.id not in named:
                entries.setdefault((entry.place, entry.id), entry)
        named |= {entry.id for entry in owned}
    order = {"everywhere": 0, "lists": 1}
    found = [
        {"id": e.id, "key": good.get(e.id, e.key), "where": e.place, "does": e.does}
        for e in sorted(entries.values(), key=lambda e: order.get(e.place, 2))
    ]
    lines = [f"{e['id']:<20} {e['key']:<28} {e['where']:<14} {e['does']}" for e in found]
    run.answer(
        {"keys": found, "problems": problems, "ok": not problems}, "\n".join([*lines, *problems])
    )
