"""Dial a host over SSH: ssh_config, jump hosts, TCP, host key, login, one exec channel."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
from asyncssh.config import SSHClientConfig

from agents.checked import short_text
from agents.errors import LinkLost, NeedsUser
from agents.known_hosts import HostKeys, Presented
from agents.login import Answers, LoginClient, is_encrypted, key_files
from agents.proxy import ProxyProcess, is_safe
from agents.refusal import explain, told
from agents.spec import HostSpec
from agents.ssh_settings import SshSettings, known_hosts_files
from agents.tcp import tcp_connect
from agents.transport import SshTransport, server_version

TCP_TIMEOUT = 3.0
LOGIN_TIMEOUT = 15.0
KEEPALIVE = 5.0
KEEPALIVE_COUNT = 2
MAX_JUMPS = 8

Step = Callable[[], None]


class SshDialer:
    """Connects to one host again and again; keeps the host key that waits for an answer.

    The hosts of its ProxyJump get a dialer each, `called` tells them apart in sentences.
    """

    def __init__(self, spec: HostSpec, called: str = "") -> None:
        self.spec = spec
        self.called = called or spec.name
        self.keys = HostKeys(())
        self.pending: Presented | None = None
        self.answers = Answers()
        self.address: tuple[str, int] | None = None  # None behind a proxy: cannot be probed
        self._jumps: dict[str, SshDialer] = {}

    @property
    def asking(self) -> SshDialer:
        """The dialer whose host key or login waits for a person: this one, or that of a jump."""
        if self.pending is None and self.answers.pending is None:
            for jump in self._jumps.values():
                found = jump.asking
                if found.pending is not None or found.answers.pending is not None:
                    return found
        return self

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
            "config": settings.files,
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
            options = await asyncssh.SSHClientConnectionOptions.construct(host=host, **arguments)
            if options.config.has_match_final():
                # asyncssh reads it a second time only once it connects, and to where is said here.
                again = {"host": options.orig_host, "reload": True, "canonical": False}
                await asyncio.to_thread(options.update, final=True, **again)
        except (ValueError, OSError, asyncssh.Error) as error:
            raise NeedsUser(self._unusable(settings.named(str(error)))) from error
        return options, host, arguments

    def _unusable(self, text: str) -> str:
        return f"the SSH settings of {self.called} are not usable: {short_text(text, 500)}"

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

    def _files(self, options: asyncssh.SSHClientConnectionOptions) -> list[Path]:
        """The known_hosts files, the first to be written; none if the user's config wants none."""
        if self.spec.known_hosts is not None:
            return [self.spec.known_hosts.expanduser()]
        return known_hosts_files(options, self.spec.target()[1])

    async def open(
        self,
        command: Callable[[str], tuple[str, bool]],
        on_connected: Step,
        on_authenticated: Step,
    ) -> SshTransport:
        """Connect, log in and start what `command(server version)` gives.

        It returns the command line and whether that is one for a Windows shell. Raises
        NeedsUser or LinkLost.
        """
        try:
            settings = await asyncio.to_thread(SshSettings.of_user)
        except (ValueError, OSError) as error:
            raise NeedsUser(self._unusable(str(error))) from error
        try:
            conn = await self._login(settings, on_connected, 0)
        finally:
            settings.close()
        try:
            on_authenticated()
            line, windows = command(server_version(conn))
            async with asyncio.timeout(LOGIN_TIMEOUT):
                process = await conn.create_process(
                    line, encoding=None, stderr=asyncssh.PIPE, term_type=None
                )
        except (asyncssh.Error, OSError, TimeoutError) as error:
            conn.abort()
            raise LinkLost(
                f"{self.called} opens no session: {told(error) or 'it does not answer'}"
            ) from error
        except BaseException:
            conn.abort()
            raise
        return SshTransport(conn, process, windows)

    async def _login(
        self,
        settings: SshSettings,
        on_connected: Step,
        depth: int,
        via: asyncssh.SSHClientConnection | None = None,
    ) -> asyncssh.SSHClientConnection:
        """Log in over `via`, or as ssh_config says: over its ProxyJump, ProxyCommand, or TCP."""
        self.pending = self.answers.pending = None
        proxy: ProxyProcess | None = None
        try:
            options, alias, arguments = await self._prepare(settings)
            host, port = str(options.host), int(options.port)
            command = options.config.get("ProxyCommand")
            self.address = None
            if via is None and isinstance(options.tunnel, str):
                via = await self._jump(settings, options.tunnel, depth)
            elif via is None and isinstance(command, str) and command.lower() != "none":
                proxy = await self._proxy(command, host)
            elif via is None:
                self.address = host, port
            conn = await self._connect(options, alias, arguments, on_connected, via or proxy)
        except BaseException:
            if proxy is not None:
                proxy.end()
            if via is not None:
                via.abort()
            raise
        conn.set_tunnel(via)
        if proxy is not None:
            proxy.end_with(conn)
        return conn

    async def _jump(
        self, settings: SshSettings, hosts: str, depth: int
    ) -> asyncssh.SSHClientConnection:
        """The connection to the last of the jump hosts; what fails on the way is said of it."""
        if depth >= MAX_JUMPS:
            raise NeedsUser(self._unusable(f"ProxyJump {hosts} leads in a circle"))
        via: asyncssh.SSHClientConnection | None = None
        for hop in hosts.split(","):
            jump = self._jumps.get(hop)
            if jump is None:
                called = f"the jump host {short_text(hop, 80)} of {self.spec.name}"
                jump = self._jumps[hop] = SshDialer(HostSpec(self.spec.name, hop), called)
            try:
                via = await jump._login(settings, lambda: None, depth + 1, via)
            except LinkLost:
                self.address = jump.address
                raise
        if via is None:
            raise NeedsUser(self._unusable("ProxyJump names no host"))
        return via

    async def _proxy(self, command: str, host: str) -> ProxyProcess:
        if not is_safe(host):
            raise NeedsUser(self._unusable(f"ProxyCommand cannot be given the host {host!r:.80}"))
        try:
            return await ProxyProcess.start(command)
        except OSError as error:
            raise LinkLost(f"the ProxyCommand of {self.called} does not start: {error}") from error

    async def _connect(
        self,
        options: asyncssh.SSHClientConnectionOptions,
        alias: str,
        arguments: dict[str, Any],
        on_connected: Step,
        way: asyncssh.SSHClientConnection | ProxyProcess | None,
    ) -> asyncssh.SSHClientConnection:
        host, port = str(options.host), int(options.port)
        label, by_alias = str(options.host_key_alias or host), bool(options.host_key_alias)
        files = self._files(options)
        if (tuple(files), by_alias) != (self.keys.files, self.keys.alias):
            self.keys = HostKeys(files, by_alias)
        trusted = self.keys.match(await asyncio.to_thread(self.keys.load), label, port)
        arguments["known_hosts"] = trusted
        arguments["server_host_key_algs"] = self.keys.algorithms(trusted)
        configured = options.config.get("IdentityFile", ())
        possible = key_files(self.spec.identity_file, configured)
        encrypted = await asyncio.to_thread(lambda: [p for p in possible if is_encrypted(p)])
        clients: list[LoginClient] = []

        def client() -> LoginClient:
            clients.append(LoginClient(self.keys, label, on_connected, self.answers, encrypted))
            return clients[-1]

        proxy = way if isinstance(way, ProxyProcess) else None
        sock = proxy.sock if proxy is not None else None
        try:
            # TCP by ourselves: asyncssh's timeout covers the login as well, and a lost
            # network must be noticed sooner than a slow login.
            if way is None:
                source = options.config.get("BindAddress")
                sock = await tcp_connect(
                    host, port, TCP_TIMEOUT, int(options.family), str(source or "")
                )
            async with asyncio.timeout(LOGIN_TIMEOUT):
                return await asyncssh.connect(
                    alias,
                    arguments.pop("port", ()),
                    sock=sock,
                    tunnel=None if way is proxy else way,
                    config=arguments.pop("config"),
                    client_factory=client,
                    **arguments,
                )
        except (asyncssh.Error, OSError, TimeoutError, ValueError) as error:
            if sock is not None:
                sock.close()
            if isinstance(error, ValueError):
                raise NeedsUser(self._unusable(str(error))) from error
            ended = await proxy.reason() if proxy is not None else ""
            if ended and not isinstance(error, asyncssh.PermissionDenied):
                raise LinkLost(f"the ProxyCommand of {self.called} {ended}") from error
            raise self._explain(error, clients, host, port) from error
        except BaseException:
            if sock is not None:
                sock.close()
            raise

    def _explain(
        self, error: Exception, clients: list[LoginClient], host: str, port: int
    ) -> NeedsUser | LinkLost:
        client = clients[0] if clients else None
        shown = client.presented if client else None
        if isinstance(error, asyncssh.HostKeyNotVerifiable) and shown is not None:
            self.pending = None if shown.changed else shown
            return NeedsUser(shown.explain(self.called, self.keys.files))
        if isinstance(error, asyncssh.PermissionDenied) and client and client.wanted:
            self.answers.pending = replace(client.wanted, asker=self.called)
            return NeedsUser(self.answers.pending.sentence(self.spec.name))
        jump = self.called != self.spec.name
        key = "its IdentityFile" if jump else f"hosts.{self.spec.name}.identity_file"
        return explain(error, self.called, f"{host}:{port}", key, client)
