"""What only a person knows of a way to a host: whether a key is the host's, a password, a passphrase."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from agents.dialer import SshDialer
from agents.errors import NeedsUser
from agents.login import LoginRequest


class LoginQuestions:
    """The part of a link that a dialog answers; every answer tries again at once."""

    name: str
    _dialer: SshDialer
    _wake: asyncio.Event

    def retry_now(self) -> None:
        """Try at once, also from needs-user; no effect while connected."""
        self._wake.set()

    @property
    def pending_host_key(self) -> str:
        """SHA-256 fingerprint of the unknown host key that waits for an answer, or ""."""
        pending = self._dialer.asking.pending
        return pending.fingerprint if pending else ""

    @property
    def asker(self) -> str:
        """Whose key or login waits for an answer: this host, or a jump host on the way to it."""
        return self._dialer.asking.called

    def accept_host_key(self) -> Path | None:
        """Trust the unknown key that was shown, write it to known_hosts and try again.

        Returns the file, None if none could be written (then it holds until the program
        ends). Raises NeedsUser when no key waits; a changed key cannot be accepted here.
        """
        dialer = self._dialer.asking
        pending, dialer.pending = dialer.pending, None
        if pending is None:
            raise NeedsUser(f"no unknown host key of {self.name} waits for an answer")
        path = dialer.keys.accept(pending)
        self.retry_now()
        return path

    @property
    def pending_login(self) -> LoginRequest | None:
        """What the login lacks and only a person knows, None when nothing is asked."""
        return self._dialer.asking.answers.pending

    def answer_login(self, answers: Sequence[str]) -> None:
        """Give what `pending_login` asks, in the order of its prompts, and try again.

        Kept in memory until the program ends, never written. Raises ValueError when nothing
        is asked or the number of answers is another.
        """
        self._dialer.asking.answers.give(answers)
        self.retry_now()

    def skip_login(self) -> None:
        """Go on without the asked key: the next key or a password is tried."""
        self._dialer.asking.answers.skip()
        self.retry_now()
