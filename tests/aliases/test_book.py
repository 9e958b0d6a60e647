"""Aliases of the database: what is put is there for the next question, also by others, and after a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.aliases.sources import meaning
from tests.helpers import result_of
from twistmail.aliases.book import AliasBook, AliasExists, Kept
from twistmail.aliases.database import DatabaseAliases
from twistmail.aliases.items import read
from twistmail.interfaces import Unavailable
from twistmail.mail.address import Address, parse
from twistmail.tasks import Inline

DOMAINS = frozenset({"dom1.test"})


@pytest.fixture
def book(tmp_path: Path) -> Iterator[AliasBook]:
    book = AliasBook(tmp_path / "aliases.db")
    yield book
    book.retire()


def kept(name: str, *targets: str) -> Kept:
    return Kept(parse(name), tuple(map(read, targets)))


def test_without_a_file_nobody_is_an_alias_and_none_is_made(book: AliasBook) -> None:
    assert book.find(Address("ann", "dom1.test"), everywhere=True) is None
    assert book.all() == ()
    assert not book.path.exists()


def test_what_one_writes_another_reads_at_once(book: AliasBook) -> None:
    book.put([kept("ann", "bob")])
    assert book.find(Address("ann", "dom1.test"), everywhere=True) == kept("ann", "bob")
    AliasBook(book.path).put([kept("ann", "carl", '"|run b, c"', ":fail: 550 5.1.1 gone, away")], replace=True)
    found = book.find(Address("ann", "dom1.test"), everywhere=True)
    assert found == kept("ann", "carl", '"|run b, c"', ":fail: 550 5.1.1 gone, away")


def test_a_full_address_goes_before_a_bare_name(book: AliasBook) -> None:
    book.put([kept("ann", "bob"), kept("Ann@Dom1.test", "carl")])
    assert book.find(Address("ann", "dom1.test"), everywhere=True) == kept("Ann@dom1.test", "carl")
    assert book.find(Address("ann", "dom2.test"), everywhere=True) == kept("ann", "bob")
    assert book.find(Address("ann", "dom2.test"), everywhere=False) is None


def test_a_file_in_its_place_is_read_at_once(book: AliasBook) -> None:
    book.put([kept("ann", "bob")])
    assert book.find(Address("ann"), everywhere=True) == kept("ann", "bob")
    for path in book.path.parent.iterdir():
        path.unlink()
    assert book.find(Address("ann"), everywhere=True) is None
    AliasBook(book.path).put([kept("ann", "carl")])
    assert book.find(Address("ann"), everywhere=True) == kept("ann", "carl")


def test_all_are_made_or_none(book: AliasBook) -> None:
    book.put([kept("ann", "bob")])
    with pytest.raises(AliasExists, match="an alias Ann already"):
        book.put([kept("zoe", "bob"), kept("Ann", "carl")])
    assert book.all() == (kept("ann", "bob"),)


def test_what_is_removed_is_gone(book: AliasBook) -> None:
    book.put([kept("ann", "bob")])
    assert book.remove(Address("ANN"))
    assert not book.remove(Address("ann"))
    assert book.find(Address("ann", "dom1.test"), everywhere=True) is None


def test_long_lists_are_read_once(book: AliasBook) -> None:
    book.put([kept("all", *(f"member{number}@away.test" for number in range(1000)))])
    first, second = (book.find(Address("all", "dom1.test"), everywhere=True) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.items is second.items


@pytest.mark.parametrize("spoil", [
    pytest.param(lambda path: path.write_bytes(b"no database" * 1000), id="no-database"),
    pytest.param(lambda path: _execute(path, "UPDATE aliases SET items = 'tom dick'"), id="nonsense-in-it"),
    pytest.param(lambda path: _execute(path, "DROP TABLE aliases"), id="no-table"),
])
def test_one_that_cannot_be_read_makes_mail_wait(tmp_path: Path, spoil: object) -> None:
    book = AliasBook(tmp_path / "aliases.db")
    book.put([kept("ann", "bob")])
    spoil(book.path)  # type: ignore[operator]
    aliases = DatabaseAliases(book, Inline(), DOMAINS, meaning())
    with pytest.raises(Unavailable, match="aliases"):
        result_of(aliases.lookup(Address("ann", "dom1.test")))
    book.retire()


def _execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
