"""Receive a file: a part beside the target that a dropped link leaves for the next try.

The part's name holds the SHA-256 of the whole content, so a try resumes only what is the same
file; its bytes are hashed anew before the laptop goes on from their end. Checksum, fsync, rename.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import time

from agents.remote.digest import sha256
from agents.remote.errors import OpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

    Done = Callable[[dict[str, Any]], None]
    Fail = Callable[[str, str], None]

MAX_OPEN = 8
STEP = 1 << 20
STALE = 86400.0
SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def why(path: str, error: OSError) -> str:
    return "%s: %s" % (path, error.strerror or error)


def regular(path: str, info: os.stat_result, code: str) -> None:
    """Raises OpError with the kind of what is no regular file."""
    mode = info.st_mode
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
        kind = next((word for test, word in kinds if test(mode)), "a device")
        raise OpError(code, "%s is %s, not a file" % (path, kind))


def hashed(fd: int, digest: Any, size: int) -> Iterator[int]:
    """Feed the first `size` bytes to `digest`, a slice a turn; yields what was read."""
    offset = 0
    while offset < size:
        block = os.pread(fd, min(STEP, size - offset), offset)
        if not block:
            return
        digest.update(block)
        offset += len(block)
        yield offset


class _Upload:
    def __init__(self, path: str, size: int, checksum: str, mode: int) -> None:
        self.path = path
        self.size = size
        self.checksum = checksum
        self.mode = mode
        self.received = 0
        self.digest = sha256()
        folder, name = os.path.split(path)
        _sweep(folder, name)
        self.temporary = os.path.join(folder, ".%s.%s.part" % (name, checksum[:16]))
        self.fd = os.open(
            self.temporary, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
        )
        try:
            regular(self.temporary, os.fstat(self.fd), "unwritable")
        except OpError:
            os.close(self.fd)
            raise
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.fd)
            raise OpError("busy", "another upload of %s is under way" % path) from None

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def discard(self) -> None:
        if self.fd >= 0:
            try:
                os.unlink(self.temporary)
            except OSError:
                pass
            self.close()


def _sweep(folder: str, name: str) -> None:
    """Remove parts of earlier contents of the same file that nobody came back for in a day."""
    for entry in os.listdir(folder):
        if entry.startswith(".%s." % name) and entry.endswith(".part"):
            path = os.path.join(folder, entry)
            try:
                if time.time() - os.stat(path).st_mtime > STALE:
                    os.unlink(path)
            except OSError:
                pass


class Uploads:
    def __init__(self) -> None:
        self._open: dict[int, _Upload] = {}
        self._count = 0

    def begin(self, params: dict[str, Any], done: Done, fail: Fail) -> Iterator[int]:
        """{upload, offset, sha256 of the bytes before offset}, or fail; run as slices of work."""
        try:
            upload = self._begin(params)
        except OpError as error:
            fail(error.code, str(error))
            return
        except OSError as error:
            fail("unwritable", why(str(params.get("path")), error))
            return
        try:
            have = min(os.fstat(upload.fd).st_size, upload.size)
            os.ftruncate(upload.fd, have)
            yield from hashed(upload.fd, upload.digest, have)
            free = os.fstatvfs(upload.fd)
        except OSError as error:
            upload.close()
            fail("unwritable", why(upload.path, error))
            return
        if free.f_bavail * free.f_frsize < upload.size - have:
            upload.discard()
            fail("no-space", "%d bytes do not fit on the disk of %s" % (upload.size, upload.path))
            return
        upload.received = have
        self._count += 1
        self._open[self._count] = upload
        done({"upload": self._count, "offset": have, "sha256": upload.digest.hexdigest()})

    def _begin(self, params: dict[str, Any]) -> _Upload:
        path, size = os.path.expanduser(str(params.get("path", ""))), params.get("size")
        checksum = str(params.get("sha256"))
        if not os.path.isabs(path) or path.endswith("/"):
            raise OpError("invalid", "%r is no absolute file name" % params.get("path"))
        if not isinstance(size, int) or size < 0 or not SHA256.match(checksum):
            raise OpError("invalid", "an upload needs its size and its SHA-256")
        if len(self._open) >= MAX_OPEN:
            raise OpError("busy", "too many uploads at once")
        if os.path.exists(path):
            regular(path, os.stat(path), "invalid")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return _Upload(path, size, checksum, int(params.get("mode", 0o600)) & 0o777)

    def _get(self, params: dict[str, Any]) -> _Upload:
        upload = self._open.get(params.get("upload", -1))
        if upload is None:
            raise OpError("not-found", "there is no such upload")
        return upload

    def data(self, params: dict[str, Any], blob: bytes | None) -> dict[str, Any]:
        upload = self._get(params)
        if params.get("offset") != upload.received:
            raise OpError("invalid", "the upload is at %d" % upload.received)
        view = memoryview(blob or b"")
        try:
            while view:
                count = os.pwrite(upload.fd, view, upload.received)
                upload.digest.update(view[:count])
                upload.received += count
                view = view[count:]
        except OSError as error:
            self.abort(params)
            raise OpError("unwritable", why(upload.path, error)) from error
        return {"received": upload.received}

    def commit(self, params: dict[str, Any]) -> dict[str, Any]:
        upload = self._get(params)
        digest = upload.digest.hexdigest()
        if upload.received != upload.size or digest != upload.checksum:
            self.abort(params)
            raise OpError("checksum", "the bytes of %s arrived damaged" % upload.path)
        try:
            os.fchmod(upload.fd, upload.mode)
            os.fsync(upload.fd)
            if os.path.exists(upload.path):
                regular(upload.path, os.stat(upload.path), "unwritable")
            os.replace(upload.temporary, upload.path)
        except OpError:
            self.abort(params)
            raise
        except OSError as error:
            self.abort(params)
            raise OpError("unwritable", why(upload.path, error)) from error
        upload.close()
        del self._open[params["upload"]]
        return {"path": upload.path, "sha256": digest, "size": upload.size}

    def abort(self, params: dict[str, Any]) -> dict[str, Any]:
        upload = self._open.pop(params.get("upload", -1), None)
        if upload is not None and params.get("keep") is True:
            upload.close()
        elif upload is not None:
            upload.discard()
        return {}

    def close_all(self) -> None:
        """Let go of every upload; the parts stay for the laptop's next try."""
        for upload in self._open.values():
            upload.close()
        self._open.clear()
