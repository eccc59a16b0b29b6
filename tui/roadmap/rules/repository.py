"""The rule over a git repository on the laptop: its own files are read, no git is run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tui.roadmap.rules.base import Context, Finding, InsidePath, Params, Rule, judge, skip
from tui.settings import Settings


class GitParams(Params):
    """The repository of the workspace, or one inside it: on a branch, with a tag, with a file in it."""

    path: InsidePath = "."
    branch: str = ""
    tag: str = ""
    file: InsidePath | None = None

    def expects(self, settings: Settings) -> str:
        del settings
        parts = [f"a git repository at {self.path}"]
        parts += [f"on {self.branch}"] if self.branch else []
        parts += [f"with tag {self.tag}"] if self.tag else []
        parts += [f"with {self.file}"] if self.file else []
        return " ".join(parts)


def _git_folder(start: Path) -> Path | None:
    """The `.git` folder at or above `start`; a worktree's file of that name is followed once."""
    for folder in (start, *start.parents):
        found = folder / ".git"
        if found.is_dir():
            return found
        if found.is_file():
            text = found.read_text(encoding="utf-8", errors="replace")[:4096]
            return (folder / text.removeprefix("gitdir:").strip()).resolve()
    return None


def _refs(git: Path) -> dict[str, str]:
    """Ref name to commit, packed ones included."""
    common = git / "commondir"
    base = (git / common.read_text().strip()).resolve() if common.is_file() else git
    refs = {}
    packed = base / "packed-refs"
    if packed.is_file():
        for line in packed.read_text(encoding="utf-8", errors="replace").splitlines():
            digest, _, name = line.partition(" ")
            if name.startswith("refs/"):
                refs[name] = digest
    for path in (base / "refs").rglob("*"):
        if path.is_file():
            refs[path.relative_to(base).as_posix()] = path.read_text(errors="replace").strip()
    return refs


def _git(root: Path, params: GitParams) -> Finding:
    """Read from git's own files: running git could run what the repository's settings name."""
    expected = params.expects(Settings())
    git = _git_folder((root / params.path).resolve())
    if git is None or not (git / "HEAD").is_file():
        return skip(f"there is no git repository at {params.path} yet", expected)
    head, refs = (git / "HEAD").read_text(errors="replace").strip(), _refs(git)
    name = head.removeprefix("ref:").strip() if head.startswith("ref:") else ""
    commit = refs.get(name, "") if name else head
    branch = name.removeprefix("refs/heads/")
    problems = [] if commit else ["it has no commit yet"]
    if params.branch and branch != params.branch:
        problems.append(f"it is on {branch or 'no branch'}")
    if params.tag and f"refs/tags/{params.tag}" not in refs:
        problems.append(f"there is no tag {params.tag}")
    if params.file and not (root / params.path / params.file).is_file():
        problems.append(f"{params.file} is not there")
    found = f"{branch or 'no branch'} at {commit[:12] or 'no commit'}"
    return judge(not problems, expected, found, "; ".join(problems), commit=commit)


async def git(ctx: Context, params: GitParams) -> Finding:
    """The repository is as it should be."""
    return await asyncio.to_thread(_git, ctx.root, params)


RULES = {"git": Rule(GitParams, git)}
