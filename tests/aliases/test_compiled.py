"""newaliases (row R31): what it counts, what it leaves alone, and that an edit waits for it where that is asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.aliases.sources import alias_file
from tests.helpers import result_of
from twistmail.aliases import compiled
from twistmail.interfaces import Unavailable
from twistmail.mail.address import parse
from twistmail.watched import Broken

DOMAINS = frozenset({"dom1.test"})


def where(path: Path, name: str, folder: Path) -> list[str]:
    aliases = alias_file(path, DOMAINS, compiled=compiled.place_of(path, folder))
    return [str(goal) for goal in result_of(aliases.lookup(parse(name))).goals]


def test_it_counts_aliases_and_octets(tmp_path: Path) -> None:
    (tmp_path / "aliases").write_text("# a\nflintstone: fred\nauthors: tom, dick,\n  harry\n")
    assert str(compiled.tally(tmp_path / "aliases")[0]) == "2 aliases, longest 18 bytes, 39 bytes total"


def test_an_edit_counts_when_the_file_has_been_compiled(tmp_path: Path) -> None:
    path = tmp_path / "aliases"
    place = compiled.place_of(path, tmp_path)
    path.write_text("\nflintstone: fred\n")
    compiled.compile_(path, place)
    path.write_text("flintstone: wilma\n")
    aliases = alias_file(path, DOMAINS, compiled=place)
    asked = parse("flintstone@dom1.test")
    assert [str(goal) for goal in result_of(aliases.lookup(asked)).goals] == ["fred"]
    assert result_of(aliases.lookup(asked)).origin == f"{path}:2"
    compiled.compile_(path, place)
    assert [str(goal) for goal in result_of(aliases.lookup(asked)).goals] == ["wilma"]


@pytest.mark.parametrize("octets", [
    pytest.param(b"a: b\nnonsense\n", id="a-mistake"), pytest.param(b"a: b\n\xff: c\n", id="not-utf-8"),
])
def test_a_bad_file_leaves_the_compiled_one_alone(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "aliases"
    place = compiled.place_of(path, tmp_path)
    path.write_text("flintstone: fred\n")
    compiled.compile_(path, place)
    path.write_bytes(octets)
    with pytest.raises(Broken) as raised:
        compiled.compile_(path, place)
    assert raised.value.problems[0][0] == 2
    assert where(path, "flintstone@dom1.test", tmp_path) == ["fred"]


def test_it_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "aliases"
    place = compiled.place_of(path, tmp_path)
    path.write_text("flintstone: fred\n")
    compiled.compile_(path, place)
    with place.open("rb") as reading:
        path.write_text("flintstone: wilma\n")
        compiled.compile_(path, place)
        assert reading.read() == b"flintstone: fred\n"
    assert os.listdir(place.parent) == [place.name]


def test_before_the_first_time_mail_waits(tmp_path: Path) -> None:
    (tmp_path / "aliases").write_text("flintstone: fred\n")
    with pytest.raises(Unavailable, match="run newaliases"):
        where(tmp_path / "aliases", "flintstone@dom1.test", tmp_path)


def test_two_files_are_never_compiled_into_one(tmp_path: Path) -> None:
    assert compiled.place_of(Path("/a/b"), tmp_path) != compiled.place_of(Path("/a%2Fb"), tmp_path)
    assert compiled.place_of(Path("/a/b"), tmp_path).parent == tmp_path / "compiled"
