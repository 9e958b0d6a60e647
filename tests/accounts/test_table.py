"""Whom a login name means (row R22), which source answers, and the sentences for names that are none."""

from __future__ import annotations

import pytest

from tests.helpers import result_of
from twistmail.accounts.people import People
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, TableSource, account_name
from twistmail.accounts.verified import Verifier
from twistmail.interfaces import Unavailable
from twistmail.mail.account import Account
from twistmail.mail.address import parse
from twistmail.mail.domains import Domain, Domains
from twistmail.tasks import Inline

TABLE = FixedTable(Entry(Account(name)) for name in ("bob@dom1.test", "bob@dom2.test", "eve@dom2.test", "joe@dom2.test", "joe@dom3.test"))


def people(*tables: FixedTable, default_domain: str = "dom1.test") -> People:
    sources = [TableSource(table, Inline()) for table in tables]
    return People(sources, Verifier(Inline(), lambda: 0.0, b"k" * 32), Inline(), default_domain=default_domain)


@pytest.mark.parametrize(("login", "name"), [
    pytest.param("bob@dom2.test", "bob@dom2.test", id="the-entire-address"),
    pytest.param("bob", "bob@dom1.test", id="ambiguous-means-the-default-domain"),
    pytest.param("eve", "eve@dom2.test", id="the-only-one-of-that-name"),
    pytest.param("joe", None, id="ambiguous-and-not-in-the-default-domain"),
    pytest.param("bob@dom3.test", None, id="wrong-domain"),
    pytest.param("EVE", "eve@dom2.test", id="in-any-case"),
    pytest.param("", None, id="empty"),
])
def test_whom_a_login_means(login: str, name: str | None) -> None:
    entry, _ = result_of(people(TABLE).whom(login))
    assert (entry.account.name if entry else None) == name


@pytest.mark.parametrize(("logins", "login", "name"), [
    pytest.param("local", "bob", "bob@dom1.test", id="the-local-part"),
    pytest.param("local", "bob@dom1.test", None, id="no-address"),
    pytest.param("address", "bob@dom2.test", "bob@dom2.test", id="the-address"),
    pytest.param("address", "bob", None, id="no-local-part"),
    pytest.param("both", "bob@dom1b.test", "bob@dom1.test", id="a-normal-domain"),
    pytest.param("both", "joe@dom1b.test", None, id="nobody-of-the-default-domain"),
    pytest.param("both", "bob@dom4.test", "bob@dom2.test", id="an-alias-domain"),
])
def test_what_people_log_in_by(logins: str, login: str, name: str | None) -> None:
    domains = Domains([Domain("dom1.test"), Domain("dom1b.test", "dom1.test"), Domain("dom2.test"), Domain("dom4.test", "dom2.test")])
    verifier = Verifier(Inline(), lambda: 0.0, b"k" * 32)
    ours = People([TableSource(TABLE, Inline())], verifier, Inline(), domains=domains, logins=logins)
    entry, _ = result_of(ours.whom(login))
    assert (entry.account.name if entry else None) == name


def test_without_a_default_domain_only_the_unambiguous_are_found() -> None:
    assert result_of(people(TABLE, default_domain="").whom("bob"))[0] is None
    assert result_of(people(TABLE, default_domain="").whom("eve"))[0] is not None


def test_the_same_name_in_two_sources_is_one_person() -> None:
    both = people(FixedTable([Entry(Account("eve@dom2.test", "first"))]), TABLE)
    entry, _ = result_of(both.whom("eve"))
    assert entry.account.display_name == "first"
    assert len(result_of(both.list())) == 5


def test_a_further_address_leads_to_the_same_account() -> None:
    ann = Account("ann@dom1.test", addresses=("ann.other@dom2.test",))
    ours = people(FixedTable([Entry(ann, "{PLAIN}secret")]))
    assert result_of(ours.find(parse("ann.other@dom2.test"))) == ann
    assert result_of(ours.authenticate("Ann.Other@dom2.test", "secret")) == ann
    assert result_of(ours.list()) == (ann,)


def test_a_source_that_is_away_ends_the_question() -> None:
    class Away:
        async def lookup(self, name: str) -> Entry | None:
            raise Unavailable("no line")

        namesakes = lookup

    ours = People([Away(), TableSource(TABLE, Inline())], Verifier(Inline(), lambda: 0.0, b"k" * 32), Inline())
    for question in (ours.find(parse("eve@dom2.test")), ours.authenticate("eve", "x"), ours.evidence("eve", "SCRAM-SHA-1")):
        with pytest.raises(Unavailable):
            result_of(question)


@pytest.mark.parametrize(("text", "name"), [
    pytest.param("Ann@Blue.Example", "ann@blue.example", id="address"),
    pytest.param("ann", "ann@here.example", id="local-part"),
    pytest.param("järg@blåbær.example", "järg@xn--blbr-roah.example", id="not-ascii"),
])
def test_account_names_are_full_addresses_in_lower_case(text: str, name: str) -> None:
    assert account_name(text, "here.example") == name


def test_a_name_without_any_domain_is_told_what_would_do() -> None:
    with pytest.raises(ValueError, match="write the full address"):
        account_name("ann")


def test_an_entry_does_not_show_its_secret() -> None:
    assert "hunter2" not in repr(Entry(Account("ann@here.example"), "{PLAIN}hunter2"))
