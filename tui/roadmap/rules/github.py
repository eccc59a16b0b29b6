"""Rules over repositories on GitHub, asked without an account."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from pydantic import Field

from tui.roadmap.computed import effective_fields
from tui.roadmap.public import Answer
from tui.roadmap.rules.base import (
    Context,
    Finding,
    InsidePath,
    Name,
    Positive,
    ProbeFailed,
    Rule,
    judge,
    skip,
)
from tui.roadmap.rules.jsonfile import pick
from tui.roadmap.rules.paths import matching, not_yet, read_json
from tui.roadmap.rules.web import NETWORK, Repository, WebParams
from tui.settings import Settings

_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}\Z")
MAX_REPOSITORIES = 60
DAY_MS = 86_400_000


class RepositoriesParams(WebParams):
    """GitHub repositories: `repos`, or those that a JSON file lists at dotted paths.

    `least` and `most` bound how many there are, `licenses` what each may have, `stars_above` is strict.
    """

    repos: tuple[Repository, ...] = ()
    file: InsidePath | None = None
    at: tuple[str, ...] = ()
    least: Positive = 1
    most: Positive = MAX_REPOSITORIES
    licenses: tuple[str, ...] = ()
    stars_above: Annotated[int, Field(ge=0)] | None = None

    def expects(self, settings: Settings) -> str:
        del settings
        parts = [f"{self.least} to {self.most} GitHub repositories that exist"]
        parts += [f"licensed {' or '.join(self.licenses)}"] if self.licenses else []
        parts += [f"more than {self.stars_above} stars"] if self.stars_above is not None else []
        return ", ".join(parts)


async def _github(ctx: Context, path: str) -> Answer:
    answer = await ctx.public.get(f"{ctx.ws.settings.public.github.rstrip('/')}{path}")
    if answer.status in (403, 429):
        raise ProbeFailed(
            "limit", "GitHub answers no more for now (its limit without an account); try later"
        )
    return answer


def _listed(ctx: Context, params: RepositoriesParams) -> list[str] | None:
    if params.repos:
        return list(params.repos)
    paths = matching(ctx.root, params.file) if params.file else []
    if not paths:
        return None
    data = read_json(paths[0])
    found = [value for at in params.at for value in pick(data, at)]
    return list(dict.fromkeys(str(value) for value in found))


async def repositories(ctx: Context, params: RepositoriesParams) -> Finding:
    """Each repository exists and is what a source must be; values and day are kept as evidence."""
    expected = params.expects(ctx.ws.settings)
    names = await asyncio.to_thread(_listed, ctx, params)
    if names is None:
        return not_yet(params.file or "list of repositories", "choosing the sources", expected)
    problems = []
    if not params.least <= len(names) <= params.most:
        problems.append(f"{len(names)} repositories are listed")
    facts: dict[str, Any] = {}
    for name in names[:MAX_REPOSITORIES]:
        if not _REPOSITORY.match(name):
            problems.append(f"“{name[:60]}” is no owner/name")
            continue
        answer = await _github(ctx, f"/repos/{name}")
        if answer.status != 200:
            problems.append(f"{name} answers {answer.status}")
            continue
        data = answer.json()
        license_ = data.get("license") if isinstance(data, dict) else None
        spdx = str(license_.get("spdx_id")) if isinstance(license_, dict) else "none"
        stars = data.get("stargazers_count") if isinstance(data, dict) else None
        facts[name] = {"license": spdx, "stars": stars}
        if params.licenses and spdx not in params.licenses:
            problems.append(f"{name} is licensed {spdx}")
        if params.stars_above is not None and not (
            isinstance(stars, int) and stars > params.stars_above
        ):
            problems.append(f"{name} has {stars} stars")
    found = f"{len(facts)} of {len(names)} found"
    day = datetime.now(UTC).date().isoformat()
    result = judge(
        not problems, expected, found, "; ".join(problems[:5]), repositories=facts, asked_on=day
    )
    return replace(result, by="public:github")


class ProjectParams(WebParams):
    """The project's own repository, `[public] repository` of the settings unless named here."""

    repository: str = ""

    def shown(self, settings: Settings) -> str:
        """The repository in words."""
        return self.repository or settings.public.repository or "the repository"

    def name(self, settings: Settings) -> str:
        """owner/name, "" where nothing names it. Raises ProbeFailed for anything else."""
        found = self.repository or settings.public.repository
        if found and not _REPOSITORY.match(found):
            raise ProbeFailed("repository", f"“{found[:60]}” is no owner/name")
        return found


