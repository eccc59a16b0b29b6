"""What can go wrong with a workspace. Every message is one sentence that can be shown as it is."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass


class WorkspaceError(Exception):
    """Base of all errors of a workspace; nothing was written when one is raised."""

    exit_code = 1


class UnknownId(WorkspaceError):
    """No box, field, row or record has that id."""

    exit_code = 2


class InvalidValue(WorkspaceError):
    """The value or the action does not fit the item."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Theirs:
    """What another writer made of an item: `value` as records keep it, `at` UTC ms, `mine` what was
    refused (None where it is not one value, "" for empty)."""

    item: str
    value: str
    by: str
    at: int
    mine: str | None = None


class Conflict(WorkspaceError):
    """Somebody else changed the item meanwhile; the message names who and when, `theirs` the rest."""

    exit_code = 3

    def __init__(self, message: str, theirs: Theirs | None = None) -> None:
        super().__init__(message)
        self.theirs = theirs


class Locked(WorkspaceError):
    """Another process kept the write lock for too long."""

    exit_code = 4


class ReadOnly(WorkspaceError):
    """The workspace was opened read-only, or its state file cannot be trusted."""

    exit_code = 6


class NotSaved(WorkspaceError):
    """The disk refused the record; the state file is as it was before."""

    exit_code = 6


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: OSError) -> bool:
    """True where the disk, a quota or a size limit left no room."""
    return error.errno in _FULL


def disk_words(error: OSError) -> str:
    """What the system said, in words that fit into a sentence."""
    if error.errno == errno.ENOSPC:
        return "no space left"
    return (error.strerror or str(error)).lower()


def no_such(kind: str, name: str, known: Iterable[str]) -> UnknownId:
    """The error of an id that the plan does not have, with the nearest one that it has."""
    import difflib

    said, by_fold = name[:60], {item.casefold(): item for item in known}
    near = difflib.get_close_matches(said.casefold(), by_fold, 1, 0.7)
    guess = f" Did you mean {by_fold[near[0]]}?" if near else ""
    return UnknownId(f"There is no {kind} {said or '“”'}.{guess}")
