"""Connections that students hold by hand in their browsers: who has which, how many there may be, when they end.

`talk` has the connection itself, `pages.console` what is shown of it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from twistmail.lab.dialects import DIALECTS, Dialect
from twistmail.lab.filters import span
from twistmail.lab.pace import Pace
from twistmail.lab.talk import NotNow, Talk, connect

#: Connections in all and of one browser; seconds after which an idle one makes room; lines that may be said in one go.
MOST, MOST_OF_ONE, IDLE, MOST_AT_ONCE = 60, 4, 600.0, 200
#: Seconds for which whoever has said a line waits for the answer.
ANSWER = 3.0
#: Letters that a student of a class may begin by hand, and seconds within which.
LETTERS, WITHIN = 60, 600.0
SERVICES = ("mx", "submission", "pop3", "imap")


@dataclass
class Held:
    """*browser* holds `talk`. `port`: ours, by which the office's events name the connection `about` (see `Console.about`)."""

    id: str
    browser: str
    office: str
    service: str
    talk: Talk
    port: int
    used: float
    about: str = field(default="")


class Console:
    """*town*: where the offices are, and their ring."""

    def __init__(self, town: Any) -> None:
        self._town = town
        self._held: dict[str, Held] = {}
        self._letters = Pace(LETTERS, WITHIN, self._now)

    async def open(self, browser: str, office: str, service: str) -> Held:
        """A connection with *service* of *office* for *browser* (in a class: a student's account). NotNow, in words, where it cannot be."""
        if service not in SERVICES or (office, service) not in self._town.ports:
            raise NotNow("there is no such service; choose one of the list")
        self._make_room(browser)
        dialect = DIALECTS[service]()
        talk = await connect(self._town.reactor, self._town.ports[office, service], dialect, self._town.source(browser))
        held = Held(secrets.token_urlsafe(12), browser, office, service, talk, talk.transport.getHost().port, self._now())  # type: ignore[union-attr]
        self._held[held.id] = held
        await talk.answered(ANSWER)
        return held

    def get(self, browser: str, name: str) -> Held | None:
        """The connection *name*, if it is this browser's."""
        held = self._held.get(name)
        return held if held is not None and held.browser == browser else None

    def of(self, browser: str) -> list[Held]:
        return [held for held in self._held.values() if held.browser == browser]

    async def say(self, held: Held, text: str) -> None:
        """The lines of *text*, one after the other; each waits for what is owed to the one before. NotNow."""
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        if len(lines) > MOST_AT_ONCE:
            raise NotNow(f"at most {MOST_AT_ONCE} lines at once")
        held.used = self._now()
        for line in lines:
            self._insist_on_pace(held, line)
            held.talk.say(line)
            if words := explained(line, held.talk.dialect):
                held.talk.note(words)
            await held.talk.answered(ANSWER)

    def _insist_on_pace(self, held: Held, line: str) -> None:
        """Offices count no letters that come from this very computer; so students' letters are counted here. NotNow."""
        begins = held.service in ("mx", "submission") and line[:5].upper() == "MAIL "
        is_students = self._town.lan is not None and held.browser in self._town.lan.passwords
        if begins and is_students and (wait := self._letters.wait(held.browser)):
            raise NotNow(f"not sent: these are many letters at once, and the others want to work, too. Wait {span(ceil(wait))}.")

    def close(self, held: Held) -> None:
        """It is over and forgotten."""
        held.talk.close()
        self._held.pop(held.id, None)

    def about(self, held: Held) -> str:
        """What the office calls the connection; "" while it has not told of it."""
        if not held.about:
            peer = f"{self._town.source(held.browser)}:{held.port}"
            opened = (event for event in reversed(self._town.ring.since(0)) if event.kind == "connection" and event.office == held.office)
            held.about = next((event.about for event in opened if event.what.get("peer") == peer), "")
        return held.about

    def stop(self) -> None:
        """Close all, as when the classroom ends."""
        for held in tuple(self._held.values()):
            self.close(held)

    # ----- how many there may be

    def _now(self) -> float:
        return float(self._town.reactor.seconds())

    def _make_room(self, browser: str) -> None:
        """What is over or idle goes; then the oldest of the same browser; NotNow where everybody else has all of them."""
        for held in tuple(self._held.values()):
            if self._now() - held.used > IDLE or (held.talk.closed and held.browser != browser):
                self.close(held)
        own = self.of(browser)
        for held in own[: max(0, len(own) + 1 - MOST_OF_ONE)]:
            self.close(held)
        if len(self._held) >= MOST:
            raise NotNow(f"{MOST} connections are held by hand already; try again in a while")


def explained(line: str, dialect: Dialect) -> str:
    """What a login in base64 says to everybody who can read along; "" for other lines."""
    words = line.split()
    if "PLAIN" not in (word.upper() for word in words[:-1]):
        return ""
    try:
        fields = base64.b64decode(words[-1], validate=True).decode().split("\0")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return f"base64 is no secret: this says name {fields[1]}, password {fields[2]}" if len(fields) == 3 else ""


def plain(name: str, password: str) -> str:
    """What follows AUTH PLAIN (RFC 4616)."""
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()
