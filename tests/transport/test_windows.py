"""A host whose login shell is cmd.exe or PowerShell: the agent runs in WSL."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agents import GaugeArrived, JobSpec, LinkState, NeedsUser, bootstrap
from tests.transport.windows_shells import (
    Undocumented,
    split_arguments,
    through_cmd,
    through_powershell,
)

SHELLS = Path(__file__).with_name("windows_shells.py")
EXPECTED = ["wsl.exe", "-e", "python3", "-ISuB", "-c", bootstrap.STUB, "0123456789abcdef"]


@pytest.mark.parametrize("parse", [through_cmd, through_powershell])
def test_the_command_line_means_the_same_everywhere(parse):
    line = bootstrap.windows_command("0123456789abcdef")
    assert parse(line) == EXPECTED
    assert len(line) < 2000
    # OpenSSH for Windows hands the line to `cmd.exe /c "…"`: only the outer quotes go.
    assert split_arguments(line) == EXPECTED


def test_the_rules_catch_what_would_go_wrong():
    """Each parser refuses or changes the lines that a careless bootstrap would send."""
    posix = bootstrap.command("n")
    for parse in (through_cmd, through_powershell):
        with pytest.raises(Undocumented):
            parse(posix)
    assert through_cmd('x "%TEMP%"', {"TEMP": "C:\\tmp"}) == ["x", "C:\\tmp"]
    assert through_cmd("x ^& 'a b'") == ["x", "&", "'a", "b'"]
    with pytest.raises(Undocumented):
        through_cmd("x & y")
    with pytest.raises(Undocumented):
        through_powershell('x "$HOME"')
    with pytest.raises(Undocumented):
        through_powershell("""x 'say "a"'""")
    assert through_powershell("x 'a b' \"c 'd'\"") == ["x", "a b", "c 'd'"]


# From the table of "Parsing C command-line arguments".
@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (r'x "a b c" d e', ["x", "a b c", "d", "e"]),
        (r'x "ab\"c" "\\" d', ["x", 'ab"c', "\\", "d"]),
        (r'x a\\\b d"e f"g h', ["x", "a\\\\\\b", "de fg", "h"]),
        (r"x a\\\"b c d", ["x", 'a\\"b', "c", "d"]),
        (r'x a\\\\"b c" d e', ["x", "a\\\\b c", "d", "e"]),
    ],
)
def test_argument_rules(line, arguments):
    assert split_arguments(line) == arguments


def test_an_interpreter_that_would_need_quoting_is_refused():
    for python in ("my python", 'a"b', "%PYTHON%", "$p"):
        with pytest.raises(NeedsUser, match="Windows command line"):
            bootstrap.windows_command("n", python)


def as_windows(sshd, shell: str, wsl: str = "") -> None:
    sshd.shell = (sys.executable, str(SHELLS), shell)
    sshd.environment["FAKE_WSL"] = wsl


@pytest.mark.parametrize("shell", ["cmd", "powershell"])
@pytest.mark.parametrize("version", ["", "OpenSSH_for_Windows_9.5"])
async def test_live_through_wsl(shell, version, sshd, make_link, wait_until):
    """Told by the server's name, or found out from what the shell says to the first try."""
    as_windows(sshd, shell)
    if version:
        port = sshd.port
        await sshd.stop()
        sshd.version = version
        await sshd.start(port)
    watched = make_link()
    link = await watched.live()
    assert sshd.logins == (1 if version else 2)
    assert LinkState.backoff not in watched.states()
    await wait_until(lambda: watched.of(GaugeArrived))
    job = await link.start_job(JobSpec("hello", ("echo", "hi")))
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "succeeded")
    sshd.cut()
    logins = sshd.logins
    await wait_until(lambda: sshd.logins > logins)
    await link.wait_live(10)
    assert sshd.logins == logins + 1, "what was found out is remembered"


@pytest.mark.parametrize(
    ("wsl", "said"),
    [("missing", "is not recognized"), ("empty", "has no installed distributions")],
)
async def test_windows_without_a_usable_wsl_is_said(wsl, said, sshd, make_link):
    as_windows(sshd, "cmd", wsl)
    change = await make_link().start().state(LinkState.needs_user)
    assert said in change.detail or "operable program" in change.detail
    assert "wsl --install" in change.detail


async def test_the_setting_wins_over_the_guess(sshd, make_link):
    as_windows(sshd, "cmd")
    watched = make_link(**{"shell": "windows"})
    await watched.live()
    assert sshd.logins == 1


async def test_wsl_without_that_python_is_said(sshd, make_link):
    as_windows(sshd, "powershell")
    change = await make_link(python="python9").start().state(LinkState.needs_user)
    assert "execvpe(python9) failed" in change.detail
