"""What an operation raises when it cannot be done."""

from __future__ import annotations

import errno


class OpError(Exception):
    """A request that cannot be done; code is a short fixed word, the text one sentence."""

    def __init__(self, code: str, message: str) -> None:
        Exception.__init__(self, message)
        self.code = code


def refused(error: OSError) -> OpError:
    """What the operating system refused, with the next step where there is one."""
    where = error.filename if isinstance(error.filename, str) else "the home folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OpError(
            "no-space",
            "no space is left on the disk of this host that holds ~/.gonogo: free some of it",
        )
    if error.errno == errno.EROFS:
        return OpError(
            "read-only",
            "%s is on a read-only file system: mount it for writing again" % where,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return OpError("denied", "%s may not be written: give it to this user" % where)
    return OpError("internal", "%s: %s" % (where, error.strerror or error))
