"""What tab completes in a shell: ids of the plan, budget rows, hosts and runs of the workspace at hand.

Nothing is written, no host is asked, and without a workspace there is nothing to complete. Ids are
compared without regard to case, since the shell replaces the whole word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from tui.roadmap.errors import WorkspaceError
from tui.roadmap.workspace import Workspace
from tui.settings import SettingsError

Complete = Callable[[click.Context, click.Parameter, str], list[str]]
MOST = 400
"""Words offered at once; the shipped plan has 288 boxes."""


def _workspace(context: click.Context) -> Workspace | None:
    from tui.roadmap.folder import find

    given = context.params.get("folder") or context.find_root().params.get("folder")
    try:
        root = find((Path(given) if given else Path()).resolve())
        return Workspace.open(root, read_only=True) if root else None
    except (WorkspaceError, SettingsError, OSError, ValueError):
        return None  # silent while a shell completes; the command itself says what is wrong


def _from(words: Callable[[Workspace], Iterable[str]]) -> Complete:
    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        workspace = _workspace(context)
        if workspace is None:
            return []
        low = begun.casefold()
        # a word of the plan or of a host is data: what a shell would have to quote is left out
        fits = (w for w in words(workspace) if w.casefold().startswith(low) and _plain(w))
        return list(dict.fromkeys(fits))[:MOST]

    return complete


def _plain(word: str) -> bool:
    return word.isprintable() and not set(word) & set(" \t,;&|<>()$`\\\"'*?[]{}!~")


def _runs(workspace: Workspace) -> Iterable[str]:
    found = (workspace.runs_dir.glob(f"*/*/{name}") for name in ("run.jsonl", "log.txt"))
    return sorted({path.parent.name for paths in found for path in paths})


boxes = _from(lambda ws: ws.document.boxes)
names = _from(lambda ws: ws.document.names())
sections = _from(lambda ws: (section.id for section in ws.document.all_sections))
fields = _from(lambda ws: ws.document.fields)
hosts = _from(lambda ws: ws.settings.hosts)
runs = _from(_runs)
