"""Accounts are found again where the template has put them."""

import pytest

from twistmail.store.homes import accounts_in
from twistmail.store.names import account_directory


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("mail/%d/%n", id="domain-and-name"),
        pytest.param("mail/%u", id="whole-address"),
        pytest.param("mail/%d/%n/Maildir", id="below"),
        pytest.param("%d/users[1]/%n", id="characters-that-mean-something-to-glob"),
        pytest.param("mail/%d/%d-%n", id="a-field-twice"),
        pytest.param("100%%/%u", id="per-cent"),
    ],
)
def test_every_account_is_found(tmp_path, template):
    accounts = ["anna@blue.example", "bert+x@blue.example", "carl@green.example"]
    for account in accounts:
        (tmp_path / account_directory(template, account) / "cur").mkdir(parents=True)
    (tmp_path / account_directory(template, "dora@blue.example")).mkdir(parents=True)
    assert accounts_in(tmp_path, template) == accounts
    assert accounts_in(tmp_path / "elsewhere", f"{tmp_path}/{template}") == accounts


def test_what_lies_beside_is_nobody_s(tmp_path):
    (tmp_path / "mail/blue.example/anna/.Sent/cur").mkdir(parents=True)
    (tmp_path / "mail/blue.example/anna/cur").mkdir(parents=True)
    (tmp_path / "mail/a@b/c/cur").mkdir(parents=True)
    assert accounts_in(tmp_path, "mail/%d/%n") == ["anna@blue.example"]
