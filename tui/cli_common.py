"""What all commands share: finding the workspace, the --json form, exit codes, who acts."""

from __future__ import annotations

import getpass
import math
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from tui.cli_answer import end, to_json
from tui.roadmap.errors import WorkspaceError
from tui.roadmap.state import Record
from tui.roadmap.workspace import Workspace
from tui.settings import SettingsError

USAGE = 2
READ_ONLY = "gonogo.read_only"
"""Key under which the outer command leaves its --read-only for the inner one."""
NO_WORKSPACE = (
    "There is no gonogo workspace here. `gonogo init` makes one, `gonogo demo` shows one."
)


class Finite(click.FloatRange):
    """A number in a range; NaN, which compares as inside every range, and infinities are refused."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{str(value)[:40]} is not a finite number.", param, ctx)
        return number


class Run:
    """One call of a command: where, in which form, by whom."""

    def __init__(self, folder: Path | None, as_json: bool) -> None:
        self.folder = folder
        self.as_json = as_json

    def open(self, read_only: bool = False) -> Workspace:
        """The workspace at the given folder, or at or above the current one."""
        from tui.roadmap.folder import find

        root = find((self.folder or Path()).resolve())
        if root is None:
            self.fail(NO_WORKSPACE, "NoWorkspace", USAGE)
        outer = click.get_current_context(silent=True)
        closed = bool(outer and outer.meta.get(READ_ONLY))
        return Workspace.open(root, read_only or closed)

    def found(self) -> bool:
        """True where there is a workspace to open."""
        from tui.roadmap.folder import find

        return find((self.folder or Path()).resolve()) is not None

    def actor(self, workspace: Workspace) -> str:
        """Who the records name."""
        return f"cli:{workspace.settings.user or getpass.getuser()}"

    def answer(self, data: dict[str, Any], text: str) -> None:
        """Prints the JSON object or the text."""
        click.echo(to_json({"ok": True, **data}) if self.as_json else text)

    def saved(self, record: Record, text: str) -> None:
        """Answers with a stored record."""
        self.answer({"record": dict(record.data)}, f"saved: {text}")

    def fail(self, message: str, kind: str, code: int) -> NoReturn:
        """Prints one sentence (as JSON on stdout with --json) and ends with `code`."""
        end(message, kind, code, self.as_json)


def common(command: Callable[..., None]) -> Callable[..., None]:
    """Adds -C and --json, hands the command a Run, turns errors into one sentence and an exit code."""

    @click.option(
        "-C", "--workspace", "folder", type=click.Path(path_type=Path, file_okay=False),
        help="The workspace folder; default: the current one or one above it.",
    )  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
    @wraps(command)
    def wrapped(folder: Path | None, as_json: bool, **kwargs: Any) -> None:
        context = click.get_current_context()
        outer = context.find_root().obj if isinstance(context.find_root().obj, Path) else None
        run = Run(folder or outer, as_json)
        try:
            command(run, **kwargs)
        except WorkspaceError as error:
            run.fail(str(error), type(error).__name__, error.exit_code)
        except SettingsError as error:
            run.fail(str(error), "SettingsError", USAGE)
        except BrokenPipeError:
            sys.stderr.close()  # the reader of our output left: nothing more to say
            sys.exit(0)

    return wrapped
