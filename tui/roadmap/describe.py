"""What a record says, in one line that can be shown: for the journal screen, `gonogo log` and notices."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from tui.roadmap.document import Document
from tui.roadmap.records import Record

_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that a terminal would act on, or that show nothing: also bidirectional overrides."""


def visible(text: str, *, lines: bool = False) -> str:
    """`text` with everything that is not a visible character written as an escape like \\x1b or \\u202e."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or (lines and c == "\n") else _escape(c) if _hidden(c) else " "
        for c in text
    )


def _hidden(c: str) -> bool:
    return unicodedata.category(c) in _HIDDEN


def _escape(c: str) -> str:
    return c.encode("unicode_escape", "surrogatepass").decode("ascii")


def when(at: int) -> str:
    """Local date and time of a UTC millisecond stamp; a stamp out of range as it is."""
    try:
        return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(at)[:19]


def about(record: Record, ids: set[str]) -> bool:
    """True where the record concerns one of `ids`."""
    if record.item in ids:
        return True
    for key in ("verdicts", "ops"):
        entries = record.data.get(key)
        if isinstance(entries, list) and any(
            isinstance(e, dict) and e.get("item") in ids for e in entries
        ):
            return True
    return False


def concerned(document: Document, name: str) -> set[str]:
    """The ids that a name on the command line stands for: box, group, section or blank."""
    return {*document.select(name), name}


def _arrow(item: object, data: Mapping[str, Any]) -> str:
    return f"{item}: {data.get('old') or 'empty'} > {data.get('new') or 'empty'}"


def _verdicts(record: Record) -> str:
    parts = [f"{v.get('item')} {v.get('verdict')}" for v in record.data.get("verdicts", ())]
    ticked = record.data.get("ticked") or {}
    more = f" and {len(parts) - 8} more" if len(parts) > 8 else ""
    return ", ".join(parts[:8]) + more + (f" (ticked {len(ticked)})" if ticked else "")


def _hand_edit(record: Record) -> str:
    ops = record.data.get("ops") or ()
    if not ops:
        return f"accepted {record.item} ({record.data.get('why', '')})"
    parts = [_arrow(op.get("item"), op) for op in ops[:4]]
    return ", ".join(parts) + (f" and {len(ops) - 4} more" if len(ops) > 4 else "")


def _decision(record: Record) -> str:
    new = record.data["new"]
    return f"{new.get('outcome')}: {new.get('reason')}"


def _cost(record: Record) -> str:
    new = record.data["new"]
    return f"{record.item} {new.get('amount')} {new.get('note', '')}".rstrip()


def _plan(record: Record) -> str:
    new = record.data["new"]
    kept, lost = len(new.get("accepted", ())), len(new.get("lost", ()))
    text = f"{record.item} {new['boxes']} boxes, {new['blanks']} blanks"
    return text + (f", {kept} reworded" if kept else "") + (f", {lost} gone" if lost else "")


def _many(record: Record) -> str:
    return f"{len(record.data['new'])} from {record.item}"


_WAYS: dict[str, Callable[[Record], str]] = {
    "verdict": _verdicts, "hand_edit": _hand_edit, "decision": _decision, "cost": _cost,
    "costs": _many, "measured": _many, "reanchor": _plan, "import": _plan,
}  # fmt: skip


def describe(record: Record) -> str:
    """Item, old and new value, or what else the record holds; without control characters."""
    data = record.data
    try:
        if "ops" in data:
            prefix = (
                "" if record.do == "hand_edit" else "back: " if record.do == "undo" else "again: "
            )
            text = prefix + _hand_edit(record)
        elif record.do in _WAYS:
            text = _WAYS[record.do](record)
        elif "new" in data and not isinstance(data["new"], dict | list):
            text = _arrow(record.item, data)
        else:
            text = f"{data.get('of', '')} {record.item}".strip()
    except (AttributeError, KeyError, TypeError):
        text = f"{record.item} (not readable)"
    return visible(" ".join(text.split()))


def why(record: Record) -> str:
    """The reason that a record gives, or an empty string."""
    reason = record.data.get("why")
    return visible(reason) if isinstance(reason, str) and record.do != "hand_edit" else ""


def notice(record: Record) -> str:
    """What is said when somebody else's record arrives: `S0.S4 done by cli:ana`."""
    item, new = record.item, record.data.get("new")
    if record.do in ("tick", "waive", "undo", "redo", "field") and (
        new is None or isinstance(new, str)
    ):
        return visible(
            f"{item} {'undone ' if record.do == 'undo' else ''}{new or 'emptied'} by {record.by}"
        )
    return visible(f"{record.do} {describe(record)[:60]} by {record.by}")
