"""Host keys: known is accepted, unknown is asked, changed is refused with both prints.

asyncssh calls its validation hook for an unknown and for a changed key alike, so the hook
here looks the host up itself; a key is only ever added by `accept`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

_CERTIFIED = (
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
)
_ALGORITHMS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


def read_entries(paths: Sequence[Path]) -> str:
    """The files' lines that OpenSSH would read; damaged lines are skipped, as ssh does."""
    lines = []
    for path in paths:
        try:
            text = path.read_text("utf-8", errors="replace")
        except OSError:
            continue
        for line in text.splitlines():
            try:
                asyncssh.import_known_hosts(line)
            except ValueError:
                continue
            lines.append(line)
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Presented:
    """A key a host showed that no file vouches for."""

    host: str
    port: int
    key: asyncssh.SSHKey
    recorded: tuple[str, ...]  # fingerprints on file for this host
    alias: bool = False  # `host` is a HostKeyAlias: it stands in files without a port

    @property
    def fingerprint(self) -> str:
        return self.key.get_fingerprint()

    @property
    def changed(self) -> bool:
        return bool(self.recorded)

    def line(self) -> str:
        """The known_hosts line that would accept it."""
        plain = self.alias or self.port == 22
        name = self.host if plain else f"[{self.host}]:{self.port}"
        key = self.key.export_public_key("openssh").decode("ascii").split()
        return f"{name} {key[0]} {key[1]}\n"

    def explain(self, name: str, files: Sequence[Path]) -> str:
        where = " or ".join(str(file) for file in files) or "known_hosts"
        if self.changed:
            known = ", ".join(self.recorded)
            return (
                f"the host key of {name} changed: {where} has {known}, the host shows "
                f"{self.fingerprint}; if the host was set up anew, remove the old line"
            )
        return f"the host key of {name} is not known: {self.fingerprint}; accept it to go on"


class HostKeys:
    """What is trusted for one link. `accepted` also holds keys that no file could take.

    Without files nothing is on record: every key is asked about. `alias` says that the name is
    a HostKeyAlias.
    """

    def __init__(self, files: Sequence[Path], alias: bool = False) -> None:
        self.files = tuple(files)
        self.alias = alias
        self._accepted = ""

    def load(self) -> asyncssh.SSHKnownHosts:
        return asyncssh.import_known_hosts(read_entries(self.files) + self._accepted)

    def match(self, known: asyncssh.SSHKnownHosts, host: str, port: int) -> tuple[Any, ...]:
        """asyncssh's seven lists for a host as it is named, whatever address it has today.

        Like ssh without CheckHostIP: a key on file for the address vouches for no name. What is
        revoked under the name with or without the port is revoked.
        """
        plain = asyncssh.match_known_hosts(known, host, "", None)
        if port == 22:
            return tuple(plain)
        # Not by asyncssh's own port argument: its second look, without it, forgets what is revoked.
        ported = asyncssh.match_known_hosts(known, f"[{host}]:{port}", "", None)
        first, second = (plain, ported) if self.alias else (ported, plain)
        found = first if first[0] or first[1] else second
        return (found[0], found[1], [*first[2], *second[2]], *found[3:])

    def algorithms(self, found: tuple[Any, ...]) -> list[str]:
        """Key types to ask for, those on file first; certificates where an authority is on file.

        Asking only for those on file, as asyncssh does, would turn a host that was set up
        anew with another key type into a failed key exchange without a reason.
        """
        first: list[str] = list(_CERTIFIED) if found[1] else []
        for key in found[0]:
            first += [a.decode("ascii") for a in key.sig_algorithms if not a.startswith(b"x509")]
        everything = [*first, *_ALGORITHMS, *_RSA]
        return [a for a in dict.fromkeys(everything) if a != "ssh-rsa"]

    def judge(self, host: str, port: int, key: asyncssh.SSHKey) -> Presented:
        """Called for a key that is not on file: unknown or changed?"""
        recorded = self.match(self.load(), host, port)[0]
        return Presented(host, port, key, tuple(k.get_fingerprint() for k in recorded), self.alias)

    def accept(self, presented: Presented) -> Path | None:
        """Append the key to the first file (0600, no symbolic link followed).

        Returns None when the file cannot be written: then it holds until the program ends.
        """
        try:
            return self._append(presented.line())
        except OSError:
            self._accepted += presented.line()
            return None

    def _append(self, line: str) -> Path:
        if not self.files:
            raise FileNotFoundError("no known_hosts file is configured")
        path = self.files[0]
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        fd = os.open(path, flags, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            os.write(fd, (("\n" if torn else "") + line).encode("ascii"))
            os.fsync(fd)
        finally:
            os.close(fd)
        return path
