"""Cut a module's source down to what its user needs.

The NVML bindings are 8,000 lines, of which a reading uses a few hundred; compiled whole they
cost a host 15 MB of memory and every connection 50 KiB.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable


def names_used(source: str, module: str) -> set[str]:
    """The attributes that a source reads of `module` or of an object's ``_module``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value
            plain = isinstance(owner, ast.Name) and owner.id == module
            if plain or (isinstance(owner, ast.Attribute) and owner.attr == "_" + module):
                found.add(node.attr)
    return found


def trim(source: str, roots: Iterable[str], prefixes: tuple[str, ...] = ()) -> str:
    """`source` with only those top-level definitions that `roots` need, in their order.

    Statements that define no name (imports, calls) and names that begin with one of
    `prefixes` always stay, with all they mention. Line numbers of tracebacks stay right:
    what goes is replaced by empty lines. Raises SyntaxError.
    """
    tree = ast.parse(source)
    defined: dict[str, list[ast.stmt]] = {}
    wanted = set(roots)
    kept: set[ast.stmt] = set()
    queue: list[ast.stmt] = []
    for statement in tree.body:
        names = _defines(statement)
        for name in names:
            defined.setdefault(name, []).append(statement)
        if not names or any(name.startswith(prefixes) for name in names if prefixes):
            queue.append(statement)
    queue += [statement for name in wanted for statement in defined.get(name, ())]
    while queue:
        statement = queue.pop()
        if statement in kept:
            continue
        kept.add(statement)
        for name in _mentions(statement):
            queue += defined.get(name, ())
    lines = source.splitlines()
    result = [""] * len(lines)
    for statement in kept:
        decorators = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(d.lineno for d in decorators)]) - 1
        result[first : statement.end_lineno] = lines[first : statement.end_lineno]
    return "\n".join(result) + "\n"


def _defines(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _mentions(statement: ast.stmt) -> set[str]:
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    # Functions are also looked up by the text of their name.
    return names | {
        node.value
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
