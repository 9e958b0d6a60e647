"""Whom a login name means (row R22), and the sentences for names that are none."""

from __future__ import annotations

import pytest

from twistmail.accounts.table import Entry, FixedTable, Tables, account_name, entry_for
from twistmail.mail.account import Account

TABLE = FixedTable(Entry(Account(name)) for name in ("bob@dom1.test", "bob@dom2.test", "eve@dom2.test", "joe@dom2.test", "joe@dom3.test"))


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
    entry = entry_for(TABLE, login, "dom1.test")
    assert (entry.account.name if entry else None) == name


def test_without_a_default_domain_only_the_unambiguous_are_found() -> None:
    assert entry_for(TABLE, "bob", "") is None
    assert entry_for(TABLE, "eve", "") is not None


def test_the_same_name_in_two_tables_is_one_person() -> None:
    both = Tables([FixedTable([Entry(Account("eve@dom2.test", "first"))]), TABLE])
    entry = entry_for(both, "eve", "")
    assert entry is not None
    assert entry.account.display_name == "first"
    assert len(both.entries()) == 5


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
