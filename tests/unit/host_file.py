"""A file on a host and what may happen to it, for the worlds of the mirror."""

from __future__ import annotations

import os
import random
from pathlib import Path

EPOCH = 1_700_000_000


class HostFile:
    """A run journal and all that may happen to it."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path = path
        self._chance = chance
        self._clock = EPOCH
        self._away: bytes | None = None
        self._line = 0

    def _text(self, size: int) -> bytes:
        text = b""
        while len(text) < size:
            self._line += 1
            text += b'{"step": %d, "loss": %.6f}\n' % (self._line, self._chance.random())
        return text

    def _put(self, data: bytes, mode: str = "wb", at: int | None = None) -> None:
        with self.path.open(mode) as file:
            if at is not None:
                file.seek(at)
            file.write(data)
        self._clock += 1
        os.utime(self.path, (self._clock, self._clock))

    @property
    def data(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""

    def append(self) -> None:
        self._put(self._text(self._chance.choice((1, 300, 5000))), "ab")

    def append_torn(self) -> None:
        line = self._text(1)
        self._put(line[: self._chance.randrange(1, len(line))], "ab")

    def cut(self) -> None:
        data = self.data
        self._put(data[: self._chance.randrange(len(data) + 1)])

    def rewrite_same_length(self) -> None:
        data = self.data
        self._put(self._text(len(data))[: len(data)])

    def rewrite_longer(self) -> None:
        """The same inode, the same beginning or another, never shorter than before."""
        data = self.data
        keep = self._chance.choice((0, min(len(data), 4096)))
        self._put(data[:keep] + self._text(len(data) - keep + self._chance.randrange(4000)))

    def edit(self) -> None:
        """One byte anywhere, with or without growth."""
        data = self.data
        if data:
            place = self._chance.randrange(len(data))
            self._put(bytes([data[place] ^ 1]), "r+b", place)
        if self._chance.random() < 0.5:
            self.append()

    def replace(self) -> None:
        """Another inode: other text, or the same beginning and more."""
        data = self.data if self._chance.random() < 0.5 else b""
        other = self.path.with_name("other")
        other.write_bytes(data + self._text(500))
        other.replace(self.path)
        self._put(b"", "ab")

    def rotate(self) -> None:
        if self.path.exists():
            self.path.replace(self.path.with_name("run.jsonl.1"))
        self._put(self._text(self._chance.randrange(9000)))

    def delete(self) -> None:
        if self.path.exists():
            self._away = self.data
            self.path.unlink()

    def come_back(self) -> None:
        """After a deletion: the same bytes, or others of at least that length; often that inode."""
        if self._away is not None and not self.path.exists():
            same = self._chance.random() < 0.3
            self._put(self._away if same else self._text(len(self._away)))
            self._away = None

    def anything(self) -> None:
        growth = [self.append, self.append, self.append, self.append_torn]
        harm = [self.cut, self.rewrite_same_length, self.rewrite_longer, self.edit, self.replace,
                self.rotate, self.delete, self.come_back]  # fmt: skip
        self._chance.choice(growth if self._chance.random() < 0.7 else harm)()
