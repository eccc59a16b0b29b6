"""What the bridge tells the app, in the past tense. Gauges and points are none: frames look at the store."""

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
