"""A host that wants a password: asked in the app, not shown, not kept, and then connected."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest
from textual.widgets import Input

from agents import LinkState
from tests.transport.conftest import Sshd
from tests.ui.conftest import until
from tui.app import GonogoApp
from tui.roadmap.workspace import Workspace
from tui.screens.dialogs import FormScreen

PASSWORD = "correct horse 7391"


def screen_text(app: GonogoApp) -> str:
    return app.export_screenshot().replace("&#160;", " ")


async def test_a_password_is_asked_in_the_app_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for name in ("accepted", "stranger"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(tmp_path / name))
        key.write_public_key(str(tmp_path / f"{name}.pub"))
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    server = Sshd(tmp_path, host_key, tmp_path / "accepted", password=PASSWORD)
    await server.start()
    server.vouch()
    settings = (
        f'title = "Login"\n[hosts.tower]\nssh = "ana@127.0.0.1:{server.port}"\n'
        f'known_hosts = "{server.known_hosts}"\nidentity_file = "{tmp_path}/stranger"\n'
    )
    workspace = Workspace.create(tmp_path / "ws", settings_text=settings)
    app = GonogoApp(workspace)
    try:
        async with app.run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: isinstance(app.screen, FormScreen), 15, "the question")
            assert "tower wants a password" in screen_text(app)
            await pilot.press(*(c if c != " " else "space" for c in PASSWORD))
            assert app.screen.query_one(Input).value == PASSWORD
            assert PASSWORD not in screen_text(app)
            await pilot.press("enter")
            link = app.fleet.links["tower"]
            await until(pilot, lambda: link.state is LinkState.live, 15, f"live: {link.detail}")
            assert not isinstance(app.screen, FormScreen)
    finally:
        await server.stop()
        for child in server.children:
            await child.wait()
    for path in workspace.root.rglob("*"):
        if path.is_file():
            assert PASSWORD.encode() not in path.read_bytes(), path
