"""Which host, and how to reach it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True)
class HostSpec:
    """A host as configured. What is left out comes from ~/.ssh/config.

    `ssh` is an alias or ``user@host[:port]``; empty means `name`. `known_hosts` None means
    what ssh_config says, else ~/.ssh/known_hosts. `local` runs the agent as a subprocess on
    this machine with the same protocol. `shell` is the kind of login shell: "posix", "windows"
    (cmd.exe or PowerShell, the agent runs in WSL), or "" to find out. `python` replaces the
    search for an interpreter; `gauge_interval` is in seconds. `health_urls` maps a name to a
    URL on the host's 127.0.0.1 that the agent asks every 5 s.
    """

    name: str
    ssh: str = ""
    port: int | None = None
    user: str | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    local: bool = False
    simulate_gpu: bool = False
    python: str = ""
    shell: Literal["", "posix", "windows"] = ""
    gauge_interval: float = 1.0
    disk_path: str = "~"
    health_urls: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"{self.name!r} is no host name: letters, digits, '.', '_', '-'")
        if self.port is not None and not 0 < self.port < 65536:
            raise ValueError(f"hosts.{self.name}: {self.port} is no port")

    def target(self) -> tuple[str | None, str, int | None]:
        """(user, host or alias, port) with the overrides applied."""
        user, at, rest = (self.ssh or self.name).rpartition("@")
        host, port = rest, None
        match = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+):(\d+)", rest)
        if match:
            host = match.group(1) or match.group(3)
            digits = match.group(2) or match.group(4)
            port = int(digits) if digits else None
        return self.user or (user if at else None) or None, host, self.port or port
