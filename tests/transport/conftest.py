"""A real SSH server in this process, a TCP proxy that cuts, and a link under test."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import pytest_asyncio

from agents import (
    Event,
    HostLink,
    HostSpec,
    JobChanged,
    LinkChanged,
    LinkState,
    Mirrored,
    bootstrap,
)
from agents.loopback import join_streams


async def until(condition: Callable[[], Any], timeout: float = 10, what: str = "") -> Any:
    """Poll until `condition()` is true; the value it gave, or a failure that says what."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout} s: {what or condition}")
        await asyncio.sleep(0.02)


@dataclass
class Sshd:
    """An asyncssh server whose behaviour a test bends through its fields."""

    folder: Path
    host_key: asyncssh.SSHKey
    client_key: Path
    port: int = 0
    noise: bytes = b""
    stderr_noise: bytes = b""
    path: str = os.environ["PATH"]
    environment: dict[str, str] = field(default_factory=dict)
    wrap: Callable[[bytes], bytes] | None = None
    shell: tuple[str, ...] = ("/bin/sh", "-c")
    environment: dict[str, str] = field(default_factory=dict)
    version: str = ""
    password: str | None = None
    code: str | None = None
    logins: int = 0
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    children: list[asyncio.subprocess.Process] = field(default_factory=list)
    acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def vouch(self, port: int | None = None) -> None:
        key = self.host_key.export_public_key().decode().split()
        self.known_hosts.write_text(f"[127.0.0.1]:{port or self.port} {key[0]} {key[1]}\n")

    async def start(self, port: int = 0) -> None:
        self.home.mkdir(exist_ok=True)
        outer = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                outer.connections.append(conn)
                outer.logins += 1

            def password_auth_supported(self) -> bool:
                return outer.password is not None

            def validate_password(self, username: str, password: str) -> bool:
                return password == outer.password

            def kbdint_auth_supported(self) -> bool:
                return outer.code is not None

            def get_kbdint_challenge(self, *_: str) -> Any:
                return "", "", "", [("One-time code: ", True)]

            def validate_kbdint_response(self, username: str, responses: Any) -> bool:
                return list(responses) == [outer.code]

            def connection_requested(self, host: str, port: int, *_: Any) -> bool:
                return host == "127.0.0.1"

        self.acceptor = await asyncssh.listen(
            "127.0.0.1",
            port,
            server_factory=Server,
            process_factory=self._handle,
            server_host_keys=[self.host_key],
            authorized_client_keys=str(self.client_key) + ".pub",
            encoding=None,
            **({"server_version": self.version} if self.version else {}),
        )
        self.port = self.acceptor.get_port()

    async def _handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        try:
            pipe = asyncio.subprocess.PIPE
            child = await asyncio.create_subprocess_exec(
                *self.shell,
                process.command or "exit 1",
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                cwd=self.home,
                env={
                    "HOME": str(self.home),
                    "PATH": self.path,
                    "LANG": "C.UTF-8",
                    **self.environment,
                },
                start_new_session=True,
            )
            self.children.append(child)
        except (asyncssh.Error, OSError):
            return
        try:
            process.stdout.write(self.noise)
            for start in range(0, len(self.stderr_noise), 65536):
                process.stderr.write(self.stderr_noise[start : start + 65536])
                await process.stderr.drain()
            await join_streams(process, child, self.wrap or (lambda data: data))
            process.exit(await child.wait())
        except (asyncssh.Error, OSError):
            # The client went before the command began: under sshd its stdin ends then.
            if child.stdin is not None:
                child.stdin.close()

    def cut(self) -> None:
        """Every connection ends at once, without a goodbye."""
        for conn in self.connections:
            conn.abort()
        self.connections.clear()

    async def stop(self) -> None:
        self.cut()
        if self.acceptor is not None:
            self.acceptor.close()
            await self.acceptor.wait_closed()
            self.acceptor = None

    def agent_pids(self) -> list[int]:
        return [child.pid for child in self.children if child.returncode is None]


