"""`asyncio.wait_for` of Python 3.11 loses a cancellation that meets the awaited thing's completion."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The program on the hosts has no asyncio at all.
PATHS = sorted(path for room in ("tui", "agents") for path in (ROOT / room).rglob("*.py"))


def problems(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "asyncio.wait_for":
            found.append(f"line {node.lineno}: asyncio.wait_for, use asyncio.timeout")
        if isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            names = [alias.name for alias in node.names if alias.name in ("wait_for", "*")]
            found += [f"line {node.lineno}: {name} of asyncio" for name in names]
    return found


@pytest.mark.parametrize("path", PATHS, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_waits_with_wait_for(path: Path) -> None:
    assert problems(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "bad", ["await asyncio.wait_for(x, 1)", "from asyncio import wait_for", "from asyncio import *"]
)
def test_the_guard_catches_what_it_guards_against(bad: str) -> None:
    assert problems(bad)


def test_the_guard_lets_safe_calls_pass() -> None:
    assert problems("async def f():\n async with asyncio.timeout(1):\n  await x") == []
