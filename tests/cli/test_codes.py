"""Every answer that this server can give is explained, and by what it says alone where its code means several things."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from twistmail.cli.codes import look_up
from twistmail.cli.meanings import MEANINGS
from twistmail.sections import BUILT_IN

PACKAGE = Path(__file__).parents[2] / "twistmail"
SOURCES = [*PACKAGE.glob("servers/smtp/*.py"), *PACKAGE.glob("policy/*.py"), *PACKAGE.glob("wire/smtp/*.py"), PACKAGE / "mailflow.py",
           PACKAGE / "expansion.py", PACKAGE / "mail" / "status.py", PACKAGE / "servers" / "refusal.py"]  # fmt: skip
CLIENT = {PACKAGE / "wire" / "smtp" / "client.py"}


def refusals() -> Iterator[object]:
    """All of Status(code, enhanced, text) and BadSyntax(...) with a code from 400 on; "" for a text that is put together."""
    for path in sorted({*SOURCES} - CLIENT):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Status", "BadSyntax")):
                continue
            values = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
            if len(values) == 3 and isinstance(values[0], int) and values[0] >= 400 and values[1]:
                yield pytest.param(values[0], values[1], values[2] or "", id=f"{path.stem}-{node.lineno}")


@pytest.mark.parametrize(("code", "enhanced", "text"), list(refusals()))
def test_a_refusal_is_explained(code: int, enhanced: str, text: str) -> None:
    found = look_up(f"{code} {enhanced} {text}")
    assert {(meaning.code, meaning.enhanced) for meaning in found} == {(str(code), enhanced)}, "a line in cli/meanings.py is missing"
    assert all(meaning in MEANINGS for meaning in found), "a line in cli/meanings.py is missing"
    if text:
        assert len(found) == 1 or not any(meaning.words for meaning in found), f"which of these is it? {found}"


def test_the_words_of_each_meaning_are_said_somewhere() -> None:
    elsewhere = [PACKAGE / "relay" / "parameters.py", PACKAGE / "leaving" / "forwarding.py"]
    source = "\n".join(path.read_text("utf-8") for path in [*SOURCES, *elsewhere])
    assert [meaning.words for meaning in MEANINGS if meaning.words and meaning.words.lower() not in source.lower()] == []


def test_the_settings_are_there() -> None:
    """Each word of a setting is an option of ours, of the section in brackets before it where there is one."""
    options = {section.name: {option.key for option in section.options} for section in BUILT_IN}
    everywhere = set().union(*options.values())
    for meaning in MEANINGS:
        known = everywhere
        for word in re.sub(r"\(.*?\)", "", meaning.setting).replace(",", " ").split():
            if word.startswith("["):
                known = options[word.strip("[]").partition(":")[0]]
            else:
                assert word in known, f"{meaning.setting}: there is no {word}"
