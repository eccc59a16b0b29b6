"""A real SSH server on 127.0.0.1 for the demo and the tests, with a home of its own.

One process a host: key login, commands run by /bin/sh in their own session with HOME and
cwd set to the host's home, forwarding to 127.0.0.1 only. It is detached from whoever
started it and comes back on the same port with the same key, so killing it (kill -9 too)
looks to a link like the network going away; what jobs it started goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from agents.remote.host import is_alive, process_stat

PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ",
             "DOCKER_HOST", "DOCKER_CONTEXT")  # fmt: skip
START_TIMEOUT = 15.0


class _Server(asyncssh.SSHServer):
    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> bool:
        return dest_host in ("127.0.0.1", "localhost")


async def join_streams(
    process: asyncssh.SSHServerProcess[bytes],
    child: asyncio.subprocess.Process,
    change: Callable[[bytes], bytes] = lambda data: data,
) -> None:
    """Copy bytes between a session and a child until the child's output ends.

    When the client is gone the child sees the end of its stdin, as under sshd. `change` is
    applied to what the child prints.
    """
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise ValueError("the child needs pipes")
    gone = (OSError, asyncssh.Error)

    async def forward(reader: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
        while data := await reader.read(65536):
            with suppress(*gone):
                writer.write(change(data))
                await writer.drain()

    async def feed(stdin: asyncio.StreamWriter) -> None:
        try:
            while data := await process.stdin.read(65536):
                stdin.write(data)
                await stdin.drain()
        except gone:
            pass
        finally:
            stdin.close()

    feeder = asyncio.create_task(feed(child.stdin))
    try:
        await asyncio.gather(
            forward(child.stdout, process.stdout), forward(child.stderr, process.stderr)
        )
    finally:
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)


async def _run_command(process: asyncssh.SSHServerProcess[bytes], home: Path) -> None:
    """Run the client's command, its three streams piped through as bytes."""
    if process.command is None:
        process.stderr.write(b"this server runs commands only\n")
        process.exit(1)
        return
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment["HOME"] = str(home)
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        process.command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=home,
        env=environment,
        start_new_session=True,
    )
    await join_streams(process, child)
    status = await child.wait()
    if status < 0:
        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        process.exit(status)


async def _serve(options: argparse.Namespace) -> None:
    home: Path = options.home

    async def handle(process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            await _run_command(process, home)
        except (OSError, asyncssh.Error) as error:
            process.logger.info("command failed: %s", error)
            process.exit(255)

    port = _read_int(options.port_file) or 0
    deadline = time.monotonic() + 10
    while True:
        try:
            server = await asyncssh.listen(
                "127.0.0.1",
                port,
                server_factory=_Server,
                process_factory=handle,
                server_host_keys=[str(options.host_key)],
                authorized_client_keys=str(options.authorized_key),
                encoding=None,
                reuse_address=True,
                keepalive_interval=30,
            )
            break
        except OSError:
            # The one before may still hold the port; another port would break every URL.
            if not port or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
    _write(options.port_file, f"{server.get_port()}\n")
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    server.close()


def _read_int(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, "ascii")
    temporary.chmod(mode)
    temporary.replace(path)


@dataclass(frozen=True)
class LoopbackHost:
    """Where a loopback host is. `known_hosts` already vouches for its key."""

    name: str
    folder: Path
    port: int
    pid: int
    running: bool

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def host_key(self) -> Path:
        return self.folder / "host_key"

    @property
    def client_key(self) -> Path:
        return self.folder / "client_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("host_key", "client_key"):
        if not (folder / name).exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment="gonogo loopback")
            _write(folder / name, key.export_private_key().decode("ascii"))
            _write(folder / f"{name}.pub", key.export_public_key().decode("ascii"), 0o644)


def loopback_status(folder: Path, name: str) -> LoopbackHost | None:
    """The host `folder`/`name` and whether its server runs; None if it never was started."""
    folder = folder / name
    port, pid = _read_int(folder / "port"), _read_int(folder / "pid")
    if port is None or pid is None:
        return None
    try:
        starttime = int((folder / "pid").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return LoopbackHost(name, folder, port, pid, is_alive(pid, starttime))


def start_loopback(folder: Path, name: str) -> LoopbackHost:
    """Start (or find) the SSH server of host `name`, detached; blocks until it listens.

    Keys, port and home lie below `folder`/`name` and are used again. Raises RuntimeError with
    the server's last words when it does not come up.
    """
    found = loopback_status(folder, name)
    if found is not None and found.running and _listens(found.port):
        return found
    own = (folder / name).resolve()
    _prepare(own)
    before = _inode(own / "port")
    log = (own / "server.log").open("ab")
    with log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "agents.loopback",
                *("--home", str(own / "home")),
                *("--port-file", str(own / "port")),
                *("--host-key", str(own / "host_key")),
                *("--authorized-key", str(own / "client_key.pub")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )
    stat = process_stat(process.pid)
    _write(own / "pid", f"{process.pid} {stat.starttime if stat else 0}\n")
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        port = _read_int(own / "port")
        # The server replaces the file once it listens; the old port may be someone else's.
        if port is not None and _inode(own / "port") != before and _listens(port):
            key = (own / "host_key.pub").read_text("ascii").split()
            _write(own / "known_hosts", f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
            return LoopbackHost(name, own, port, process.pid, True)
        time.sleep(0.05)
    text = (own / "server.log").read_text("utf-8", errors="replace").strip()
    last = text.splitlines()[-1] if text else "it said nothing"
    raise RuntimeError(f"the loopback host {name} did not start: {last}")


def _inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def stop_loopback(folder: Path, name: str, number: int = signal.SIGTERM) -> None:
    """Signal the server of host `name` and wait until it is gone; jobs it started go on."""
    found = loopback_status(folder, name)
    if found is None or not found.running:
        return
    os.kill(found.pid, number)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            os.waitpid(found.pid, os.WNOHANG)
        except ChildProcessError:
            pass
        status = loopback_status(folder, name)
        if status is None or not status.running:
            return
        time.sleep(0.02)
    os.kill(found.pid, signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m agents.loopback", description=__doc__)
    for name in ("--home", "--port-file", "--host-key", "--authorized-key"):
        parser.add_argument(name, type=Path, required=True)
    options = parser.parse_args()
    options.home = options.home.resolve()
    options.home.mkdir(parents=True, exist_ok=True)
    asyncio.run(_serve(options))


if __name__ == "__main__":
    main()
