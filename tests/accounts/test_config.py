"""What stands behind `password =` in a [user:NAME] section."""

from __future__ import annotations

import pytest

from twistmail.accounts.config import SECRET
from twistmail.accounts.passwords import verify

BCRYPT = "$2b$04$AFTmoYhelh15GXxD1bRg9OHU93iIzQTX1BOjxRfdFY.rlAtNdf3YW"
CRYPT = "$5$s2TvPTXBbPISgZkE$9nQQHjf6ayzggFO2B5Jh.QHmi22dutxKYc2KmpZfiJ4"
DJANGO = "pbkdf2_sha256$1000$seasalt$uvn0UA3o881WMUDoKE3XNKLcGZAb1uVCQcNrvBLy6gg="


@pytest.mark.parametrize("hashed", [BCRYPT, CRYPT, DJANGO, "bcrypt$" + BCRYPT, "{PLAIN.b64}c2UgY3JldDo0MsOk"])
def test_a_hash_is_what_it_says(hashed: str) -> None:
    assert SECRET.read(hashed) == hashed
    assert verify(SECRET.read(hashed), "se cret:42ä")


@pytest.mark.parametrize("clear", ["secret", "$ecret", "$9.99 for a password", "WnlkjWLYUYFL2", "scrypt: how it works", "$", "_x"])
def test_anything_else_is_a_password_in_clear(clear: str) -> None:
    assert SECRET.read(clear) == "{PLAIN}" + clear


@pytest.mark.parametrize("broken", ["{ROT13}x", "$2b$04$cut", "$6$salt", "$argon2id$v=19", "pbkdf2_sha256$many$salt$x", "{SSHA}"])
def test_what_begins_as_a_hash_and_is_none_is_a_mistake(broken: str) -> None:
    with pytest.raises(ValueError, match="\n"):
        SECRET.read(broken)
