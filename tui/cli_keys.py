"""`gonogo keys`: every action that a key does, with the id under which [keymap] binds it to another."""

from __future__ import annotations

import click

from tui.cli_common import Run, common


@click.command()
@common
def keys(run: Run) -> None:
    """List the keys, their actions and the ids for [keymap] in gonogo.toml."""
    from tui.keymap import checked, scopes
    from tui.roadmap.errors import WorkspaceError

    try:
        keymap = dict(run.open(read_only=True).settings.keymap) if run.found() else {}
    except WorkspaceError:
        keymap = {}
    good, problems = checked(keymap)
    entries = {(e.place, e.id): e for found in scopes().values() for e in found}
    order = {"everywhere": 0, "lists": 1}
    found = [
        {"id": e.id, "key": good.get(e.id, e.key), "where": e.place, "does": e.does}
        for e in sorted(entries.values(), key=lambda e: order.get(e.place, 2))
    ]
    lines = [f"{e['id']:<20} {e['key']:<28} {e['where']:<14} {e['does']}" for e in found]
    run.answer(
        {"keys": found, "problems": problems, "ok": not problems}, "\n".join([*lines, *problems])
    )
