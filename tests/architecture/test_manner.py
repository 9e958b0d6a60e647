"""What STYLE.md asks for and a program can count."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import ROOT, functions, modules, tree
from tests.conftest import LONGEST, TESTS

LONGEST_FILE = 500
LONGEST_FUNCTION = 50
#: (module, attribute) that would make a function give another answer tomorrow.
CLOCKS = {("time", "time"), ("time", "monotonic"), ("time", "sleep"), ("datetime", "now"), ("datetime", "utcnow"), ("date", "today")}


@pytest.mark.parametrize("name", modules())
def test_a_module_says_what_it_does_and_fits_on_the_table(name):
    text = modules()[name].read_text(encoding="utf-8")
    assert ast.get_docstring(tree(modules()[name])), f"{name} has no module note"
    assert text.count("\n") <= LONGEST_FILE, f"{name} has two ideas in one room"


@pytest.mark.parametrize("name", [name for name, path in modules().items() if path.name == "__init__.py"])
def test_a_package_holds_a_note_and_nothing_else(name):
    assert [type(node).__name__ for node in tree(modules()[name]).body] == ["Expr"]


def test_functions_are_short():
    assert [where for where, function in functions() if function.end_lineno - function.lineno >= LONGEST_FUNCTION] == []


@pytest.mark.parametrize("name", [name for name in modules() if name.split(".")[0] in ("mail", "wire")])
def test_mail_and_wire_do_not_wait_and_do_not_look_at_a_clock(name):
    for node in ast.walk(tree(modules()[name])):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith), f"{name}:{node.lineno} waits"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in CLOCKS, f"{name}:{node.lineno} looks at a clock"


@pytest.mark.parametrize("name", modules())
def test_the_reactor_is_an_argument(name):
    for node in tree(modules()[name]).body:
        if isinstance(node, ast.ImportFrom):
            assert not (node.module == "twisted.internet" and any(alias.name == "reactor" for alias in node.names))
            assert node.module != "twisted.internet.reactor"


@pytest.mark.parametrize("name", modules())
def test_nothing_hides_behind_type_checking(name):
    assert not any(isinstance(node, ast.Name) and node.id == "TYPE_CHECKING" for node in ast.walk(tree(modules()[name])))


def test_the_plugin_folder_is_no_package():
    assert list((ROOT / "twisted").rglob("__init__.py")) == []


def test_plugin_modules_hold_no_logic():
    for path in (ROOT / "twisted").rglob("*.py"):
        kinds = {type(node) for node in tree(path).body}
        assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign}, f"{path} does more than name its parts"


def test_the_test_files_that_run_first_are_there():
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
