"""docs/conformance.md names tests and code that exist, and every standard that the code cites."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGE, ROOT, modules
from twistmail.servers.imap.capabilities import AFTER_LOGIN, EVERYWHERE, words

TEXT = (ROOT / "docs" / "conformance.md").read_text("utf-8")
TEST = re.compile(r"`(tests/[^`:]+)(?:::([^`]+))?`")
CITED = re.compile(r"RFC (\d+)")


def rows(heading: str) -> list[list[str]]:
    """The table below *heading*, a list of cells for each row."""
    table = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("path", "name"), sorted(set(TEST.findall(TEXT))))
def test_a_test_that_is_named_exists(path, name):
    assert (ROOT / path).is_file(), f"there is no {path}"
    assert not name or name in functions(ROOT / path), f"there is no {name} in {path}"


SAID = ("Rows", "Features", "IMAP capabilities")


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for heading in SAID for row in rows(heading)])
def test_a_row_says_how_it_stands_and_why_we_know(row):
    assert len(row) == 4
    status = row[2]
    assert status.startswith(("done", "partly: ", "later"))
    assert bool(TEST.search(row[3])) == (not status.startswith("later"))


def test_every_standard_that_the_code_cites_is_listed():
    listed = {number for row in rows("Standards") for number in CITED.findall(row[0])}
    cited = {number for path in modules().values() for number in CITED.findall(path.read_text("utf-8"))}
    assert sorted(cited - listed) == []


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0]) for row in rows("Standards") if row[4]])
def test_a_standard_that_is_kept_is_cited_where_it_is_kept(row):
    paths = [PACKAGE / name for name in re.findall(r"`([^`]+)`", row[4])]
    assert [str(path) for path in paths if not path.is_file()] == []
    assert [str(path) for path in paths if not re.search(rf"{row[0]}(?!\d)", path.read_text("utf-8"))] == []
    assert TEST.search(row[5]), "no test says so"


def test_no_standard_is_listed_twice():
    numbers = [number for row in rows("Standards") for number in CITED.findall(row[0])]
    assert sorted(numbers) == sorted(set(numbers))


def test_what_imap_says_it_can_is_in_the_table_and_nothing_else():
    done = {row[0] for row in rows("IMAP capabilities") if row[2].startswith("done")}
    assert {*words(EVERYWHERE), *words(AFTER_LOGIN)} == done
