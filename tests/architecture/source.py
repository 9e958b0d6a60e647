"""The source of twistmail as data: modules, what they import, what they define. For the tests in this folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "twistmail"


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name, without "twistmail."; the package itself is not among them."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        if name:
            found[name] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Dotted names of all that *path* imports, wherever in it; `from a import b` counts as a.b."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            found += [f"{node.module}.{name.name}" for name in node.names]
    return tuple(found)


def own_imports(name: str) -> Iterator[str]:
    """The modules of ours that module *name* imports, without "twistmail."."""
    for imported in imports(modules()[name]):
        top, _, rest = imported.partition(".")
        if top == "twistmail" and rest:
            # `from twistmail.mail.status import Status` names a module and something in it
            yield rest if rest in modules() else rest.rpartition(".")[0]


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function and method, with "module:line"."""
    for name, path in modules().items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno} {node.name}", node
