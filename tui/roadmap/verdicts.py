"""Storing what checks found: verdicts, the ticks that follow from them, the values that they fill in."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from tui.roadmap.entries import Verdict
from tui.roadmap.errors import InvalidValue
from tui.roadmap.records import Record, chunks, seal
from tui.roadmap.values import check_value
from tui.roadmap.writer import Fields, Writer, now_ms

QUIET_MS = 3_600_000
"""An unchanged verdict that nobody asked for is stored once in this time."""


class VerdictChanges(Writer):
    """The part of a workspace that checks write to."""

    def record_verdicts(self, verdicts: Sequence[Verdict], by: str) -> Record:
        """Stores verdicts in one record (more only past 64 KiB) and ticks what passed."""
        if not verdicts:
            raise InvalidValue("There is nothing to record.")
        record: Record | None = None
        for chunk in chunks(verdicts, _length):
            record = self._commit(lambda chunk=chunk: self._verdict_fields(chunk, by))  # type: ignore[misc]
        assert record is not None  # noqa: S101 - chunks of a non-empty list
        return record

    def record_changes(self, verdicts: Sequence[Verdict], by: str) -> Record | None:
        """Stores the verdicts of a check that nobody asked for: what changed, the rest hourly at most."""
        known, now = self.state.verdicts, now_ms()
        news = []
        for verdict in verdicts:
            last = known.get(verdict.item)
            same = last is not None and (last.verdict, last.basis, last.label) == (
                verdict.verdict, verdict.basis, verdict.label
            )  # fmt: skip
            if last is None or not same or now - last.at >= QUIET_MS:
                news.append(verdict)
        return self.record_verdicts(news, by) if news else None

    def ticks(self, verdict: Verdict) -> bool:
        """True for a verdict that ticks its box: a PASS that is no hint, on a box that can be ticked."""
        box = self.document.boxes.get(verdict.item)
        if box is None or box.computed or box.informational or verdict.hint:
            return False
        return verdict.verdict == "PASS" and self.settings.auto_tick

    def _verdict_fields(self, verdicts: Sequence[Verdict], by: str) -> Fields:
        ticked = {}
        for verdict in verdicts:
            if self.ticks(verdict) and self.state.tickable(verdict.item, now_ms()):
                ticked[verdict.item] = self.document.boxes[verdict.item].label[:200]
        item = verdicts[0].item if len(verdicts) == 1 else ""
        entries = [replace(v, fills=self._fills(v)).as_json() for v in verdicts]
        return {"by": by, "do": "verdict", "item": item, "verdicts": entries, "ticked": ticked}

    def _fills(self, verdict: Verdict) -> Fields:
        """The fills of a verdict that fit their fields; a measured value is data like any other."""
        kept = {}
        for item, value in verdict.fills.items():
            known = self.document.fields.get(item)
            if known is not None and verdict.verdict == "PASS":
                with contextlib.suppress(InvalidValue):
                    kept[item] = check_value(known, value)
        return kept


def _length(verdict: Verdict) -> int:
    """Bytes of a verdict with its entry in `ticked`."""
    return len(seal(verdict.as_json())) + 260
