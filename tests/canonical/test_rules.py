"""Which address takes the place of which. Postfix's canonical(5) says how; what it says is in the ids of the rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.helpers import result_of
from twistmail.canonical.rules import CLASSES, Canonical, House, Map
from twistmail.canonical.table import parse
from twistmail.expansion import spellings
from twistmail.interfaces import Unavailable
from twistmail.leaving.senders import Names
from twistmail.mail.address import parse as address
from twistmail.watched import WatchedFile

NAMES = Names(frozenset(("blue.test", "green.test")), frozenset(("localhost",)), partial(spellings, separators="+"))
TABLE = """\
ann             Ann.Smith
bob@pc7.lan     Bob.Jones@blue.test
bob+list@pc7.lan  list@blue.test
@old.test       @blue.test
@older.test     @old.test
@lan            office@blue.test
zoe@far.test    zoe@farther.test
a@loop.test     b@loop.test
b@loop.test     a@loop.test
me@blue.test    Me@Blue.test
long            an.address.that.has.all.but.the.sixty.four.octets.it.may.have@blue.test
"""


class AtOnce:
    async def run(self, function, *arguments):
        return function(*arguments)


@pytest.fixture
def built(tmp_path: Path):
    """*built*({name: (text, classes)}, ...): a Canonical of these tables, in this order."""

    def build(*tables: tuple[str, frozenset[str]], everybody: bool = False) -> Canonical:
        maps = []
        for number, (text, classes) in enumerate(tables):
            path = tmp_path / f"table{number}"
            path.write_text(text)
            maps.append(Map(WatchedFile(path, parse, AtOnce()), classes))
        return Canonical(House(NAMES, "blue.test"), maps, AtOnce(), everybody=everybody)

    return build


ALL = frozenset(CLASSES)


@pytest.mark.parametrize(("written", "becomes", "lines"), [
    pytest.param("ann@blue.test", "Ann.Smith@blue.test", [1], id="a-name-in-a-domain-of-ours-in-the-default-domain"),
    pytest.param("ann@green.test", "Ann.Smith@blue.test", [1], id="a-name-in-another-domain-of-ours"),
    pytest.param("ann@localhost", "Ann.Smith@blue.test", [1], id="a-name-on-this-machine"),
    pytest.param("ann", "Ann.Smith@blue.test", [1], id="a-name-alone"),
    pytest.param("ANN@blue.test", "Ann.Smith@blue.test", [1], id="case-does-not-count"),
    pytest.param("ann@far.test", "ann@far.test", [], id="a-name-elsewhere"),
    pytest.param("bob@pc7.lan", "Bob.Jones@blue.test", [2], id="an-address"),
    pytest.param("bob+x@pc7.lan", "Bob.Jones+x@blue.test", [2], id="a-suffix-goes-along"),
    pytest.param("bob+list@pc7.lan", "list@blue.test", [3], id="an-address-with-its-suffix-comes-first"),
    pytest.param("ann+x@blue.test", "Ann.Smith+x@blue.test", [1], id="a-suffix-of-a-name"),
    pytest.param("Eve+x@old.test", "Eve+x@blue.test", [4], id="the-same-name-in-another-domain"),
    pytest.param("eve@older.test", "eve@blue.test", [5, 4], id="again-and-again"),
    pytest.param("ann@older.test", "Ann.Smith@blue.test", [5, 4, 1], id="until-nothing-is-new"),
    pytest.param("eve+x@lan", "office@blue.test", [6], id="everybody-in-a-domain-without-suffixes"),
    pytest.param("zoe@far.test", "zoe@farther.test", [7], id="somebody-elsewhere"),
    pytest.param("me@blue.test", "Me@blue.test", [10], id="itself-in-other-letters"),
    pytest.param("long+and.this@blue.test", "an.address.that.has.all.but.the.sixty.four.octets.it.may.have@blue.test", [11],
                 id="a-suffix-that-would-be-too-much"),
    pytest.param('"a b"@blue.test', '"a b"@blue.test', [], id="quotes"),
    pytest.param("[192.0.2.1]", None, [], id="no-address"),
])  # fmt: skip
def test_what_takes_the_place_of(built, tmp_path: Path, written: str, becomes: str | None, lines: list[int]) -> None:
    if becomes is None:
        with pytest.raises(ValueError):
            address(written)
        return
    found = result_of(built((TABLE, ALL)).recipient(address(written)))
    assert str(found.address) == becomes
    assert found.rule == ", ".join(f"{tmp_path}/table0:{line}" for line in lines)


def test_a_circle_ends(built) -> None:
    found = result_of(built((TABLE, ALL)).sender(address("a@loop.test")))
    assert str(found.address) in ("a@loop.test", "b@loop.test")


def test_the_special_table_comes_before_the_common_one(built) -> None:
    canonical = built(
        ("ann secret@blue.test\n", frozenset(("envelope_sender", "header_sender"))),
        ("ann Ann.Smith\nsecret Boss@blue.test\n", ALL),
    )
    assert str(result_of(canonical.sender(address("ann@blue.test"))).address) == "Boss@blue.test"
    assert str(result_of(canonical.recipient(address("ann@blue.test"))).address) == "Ann.Smith@blue.test"


HEADER = b"From: Ann <ann@blue.test>\r\nReply-To: zoe@far.test\r\nTo: bob@pc7.lan, ann@far.test\r\nSubject: ann@blue.test\r\n\r\n"


@pytest.mark.parametrize(("classes", "changed"), [
    pytest.param(ALL, {b"ann@blue.test>": b"Ann.Smith@blue.test>", b"zoe@far.test": b"zoe@farther.test",
                       b"bob@pc7.lan": b"Bob.Jones@blue.test"}, id="all"),
    pytest.param({"header_sender"}, {b"ann@blue.test>": b"Ann.Smith@blue.test>", b"zoe@far.test": b"zoe@farther.test"}, id="authors"),
    pytest.param({"header_recipient"}, {b"bob@pc7.lan": b"Bob.Jones@blue.test"}, id="readers"),
    pytest.param({"envelope_sender", "envelope_recipient"}, {}, id="the-envelope-only"),
])  # fmt: skip
def test_headers_are_changed_where_asked(built, classes: set[str], changed: dict[bytes, bytes]) -> None:
    canonical, wanted = built((TABLE, frozenset(classes))), HEADER
    for before, after in changed.items():
        wanted = wanted.replace(before, after, 1)
    found = result_of(canonical.header(HEADER, is_ours=True))
    assert found == wanted
    assert (found is HEADER) == (not changed)
    envelope = str(result_of(canonical.sender(address("ann@blue.test"))).address)
    assert envelope == ("Ann.Smith@blue.test" if "envelope_sender" in classes else "ann@blue.test")


def test_a_strangers_header_stays_unless_all_are_wanted(built) -> None:
    assert result_of(built((TABLE, ALL)).header(HEADER, is_ours=False)) is HEADER
    assert b"Ann.Smith" in result_of(built((TABLE, ALL), everybody=True).header(HEADER, is_ours=False))


def test_a_long_header_is_changed_too(built) -> None:
    header = b"To: " + b",\r\n ".join([b"bob@pc7.lan"] * 6000) + b"\r\n\r\n"
    assert result_of(built((TABLE, ALL)).header(header, is_ours=True)) == header.replace(b"bob@pc7.lan", b"Bob.Jones@blue.test")


def test_without_tables_nobody_is_asked(built) -> None:
    canonical = built()
    assert not canonical.any
    assert result_of(canonical.sender(address("ann@blue.test"))).address == address("ann@blue.test")


def test_a_table_that_was_never_there_means_later(tmp_path: Path) -> None:
    canonical = Canonical(House(NAMES, "blue.test"), [Map(WatchedFile(tmp_path / "none", parse, AtOnce()), ALL)], AtOnce())
    with pytest.raises(Unavailable):
        result_of(canonical.recipient(address("ann@blue.test")))


def test_a_broken_table_keeps_what_the_old_one_said(built, tmp_path: Path) -> None:
    canonical = built((TABLE, ALL))
    assert str(result_of(canonical.recipient(address("ann@blue.test"))).address) == "Ann.Smith@blue.test"
    (tmp_path / "table0").write_text("ann\n")
    assert str(result_of(canonical.recipient(address("ann@blue.test"))).address) == "Ann.Smith@blue.test"
    (tmp_path / "table0").write_text("ann ann@green.test\n")
    result_of(canonical.recipient(address("ann@blue.test")))
    assert str(result_of(canonical.recipient(address("ann@blue.test"))).address) == "ann@green.test"
