"""What an exported roadmap says below its own text: which boxes were waived, by whom and
why, and what was recorded for boxes that are gone.

The text stands behind a comment line, so that reading an export back finds where the document ends. An
untouched plan has no appendix.
"""

from __future__ import annotations

from tui.roadmap.document import Document
from tui.roadmap.reanchor import orphans
from tui.roadmap.state import State
from tui.roadmap.waivers import waived, waiver_text
from tui.roadmap.writer import now_ms

MARK = "<!-- gonogo appendix: not part of the plan -->"


def appendix_lines(document: Document, state: State, now: int | None = None) -> list[str]:
    """Lines of the appendix without line endings; none where there is nothing to say."""
    at = now_ms() if now is None else now
    entries = [entry for entry in waived(document, state) if not entry.over(at)]
    lines = ["## Appendix: counted as done without being done", ""] if entries else []
    for entry in entries:
        label = " ".join(entry.label.split())
        lines.append(f"- {entry.box} {label} ({waiver_text(entry)}; by {entry.by})")
    gone = orphans(document, state)
    if gone:
        gap = [""] if lines else []
        lines += [*gap, "## Appendix: recorded for what the plan no longer has", ""]
        lines += [f"- {o.id} {' '.join(f'{o.text} ({o.data})'.split())}" for o in gone]
    return lines


def with_appendix(document: Document, state: State, text: str) -> str:
    """An exported text with its appendix; the same text where there is none."""
    lines = appendix_lines(document, state)
    if not lines:
        return text
    newline = next((ending for ending in document.endings if ending), "\n")
    gap = "" if text.endswith(("\n", "\r")) else newline
    return text + gap + newline.join(["", MARK, "", *lines, ""])


def without_appendix(document: Document, text: str) -> str:
    """The part of an export that is the document."""
    body, found, _ = text.rpartition(MARK)
    if not found or text.count(MARK) <= document.text.count(MARK):
        return text
    body = _less_one_line(body)
    return body if document.text.endswith(("\n", "\r")) else _less_one_line(body)


def _less_one_line(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
