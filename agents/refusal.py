"""Why a login did not happen, as one sentence that names the next step."""

from __future__ import annotations

import os

import asyncssh

from agents.checked import short_text
from agents.errors import LinkLost, NeedsUser
from agents.login import LoginClient

TOO_MANY = "too many authentication failures"


def told(error: Exception) -> str:
    """What the far side gave as its reason: data of a stranger, so bounded and printable."""
    return short_text(str(getattr(error, "reason", "") or error), 300).strip()


def explain(
    error: Exception, name: str, place: str, key: str, client: LoginClient | None
) -> NeedsUser | LinkLost:
    """Sort what asyncssh or the system raised for the host called `name` at `place`.

    `key` says where the key to log in with is named. A host key or an answer that is waited
    for is in `client`.
    """
    reached = client is not None and client.connected
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        text = told(error)
        if "revoked" in text:
            return NeedsUser(
                f"the host key of {name} is marked as revoked in known_hosts: somebody else may "
                "answer in its place; give the host a new key"
            )
        if "CA key" in text:
            return NeedsUser(
                f"the host key of {name} is signed by an authority that known_hosts does not "
                "name: add its @cert-authority line"
            )
        return NeedsUser(
            f"the host key of {name} was refused: {text}; try the same with ssh in a shell"
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return NeedsUser(
            f"{name} refused the login: {told(error)}; add the public key to its "
            f"~/.ssh/authorized_keys (ssh-copy-id) or name another in {key}"
        )
    if isinstance(error, asyncssh.KeyExchangeFailed | asyncssh.ProtocolNotSupported):
        return NeedsUser(f"{name} and this program share no SSH algorithm: {told(error)}")
    if isinstance(error, asyncssh.Error):
        if TOO_MANY in told(error).lower():
            # Each new try would offer the same keys again, until the host locks us out.
            return NeedsUser(
                f"{name} refused the login after too many keys: name the right one in {key}, "
                "or set `IdentitiesOnly yes` in ~/.ssh/config"
            )
        return LinkLost(f"the connection to {name} failed: {told(error)}", unreachable=not reached)
    if isinstance(error, TimeoutError):
        what = "does not answer" if not reached else "does not finish the login"
        return LinkLost(f"{name} ({place}) {what}", unreachable=not reached)
    text = short_text(str(error), 300)
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        text = os.strerror(error.errno)
    return LinkLost(f"{name} ({place}) cannot be reached: {text}", unreachable=not reached)
