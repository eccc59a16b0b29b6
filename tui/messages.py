"""What the bridge tells the app. Past tense; periodic ones may be replaced while they wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from agents import JobStatus, LinkChanged


@dataclass
class LinkMoved(Message):
    """A host's link has another state."""

    event: LinkChanged


@dataclass
class JobMoved(Message):
    """A job has another state; `before` is None for a job seen for the first time."""

    host: str
    job: JobStatus
    before: JobStatus | None


@dataclass
class StoreChanged(Message):
    """Gauges or points arrived; the newest of these messages stands for all before it."""

    version: int

    def can_replace(self, message: Message) -> bool:
        """A newer version makes an older one needless."""
        return isinstance(message, StoreChanged)
