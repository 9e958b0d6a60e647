"""Passwords for one program each: how they look, what they open, and until when."""

from __future__ import annotations

import secrets

import pytest

from twistmail.accounts import app_passwords
from twistmail.accounts.app_passwords import generate, make, opens
from twistmail.accounts.passwords import hash_password
from twistmail.accounts.secrets import AppPassword

PASSWORD = "k3wd-9fhx-2mqa-t7vn"
NOW = 1_800_000_000.0
TELEPHONE = make("telephone", PASSWORD, ["imap", "submission"], NOW + 60)


def test_they_are_made_by_chance_in_groups_that_can_be_typed() -> None:
    made = generate(secrets.choice)
    groups = made.split("-")
    assert [len(group) for group in groups] == [4, 4, 4, 4]
    assert not set("".join(groups)) & set("01ilo")
    assert generate(secrets.choice) != made


@pytest.mark.parametrize("typed", [PASSWORD, "k3wd9fhx2mqat7vn", "K3wd 9fhx 2mqa t7vn", "k3wd-9fhx2mqa-t7vn "])
def test_they_may_be_typed_as_people_type(typed: str) -> None:
    assert opens([TELEPHONE], typed, "imap", NOW)


@pytest.mark.parametrize(("password", "service", "at"), [
    pytest.param("k3wd-9fhx-2mqa-t7vm", "imap", NOW, id="another"),
    pytest.param("", "imap", NOW, id="empty"),
    pytest.param("k3wd-9fhx-2mqa-t7vn-aaaa", "imap", NOW, id="longer"),
    pytest.param("K3WD-9FHX-2MQA-T7VI", "imap", NOW, id="letters-that-it-never-has"),
    pytest.param(PASSWORD, "pop3", NOW, id="another-service"),
    pytest.param(PASSWORD, "", NOW, id="no-service-at-all"),
    pytest.param(PASSWORD, "imap", NOW + 60, id="expired"),
])
def test_what_does_not_open(password: str, service: str, at: float) -> None:
    assert not opens([TELEPHONE], password, service, at)


def test_without_services_and_end_it_opens_everything_for_ever() -> None:
    made = make("laptop", PASSWORD)
    assert opens([made], PASSWORD, "pop3", NOW * 2)
    assert opens([TELEPHONE, made], PASSWORD, "pop3", NOW)


def test_a_chosen_password_is_none_however_it_is_kept() -> None:
    assert not opens([AppPassword("old", hash_password("mysecret", "SSHA256"))], "mysecret", "imap", NOW)
    assert not opens([AppPassword("slow", "{PLAIN}" + "k3wd9fhx2mqat7vn")], PASSWORD, "imap", NOW)


@pytest.mark.parametrize("label", ["", " x", "x\n", "x" * (app_passwords.LONGEST_LABEL + 1), "\x1b[2J"])
def test_labels_can_be_read(label: str) -> None:
    with pytest.raises(ValueError, match="telephone"):
        make(label, PASSWORD)


def test_nothing_of_it_is_seen_in_a_repr() -> None:
    assert TELEPHONE.secret not in repr(TELEPHONE)
