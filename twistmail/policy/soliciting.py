"""Mail that calls itself an advertisement, where advertisements are not wanted (NO-SOLICITING, RFC 3865).

Honest advertisers say what they send, by a word such as `net.example:ADV`: with the
parameter SOLICIT of MAIL, and in a Solicitation field. EHLO tells which words are
not wanted here; mail that has one of them is refused, as early as it says so.
"""

from __future__ import annotations

import re
from typing import Any

from zope.interface import implementer

from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Verdict
from twistmail.mail import headers
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import Status
from twistmail.options import WORDS, Kind, Option, Reload, Settings
from twistmail.policy.pipeline import House

#: RFC 3865; a class of mail as it is named by somebody who has the domain.
KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]*")


def _read(text: str) -> tuple[str, ...]:
    words = WORDS.read(text)
    for word in words:
        if not KEYWORD.fullmatch(word):
            raise ValueError(f"{word} is no word for a class of mail\nwrite a domain, a colon and a word: net.example:ADV")
    return tuple(words)


KEYWORDS = Kind("classes of mail", _read, " ".join)
OPTIONS = (
    Option("no_soliciting", KEYWORDS, "", "Words by which advertisements call themselves that are not wanted (RFC 3865).", Reload.NEW,
           example="net.example:ADV"),
)

UNWANTED = Status(550, "5.7.1", "By its own words this is soliciting mail, which is not wanted here")


class _Soliciting:
    name = "soliciting"

    def __init__(self, unwanted: tuple[str, ...]) -> None:
        self._unwanted = frozenset(word.lower() for word in unwanted)

    def _found(self, text: str) -> Verdict | None:
        for word in text.split(","):
            if word.strip().lower() in self._unwanted:
                return Verdict(UNWANTED, word.strip())
        return None


@implementer(IPolicyStage)
class Announced(_Soliciting):
    """What MAIL says."""

    point = Point.SENDER

    async def judge(self, transaction: Transaction) -> Verdict | None:
        return self._found(transaction.parameters.get("SOLICIT", ""))


@implementer(IPolicyStage)
class Written(_Soliciting):
    """What the header says."""

    point = Point.MESSAGE

    async def judge(self, transaction: Transaction) -> Verdict | None:
        value = headers.first(transaction.header, b"solicitation")
        return None if value is None else self._found(value.decode("ascii", "replace"))


@implementer(IPolicyStageFactory)
class SolicitingFactory:
    name = "soliciting"
    options = None

    def build(self, settings: Settings | None, house: House) -> tuple[Any, ...]:
        unwanted = getattr(house.settings, "no_soliciting", ())
        return (Announced(unwanted), Written(unwanted)) if unwanted else ()
