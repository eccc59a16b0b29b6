"""Rules over texts and test reports: a section that is no stub, browser tests that passed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from tui.roadmap.rules.base import Context, Finding, InsidePath, Name, Positive, Rule, judge, warn
from tui.roadmap.rules.paths import MadeParams, matching, not_yet, read_json
from tui.settings import Settings


class SectionParams(MadeParams):
    """A LaTeX or Markdown text with a section whose title holds one of `titles`, of `words` or more."""

    titles: Annotated[tuple[Name, ...], Field(min_length=1)]
    words: Positive = 100

    def expects(self, settings: Settings) -> str:
        del settings
        return f"{self.path}: a section on {' or '.join(self.titles)} of {self.words} words or more"


_HEAD = re.compile(
    r"^(?:\\(?:sub){0,2}section\*?\{([^{}\n]{1,300})\}|#{1,6}[ \t]+([^\n]{1,300}))", re.M
)


def sections(text: str) -> list[tuple[str, int]]:
    """(title, words below it up to the next title) of a LaTeX or Markdown text, comments left out."""
    bare = re.sub(r"(?<!\\)%[^\n]*", "", text)
    marks = list(_HEAD.finditer(bare))
    ends = [m.start() for m in marks[1:]] + [len(bare)]
    out = []
    for mark, end in zip(marks, ends, strict=True):
        body = re.sub(r"\\[a-zA-Z]+\*?", " ", bare[mark.end() : end])
        out.append(((mark.group(1) or mark.group(2)).strip(), len(re.findall(r"\w+", body))))
    return out


def _section(root: Path, params: SectionParams) -> Finding:
    expected = params.expects(Settings())
    paths = matching(root, params.path)
    if not paths:
        return not_yet(params.path, params.made_by, expected)
    found = []
    for path in paths[:50]:
        found += sections(path.read_bytes()[: 8 * 2**20].decode("utf-8", "replace"))
    wanted = [t.casefold() for t in params.titles]
    fitting = [(t, n) for t, n in found if any(w in t.casefold() for w in wanted)]
    if not fitting:
        return judge(False, expected, f"{len(found)} sections", "no section has that title")
    words = sum(n for _, n in fitting)
    text = f"“{fitting[0][0][:60]}”, {words} words"
    return judge(words >= params.words, expected, text, text)


async def section(ctx: Context, params: SectionParams) -> Finding:
    """The section is there and no stub; whether it is good is for a person to say."""
    return await asyncio.to_thread(_section, ctx.root, params)


class SpecParams(MadeParams):
    """Browser tests in a Playwright JSON report whose title holds `title`."""

    path: InsidePath = "dashboard/test-results.json"
    title: Name

    def expects(self, settings: Settings) -> str:
        del settings
        return f"browser tests on “{self.title}” pass"


def _specs(suite: Any, depth: int = 0) -> list[tuple[str, bool]]:
    if not isinstance(suite, dict) or depth > 20:
        return []
    found = []
    for spec in suite.get("specs") or []:
        if isinstance(spec, dict):
            title = f"{suite.get('title', '')} {spec.get('title', '')}"
            found.append((title, spec.get("ok") is True))
    for inner in suite.get("suites") or []:
        found += _specs(inner, depth + 1)
    return found


async def spec(ctx: Context, params: SpecParams) -> Finding:
    """Every test on it passed in the last run."""
    expected = params.expects(ctx.ws.settings)
    paths = matching(ctx.root, params.path)
    if not paths:
        return not_yet(params.path, params.made_by or "the dashboard's tests", expected)
    data = await asyncio.to_thread(read_json, paths[0])
    wanted = params.title.casefold()
    results = [ok for title, ok in _specs(data) if wanted in title.casefold()]
    if not results:
        return warn(judge(True, expected, "no such test"), f"no test speaks of “{params.title}”")
    found = f"{sum(results)} of {len(results)} pass"
    return judge(all(results), expected, found, found)


RULES = {"section": Rule(SectionParams, section), "browser-test": Rule(SpecParams, spec)}
