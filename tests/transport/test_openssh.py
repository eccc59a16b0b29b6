"""OpenSSH's sshd with several login shells and settings that trouble remote programs."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from agents import JobSpec, LinkState
from tests.transport.openssh import OpenSsh

pytestmark = pytest.mark.sshd
POINTS = (
    "i=0; while [ $i -lt 10 ]; do i=$((i+1)); "
    'echo "{\\"step\\": $i}" >> "$GONOGO_JOB_DIR/run.jsonl"; done'
)


@pytest.fixture
def openssh(tmp_path, client_key):
    made: list[OpenSsh] = []

    def make(**changes) -> OpenSsh:
        made.append(OpenSsh(tmp_path / "openssh", client_key, **changes).start())
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.mark.parametrize("name", ["sh", "bash", "zsh", "fish"])
async def test_login_shells(name, openssh, watch, wait_until):
    """Each as root's login shell, with a profile that speaks where the shell reads one."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    server = openssh(shell=program)
    for rc in (".bashrc", ".zshenv", ".profile"):
        (server.home / rc).write_text('echo "welcome { to [x] the rig"\n')
    (server.home / ".config/fish").mkdir(parents=True)
    (server.home / ".config/fish/config.fish").write_text('echo "welcome { to [x] the rig"\n')
    watched = watch(server.spec())
    try:
        link = await watched.live()
        job = await link.start_job(JobSpec("count", ("sh", "-c", POINTS)))
        await wait_until(lambda: watched.job_states(job.job_id)[-1] == "succeeded", 15)
        source = server.home / ".gonogo/jobs" / job.job_id / "run.jsonl"
        copy = watched.root / "real" / job.job_id / "run.jsonl"
        await wait_until(lambda: copy.exists() and copy.read_bytes() == source.read_bytes())
        assert link.attempt == 0
    finally:
        await watched.link.close()


async def test_one_session_is_enough(openssh, watch):
    """MaxSessions 1: the agent has it, and tunnels are no sessions."""
    watched = watch(openssh(settings="MaxSessions 1\n").spec())

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        writer.close()

    web = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        link = await watched.live()
        tunnel = await link.open_tunnel(web.sockets[0].getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")
        writer.close()
        assert await link.jobs() == []
    finally:
        web.close()
        await watched.link.close()


async def test_no_session_at_all_is_said(openssh, watch):
    watched = watch(openssh(settings="MaxSessions 0\n").spec()).start()
    try:
        change = await watched.state(LinkState.backoff)
        assert "real opens no session" in change.detail
    finally:
        await watched.link.close()


async def test_a_banner_before_the_login(openssh, watch, tmp_path):
    banner = tmp_path / "banner"
    banner.write_bytes(b"\x1b[31mAuthorised use only\x1b[0m {\n" * 50)
    watched = watch(openssh(settings=f"Banner {banner}\n").spec())
    try:
        await watched.live()
    finally:
        await watched.link.close()


async def test_a_server_that_forbids_commands_is_said(openssh, watch):
    """ForceCommand, as on a host that only carries files."""
    watched = watch(openssh(settings="ForceCommand echo only files here\n").spec()).start()
    try:
        change = await watched.state(LinkState.backoff)
        assert "before it answered" in change.detail
        assert "only files here" in change.detail
    finally:
        await watched.link.close()
