"""Who gets the reports about a list (row R30)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.aliases.sources import alias_file, meaning
from tests.helpers import result_of
from twistmail.aliases.book import AliasBook, Kept
from twistmail.aliases.database import DatabaseAliases
from twistmail.aliases.table import ALIAS, alias_table
from twistmail.mail.address import Address, parse
from twistmail.tasks import Inline

DOMAINS = frozenset({"dom1.test", "dom2.test"})
TEXT = """
staff: anna, bert
owner-staff: anna
news@dom2.test: anna, bert
owner-news@dom2.test: bert
plain: anna
owner-plain@dom2.test: bert
owner-owner: postmaster
staff-request: anna
"""


@pytest.mark.parametrize(("address", "owner"), [
    pytest.param("staff@dom1.test", "owner-staff@dom1.test", id="in-the-domain-that-was-asked-for"),
    pytest.param("staff@dom2.test", "owner-staff@dom2.test", id="in-another"),
    pytest.param("news@dom2.test", "owner-news@dom2.test", id="of-a-full-address"),
    pytest.param("plain@dom1.test", None, id="none-where-there-is-no-such-alias"),
    pytest.param("plain@dom2.test", "owner-plain@dom2.test", id="in-one-domain-only"),
    pytest.param("owner-staff@dom1.test", "owner-owner@dom1.test", id="the-owner-of-owners"),
    pytest.param("staff-request@dom1.test", "owner-owner@dom1.test", id="the-owner-of-requests"),
    pytest.param("owner-owner@dom1.test", None, id="nobody-owns-himself"),
])
def test_the_owner_is_an_alias_of_the_same_source(tmp_path: Path, address: str, owner: str | None) -> None:
    (tmp_path / "aliases").write_text(TEXT)
    step = result_of(alias_file(tmp_path / "aliases", DOMAINS).lookup(parse(address)))
    assert step.owner == (parse(owner) if owner else None)


def test_an_alias_of_the_configuration_names_its_owner() -> None:
    read = ALIAS.option("owner").kind.read  # type: ignore[union-attr]
    aliases = alias_table(
        {"staff": ALIAS.defaults(owner=read("anna")), "news": ALIAS.defaults(), "owner-news": ALIAS.defaults()}, DOMAINS, meaning())
    assert result_of(aliases.lookup(parse("staff@dom1.test"))).owner == Address("anna", "dom1.test")
    assert result_of(aliases.lookup(parse("news@dom1.test"))).owner == Address("owner-news", "dom1.test")


def test_so_does_one_of_the_database(tmp_path: Path) -> None:
    book = AliasBook(tmp_path / "aliases.db")
    book.put([Kept(Address("staff"), (Address("anna"),), Address("bert", "away.test")), Kept(Address("news"), (Address("anna"),)),
              Kept(Address("owner-news"), (Address("anna"),))])
    aliases = DatabaseAliases(book, Inline(), DOMAINS, meaning())
    assert result_of(aliases.lookup(parse("staff@dom1.test"))).owner == Address("bert", "away.test")
    assert result_of(aliases.lookup(parse("news@dom1.test"))).owner == Address("owner-news", "dom1.test")
    book.retire()
