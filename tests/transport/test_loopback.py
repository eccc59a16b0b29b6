"""Jobs and links against servers that really die: the loopback host and OpenSSH."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import asyncssh
import pytest

from agents import HostSpec, JobSpec, LinkState
from agents.loopback import loopback_status, start_loopback, stop_loopback
from tests.transport.openssh import OpenSsh

COUNT = (
    "i=0; while [ $i -lt 40 ]; do i=$((i+1)); "
    'echo "{\\"step\\": $i}" >> "$GONOGO_JOB_DIR/run.jsonl"; sleep 0.1; done'
)


@pytest.fixture
def loopback(tmp_path):
    host = start_loopback(tmp_path, "tower")
    yield host
    stop_loopback(tmp_path, "tower", signal.SIGKILL)


def spec_of(host, **changes) -> HostSpec:
    return HostSpec(
        name=host.name,
        ssh=f"tester@127.0.0.1:{host.port}",
        identity_file=host.client_key,
        known_hosts=host.known_hosts,
        **changes,
    )


async def test_a_job_survives_kill_9_of_the_server(loopback, tmp_path, watch, wait_until):
    watched = watch(spec_of(loopback, simulate_gpu=True))
    link = await watched.live()
    job = await link.start_job(JobSpec("count", ("sh", "-c", COUNT)))
    copy = tmp_path / "runs/tower" / job.job_id / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.stat().st_size > 50)
    agent = link.host_info["pid"]
    stop_loopback(tmp_path, "tower", signal.SIGKILL)
    await watched.state(LinkState.backoff, 5)
    await wait_until(
        lambda: not Path(f"/proc/{agent}").exists(), what="the agent ends with the server"
    )
    source = loopback.home / ".gonogo/jobs" / job.job_id / "run.jsonl"
    before = source.stat().st_size
    await wait_until(lambda: source.stat().st_size > before, what="the job goes on")
    again = start_loopback(tmp_path, "tower")
    began = time.monotonic()
    assert again.port == loopback.port
    await link.wait_live(5)
    assert time.monotonic() - began <= 2.0
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "succeeded", 15)
    await wait_until(lambda: copy.exists() and copy.read_bytes() == source.read_bytes())
    assert [json.loads(line)["step"] for line in copy.read_text().splitlines()] == list(
        range(1, 41)
    )
    await link.close()


async def test_start_is_idempotent_and_stop_is_final(loopback, tmp_path):
    assert start_loopback(tmp_path, "tower").pid == loopback.pid
    assert loopback_status(tmp_path, "tower").running
    assert loopback_status(tmp_path, "nobody") is None
    stop_loopback(tmp_path, "tower")
    assert not loopback_status(tmp_path, "tower").running
    stop_loopback(tmp_path, "tower")
    assert "Traceback" not in (loopback.folder / "server.log").read_text()


async def test_the_server_outlives_its_starter(tmp_path):
    code = (
        "import sys; from pathlib import Path; from agents.loopback import start_loopback; "
        "print(start_loopback(Path(sys.argv[1]), 'server').pid)"
    )
    starter = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    out, _ = await starter.communicate()
    try:
        found = loopback_status(tmp_path, "server")
        assert found.running
        assert found.pid == int(out)
    finally:
        stop_loopback(tmp_path, "server", signal.SIGKILL)


async def test_only_this_machine_can_be_reached_through_it(loopback, tmp_path):
    async with asyncssh.connect(
        "127.0.0.1",
        loopback.port,
        username="x",
        client_keys=[str(loopback.client_key)],
        known_hosts=str(loopback.known_hosts),
        config=None,
    ) as conn:
        with pytest.raises(asyncssh.ChannelOpenError):
            await conn.open_connection("192.0.2.1", 80)
        result = await conn.run("echo $HOME; pwd; cat; exit 5", input="in\n")
        assert result.stdout == f"{loopback.home}\n{loopback.home}\nin\n"
        assert result.exit_status == 5
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            "127.0.0.1",
            loopback.port,
            username="x",
            client_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            known_hosts=str(loopback.known_hosts),
            config=None,
            agent_path=None,
        )


@pytest.fixture
def openssh(tmp_path, client_key):
    """OpenSSH's own sshd on a free port, with a home of its own."""
    server = OpenSsh(tmp_path / "openssh", client_key).start()
    yield server.spec(), server.home, server.process
    server.stop()


@pytest.mark.sshd
async def test_openssh_job_mirror_tunnel_and_transfer(openssh, tmp_path, watch, wait_until):
    spec, home, _ = openssh
    watched = watch(spec)
    link = await watched.live()
    assert link.host_info["home"] == str(home)
    job = await link.start_job(JobSpec("count", ("sh", "-c", COUNT)))
    data = tmp_path / "data"
    data.write_bytes(os.urandom(1_000_000))
    await link.put_file(data, "~/in/data")
    assert (home / "in/data").read_bytes() == data.read_bytes()

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    tunnel = await link.open_tunnel(server.sockets[0].getsockname()[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"hello")
    writer.close()
    server.close()
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "succeeded", 15)
    copy = tmp_path / "runs/real" / job.job_id / "run.jsonl"
    source = home / ".gonogo/jobs" / job.job_id / "run.jsonl"
    await wait_until(lambda: copy.exists() and copy.read_bytes() == source.read_bytes())
    await link.close()


@pytest.mark.sshd
async def test_openssh_session_killed_the_job_goes_on(openssh, tmp_path, watch, wait_until):
    """kill -9 of sshd's children for this connection, as when a host drops a session."""
    spec, _, process = openssh
    watched = watch(spec)
    link = await watched.live()
    job = await link.start_job(JobSpec("count", ("sh", "-c", COUNT)))
    agent = link.host_info["pid"]
    for child in _children(process.pid):
        os.kill(child, signal.SIGKILL)
    await watched.state(LinkState.backoff, 5)
    await wait_until(lambda: not Path(f"/proc/{agent}").exists(), what="the agent ends")
    await link.wait_live(5)
    await wait_until(lambda: watched.job_states(job.job_id)[-1] == "succeeded", 15)
    copy = tmp_path / "runs/real" / job.job_id / "run.jsonl"
    await wait_until(lambda: copy.exists() and len(copy.read_text().splitlines()) == 40)
    await link.close()


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found
