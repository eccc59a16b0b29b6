"""Text of hosts, plans and people is never read as markup: `[/]` would end the app, `[x]` would vanish."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIDGETS = {"Static", "Label"}


def is_constant(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) or node is None


def problems(source: str) -> list[str]:
    """Calls that would interpret text as markup."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = (
            node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        )
        keywords = {k.arg: k.value for k in node.keywords}
        off = isinstance(keywords.get("markup"), ast.Constant) and keywords["markup"].value is False
        if name in WIDGETS and not off:
            found.append(f"line {node.lineno}: {name} without markup=False")
        if name == "notify" and not off and not all(is_constant(a) for a in node.args):
            found.append(f"line {node.lineno}: notify of changing text without markup=False")
        if name in ("from_markup", "from_rich_text"):
            found.append(f"line {node.lineno}: {name}")
        if name == "Option" and node.args and not isinstance(node.args[0], ast.Call):
            found.append(f"line {node.lineno}: Option of bare text")
    return found


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tui").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_no_call_reads_text_as_markup(path: Path) -> None:
    assert problems(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "bad",
    [
        "Static(text)",
        "Label(text, id='x')",
        "self.notify(text)",
        "Content.from_markup(text)",
        "Option(text)",
    ],
)
def test_the_guard_catches_what_it_guards_against(bad: str) -> None:
    assert problems(bad)


def test_the_guard_lets_safe_calls_pass() -> None:
    assert problems("Static(text, markup=False); self.notify('fixed'); Option(Content(text))") == []