class Proxy:
    """TCP proxy: cuts both ways once `budget` bytes came from the host, or on `cut()`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.budget: int | None = None
        self.closed = False
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(
            self._pump(reader, far_writer, False), self._pump(far_reader, writer, True)
        )
        self._writers -= {writer, far_writer}

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counted: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(16384):
                if counted and self.budget is not None:
                    passed = data[: self.budget]
                    self.budget -= len(passed)
                    writer.write(passed)
                    if self.budget == 0:
                        await writer.drain()
                        self.budget = None
                        self.cut()
                        return
                else:
                    writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()

    async def stop(self) -> None:
        self.cut()
        if self._server is not None:
            self._server.close()


class Watched:
    """A link, its events, and the task that runs it."""

    def __init__(self, spec: HostSpec, root: Path) -> None:
        self.events: list[Event] = []
        self.link = HostLink(spec, root, self.events.append)
        self.root = root
        self.task: asyncio.Task[None] | None = None

    def start(self) -> Watched:
        self.task = asyncio.create_task(self.link.run())
        return self

    async def live(self, timeout: float = 15) -> HostLink:
        if self.task is None:
            self.start()
        await self.link.wait_live(timeout)
        return self.link

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def states(self) -> list[LinkState]:
        """Link states in order, repeats left out."""
        found: list[LinkState] = []
        for event in self.of(LinkChanged):
            if not found or found[-1] is not event.state:
                found.append(event.state)
        return found

    async def state(self, state: LinkState, timeout: float = 15) -> LinkChanged:
        await until(lambda: self.link.state is state, timeout, f"{state}, is {self.link.detail}")
        return self.of(LinkChanged)[-1]

    def job_states(self, job_id: str) -> list[str]:
        return [str(e.job.state) for e in self.of(JobChanged) if e.job.job_id == job_id]

    def mirrored(self, stream: str) -> list[Mirrored]:
        return [event for event in self.of(Mirrored) if event.stream == stream]


MakeLink = Callable[..., Watched]


@pytest.fixture(scope="session")
def client_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = asyncssh.generate_private_key("ssh-ed25519")
    path = tmp_path_factory.mktemp("keys") / "client"
    key.write_private_key(str(path))
    key.write_public_key(f"{path}.pub")
    path.chmod(0o600)
    return path


@pytest_asyncio.fixture
async def sshd(tmp_path: Path, client_key: Path) -> AsyncIterator[Sshd]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    server = Sshd(folder, asyncssh.generate_private_key("ssh-ed25519"), client_key)
    await server.start()
    server.vouch()
    yield server
    await server.stop()
    for child in server.children:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGCONT)
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


@pytest_asyncio.fixture
async def proxy(sshd: Sshd) -> AsyncIterator[Proxy]:
    proxy = Proxy(sshd.port)
    await proxy.start()
    sshd.vouch(proxy.port)
    yield proxy
    await proxy.stop()


@pytest_asyncio.fixture
async def make_link(
    tmp_path: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[MakeLink]:
    # The tester's own ~/.ssh must not have a say.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made: list[Watched] = []

    def make(port: int | None = None, **changes: Any) -> Watched:
        settings: dict[str, Any] = {
            "name": "tower",
            "ssh": f"tester@127.0.0.1:{port or sshd.port}",
            "identity_file": sshd.client_key,
            "known_hosts": sshd.known_hosts,
            **changes,
        }
        watched = Watched(HostSpec(**settings), tmp_path / "runs")
        made.append(watched)
        return watched

    yield make
    for watched in made:
        await watched.link.close()


@pytest.fixture
def watch(tmp_path: Path) -> Callable[[HostSpec], Watched]:
    """A watched link to any host; the test closes it."""
    return lambda spec: Watched(spec, tmp_path / "runs")


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[Any]]:
    return until


@dataclass
class Engine:
    """A Docker engine of the tests' own: its data, socket and containers live in `folder`."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def docker(self, *words: str, stdin: bytes = b"") -> str:
        """What the docker command prints; a failure fails the test."""
        done = subprocess.run(
            ["docker", *words], input=stdin, capture_output=True, check=False,
            env={**os.environ, "DOCKER_HOST": self.url},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def remove_jobs(self) -> None:
        """Remove every job's container, also one whose removal is already on its way."""
        for name in self.docker("ps", "-aq", "--filter", "label=gonogo.job").split():
            argv = ["docker", "-H", self.url, "rm", "-f", name]
            subprocess.run(argv, capture_output=True, check=False)

    def start(self) -> None:
        # No bridge and no iptables: these need modules that a machine for tests may lack.
        self.process = subprocess.Popen(
            ["dockerd", "--storage-driver=vfs", "--iptables=false", "--ip6tables=false",
             "--bridge=none", "--live-restore", f"--data-root={self.folder}/data",
             f"--exec-root={self.folder}/exec",
             f"--pidfile={self.folder}/pid", "-H", self.url],
            stdin=subprocess.DEVNULL, stdout=(self.folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            asked = subprocess.run(
                ["docker", "-H", self.url, "version"], capture_output=True, check=False
            )
            if asked.returncode == 0:
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = (self.folder / "log").read_text(errors="replace").splitlines()[-1:]
                pytest.skip(f"dockerd does not run here: {said}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def base_image() -> bytes:
    """A root file system of one static busybox, as a tar archive."""
    busybox = shutil.which("busybox")
    if busybox is None or not subprocess.run(["ldd", busybox], capture_output=True).returncode:
        pytest.skip("a static busybox (busybox-static) for the base image is not here")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "cat", "echo", "env", "id", "sleep", "tail", "true"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    return archive.getvalue()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    missing = [name for name in ("docker", "dockerd") if shutil.which(name) is None]
    if missing or os.getuid():
        pytest.skip(f"a Docker engine needs {', '.join(missing) or 'root'} here")
    image = base_image()
    engine = Engine(tmp_path_factory.mktemp("engine"))
    engine.start()
    try:
        engine.docker("import", "-", "gonogo-test:base", stdin=image)
        yield engine
    finally:
        engine.stop()
        # An engine leaves its data mounted on itself and the network namespace of its host.
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in sorted(mounted, reverse=True):
            if place.startswith(f"{engine.folder}/"):
                subprocess.run(["umount", "-l", place], capture_output=True, check=False)
    shutil.rmtree(engine.folder, ignore_errors=True)


@pytest.fixture
def usual_folders_are_empty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The host's copy of the program looks for programs on PATH only."""
    source = (bootstrap.REMOTE / "child.py").read_text()
    folders = next(line for line in source.splitlines() if line.startswith("FOLDERS = "))
    original = bootstrap._sources

    def short(names: list[str]) -> dict[str, str]:
        modules = original(names)
        if "agents.remote.child" in modules:
            modules["agents.remote.child"] = source.replace(folders, "FOLDERS = ()")
        return modules

    monkeypatch.setattr(bootstrap, "_sources", short)
    bootstrap.build_payload.cache_clear()
    yield
    bootstrap.build_payload.cache_clear()
