"""The command `gonogo`: without arguments the app, with one every action of the app for scripts.

Exit codes: 0 ok, 1 a check failed, 2 usage, 3 conflict, 4 locked, 5 unreachable, 6 read-only or corrupt.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from tui.cli_accounts import attention, dates, field, na, waive
from tui.cli_bindings import bindings
from tui.cli_change import note, redo, tick, undo, untick
from tui.cli_common import NO_WORKSPACE, READ_ONLY, USAGE, Run, common
from tui.cli_gate import decide, gate
from tui.cli_money import budget, cost, energy
from tui.cli_plan import import_, reconcile
from tui.cli_show import export, log, status
from tui.cli_verify import verify
from tui.roadmap.workspace import Workspace
from tui.settings import SettingsError

LAZY = {
    "curve": ("tui.cli_curve", "curve", "Draw the curves of runs; save them as SVG, PNG or CSV."),
    "demo": (
        "tui.demo",
        "demo_command",
        "Show it all on this machine, with real trainings over SSH.",
    ),
    "jobs": ("tui.cli_jobs", "jobs", "List the jobs of every host."),
    "train": ("tui.cli_train", "train", "Start a training or a pair, after its checks."),
    "stop": ("tui.cli_jobs", "stop", "Stop a running job by its id or name."),
    "send": ("tui.cli_files", "send", "Send a file to a host, resumable and checked."),
    "fetch": ("tui.cli_files", "fetch", "Fetch a job's adapter, resumable and checked."),
    "tunnel": ("tui.cli_files", "tunnel", "Keep the tunnel to MLflow open; show its lights."),
    "mlflow": ("tui.cli_mlflow", "mlflow", "Start, end or look at MLflow on its host."),
    "doctor": (
        "tui.cli_doctor",
        "doctor",
        "Look at this machine and the hosts; say what to do next.",
    ),
    "edit": ("tui.cli_mend", "edit", "Change boxes, blanks and notes as text in $EDITOR."),
    "keys": ("tui.cli_keys", "keys", "List the keys and the ids that [keymap] binds."),
    "recover": ("tui.cli_mend", "recover", "Show or take over a damaged line of the state file."),
}
"""Commands whose modules are imported only when they are asked for."""


class _Group(click.Group):
    """A group that also knows the lazy commands, without importing them for its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *LAZY})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LAZY:
            return super().get_command(ctx, cmd_name)
        module, name, _ = LAZY[cmd_name]
        command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            if name in LAZY:
                rows.append((name, LAZY[name][2]))
                continue
            command = super().get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(70)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "-C", "--workspace", "folder", type=click.Path(path_type=Path, file_okay=False),
    help="The workspace folder; default: the current one or one above it.",
)  # fmt: skip
@click.option("--read-only", is_flag=True, help="Write nothing, whatever the command.")
@click.option("--ascii", "plain", is_flag=True, help="Draw with plain ASCII characters only.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, to select text.")
@click.version_option(package_name="gonogo")
@click.pass_context
def main(
    context: click.Context, folder: Path | None, read_only: bool, plain: bool, no_mouse: bool
) -> None:
    """Control center of one A/B training experiment: roadmap, gauges, curves, budget, GO/NO-GO gate."""
    context.obj = folder
    context.meta[READ_ONLY] = read_only
    if plain:
        os.environ["GONOGO_ASCII"] = "1"  # read when the screens are imported
    if context.invoked_subcommand is None:
        _start(context, folder, read_only, mouse=not no_mouse)


def _start(context: click.Context, folder: Path | None, read_only: bool, mouse: bool) -> None:
    from tui.roadmap.folder import find

    root = find((folder or Path()).resolve())
    if root is None:
        _offer(context, folder or Path())
        return
    run = Run(root, False)
    try:
        workspace = run.open(read_only)
    except SettingsError as error:
        run.fail(str(error), "SettingsError", USAGE)
    from tui.app import run_app

    run_app(workspace, mouse=mouse)


def _offer(context: click.Context, folder: Path) -> None:
    """Outside a workspace: say what there is to do, and do it where somebody can answer."""
    click.echo(NO_WORKSPACE)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        sys.exit(USAGE)
    choice = click.prompt(
        "Make a workspace here (init), show the demo, or quit",
        type=click.Choice(["init", "demo", "quit"]), default="demo",
    )  # fmt: skip
    if choice == "init":
        Workspace.create(folder)
        click.echo(f"Made {folder.resolve()}. `gonogo` opens it.")
    elif choice == "demo":
        demo = main.get_command(context, "demo")
        if demo is not None:
            context.invoke(demo)


@main.command()
@click.argument(
    "target", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False)
)
@click.option("--title", default="", help="Title of the experiment; default: the folder's name.")
@click.option(
    "--roadmap", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A Markdown file with task lists to take over; default: the AI training plan.",
)  # fmt: skip
@common
def init(run: Run, target: Path | None, title: str, roadmap: Path | None) -> None:
    """Make a workspace in DIR (default: here)."""
    from tui.roadmap.folder import counts, import_text

    folder = target or run.folder or Path()
    text, repaired = import_text(roadmap.read_bytes(), roadmap.name) if roadmap else (None, "")
    ws = Workspace.create(folder, title=title, roadmap_text=text)
    document = ws.document
    data = {
        "workspace": str(ws.root), "boxes": document.box_count, "blanks": document.blank_count,
        "tables": len(document.tables), "repaired": repaired,
    }  # fmt: skip
    said = " ".join(part for part in (repaired, counts(document)) if part)
    lines = [f"made {ws.root}. {said}"]
    if not document.box_count:
        lines.append("No task list was found in it: a box is a list item that begins with [ ].")
    lines.append("Next: name your hosts in gonogo.toml.")
    run.answer(data, "\n".join(lines))


@main.command(hidden=True)
@common
def app(run: Run) -> None:
    """Open the app in the workspace."""
    from tui.app import run_app

    run_app(run.open())


for _command in (
    attention,
    budget,
    cost,
    dates,
    decide,
    energy,
    export,
    field,
    gate,
    import_,
    na,
    log,
    note,
    reconcile,
    redo,
    status,
    tick,
    undo,
    untick,
    verify,
    bindings,
    waive,
):
    main.add_command(_command)


if __name__ == "__main__":
    main()
