"""The filter line: words, `is:open`, `is:fail`, `who:tower`, `stage:2`; `-` before a term turns it round.

All terms must hold. `stage:` also says where to look: without it in the stage that is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tui.roadmap.document import Box, Document, Section
from tui.roadmap.progress import BoxStatus
from tui.roadmap.records import Record

IS_TICK = ("open", "done", "partial", "waived", "na")
IS_VERDICT = ("pass", "warn", "fail", "error", "timeout", "unreachable", "skip", "stale")
IS_BOX = ("auto", "manual", "computed", "optional", "verified")
IS_WORDS = (*IS_TICK, *IS_VERDICT, *IS_BOX)
_SAME = {"ok": "pass", "old": "stale", "slow": "timeout", "err": "error", "ticked": "done"}
HINT = "words, is:open, is:fail, who:tower, stage:2, stage:all, -word"


@dataclass(frozen=True, slots=True)
class Term:
    """One term: `key` is "", "is", "who" or "stage"."""

    key: str
    value: str
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed filter line. `problem` is a sentence about a term that nothing can match, or ""."""

    terms: tuple[Term, ...] = ()
    problem: str = ""

    def sections(self, document: Document) -> list[Section] | None:
        """The sections that `stage:` terms name, None without such a term."""
        wanted = [t for t in self.terms if t.key == "stage"]
        if not wanted:
            return None
        return [
            s for s in document.all_sections if s.groups and any(_is_stage(t, s) for t in wanted)
        ]

    @property
    def by_words(self) -> bool:
        """True where only words were typed, so that blanks can match too."""
        return all(t.key in ("", "stage") for t in self.terms)

    def words_in(self, text: str) -> bool:
        """True where the words hold for a text."""
        low = text.casefold()
        return all((t.value in low) != t.negative for t in self.terms if t.key == "")

    def box(self, box: Box, status: BoxStatus, hosts: Mapping[str, str]) -> bool:
        """True where all terms hold for a box; `hosts` says which host the check of a box asks."""
        return self.words_in(f"{box.id} {box.label}") and all(
            _holds(t, box, status, hosts.get(box.id, "")) != t.negative
            for t in self.terms
            if t.key in ("is", "who")
        )

    def record(self, record: Record, line: str) -> bool:
        """True where all terms hold for a record; `is:` names its action, `stage:` its section."""
        return self.words_in(line) and all(
            _of_record(t, record) != t.negative for t in self.terms if t.key
        )


def parse(text: str, actions: tuple[str, ...] = ()) -> Query:
    """Reads a filter line; never fails. `actions` are what `is:` may name besides (journal)."""
    terms, problem = [], ""
    for word in text.casefold().split():
        negative = word.startswith("-") and len(word) > 1
        bare = word[1:] if negative else word
        key, colon, value = bare.partition(":")
        if not (colon and key in ("is", "who", "stage", "phase")):
            terms.append(Term("", bare, negative))
        elif value:
            known = actions or IS_WORDS
            value = _SAME.get(value, value) if key == "is" and not actions else value
            if key == "is" and not any(w.startswith(value) for w in known):
                problem = f"is:{value} is nothing; there are {', '.join(known)}"
            value = f"p{value}" if key == "phase" and value.isdecimal() else value
            terms.append(Term("stage" if key == "phase" else key, value, negative))
    return Query(tuple(terms), problem)


def _is_stage(term: Term, section: Section) -> bool:
    low = section.id.casefold()
    found = term.value in ("all", "*", low, section.short.casefold())
    return (found or low == f"s{term.value}") != term.negative


def _holds(term: Term, box: Box, status: BoxStatus, host: str) -> bool:
    verdict = status.verdict
    if term.key == "who":
        who = [status.by, verdict.by if verdict else "", host]
        return any(term.value in name.casefold() for name in who)
    traits = {
        status.tick,
        verdict.verdict.lower() if verdict else "",
        "verified" if verdict else "",
        "auto" if host else "manual",
        "computed" if box.computed or box.kind == "tracker" else "",
        "optional" if box.optional else "",
    } - {""}
    return any(trait.startswith(term.value) for trait in traits)


def _of_record(term: Term, record: Record) -> bool:
    if term.key == "who":
        return term.value in record.by.casefold()
    if term.key == "is":
        return record.do.startswith(term.value) or (term.value == "hand" and record.hand)
    head = record.item.casefold().split(".", 1)[0]
    return term.value in ("all", "*", head) or head == f"s{term.value}"
