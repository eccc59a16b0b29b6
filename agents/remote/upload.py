"""Receive a file: temp name in the target's folder, checksum, fsync, rename."""

from __future__ import annotations

import os

from agents.remote.digest import sha256
from agents.remote.errors import OpError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_OPEN = 8


class _Upload:
    def __init__(self, path: str, size: int, mode: int) -> None:
        self.path = path
        self.size = size
        self.received = 0
        self.digest = sha256()
        folder, name = os.path.split(path)
        self.temporary = os.path.join(folder, ".%s.%s.part" % (name, os.urandom(4).hex()))
        self.fd = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)

    def discard(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            try:
                os.unlink(self.temporary)
            except OSError:
                pass


class Uploads:
    def __init__(self) -> None:
        self._open: dict[int, _Upload] = {}
        self._count = 0

    def begin(self, params: dict[str, Any]) -> dict[str, Any]:
        path, size = os.path.expanduser(str(params.get("path", ""))), params.get("size")
        if not os.path.isabs(path) or path.endswith("/"):
            raise OpError("invalid", "%r is no absolute file name" % params.get("path"))
        if not isinstance(size, int) or size < 0:
            raise OpError("invalid", "an upload needs its size")
        if len(self._open) >= MAX_OPEN:
            raise OpError("busy", "too many uploads at once")
        if os.path.isdir(path):
            raise OpError("invalid", "%s is a folder" % path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            free = os.statvfs(os.path.dirname(path))
            if free.f_bavail * free.f_frsize < size:
                raise OpError("no-space", "%d bytes do not fit on the disk of %s" % (size, path))
            upload = _Upload(path, size, int(params.get("mode", 0o600)) & 0o777)
        except OSError as error:
            raise OpError("unwritable", "%s: %s" % (path, error.strerror or error)) from error
        self._count += 1
        self._open[self._count] = upload
        return {"upload": self._count}

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
                count = os.write(upload.fd, view)
                upload.digest.update(view[:count])
                upload.received += count
                view = view[count:]
        except OSError as error:
            self.abort(params)
            raise OpError(
                "unwritable", "%s: %s" % (upload.path, error.strerror or error)
            ) from error
        return {"received": upload.received}

    def commit(self, params: dict[str, Any]) -> dict[str, Any]:
        upload = self._get(params)
        digest = upload.digest.hexdigest()
        if upload.received != upload.size or digest != params.get("sha256"):
            self.abort(params)
            raise OpError("checksum", "the bytes of %s arrived damaged" % upload.path)
        try:
            os.fsync(upload.fd)
            os.replace(upload.temporary, upload.path)
        except OSError as error:
            self.abort(params)
            raise OpError(
                "unwritable", "%s: %s" % (upload.path, error.strerror or error)
            ) from error
        os.close(upload.fd)
        upload.fd = -1
        del self._open[params["upload"]]
        return {"path": upload.path, "sha256": digest, "size": upload.size}

    def abort(self, params: dict[str, Any]) -> dict[str, Any]:
        upload = self._open.pop(params.get("upload", -1), None)
        if upload is not None:
            upload.discard()
        return {}

    def discard_all(self) -> None:
        for upload in self._open.values():
            upload.discard()
        self._open.clear()
