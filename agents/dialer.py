"""Dial a host over SSH: ssh_config, TCP, host key, login, one exec channel."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.config import SSHClientConfig

from agents.errors import LinkLost, NeedsUser
from agents.known_hosts import HostKeys, Presented
from agents.login import Answers, LoginClient, is_encrypted, key_files
from agents.spec import HostSpec
from agents.ssh_settings import SshSettings
from agents.transport import SshTransport, server_version

TCP_TIMEOUT = 3.0
LOGIN_TIMEOUT = 15.0
KEEPALIVE = 5.0
KEEPALIVE_COUNT = 2


async def tcp_connect(host: str, port: int, timeout: float) -> socket.socket:
    """A connected non-blocking socket; each address of the name is tried.

    Raises OSError (also for a name that does not resolve) or TimeoutError.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout):
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: OSError = OSError(f"{host} has no address")
        for family, kind, protocol, _, address in infos:
            sock = socket.socket(family, kind, protocol)
            sock.setblocking(False)
            try:
                await loop.sock_connect(sock, address)
                return sock
            except OSError as error:
                failure = error
                sock.close()
            except BaseException:
                sock.close()
                raise
        raise failure


class SshDialer:
    """Connects to one host again and again; keeps the host key that waits for an answer."""

    def __init__(self, spec: HostSpec) -> None:
        self.spec = spec
        self.keys = HostKeys(())
        self.pending: Presented | None = None
        self.answers = Answers()
        self.address: tuple[str, int] | None = None  # None behind a proxy: cannot be probed

    async def _prepare(
        self, settings: SshSettings
    ) -> tuple[asyncssh.SSHClientConnectionOptions, str, dict[str, Any]]:
        """(what ssh_config makes of the spec, host or alias, arguments of the connection)."""
        user, host, port = self.spec.target()
        arguments: dict[str, Any] = {
            # Not asyncssh's own: its asyncio.wait_for loses a cancellation on Python 3.11.
            "connect_timeout": None,
            "login_timeout": LOGIN_TIMEOUT,
            "keepalive_interval": KEEPALIVE,
            "keepalive_count_max": KEEPALIVE_COUNT,
            "agent_forwarding": False,
        }
        if user:
            arguments["username"] = user
        if port:
            arguments["port"] = port
        if self.spec.identity_file is not None:
            path = self.spec.identity_file.expanduser()
            if not path.is_file():
                raise NeedsUser(f"the identity file {path} of {self.spec.name} does not exist")
            arguments["client_keys"] = [str(path)]
            arguments["ignore_encrypted"] = True
        else:
            named = await asyncio.to_thread(self._configured_keys, settings, user, host, port)
            if not all(named.values()):
                # A key file that is not there is passed over, as ssh does.
                arguments["client_keys"] = [path for path, present in named.items() if present]
                arguments["ignore_encrypted"] = True
        try:
            options = await asyncssh.SSHClientConnectionOptions.construct(
                host=host, config=settings.files, **arguments
            )
        except (ValueError, OSError, asyncssh.Error) as error:
            raise NeedsUser(self._unusable(settings.named(str(error)))) from error
        return options, host, arguments

    def _unusable(self, text: str) -> str:
        return f"the SSH settings of {self.spec.name} are not usable: {text}"

    @staticmethod
    def _configured_keys(
        settings: SshSettings, user: str | None, host: str, port: int | None
    ) -> dict[str, bool]:
        """The key files that ssh_config names for the host, and whether each is there."""
        local = getpass.getuser()
        try:
            config = SSHClientConfig.load(
                None, settings.files, False, False, False, local, user or (), host, port or ()
            )
        except (ValueError, OSError, asyncssh.Error):
            return {}  # said with file and line when the connection's options are made
        found = config.get("IdentityFile", ())
        names = [str(name) for name in found] if isinstance(found, list | tuple) else []
        return {name: Path(name).expanduser().is_file() for name in names}

    def _files(self, options: asyncssh.SSHClientConnectionOptions) -> list[Path] | None:
        """The known_hosts files, the first to be written; None if the user's config wants none."""
        if self.spec.known_hosts is not None:
            return [self.spec.known_hosts.expanduser()]
        configured: Any = options.known_hosts
        if configured is None:
            return None
        if isinstance(configured, list) and configured:
            return [Path(str(path)).expanduser() for path in configured]
        return [Path("~/.ssh/known_hosts").expanduser()]

    async def open(
        self,
        command: Callable[[str], tuple[str, bool]],
        on_connected: Callable[[], None],
        on_authenticated: Callable[[], None],
    ) -> SshTransport:
        """Connect, log in and start what `command(server version)` gives.

        It returns the command line and whether that is one for a Windows shell. Raises
        NeedsUser or LinkLost.
        """
        self.pending = self.answers.pending = None
        try:
            settings = await asyncio.to_thread(SshSettings.of_user)
        except (ValueError, OSError) as error:
            raise NeedsUser(self._unusable(str(error))) from error
        try:
            # The copy is read again for each jump host, so it lives as long as the login.
            return await self._open(settings, command, on_connected, on_authenticated)
        finally:
            settings.close()

    async def _open(
        self,
        settings: SshSettings,
        command: Callable[[str], tuple[str, bool]],
        on_connected: Callable[[], None],
        on_authenticated: Callable[[], None],
    ) -> SshTransport:
        options, alias, arguments = await self._prepare(settings)
        host, port = str(options.host), int(options.port)
        proxied = bool(options.proxy_command or options.tunnel)
        self.address = None if proxied else (host, port)
        files = self._files(options)
        label = str(options.host_key_alias or host)
        if files is None:
            arguments["known_hosts"] = None
        else:
            if tuple(files) != self.keys.files:
                self.keys = HostKeys(files)
            arguments["known_hosts"] = self.keys.load()
            arguments["server_host_key_algs"] = self.keys.algorithms(label, port)
        configured = options.config.get("IdentityFile", ())
        possible = key_files(self.spec.identity_file, configured)
        encrypted = await asyncio.to_thread(lambda: [p for p in possible if is_encrypted(p)])
        clients: list[LoginClient] = []

        def client() -> LoginClient:
            clients.append(LoginClient(self.keys, label, on_connected, self.answers, encrypted))
            return clients[-1]

        sock: socket.socket | None = None
        try:
            # TCP by ourselves: asyncssh's timeout covers the login as well, and a lost
            # network must be noticed sooner than a slow login.
            if not proxied:
                sock = await tcp_connect(host, port, TCP_TIMEOUT)
            async with asyncio.timeout(LOGIN_TIMEOUT):
                conn = await asyncssh.connect(
                    alias,
                    arguments.pop("port", ()),
                    sock=sock,
                    config=settings.files,
                    client_factory=client,
                    **arguments,
                )
        except (asyncssh.Error, OSError, TimeoutError, ValueError) as error:
            if sock is not None:
                sock.close()
            if isinstance(error, ValueError):
                raise NeedsUser(self._unusable(settings.named(str(error)))) from error
            raise self._explain(error, clients, host, port) from error
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        try:
            on_authenticated()
            line, windows = command(server_version(conn))
            process = await conn.create_process(
                line, encoding=None, stderr=asyncssh.PIPE, term_type=None
            )
        except (asyncssh.Error, OSError) as error:
            conn.abort()
            raise LinkLost(f"{self.spec.name} opens no session: {error}") from error
        except BaseException:
            conn.abort()
            raise
        return SshTransport(conn, process, windows)

    def _explain(
        self, error: Exception, clients: list[LoginClient], host: str, port: int
    ) -> NeedsUser | LinkLost:
        name = self.spec.name
        reached = bool(clients and clients[0].connected)
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            presented = clients[0].presented if clients else None
            if presented is None:
                return NeedsUser(f"the host key of {name} was refused: {error.reason}")
            self.pending = None if presented.changed else presented
            return NeedsUser(presented.explain(name, self.keys.files))
        if isinstance(error, asyncssh.PermissionDenied):
            wanted = clients[0].wanted if clients else None
            if wanted is not None:
                self.answers.pending = wanted
                return NeedsUser(wanted.sentence(name))
            return NeedsUser(f"{name} refused the login: {error.reason}")
        if isinstance(error, asyncssh.KeyExchangeFailed | asyncssh.ProtocolNotSupported):
            return NeedsUser(f"{name} and this program share no SSH algorithm: {error.reason}")
        if isinstance(error, asyncssh.Error):
            text = getattr(error, "reason", "") or str(error)
            return LinkLost(f"the connection to {name} failed: {text}", unreachable=not reached)
        if isinstance(error, TimeoutError):
            what = "does not answer" if not reached else "does not finish the login"
            return LinkLost(f"{name} ({host}:{port}) {what}", unreachable=not reached)
        if isinstance(error, OSError):
            text = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            return LinkLost(
                f"{name} ({host}:{port}) cannot be reached: {text}", unreachable=not reached
            )
        return NeedsUser(self._unusable(str(error)))
