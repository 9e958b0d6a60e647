"""What a directory says of somebody, in its own words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from twistmail.accounts.columns import entry_of, quota_of, switch_of
from twistmail.accounts.secrets import Entry
from twistmail.mail.account import Account

ANN = "ann@here.example"


@pytest.mark.parametrize(("columns", "account"), [
    pytest.param({}, Account(ANN), id="nothing"),
    pytest.param({"USER": "Ann@Here.example"}, Account(ANN), id="any-case"),
    pytest.param({"user": "annabel"}, Account("annabel@here.example"), id="bare-name"),
    pytest.param({"username": "annabel", "domain": "blue.example"}, Account("annabel@blue.example"), id="name-and-domain"),
    pytest.param({"user": None, "name": None, "quota": None}, Account(ANN), id="all-null"),
    pytest.param({"address": ["b@x.example", "a@x.example"]}, Account("a@x.example", addresses=("b@x.example",)), id="several"),
    pytest.param({"addresses": "a.s, ann@blue.example"}, Account(ANN, addresses=("a.s@here.example", "ann@blue.example")), id="further"),
    pytest.param({"addresses": [ANN, "b@x.example"]}, Account(ANN, addresses=("b@x.example",)), id="further-with-its-own"),
    pytest.param({"userdb_quota_rule": "*:storage=1024"}, Account(ANN, quota=1 << 20), id="rule-of-dovecot"),
    pytest.param({"name": b"Ann \xc3\x96tt"}, Account(ANN, "Ann Ött"), id="octets"),
    pytest.param({"nologin": "y"}, Account(ANN, enabled=False), id="no-login"),
    pytest.param({"disabled": True}, Account(ANN, enabled=False), id="disabled"),
    pytest.param({"active": b"\0"}, Account(ANN, enabled=False), id="bit-of-mysql"),
    pytest.param({"enabled": 1, "nologin": ""}, Account(ANN), id="enabled"),
    pytest.param({"format": "mbox", "home": "/x", "uid": 5}, Account(ANN, format="mbox"), id="and-what-is-of-no-use-to-us"),
])  # fmt: skip
def test_columns_are_an_account(columns: dict[str, Any], account: Account) -> None:
    assert entry_of(ANN, columns) == Entry(account)


@pytest.mark.parametrize("columns", [
    pytest.param({"user": "a b@here.example"}, id="no-address"),
    pytest.param({"quota": "much"}, id="no-quota"),
    pytest.param({"allow_nets": "everywhere"}, id="no-network"),
    pytest.param({"quota": -1}, id="negative-quota"),
    pytest.param({"quota_rule": "Trash:storage=+100M"}, id="rule-for-a-folder"),
    pytest.param({"enabled": "perhaps"}, id="no-switch"),
    pytest.param({"format": "mdbox"}, id="no-format-of-ours"),
    pytest.param({"name": b"\xff"}, id="no-text"),
    pytest.param({"addresses": [f"a{number}" for number in range(1001)]}, id="too-many-addresses"),
])  # fmt: skip
def test_what_cannot_be_understood_is_an_error(columns: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        entry_of(ANN, columns)


@pytest.mark.parametrize(("value", "octets"), [
    (0, None), (5, 5), (Decimal(2048), 2048), ("", None), ("2G", 2 << 30), ("unlimited", None), ("4096", 4096), ("0", None),
    ("*:bytes=4096", 4096), ("*:storage=2M", 2 << 20), ("storage=3", 3072),
])  # fmt: skip
def test_quotas(value: Any, octets: int | None) -> None:
    assert quota_of(value) == octets


@pytest.mark.parametrize(("value", "means"), [
    (True, True), (False, False), (0, False), ("Y", True), ("off", False), (None, False), (" t ", True),
])  # fmt: skip
def test_switches(value: Any, means: bool) -> None:
    assert switch_of(value) is means


@pytest.mark.parametrize(("stored", "secret"), [
    ("$argon2id$v=19$x", "$argon2id$v=19$x"), ("{PLAIN}x", "{PLAIN}x"), ("abc", "{MD5-CRYPT}abc"), ("", ""), (None, ""),
])  # fmt: skip
def test_a_password_without_a_scheme_is_of_the_one_given(stored: str | None, secret: str) -> None:
    assert entry_of(ANN, {"password": stored}, scheme="MD5-CRYPT").secret == secret


def test_networks_from_which_somebody_may_log_in_are_not_passed_over() -> None:
    (network,) = entry_of(ANN, {"allow_nets": "192.0.2.0/24"}).account.login_from
    assert str(network) == "192.0.2.0/24"
