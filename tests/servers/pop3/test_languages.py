"""What POP3 says in other languages: all of it, and with the same places for numbers."""

from __future__ import annotations

import ast
from pathlib import Path
from string import Formatter

import pytest

from twistmail.servers.pop3 import languages
from twistmail.wire.pop3 import commands
from twistmail.wire.pop3.server import SENTENCES

SAID_BY = Path(languages.__file__).parent
#: What is said with a sentence.
RESPONSES = {name for name, found in vars(commands).items() if "text" in getattr(found, "__annotations__", {}) and name != "Bad"}
OTHERS = sorted(set(languages.NAMES) - {languages.ENGLISH})


def sentences() -> set[str]:
    """Every English sentence that a session says: the first word of a response, and constants that are one."""
    found = set(SENTENCES)
    for path in SAID_BY.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        constants = {node.targets[0].id: node.value.value for node in tree.body
                     if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RESPONSES and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(first.value)
                elif isinstance(first, ast.Name) and first.id in constants:
                    found.add(constants[first.id])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_listed":
                found.add(node.args[2].value)
    return found - {"", "{} {}"}


def places(sentence: str) -> int:
    return sum(field is not None for _, field, _, _ in Formatter().parse(sentence))


@pytest.mark.parametrize("tag", OTHERS)
def test_every_sentence_is_known_in_every_language_and_no_other(tag: str) -> None:
    assert set(languages.WORDS[tag]) == sentences()


@pytest.mark.parametrize("tag", OTHERS)
def test_every_sentence_has_the_places_of_the_english_one(tag: str) -> None:
    for english, other in languages.WORDS[tag].items():
        assert places(english) == places(other)
        assert other.isprintable()
        assert len(other.encode()) < 300


@pytest.mark.parametrize(("wanted", "tag"), [
    pytest.param("de", "de", id="itself"),
    pytest.param("de-at-1996", "de", id="one-that-is-nearer"),
    pytest.param("d", None, id="the-beginning-of-one"),
    pytest.param("mul", None, id="unknown"),
    pytest.param("", None, id="none"),
])
def test_which_language_is_meant(wanted: str, tag: str | None) -> None:
    assert languages.matching(wanted) == tag
