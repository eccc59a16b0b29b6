"""What callers of a host link have to handle; every text is one sentence for the user."""

from __future__ import annotations

NO_SERVICE = "nothing answers on port"
"""How the sentence begins when a host is there and one of its ports is not."""


class AgentError(Exception):
    """Base of everything this package raises on purpose."""


class LinkDown(AgentError):
    """The host cannot be reached now; nothing is known about the request's effect."""


class RemoteError(AgentError):
    """The host answered and refused; `code` is a short fixed word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NeedsUser(AgentError):
    """Only a person can go on from here; never retried by itself."""


class LinkLost(AgentError):
    """A connection could not be made or ended.

    `unreachable` is True when not even TCP got through, so that probing makes sense.
    """

    def __init__(self, message: str, *, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = unreachable


class OtherShell(LinkLost):
    """The login shell did not understand the command; the other kind of shell is tried."""


class SlowStart(LinkLost):
    """The agent did not speak in time; the next try is given longer."""
