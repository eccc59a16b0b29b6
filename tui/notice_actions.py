"""Notices in the app: on the screen, as a bell, and as a notification of the desktop where asked for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tui.actions import Actions
from tui.later import later

if TYPE_CHECKING:
    from tui.messages import JobMoved
    from tui.notices import Notice, RunWatch, desktop_notice, ended_notice
else:
    Notice, RunWatch, desktop_notice, ended_notice = later(
        "tui.notices", "Notice", "RunWatch", "desktop_notice", "ended_notice"
    )

WATCH_SECONDS = 1.0


class NoticeActions(Actions):
    """Mixed into the app."""

    run_watch: RunWatch

    def start_notices(self) -> None:
        """Look at the runs once a second, whatever screen is on top."""
        chosen = self.ws.settings.notices
        self.run_watch = RunWatch(chosen.stall_factor, chosen.stall_seconds)
        self.set_interval(WATCH_SECONDS, self.watch_runs)

    def watch_runs(self) -> None:
        """Say which runs went NaN, stand still or go on again."""
        self.read_runs()
        for notice in self.run_watch.look(self.fleet.store):
            self.announce(notice)

    def job_ended(self, message: JobMoved) -> None:
        """Say that a job is over."""
        notice = ended_notice(message.host, message.job, message.before)
        if notice is not None:
            self.announce(notice)

    def announce(self, notice: Notice) -> None:
        """On the screen, by the bell, and on the desktop, as gonogo.toml says."""
        chosen = self.ws.settings.notices
        quiet = notice.kind == "resumed"
        self.notify(notice.text, severity=notice.severity, timeout=15, markup=False)
        if chosen.bell and not quiet:
            self.bell()
        sequence = desktop_notice(chosen.desktop, "gonogo", notice.text, "TMUX" in os.environ)
        driver = self._driver
        if sequence and driver is not None and not quiet:
            driver.write(sequence)
            driver.flush()
