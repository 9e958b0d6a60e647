"""How passwords are kept, compared and made up."""

from __future__ import annotations

import secrets

import argon2
import pytest

from twistmail.accounts import passwords
from twistmail.accounts.passwords import UnknownScheme, check, generate, hash_password, needs_rehash, plain, verify
from twistmail.accounts.words import WORDS

HASHED = hash_password("secret")
WEAK = argon2.PasswordHasher(1, 8, 1).hash("secret")


@pytest.mark.parametrize("stored", [
    pytest.param(HASHED, id="bare"),
    pytest.param("{ARGON2ID}" + HASHED, id="with-scheme"),
    pytest.param("{argon2id}" + HASHED, id="scheme-in-lower-case"),
    pytest.param(WEAK, id="other-parameters"),
    pytest.param("{ARGON2I}" + argon2.PasswordHasher(1, 8, 1, type=argon2.Type.I).hash("secret"), id="argon2i"),
    pytest.param("{PLAIN}secret", id="in-clear"),
    pytest.param("{CLEARTEXT}secret", id="cleartext"),
])
def test_the_right_password_matches_and_no_other(stored: str) -> None:
    assert verify(stored, "secret")
    assert not verify(stored, "Secret")
    assert not verify(stored, "")
    assert check(stored) == stored


@pytest.mark.parametrize("stored", [
    pytest.param("", id="empty"),
    pytest.param("secret", id="in-clear-without-scheme"),
    pytest.param("{SSHA}c2FsdA==", id="another-scheme"),
    pytest.param("{ARGON2ID}secret", id="no-hash-behind-the-scheme"),
    pytest.param("$6$salt$hash", id="crypt"),
    pytest.param("$argon2id$v=19$m=9999999,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", id="too-much-memory"),
    pytest.param("$argon2id$v=19$m=8,t=999,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", id="too-many-passes"),
    pytest.param("$argon2id$v=19$m=8,t=1,p=99$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo", id="too-many-lanes"),
])
def test_what_cannot_be_compared_is_said_so_and_never_matches(stored: str) -> None:
    with pytest.raises(UnknownScheme, match="\n"):
        verify(stored, "secret")


def test_two_hashes_of_one_password_differ() -> None:
    assert hash_password("secret") != HASHED


@pytest.mark.parametrize(("stored", "renewed"), [
    pytest.param(HASHED, False, id="as-we-would"),
    pytest.param(WEAK, True, id="weaker"),
    pytest.param("{PLAIN}secret", True, id="in-clear"),
])
def test_what_was_made_otherwise_is_renewed(stored: str, renewed: bool) -> None:
    assert needs_rehash(stored) is renewed


def test_only_what_is_in_clear_can_be_read() -> None:
    assert plain("{PLAIN}sec:ret ") == "sec:ret "
    assert plain(HASHED) is None


def test_nobodys_hash_costs_what_ours_cost_and_matches_nothing() -> None:
    assert not verify(passwords.NOBODYS, "nobody")
    assert not needs_rehash(passwords.NOBODYS)


def test_generated_passwords_can_be_read_out() -> None:
    words = generate(secrets.choice).split("-")
    assert len(words) == 4
    assert words[2].isdigit()
    assert all(word in WORDS for word in (words[0], words[1], words[3]))


def test_generated_passwords_take_every_word_from_chance() -> None:
    taken = iter(("paper", "mango", "42", "quay"))
    assert generate(lambda _: next(taken)) == "paper-mango-42-quay"


def test_the_words_are_five_hundred_and_twelve_different_ones() -> None:
    assert len(set(WORDS)) == len(WORDS) == 512
    assert all(word.isascii() and word.isalpha() and word.islower() and 3 <= len(word) <= 9 for word in WORDS)


@pytest.mark.parametrize(("password", "said"), [
    pytest.param("nine char", "shorter than 10 characters", id="short"),
    pytest.param("ab" * 20, "fewer than 5 different characters", id="two-letters"),
    pytest.param("x1y2z" * 205, "longer than 1024 octets", id="endless"),
    pytest.param("\u00e4bcde" * 200, "longer than 1024 octets", id="endless-in-octets"),
    pytest.param("line\nand line", "cannot be typed everywhere", id="line-end"),
    pytest.param("nul\0and more", "cannot be typed everywhere", id="nul"),
    pytest.param("\udc80 no utf-8", "cannot be typed everywhere", id="no-utf-8"),
    pytest.param("Anna.Other", "the name of the account", id="local-part"),
    pytest.param("anna.other@blue.example", "the name of the account", id="address"),
])
def test_a_new_password_may_be_refused(password: str, said: str) -> None:
    assert said in passwords.complaint(password, 10, "anna.other@blue.example")


@pytest.mark.parametrize("password", ["correct horse", "ten letter", "gr\u00fc\u00dfgott zusammen", "x1y2z" * 204, "0123456789"])
def test_length_is_all_that_a_new_password_needs(password: str) -> None:
    assert passwords.complaint(password, 10, "anna@blue.example") == ""
