"""`gonogo serve`: the app in a browser, on this machine's loopback only."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket

import click

from tui.cli_common import USAGE, Run, common

TOKEN = "GONOGO_SERVE_TOKEN"  # noqa: S105 (the variable's name)
"""A token of one's own, so that a bookmark holds; else each start makes another."""
SHORTEST = 16
MISSING = "The web view needs textual-serve: pip install -c constraints.txt '.[web]'"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
              help="Of 127.0.0.1; 0 takes a free one.")  # fmt: skip
@click.option("--rw", "writable", is_flag=True, help="Let the page write, too.")
@common
def serve(run: Run, port: int, writable: bool) -> None:
    """Show the app in a browser on 127.0.0.1, read-only unless --rw; a phone comes by an SSH tunnel."""
    try:
        from tui.web import WebServer, app_command
    except ImportError as error:
        run.fail(f"{MISSING} ({error.name} is not there).", "MissingPackage", USAGE)
    workspace = run.open(read_only=True)
    outer = click.get_current_context().meta.get("gonogo.read_only", False)
    writable = writable and not outer
    token = os.environ.pop(TOKEN, "") or secrets.token_urlsafe(SHORTEST)  # not for the app's eyes
    if len(token) < SHORTEST or not token.isascii():
        run.fail(f"{TOKEN} needs at least {SHORTEST} ASCII characters.", "InvalidToken", USAGE)
    root = workspace.root.resolve()
    server = WebServer(app_command(root, writable), workspace.settings.title, token)

    async def work() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            await server.open(port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            run.fail(
                f"Port {port} cannot be used ({reason}); --port 0 takes a free one.", "Port", USAGE
            )
        url = f"http://127.0.0.1:{server.port}/?token={token}"
        tunnel = f"ssh -L {server.port}:127.0.0.1:{server.port} {socket.gethostname()}"
        mode = "the page may write" if writable else "read-only; --rw lets the page write"
        run.answer(
            {"url": url, "port": server.port, "writable": writable, "tunnel": tunnel},
            f"{url}\n{root}, {mode}\n"
            f"from a phone: {tunnel}, then this address there\n"
            "one process a tab; ctrl+c ends them all",
        )
        try:
            await stop.wait()
        finally:
            await server.close()

    asyncio.run(work())