NO_REPOSITORY = "gonogo.toml names no [public] repository"


class IssuesParams(ProjectParams):
    """Open issues with a label in the project's repository."""

    label: Name = "bug"

    def expects(self, settings: Settings) -> str:
        return f"no open issue labelled {self.label} in {self.shown(settings)}"


async def issues(ctx: Context, params: IssuesParams) -> Finding:
    """Nobody waits for a fix."""
    expected, name = params.expects(ctx.ws.settings), params.name(ctx.ws.settings)
    if not name:
        return skip(NO_REPOSITORY, expected)
    path = f"/repos/{name}/issues?state=open&labels={quote(params.label)}&per_page=100"
    answer = await _github(ctx, path)
    data = answer.json() if answer.status == 200 else None
    if not isinstance(data, list):
        raise ProbeFailed("github", f"GitHub answers {answer.status} for {name}")
    found = [i for i in data if isinstance(i, dict) and "pull_request" not in i]
    return judge(not found, expected, f"{len(found)} open", f"{len(found)} are open")


class ReadmeParams(ProjectParams):
    """A commit on README.md after box `after` was ticked; `link` is a field whose address it must hold."""

    after: Name
    link: str = ""

    def expects(self, settings: Settings) -> str:
        del settings
        link = f" and the address of {self.link}" if self.link else ""
        return f"a commit on README.md since {self.after} was done{link}"


async def readme(ctx: Context, params: ReadmeParams) -> Finding:
    """The README was renewed for the launch."""
    expected, name = params.expects(ctx.ws.settings), params.name(ctx.ws.settings)
    if not name:
        return skip(NO_REPOSITORY, expected)
    tick = ctx.state.ticks.get(params.after)
    if tick is None or not tick.done:
        return skip(f"waits for {params.after}", expected)
    day = tick.at - tick.at % DAY_MS  # the box may have been ticked hours after the launch itself
    since = datetime.fromtimestamp(day / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = await _github(ctx, f"/repos/{name}/commits?path=README.md&since={since}")
    commits = answer.json() if answer.status == 200 else None
    if not isinstance(commits, list):
        raise ProbeFailed("github", f"GitHub answers {answer.status} for {name}")
    problems = [] if commits else [f"no commit on README.md since {since[:10]}"]
    values = effective_fields(ctx.ws.document, ctx.state, ctx.ws.settings)
    if params.link and params.link in values:
        text = await _readme_text(ctx, name)
        wanted = urlsplit(values[params.link].value)
        if f"{wanted.netloc}{wanted.path}".rstrip("/") not in text:
            problems.append(f"it does not hold the address of {params.link}")
    found = f"{len(commits)} commits since {since[:10]}"
    return replace(judge(not problems, expected, found, "; ".join(problems)), by="public:github")


async def _readme_text(ctx: Context, name: str) -> str:
    data = (await _github(ctx, f"/repos/{name}/readme")).json()
    try:
        return base64.b64decode(str(data["content"])).decode("utf-8", "replace")
    except (KeyError, TypeError, binascii.Error):
        return ""


class TagParams(ProjectParams):
    """A tag in the project's repository on GitHub."""

    tag: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/-]{1,100}$")]

    def expects(self, settings: Settings) -> str:
        return f"tag {self.tag} in {self.shown(settings)}"


async def tag(ctx: Context, params: TagParams) -> Finding:
    """The tag was pushed."""
    expected, name = params.expects(ctx.ws.settings), params.name(ctx.ws.settings)
    if not name:
        return skip(NO_REPOSITORY, expected)
    answer = await _github(ctx, f"/repos/{name}/git/ref/tags/{quote(params.tag)}")
    found = f"HTTP {answer.status}"
    return replace(judge(answer.status == 200, expected, found, found), by="public:github")


RULES = {
    "github-repositories": Rule(RepositoriesParams, repositories, NETWORK),
    "github-issues": Rule(IssuesParams, issues, NETWORK),
    "github-readme": Rule(ReadmeParams, readme, NETWORK),
    "github-tag": Rule(TagParams, tag, NETWORK),
}
