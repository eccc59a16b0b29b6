"""The vocabulary of `bindings.toml`: rule name to its parameters and its check.

A new kind of evidence is a module with a `RULES` table and one more name below.
"""

from __future__ import annotations

from tui.roadmap.rules import (
    artifacts,
    containers,
    desk,
    facts,
    files,
    github,
    hosts,
    jsonfile,
    launch,
    machine,
    plan,
    repository,
    runs,
    scores,
    texts,
    tracking,
    training,
    web,
)
from tui.roadmap.rules.base import Rule

MODULES = (
    artifacts, containers, desk, facts, files, github, hosts, jsonfile, launch, machine, plan, repository,
    runs, scores, texts, tracking, training, web,
)  # fmt: skip
RULES: dict[str, Rule] = {name: rule for module in MODULES for name, rule in module.RULES.items()}
"""Every rule that a binding may name."""
