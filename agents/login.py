"""What only a person knows at a login: passwords, passphrases, one-time codes.

Nothing is asked while a connection waits. A login that lacks a secret fails, says what it
lacks, and is tried again once the answer is there. Answers stay in this process's memory,
so that a dropped link comes back by itself; one-time codes are used once. Nothing is
written or logged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import asyncssh

from agents.known_hosts import HostKeys, Presented

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
MAX_PROMPTS, MAX_TEXT = 8, 300


@dataclass(frozen=True)
class LoginRequest:
    """What a host or a key file wants to know.

    `prompts` are (text, may be shown while typed); texts come from the host and are bounded.
    `again` says that the last answer was not accepted, `asker` names a jump host that asks.
    """

    kind: Literal["password", "passphrase", "challenge"]
    prompts: tuple[tuple[str, bool], ...]
    path: Path | None = None
    again: bool = False
    asker: str = ""

    def sentence(self, host: str) -> str:
        """One sentence for the person; `host` is where the login leads."""
        host = self.asker or host
        what = {
            "password": f"{host} wants a password",
            "passphrase": f"the key {self.path} for {host} wants its passphrase",
            "challenge": f"{host} asks: {' '.join(text for text, _ in self.prompts)}",
        }[self.kind]
        return f"{what}; the last answer was not accepted" if self.again else what


def is_encrypted(path: Path) -> bool:
    """True for a private key file that needs a passphrase; False also when it is unreadable."""
    try:
        asyncssh.read_private_key(path)
    except asyncssh.KeyImportError as error:
        return "passphrase" in str(error).lower()
    except (OSError, ValueError):
        return False
    return False


@dataclass(repr=False)
class Answers:
    """What the person typed for one host, and what it still waits for."""

    password: str | None = None
    passphrases: dict[Path, str] = field(default_factory=dict)
    challenge: tuple[str, ...] | None = None
    skipped: set[Path] = field(default_factory=set)
    pending: LoginRequest | None = None

    def give(self, answers: Sequence[str]) -> None:
        """Take the answers to `pending`. Raises ValueError when their number is another."""
        request = self.pending
        if request is None or len(answers) != len(request.prompts):
            raise ValueError("nothing is asked, or the number of answers is another")
        if request.kind == "password":
            self.password = answers[0]
        elif request.kind == "passphrase" and request.path is not None:
            self.passphrases[request.path] = answers[0]
        else:
            self.challenge = tuple(answers)
        self.pending = None

    def skip(self) -> None:
        """Go on without this key's passphrase: the next key or a password is asked for."""
        if self.pending is not None and self.pending.path is not None:
            self.skipped.add(self.pending.path)
        self.pending = None


class LoginClient(asyncssh.SSHClient):
    """Tells how far a login got, judges host keys, and answers from `answers`.

    `encrypted` are the key files that need a passphrase; those that ssh-agent or a plain
    file can stand in for are never asked for, because they are tried last.
    """

    def __init__(
        self,
        keys: HostKeys,
        name: str,
        on_connected: Callable[[], None],
        answers: Answers,
        encrypted: Sequence[Path] = (),
    ) -> None:
        self._keys, self._name, self._on_connected = keys, name, on_connected
        self._answers = answers
        self._encrypted = list(encrypted)
        self._password_tried = False
        self.connected = False
        self.presented: Presented | None = None
        self.wanted: LoginRequest | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """TCP is there."""
        self.connected = True
        self._on_connected()

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Called for a key that is not on file; it is never accepted here."""
        self.presented = self._keys.judge(self._name, port, key)
        return False

    def _want(self, request: LoginRequest) -> None:
        # A passphrase comes before a password, as with ssh; the first wish stands.
        if self.wanted is None:
            self.wanted = request

    def public_key_auth_requested(self) -> asyncssh.SSHKey | None:
        """The next key file whose passphrase is known, after all plain and agent keys."""
        while self._encrypted:
            path = self._encrypted.pop(0)
            if path in self._answers.skipped:
                continue
            passphrase = self._answers.passphrases.get(path)
            if passphrase is not None:
                try:
                    return asyncssh.read_private_key(path, passphrase)
                except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError, ValueError):
                    del self._answers.passphrases[path]
            again = passphrase is not None
            self._want(LoginRequest("passphrase", (("Passphrase", False),), path, again))
        return None

    def password_auth_requested(self) -> str | None:
        """The typed password once; a second request means that it was refused."""
        known = self._answers.password
        if known is not None and not self._password_tried:
            self._password_tried = True
            return known
        if self.wanted is not None and self.wanted.kind == "challenge":
            return None  # it was taken, a code is still missing: no reason to forget it
        self._answers.password = None
        self._want(LoginRequest("password", (("Password", False),), again=self._password_tried))
        return None

    def kbdint_auth_requested(self) -> str:
        """Always possible: what is asked is shown to the person."""
        return ""

    def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """Answer a challenge from memory, or remember what it asks."""
        if not prompts:
            return []
        texts = tuple(
            ("".join(c for c in text if c.isprintable())[:MAX_TEXT], echo)
            for text, echo in prompts[:MAX_PROMPTS]
        )
        if len(texts) == 1 and "password" in texts[0][0].lower():
            password = self.password_auth_requested()
            return None if password is None else [password]
        given, self._answers.challenge = self._answers.challenge, None
        if given is not None and len(given) == len(prompts):
            return list(given)
        self._want(LoginRequest("challenge", texts))
        return None


def key_files(explicit: Path | None, configured: object) -> list[Path]:
    """The private keys a login may use: the host's own setting, ssh_config's, or the usual."""
    if explicit is not None:
        return [explicit.expanduser()]
    if isinstance(configured, str | Path):
        configured = [configured]
    if isinstance(configured, list | tuple) and configured:
        return [Path(str(path)).expanduser() for path in configured]
    return [Path("~/.ssh").expanduser() / name for name in DEFAULT_KEYS]
