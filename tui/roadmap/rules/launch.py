"""Rules over the launch: arXiv, Hacker News, YouTube, Semantic Scholar."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit
from xml.parsers import expat

from tui.roadmap.rules.base import Context, Finding, ProbeFailed, Rule, judge, skip
from tui.roadmap.rules.web import NETWORK, SourceParams, addresses, no_address
from tui.settings import Settings

_ARXIV = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?")


class PaperParams(SourceParams):
    """A paper on arXiv, found by the id in an address; `fill` takes its address."""

    fill: str = ""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"one entry on arXiv for the id in {self.place}"


def arxiv_id(text: str) -> str:
    """The arXiv id in an address or text, without its version; "" where there is none."""
    found = _ARXIV.search(text)
    return found.group(1) if found else ""


def _titles(blob: bytes) -> list[str]:
    """Ids of the entries of an Atom feed. Raises ProbeFailed."""
    path: list[str] = []
    found: list[str] = []
    parser = expat.ParserCreate()

    def start(name: str, _attributes: Mapping[str, str]) -> None:
        path.append(name.rsplit(":", 1)[-1])
        if path[-2:] == ["entry", "id"]:
            found.append("")

    def data(text: str) -> None:
        if path[-2:] == ["entry", "id"]:
            found[-1] += text

    def refuse(*_: object) -> None:
        raise ProbeFailed("xml", "the feed declares entities")

    parser.StartElementHandler, parser.CharacterDataHandler = start, data
    parser.EndElementHandler = lambda _name: path.pop()
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(blob, True)
    except expat.ExpatError:
        raise ProbeFailed("xml", "arXiv did not answer with a feed") from None
    return found


async def arxiv(ctx: Context, params: PaperParams) -> Finding:
    """arXiv knows the paper."""
    expected = params.expects(ctx.ws.settings)
    found = await asyncio.to_thread(addresses, ctx, params)
    if not found:
        return no_address(params, expected)
    paper = arxiv_id(found[0])
    if not paper:
        return judge(False, expected, found[0][:80], f"“{found[0][:60]}” holds no arXiv id")
    base = ctx.ws.settings.public.arxiv.rstrip("/")
    answer = await ctx.public.get(f"{base}/api/query?id_list={quote(paper)}&max_results=2")
    if answer.status != 200:
        raise ProbeFailed("arxiv", f"arXiv answers {answer.status}")
    entries = [entry for entry in _titles(answer.body) if arxiv_id(entry) == paper]
    result = judge(
        len(entries) == 1, expected, f"{len(entries)} entries for {paper}", "it is not there yet"
    )
    fills = {params.fill: f"https://arxiv.org/abs/{paper}"} if params.fill and entries else {}
    return replace(result, by="public:arxiv", fills=fills)


class SearchParams(SourceParams):
    """A story on Hacker News about an address."""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"at least one story on Hacker News about {self.place}"


async def hacker_news(ctx: Context, params: SearchParams) -> Finding:
    """Somebody posted it."""
    expected = params.expects(ctx.ws.settings)
    found = await asyncio.to_thread(addresses, ctx, params)
    if not found:
        return no_address(params, expected)
    parts = urlsplit(found[0])
    what = quote(f"{parts.netloc}{parts.path}".rstrip("/") or found[0], safe="")
    base = ctx.ws.settings.public.hacker_news.rstrip("/")
    answer = await ctx.public.get(
        f"{base}/api/v1/search?query={what}&restrictSearchableAttributes=url"
    )
    data = answer.json() if answer.status == 200 else {}
    hits = data.get("nbHits") if isinstance(data, dict) else None
    if not isinstance(hits, int):
        raise ProbeFailed("hn", f"Hacker News answers {answer.status}")
    return replace(
        judge(hits >= 1, expected, f"{hits} stories", "there is none yet"), by="public:hn"
    )


class VideoParams(SourceParams):
    """A video that YouTube shows to everybody."""

    def expects(self, settings: Settings) -> str:
        del settings
        return f"YouTube shows the video of {self.place}"


async def video(ctx: Context, params: VideoParams) -> Finding:
    """YouTube's oEmbed answer for the address."""
    expected = params.expects(ctx.ws.settings)
    found = await asyncio.to_thread(addresses, ctx, params)
    if not found:
        return no_address(params, expected)
    base = ctx.ws.settings.public.youtube.rstrip("/")
    answer = await ctx.public.get(f"{base}/oembed?format=json&url={quote(found[0], safe='')}")
    title = answer.json().get("title", "") if answer.status == 200 else ""
    shown = f"HTTP {answer.status} {str(title)[:60]}".strip()
    return replace(judge(answer.status == 200, expected, shown, shown), by="public:youtube")


class CitationsParams(SourceParams):
    """How often Semantic Scholar counts a paper as cited; a number to look at."""

    def expects(self, settings: Settings) -> str:
        del settings
        return "a citation count from Semantic Scholar"


async def citations(ctx: Context, params: CitationsParams) -> Finding:
    """The count of today."""
    expected = params.expects(ctx.ws.settings)
    found = await asyncio.to_thread(addresses, ctx, params)
    paper = arxiv_id(found[0]) if found else ""
    if not paper:
        return no_address(params, expected)
    base = ctx.ws.settings.public.scholar.rstrip("/")
    path = f"{base}/graph/v1/paper/arXiv:{quote(paper)}?fields=citationCount"
    answer = await ctx.public.get(path)
    data = answer.json() if answer.status == 200 else {}
    count = data.get("citationCount") if isinstance(data, dict) else None
    if not isinstance(count, int):
        return skip(f"Semantic Scholar does not know {paper} yet", expected)
    return replace(judge(True, expected, f"cited {count} times"), by="public:scholar")


RULES = {
    "arxiv": Rule(PaperParams, arxiv, NETWORK),
    "hacker-news": Rule(SearchParams, hacker_news, NETWORK),
    "youtube": Rule(VideoParams, video, NETWORK),
    "citations": Rule(CitationsParams, citations, NETWORK),
}
