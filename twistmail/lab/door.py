"""The door of a class in the LAN: who sits at which browser. The code of the room lets people look; an account lets them act.

A browser keeps one cookie, which says who sits there and is signed with a key of this class. A code has six digits, so it
is given few guesses, and a password no more of them.
"""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Mapping

from twistmail.mail.values import frozen
from twistmail.web.page import Answer, Asked, see_other
from twistmail.web.site import is_near

COOKIE = "room"
#: What the cookie of a teacher says; no account, for these have an @.
TEACHER = "teacher"
#: Wrong codes and passwords from one address, and from all of them, within so many seconds.
MOST_WRONG, MOST_WRONG_IN_ALL, WITHIN = 10, 200, 600.0
#: Addresses at which the browsers of one account are remembered.
MOST_PLACES = 4
#: What may be seen without a code.
OPEN = ("/room", "/favicon.ico", "/town.pem")
ASSETS = "/assets/"


@frozen
class Seat:
    """Who sits there: the teacher; a student with his `account`; somebody who has said the code alone, with neither."""

    is_teacher: bool = False
    account: str = ""


class Wrong(Exception):
    """What was said at the door is not so; in words for people."""


class Door:
    """A gate of the pages (`web.site`): strangers give the code once per browser.

    *seconds*: what time it is; *passwords*: of students, by account; *teacher*: his code, empty: he has none; *key*: signs cookies.
    """

    def __init__(self, code: str, seconds: Callable[[], float], passwords: Mapping[str, str] | None = None, teacher: str = "",
                 key: bytes = b"") -> None:  # fmt: skip
        self._code = code
        self._seconds = seconds
        self._passwords = dict(passwords or {})
        self._teacher = teacher
        self._key = key or secrets.token_bytes(32)
        self._wrong: list[tuple[float, str]] = []
        self._seen: dict[str, float] = {}
        self._places: dict[str, tuple[str, ...]] = {}  # of accounts, and TEACHER: where their browsers were lately

    def __call__(self, asked: Asked) -> Answer | None:
        """None: come in."""
        if asked.path in OPEN or asked.path.startswith(ASSETS):
            return None
        seat = self.seat(asked)
        if seat is None:
            return see_other("/room")
        who = TEACHER if seat.is_teacher else seat.account
        if who:
            self._places[who] = tuple(dict.fromkeys((asked.client, *self._places.get(who, ()))))[:MOST_PLACES]
        if seat.account:
            self._seen[seat.account] = self._seconds()
        return None

    def seat(self, asked: Asked) -> Seat | None:
        """None: a stranger. The teacher's own computer needs no code."""
        if is_near(asked.client):
            return Seat(is_teacher=True)
        who, _, seal = asked.cookies.get(COOKIE, "").rpartition(".")
        if not hmac.compare_digest(seal.encode(), self._seal(who)):
            return None
        return Seat(is_teacher=True) if who == TEACHER else Seat(account=who)

    def seen(self) -> Mapping[str, float]:
        """The students who are in, and when each asked for something last (as *seconds* counts)."""
        return dict(self._seen)

    def at(self, address: str) -> frozenset[str]:
        """The accounts, and TEACHER, whose browsers were at *address* lately."""
        return frozenset(who for who, places in self._places.items() if address in places)

    def enter(self, asked: Asked, code: str, account: str = "", password: str = "") -> str:
        """The cookie for who says the right code, or is inside, and his account, if he says one. Wrong, PermissionError: too often."""
        now = self._seconds()
        if asked.client in self.unheard() or self.is_shut():
            raise PermissionError("too many wrong codes and passwords; wait ten minutes, or ask your teacher")
        try:
            who = self._who(asked, "".join(code.split()), account.strip().lower(), password.strip())
        except Wrong:
            self._wrong.append((now, asked.client))
            raise
        return f"{COOKIE}={who}.{self._seal(who).decode()}; Path=/; HttpOnly; SameSite=Strict"

    def unheard(self) -> frozenset[str]:
        """The addresses from which too much was wrong lately."""
        self._forget_old()
        return frozenset(who for who, wrong in Counter(who for _, who in self._wrong).items() if wrong >= MOST_WRONG)

    def is_shut(self) -> bool:
        """Too much was wrong lately from all of them together: nobody comes in, whoever he is."""
        self._forget_old()
        return len(self._wrong) >= MOST_WRONG_IN_ALL

    def _forget_old(self) -> None:
        now = self._seconds()
        self._wrong = [(at, who) for at, who in self._wrong if at > now - WITHIN]

    def forgive(self) -> None:
        """All may try again."""
        self._wrong.clear()

    def _who(self, asked: Asked, code: str, account: str, password: str) -> str:
        if self._teacher and _same(code.lower(), self._teacher):
            return TEACHER
        if not _same(code, self._code) and (code or self.seat(asked) is None):
            raise Wrong("That is not the code.")
        if not account and not password:
            return ""
        found = next((one for one in self._passwords if account in (one, one.partition("@")[0])), "")
        if not _same(password, self._passwords.get(found, self._code + self._teacher)) or not found:
            raise Wrong("There is no such account, or that is not its password.")
        return found

    def _seal(self, who: str) -> bytes:
        return hmac.new(self._key, who.encode("utf-8", "replace"), "sha256").hexdigest()[:32].encode()


def _same(said: str, right: str) -> bool:
    return hmac.compare_digest(said.encode("utf-8", "replace"), right.encode())
