"""App passwords: one for each program of somebody, made up by us, so that losing a telephone costs one of them and not the password.

They are sixteen letters by chance, 79 bits: nobody guesses them, so a quick hash
keeps them well, and looking through all of somebody's costs nothing. They open
what sends a password (PLAIN, LOGIN, USER and PASS); SCRAM proves the account's
own password only, since a server has to name one salt before it sees a proof.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from twistmail.accounts import passwords
from twistmail.accounts.secrets import AppPassword

#: Without letters that look like others.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_LENGTH, _GROUP = 16, 4
_SCHEME = "SSHA256"
#: Port 25 is one more way of sending, where it takes logins.
_SENDING = {"mx": "submission"}
#: The service of changing one's own password, which no app password opens.
OWN = "password"
#: So many of one account, and letters of a label: a login looks through them all.
MOST = 100
LONGEST_LABEL = 80


def generate(choose: Callable[[Sequence[str]], str]) -> str:
    """A new one, such as `k3wd-9fhx-2mqa-t7vn`. *choose* picks by chance (`secrets.choice`)."""
    letters = "".join(choose(_LETTERS) for _ in range(_LENGTH))
    return "-".join(letters[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def make(label: str, password: str, services: Iterable[str] = (), expires: float | None = None) -> AppPassword:
    """What is kept of *password*, one of `generate`'s. ValueError where the *label* will not do."""
    if not label or len(label) > LONGEST_LABEL or not label.isprintable() or label != label.strip():
        raise ValueError(f"a label is one to {LONGEST_LABEL} letters, such as: telephone")
    return AppPassword(label, passwords.hash_password(_letters(password), _SCHEME), frozenset(services), expires)


def opens(known: Collection[AppPassword], password: str, service: str, now: float) -> bool:
    """Is *password* one of *known* that opens *service* at *now* (POSIX seconds)? Quick: kept otherwise than `make` does, none is."""
    if not known:
        return False
    letters = _letters(password)
    if len(letters) != _LENGTH or not set(letters) <= set(_LETTERS) or service == OWN:
        return False
    right = [one for one in known if _is_ours(one) and passwords.verify(one.secret, letters)]
    return any(one.opens(_SENDING.get(service, service), now) for one in right)


def _is_ours(one: AppPassword) -> bool:
    return one.secret.startswith(f"{{{_SCHEME}}}")


def _letters(password: str) -> str:
    """As people type it: with or without what divides the groups, and with a telephone's capital letter."""
    return password.replace("-", "").replace(" ", "").lower()
