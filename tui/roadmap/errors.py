"""What can go wrong with a workspace. Every message is one sentence that can be shown as it is."""

from __future__ import annotations


class WorkspaceError(Exception):
    """Base of all errors of a workspace; nothing was written when one is raised."""

    exit_code = 1


class UnknownId(WorkspaceError):
    """No box, field, row or record has that id."""

    exit_code = 2


class InvalidValue(WorkspaceError):
    """The value or the action does not fit the item."""

    exit_code = 2


class Conflict(WorkspaceError):
    """Somebody else changed the item meanwhile; the message names who and when."""

    exit_code = 3


class Locked(WorkspaceError):
    """Another process kept the write lock for too long."""

    exit_code = 4


class ReadOnly(WorkspaceError):
    """The workspace was opened read-only, or its state file cannot be trusted."""

    exit_code = 6


class NotSaved(WorkspaceError):
    """The disk refused the record; the state file is as it was before."""

    exit_code = 6
