"""From link events to Textual messages: the only place where the two meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.fleet import Fleet
from tui.messages import JobMoved, LinkMoved

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from agents import Event, JobStatus
    from tui.roadmap.workspace import Workspace


class Bridge(Fleet):
    """A fleet that posts what it learns to a message pump."""

    def __init__(self, workspace: Workspace, target: MessagePump) -> None:
        super().__init__(workspace, self._post, load=False)
        self.store.patient = True
        self._target = target
        self._known: dict[tuple[str, str], JobStatus] = {}

    def _post(self, event: Event) -> None:
        from agents import JobChanged, LinkChanged

        match event:
            case LinkChanged():
                self._target.post_message(LinkMoved(event))
            case JobChanged(host=host, job=job):
                before = self._known.get((host, job.job_id))
                self._known[host, job.job_id] = job
                self._target.post_message(JobMoved(host, job, before))
