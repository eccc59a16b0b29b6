"""Login shells that print without end, take the agent's input, are slow, or run nothing."""

from __future__ import annotations

import shutil
import sys

import pytest

from agents import HostNoise, LinkState

SPAM = "yes 'a greeting of the shell'"


def shell(sshd, tmp_path, script: str) -> None:
    path = tmp_path / "shell"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    sshd.shell = (str(path), "-c")


async def test_one_that_prints_without_end_is_left_and_said(sshd, make_link, tmp_path):
    shell(sshd, tmp_path, SPAM)
    watched = make_link().start()
    change = await watched.state(LinkState.backoff, 14)  # sooner than by the handshake's limit
    assert "prints without end" in change.detail
    assert len(watched.of(HostNoise)[-1].text) <= 64 * 1024


async def test_mebibytes_before_and_after_do_no_harm(sshd, make_link, tmp_path):
    lines = f"{SPAM} | head -c 5000000; {SPAM} | head -c 5000000 >&2"
    shell(sshd, tmp_path, f'{lines}\n/bin/sh "$@"\n{lines}')
    await make_link().live()


@pytest.mark.parametrize(
    "script",
    [
        'exec /bin/sh "$@" </dev/null',
        'exec /bin/sh "$@" <&-',
        'read answer; exec /bin/sh "$@"',
    ],
)
async def test_one_that_takes_the_agents_input_is_said(script, sshd, make_link, tmp_path):
    shell(sshd, tmp_path, script)
    change = await make_link().start().state(LinkState.backoff)
    assert "took or closed the input" in change.detail


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "ended with code 0"),
        ("echo This account is not available.; exit 1", "This account is not available."),
        ("kill -9 $$", "before it answered"),
    ],
)
async def test_one_that_runs_nothing_is_said(script, said, sshd, make_link, tmp_path):
    shell(sshd, tmp_path, script)
    change = await make_link().start().state(LinkState.backoff)
    assert said in change.detail
    assert "`ssh HOST echo ok`" in change.detail


async def test_a_slow_one_is_given_more_time_with_each_try(sshd, make_link, tmp_path):
    """A shell that needs a minute would else be cut off before its end for ever."""
    shell(sshd, tmp_path, 'sleep 3; exec /bin/sh "$@"')
    watched = make_link()
    watched.link._patience = 0.5
    watched.start()
    change = await watched.state(LinkState.backoff)
    assert "slow or waits for input" in change.detail
    await watched.link.wait_live(60)
    assert watched.link._patience > 3


@pytest.mark.parametrize("body", [
    'echo "WARNING: this environment is old"; echo again >&2; exec {real} "$@"',
    'yes | head -c 3000000; exec {real} "$@"',
    '{real} "$@"; echo bye',
])  # fmt: skip
async def test_a_python_that_is_a_script_with_a_warning(body, sshd, make_link, tmp_path):
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n" + body.format(real=sys.executable) + "\n")
    program.chmod(0o755)
    for name in ("sh", "yes", "head"):
        (program.parent / name).symlink_to(str(shutil.which(name)))
    sshd.path = str(program.parent)
    await make_link().live()


async def test_a_python_that_only_points_to_a_store(sshd, make_link, tmp_path):
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Python was not found; get it from the Store'; exit 9\n")
    program.chmod(0o755)
    sshd.path = str(program.parent)
    change = await make_link().start().state(LinkState.needs_user)
    assert "has no Python: install Python 3.8 or newer" in change.detail
