"""Tunnels that outlive the link, files that arrive whole or not at all, and probes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import sys

import pytest

from agents import LinkDown, LinkState, RemoteError
from agents import tunnel as tunnel_module


async def http(port: int, request: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    data = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return data


@pytest.fixture
async def web():
    """A small HTTP server on 127.0.0.1 that answers /health and /."""

    async def answer(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            status = b"500 No" if b"/broken" in head else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n\r\nit works")
            await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # it asked for nothing
        finally:
            writer.close()  # before 3.11.5 a stream that is thrown away stays open

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_tunnel_keeps_its_port_through_a_drop(sshd, make_link, web):
    watched = make_link()
    link = await watched.live()
    tunnel = await link.open_tunnel(web)
    assert (await http(tunnel.port)).endswith(b"it works")
    port = sshd.port
    await sshd.stop()
    await watched.state(LinkState.backoff)
    page = await http(tunnel.port)
    assert page.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 2" in page
    await sshd.start(port)
    await link.wait_live(10)
    assert (await http(tunnel.port)).endswith(b"it works")
    assert tunnel.url == f"http://127.0.0.1:{tunnel.port}"


async def test_a_tunnel_says_when_nothing_listens_there(make_link, wait_until):
    link = await make_link().live()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        tunnel = await link.open_tunnel(sock.getsockname()[1])
        page = await http(tunnel.port)
    assert page.startswith(b"HTTP/1.1 503 ")
    assert b"nothing answers on port" in page
    await wait_until(lambda: tunnel.connections == 0)


async def test_a_busy_port_is_replaced_by_the_next(make_link, web):
    link = await make_link().live()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        busy = sock.getsockname()[1]
        tunnel = await link.open_tunnel(web, busy)
    assert tunnel.port != busy
    assert tunnel.requested_port == busy
    assert (await http(tunnel.port)).endswith(b"it works")


async def test_a_tunnel_listens_on_this_machine_only(make_link, web):
    link = await make_link().live()
    tunnel = await link.open_tunnel(web)
    assert tunnel._server.sockets[0].getsockname()[0] == "127.0.0.1"


async def test_browsers_that_leave_early_leave_no_channel(make_link, web, wait_until):
    link = await make_link().live()
    tunnel = await link.open_tunnel(web)
    for _ in range(60):
        _, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
        writer.transport.abort()
    await wait_until(lambda: tunnel.connections == 0)
    assert (await http(tunnel.port)).endswith(b"it works")


async def test_a_tunnel_carries_much_data_both_ways(make_link, wait_until):
    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    link = await make_link().live()
    tunnel = await link.open_tunnel(server.sockets[0].getsockname()[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
    data = bytes(range(256)) * 20_000

    async def send():
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    received, _ = await asyncio.gather(reader.read(-1), send())
    assert received == data
    writer.close()
    server.close()


@pytest.mark.parametrize("how", ["dropped here", "cut there"])
async def test_half_a_response_never_looks_whole(how, sshd, make_link):
    """No length is named, so only the way the connection ends tells the client."""

    async def half(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhalf of it")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    link = await make_link().live()
    tunnel = await link.open_tunnel(server.sockets[0].getsockname()[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert await reader.readuntil(b"of it")
    link.drop() if how == "dropped here" else sshd.cut()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    server.close()


async def test_a_client_that_stays_does_not_hold_its_channel(
    make_link, web, wait_until, monkeypatch
):
    monkeypatch.setattr(tunnel_module, "LINGER", 0.2)
    link = await make_link().live()
    tunnel = await link.open_tunnel(web)
    reader, writer = await asyncio.open_connection("127.0.0.1", tunnel.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.read()).endswith(b"it works")
    await wait_until(lambda: tunnel.connections == 0)
    writer.close()


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 3_000_001])
async def test_put_file(size, sshd, make_link, tmp_path):
    link = await make_link().live()
    data = hashlib.shake_128(b"seed").digest(size)
    local = tmp_path / "local"
    local.write_bytes(data)
    local.chmod(0o755)
    steps: list[tuple[int, int]] = []
    checksum = await link.put_file(local, "~/deep/er/file", lambda a, b: steps.append((a, b)))
    target = sshd.home / "deep/er/file"
    assert target.read_bytes() == data
    assert checksum == hashlib.sha256(data).hexdigest()
    assert target.stat().st_mode & 0o777 == 0o755
    assert [p.name for p in target.parent.iterdir()] == ["file"]
    if size:
        assert steps[-1] == (size, size)


async def test_put_file_replaces_whole_or_not_at_all(sshd, proxy, make_link, tmp_path, wait_until):
    watched = make_link(proxy.port)
    link = await watched.live()
    local, target = tmp_path / "local", sshd.home / "model.bin"
    target.write_bytes(b"old")
    local.write_bytes(b"n" * 8_000_000)

    def cut_half_way(sent, size):
        if sent > size // 2:
            proxy.cut()

    with pytest.raises(LinkDown):
        await link.put_file(local, "~/model.bin", cut_half_way)
    assert target.read_bytes() == b"old"
    await link.wait_live(10)
    await link.put_file(local, "~/model.bin", patience=10)
    assert target.read_bytes() == local.read_bytes()
    assert [p.name for p in sshd.home.iterdir()] == ["model.bin"]


@pytest.mark.parametrize("remote", ["relative/name", "", "/", "/proc/nope/x"])
async def test_put_file_refuses_what_it_cannot_write(remote, make_link, tmp_path):
    link = await make_link().live()
    local = tmp_path / "local"
    local.write_bytes(b"x")
    with pytest.raises(RemoteError) as caught:
        await link.put_file(local, remote)
    assert caught.value.code in ("invalid", "unwritable")


async def test_file_probe(sshd, make_link, wait_until):
    link = await make_link().live()
    path = sshd.home / "data.jsonl"
    path.write_bytes(b"line\n" * 500_000)
    found = await link.probe("file", path="~/data.jsonl")
    assert found["size"] == 2_500_000
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert base64.b64decode(found["head_b64"]) == path.read_bytes()[:4096]
    assert not (await link.probe("file", path="~/none"))["exists"]
    assert (await link.probe("file", path="~"))["kind"] == "folder"
    with pytest.raises(RemoteError):
        await link.probe("file", path="data.jsonl")


async def test_http_probe_and_health(make_link, web, wait_until):
    from agents import GaugeArrived

    urls = {
        "web": f"http://127.0.0.1:{web}/health",
        "broken": f"http://127.0.0.1:{web}/broken",
        "gone": "http://127.0.0.1:9/",
        "far": "http://example.org/",
    }
    watched = make_link(health_urls=urls, gauge_interval=0.2)
    link = await watched.live()
    found = await link.probe("http", url=urls["web"])
    assert (found["ok"], found["status"], found["body"]) == (True, 200, "it works")
    assert not (await link.probe("http", url=urls["broken"]))["ok"]
    assert "refused" in (await link.probe("http", url=urls["gone"]))["error"]
    for url in (urls["far"], "http://127.0.0.1:80\r\nX: y/", "file:///etc/passwd"):
        with pytest.raises(RemoteError) as caught:
            await link.probe("http", url=url)
        assert caught.value.code == "invalid"

    def health():
        gauges = watched.of(GaugeArrived)
        states = gauges[-1].gauge.health if gauges else {}
        return states if len(states) == 4 else None

    states = await wait_until(health)
    assert states["web"] == "ok"
    assert states["broken"] == "down: HTTP 500"
    assert states["gone"].startswith("down: ")
    assert states["far"].startswith("down: ")


async def test_docker_image_probe_without_and_with_docker(
    usual_folders_are_empty, sshd, make_link, tmp_path
):
    bare, folder = tmp_path / "bare", tmp_path / "bin"
    bare.mkdir()
    folder.mkdir()
    (bare / "python3").symlink_to(sys.executable)
    path, sshd.path = sshd.path, str(bare)
    link = await make_link().live()
    with pytest.raises(RemoteError) as caught:
        await link.probe("docker_image", image="any")
    assert caught.value.code == "no-docker"
    docker = folder / "docker"
    docker.write_text(
        '#!/bin/sh\ncase "$5" in present*) echo "sha256:abc|123";;'
        ' absent) echo "Error: No such image: absent" >&2; exit 1;;'
        ' mine) echo "permission denied while trying to connect to the docker API at'
        ' unix:///var/run/docker.sock" >&2; exit 1;;'
        " *) sleep 60;; esac\n"
    )
    docker.chmod(0o755)
    sshd.path = f"{folder}:{path}"
    link = await make_link(name="docked").live()
    present = await link.probe("docker_image", image="present:1")
    assert (present["exists"], present["id"]) == (True, "sha256:abc")
    assert not (await link.probe("docker_image", image="absent"))["exists"]
    with pytest.raises(RemoteError, match="sudo usermod -aG docker") as caught:
        await link.probe("docker_image", image="mine")
    assert caught.value.code == "docker-permission"
    with pytest.raises(RemoteError) as caught:
        await link.probe("docker_image", image="slow", timeout=0.5)
    assert caught.value.code == "timeout"
    with pytest.raises(RemoteError) as caught:
        await link.probe("docker_image", image="; rm -rf /")
    assert caught.value.code == "invalid"
