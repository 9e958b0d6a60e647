"""Keys that are made up for those who do not exist, so that nothing tells who does (RFC 5802 §9)."""

from __future__ import annotations

import pytest

from tests.helpers import result_of
from twistmail.accounts.passwords import NOBODYS
from twistmail.accounts.people import People
from twistmail.accounts.secrets import Entry
from twistmail.accounts.table import FixedTable, TableSource
from twistmail.accounts.verified import Verifier
from twistmail.mail.account import Account
from twistmail.mail.domains import Domain, Domains
from twistmail.tasks import Inline


def people() -> People:
    """Ann, in a domain that has another name; of her password only a hash is kept."""
    ann = TableSource(FixedTable([Entry(Account("ann@here.example"), NOBODYS)]), Inline())
    domains = Domains([Domain("here.example"), Domain("alias.example", like="here.example")])
    return People([ann], Verifier(Inline(), lambda: 0.0, b"key"), Inline(), domains=domains, secret=b"secret")


@pytest.mark.parametrize("login", ["ann", "zed"], ids=["somebody", "nobody"])
def test_however_a_login_is_spelled_its_keys_are_the_same(login: str) -> None:
    spellings = (login, f"{login}@here.example", f"{login.upper()}@Here.Example", f"{login}@alias.example")
    asked = people()
    assert len({result_of(asked.evidence(spelling, "SCRAM-SHA-256")) for spelling in spellings}) == 1
