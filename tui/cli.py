"""The command `gonogo`: without arguments the app, with one every action of the app for scripts.

Exit codes: 0 ok, 1 a check failed, 2 usage, 3 conflict, 4 locked, 5 unreachable, 6 read-only or corrupt.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from pathlib import Path

import click

from tui import first, memory
from tui.cli_answer import AnsweringGroup
from tui.later import lean_numpy

_WHERE = {
    "tui.cli_accounts": "attention dates field na waive",
    "tui.cli_bindings": "bindings",
    "tui.cli_change": "note redo tick undo untick",
    "tui.cli_curve": "curve",
    "tui.cli_doctor": "doctor",
    "tui.cli_files": "fetch send tunnel",
    "tui.cli_gate": "decide gate",
    "tui.cli_init": "init app",
    "tui.cli_jobs": "jobs stop",
    "tui.cli_keys": "keys",
    "tui.cli_look": "evidence tail",
    "tui.cli_mend": "edit recover",
    "tui.cli_mlflow": "mlflow",
    "tui.cli_money": "budget cost energy",
    "tui.cli_plan": "import=import_ reconcile",
    "tui.cli_serve": "serve",
    "tui.cli_show": "export log status",
    "tui.cli_train": "train",
    "tui.cli_verify": "verify",
    "tui.demo": "demo=demo_command",
}
"""Module to its commands, `command=function` where they differ: imported when one is asked for."""

COMMANDS = {
    command: (module, function or command)
    for module, words in _WHERE.items()
    for command, _, function in (word.partition("=") for word in words.split())
}

HELP = {
    "curve": "Draw the curves of runs; save them as SVG, PNG or CSV.",
    "demo": "Show it all on this machine, with real trainings over SSH.",
    "jobs": "List the jobs of every host.",
    "train": "Start a training or a pair, after its checks.",
    "stop": "Stop a running job by its id or name.",
    "send": "Send a file to a host, resumable and checked.",
    "fetch": "Fetch a job's adapter, resumable and checked.",
    "tunnel": "Keep the tunnel to MLflow open; show its lights.",
    "mlflow": "Start, end or look at MLflow on its host.",
    "doctor": "Look at this machine and the hosts; say what to do next.",
    "edit": "Change boxes, blanks and notes as text in $EDITOR.",
    "keys": "List the keys and the ids that [keymap] binds.",
    "serve": "Show the app in a browser on 127.0.0.1, read-only unless --rw.",
    "recover": "Show or take over a damaged line of the state file.",
}
"""What the help says of commands whose modules are too heavy to be imported for it."""


class _Group(AnsweringGroup):
    """A group whose commands stand in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's; a word that is no command is refused with the nearest one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0][:60], self.list_commands(ctx), 1)
            guess = f" Did you mean {near[0]}?" if near else " `gonogo --help` lists them."
            raise click.UsageError(error.message + guess, ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            command = None if name in HELP else self.get_command(ctx, name)
            if command is None or not command.hidden:
                rows.append((name, command.get_short_help_str(70) if command else HELP[name]))
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
    context.meta["gonogo.read_only"] = read_only
    if plain:
        os.environ["GONOGO_ASCII"] = "1"  # read when the screens are imported
    if context.invoked_subcommand is None:
        _start(context, folder, read_only, mouse=not no_mouse)


def _start(context: click.Context, folder: Path | None, read_only: bool, mouse: bool) -> None:
    memory.hold()
    # A frame follows what it waits for after 4 ms instead of 16; only what changed is drawn anyway.
    os.environ.setdefault("TEXTUAL_FPS", "250")
    lean_numpy()
    here = (folder or Path()).resolve()
    root = next((p for p in (here, *here.parents) if (p / "gonogo.toml").is_file()), None)
    if root is None:
        _offer(context, folder or Path())
        return
    with first.shown(root):
        from tui.cli_common import USAGE, Run
        from tui.settings import SettingsError

        run = Run(root, False)
        try:
            workspace = run.open(read_only)
        except SettingsError as error:
            first.hide()
            run.fail(str(error), "SettingsError", USAGE)
        from tui.app import run_app
    run_app(workspace, mouse=mouse)


def _offer(context: click.Context, folder: Path) -> None:
    """Outside a workspace: say what there is to do, and do it where somebody can answer."""
    from tui.cli_common import NO_WORKSPACE, USAGE
    from tui.roadmap.workspace import Workspace

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


if __name__ == "__main__":
    main()
