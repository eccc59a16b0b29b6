"""What a person away from the screen wants to hear: a run ended, failed, went NaN or stands still.

No Textual: `RunWatch` looks at the store, `desktop_notice` is the escape sequence of the terminals
that show notifications of the desktop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agents import JobStatus
from tui.chart.axes import duration
from tui.live import LiveStore
from tui.run_view import RunView
from tui.tail import clean

Severity = Literal["information", "warning", "error"]
Desktop = Literal["off", "osc9", "osc777", "osc99"]
Key = tuple[str, str]

RECENT = 50
"""Points whose distances are the usual step time."""
LEAST_POINTS = 4
CURVES = ("loss", "eval_loss")
OPEN = ("requested", "starting", "running", "unknown")
GOOD = ("succeeded", "stopped")


@dataclass(frozen=True)
class Notice:
    """One thing to say; `kind` is ended, failed, nan, stalled or resumed."""

    key: Key
    kind: str
    text: str
    severity: Severity = "information"


def ended_notice(host: str, job: JobStatus, before: JobStatus | None) -> Notice | None:
    """The end of a job that was seen open before, None for any other change.

    A job whose link was down while it ended went through `unknown`.
    """
    state = str(job.state)
    if before is None or str(before.state) not in OPEN or state in OPEN:
        return None
    text = clean(f"{job.name} on {host}: {state} {job.detail}".rstrip())
    if state in GOOD:
        return Notice((host, job.job_id), "ended", text)
    return Notice((host, job.job_id), "failed", text, "error")


def usual_step(run: RunView) -> float | None:
    """Median seconds between the newest points of the loss, None before there are some."""
    loss = run.series.get("loss")
    if loss is None or len(loss) < LEAST_POINTS:
        return None
    gaps = np.diff(loss.t[-RECENT:])
    return float(np.median(gaps)) if len(gaps) else None


class RunWatch:
    """Finds NaN and stand-still in the runs of running jobs; says each once.

    A run stalls when its journal has not grown for `factor` usual steps and `floor` seconds. Only
    the time counts in which its host's link was live: what cannot be seen is no stall.
    """

    def __init__(self, factor: float = 20.0, floor: float = 60.0) -> None:
        self.factor, self.floor = factor, floor
        self._grown: dict[Key, tuple[int, float]] = {}
        self._stalled: set[Key] = set()
        self._checked: dict[tuple[Key, str], int] = {}
        self._bad: set[Key] = set()

    def look(self, store: LiveStore) -> list[Notice]:
        """What is new since the last look; `store.clock` gives the time."""
        found: list[Notice] = []
        for key, run in store.runs.items():
            job = store.jobs.get(key)
            if job is None or str(job.state) != "running":
                self._grown.pop(key, None)
                self._stalled.discard(key)
                continue
            found += self._nan(key, run)
            found += self._stall(key, run, store)
        return found

    def _nan(self, key: Key, run: RunView) -> list[Notice]:
        for curve in CURVES:
            series = run.series.get(curve)
            if series is None:
                continue
            seen = self._checked.get((key, curve), 0)
            seen = seen if seen <= len(series) else 0  # a restart took points back
            self._checked[key, curve] = len(series)
            bad = np.flatnonzero(~np.isfinite(series.y[seen:]))
            if len(bad) and key not in self._bad:
                self._bad.add(key)
                step, value = int(series.x[seen + bad[0]]), float(series.y[seen + bad[0]])
                word = "NaN" if np.isnan(value) else "infinite"
                text = f"{run.name} on {run.host}: {curve} is {word} at step {step}; X stops it"
                return [Notice(key, "nan", text, "error")]
        return []

    def _stall(self, key: Key, run: RunView, store: LiveStore) -> list[Notice]:
        now = store.clock()
        host = store.hosts.get(run.host)
        offset, since = self._grown.get(key, (-1, now))
        if run.offset != offset or host is None or not host.live:
            self._grown[key] = (run.offset, now)
            if run.offset != offset and key in self._stalled:
                self._stalled.discard(key)
                return [Notice(key, "resumed", f"{run.name} on {run.host}: goes on")]
            return []
        usual = usual_step(run)
        if usual is None or run.end or key in self._stalled:
            return []
        if now - since <= max(self.floor, self.factor * usual):
            return []
        self._stalled.add(key)
        text = (
            f"{run.name} on {run.host}: no point for {duration(now - since)} at step {run.step} "
            f"(usually every {duration(usual)}); its log is on Jobs (8)"
        )
        return [Notice(key, "stalled", text, "warning")]


def desktop_notice(kind: Desktop, title: str, text: str, in_tmux: bool = False) -> str:
    """The terminal's escape sequence for a notification; "" when it is off.

    OSC 9 is iTerm2's and that of most others, 777 rxvt's and foot's, 99 kitty's. tmux passes it on
    where `allow-passthrough` is on.
    """
    title, text = (re.sub(r"[;\s]+", " ", clean(part)).strip()[:200] for part in (title, text))
    if kind == "osc9":
        sequence = f"\x1b]9;{title}: {text}\x1b\\"
    elif kind == "osc777":
        sequence = f"\x1b]777;notify;{title};{text}\x1b\\"
    elif kind == "osc99":
        sequence = f"\x1b]99;i=gonogo:d=0;{title}\x1b\\\x1b]99;i=gonogo:d=1:p=body;{text}\x1b\\"
    else:
        return ""
    if in_tmux:
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
