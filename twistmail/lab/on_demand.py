"""Faults that an address asks for: for whoever tests a mail program against the classroom and needs an answer that is no.

    RCPT TO:<carol+451@green.test>        451, and any other code from 400 to 599, to RCPT; 421 hangs up
    RCPT TO:<carol+data-552@green.test>   552 when the letter has come
    carol+unavailable@green.test          whoever knows the accounts cannot be asked now: RCPT (451), and logins of SMTP (454),
                                          POP3 ([SYS/TEMP]) and IMAP ([UNAVAILABLE]), whatever the password

In the classroom only: no configuration of a server can have them. `stages` gives the stages to every office, `Accounts` stands in
the place of its database. Everybody else behind a + is who stands before it, as ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from zope.interface import implementer

from twistmail.accounts.secrets import Entry
from twistmail.accounts.sqlite import AccountDatabase
from twistmail.interfaces import IPolicyStage, IPolicyStageFactory, Point, Unavailable, Verdict
from twistmail.mail.address import Address
from twistmail.mail.envelope import Transaction
from twistmail.mail.status import Status
from twistmail.options import Section, Settings
from twistmail.plugins import POLICY_STAGE, Discovery

_WISH = re.compile(r".+\+(data-)?([45][0-9][0-9])", re.DOTALL)
UNAVAILABLE = "+unavailable"
#: The enhanced code that goes with some; the others have X.0.0 (RFC 3463).
ENHANCED = {421: "4.3.2", 450: "4.2.1", 451: "4.3.0", 452: "4.2.2", 550: "5.1.1", 551: "5.1.6", 552: "5.2.2", 553: "5.1.3", 554: "5.7.1"}


def wish(local: str) -> tuple[bool, Status] | None:
    """What the local part of an address asks for: (with the letter, not at RCPT; what is said). None: nothing."""
    found = _WISH.fullmatch(local)
    if found is None:
        return None
    code = int(found[2])
    return bool(found[1]), Status(code, ENHANCED.get(code, f"{code // 100}.0.0"), "This address asks for that answer")


@implementer(IPolicyStage)
class AtRecipient:
    name = "on-demand"
    point = Point.RECIPIENT

    async def judge(self, transaction: Transaction, recipient: Address) -> Verdict | None:
        asked = wish(recipient.local)
        return None if asked is None or asked[0] else Verdict(asked[1], recipient.local.rpartition("+")[2])


@implementer(IPolicyStage)
class AtMessage:
    name = "on-demand"
    point = Point.MESSAGE

    async def judge(self, transaction: Transaction) -> Verdict | None:
        """Of several recipients the first one who asks for something decides: there is one answer for all."""
        for recipient in transaction.recipients:
            if (asked := wish(recipient.address.local)) is not None and asked[0]:
                return Verdict(asked[1], recipient.address.local.rpartition("+")[2])
        return None


@implementer(IPolicyStageFactory)
@dataclass(frozen=True)
class Before:
    """Makes what *factory* makes, and our stages before it."""

    factory: Any

    @property
    def name(self) -> str:
        return self.factory.name  # type: ignore[no-any-return]

    @property
    def options(self) -> Section | None:
        return self.factory.options  # type: ignore[no-any-return]

    def build(self, settings: Settings | None, house: Any) -> tuple[Any, ...]:
        built = self.factory.build(settings, house)
        return (AtRecipient(), AtMessage(), *(built if isinstance(built, tuple | list) else (built,)))


def stages(discovery: Discovery) -> Discovery:
    """*discovery* for an office: its first stage brings ours."""
    parts = (replace(part, factory=Before(part.factory)) if (part.kind, part.name) == (POLICY_STAGE, "limits") else part
             for part in discovery.parts)  # fmt: skip
    return Discovery(tuple(parts), discovery.broken)


class Accounts(AccountDatabase):
    """An office's accounts: of names that ask for it nobody can tell anything now."""

    def entry(self, name: str) -> Entry | None:
        _refuse(name)
        return super().entry(name)

    def entry_apart(self, name: str) -> Entry | None:
        _refuse(name)
        return super().entry_apart(name)


def _refuse(name: str) -> None:
    if name.partition("@")[0].endswith(UNAVAILABLE):
        raise Unavailable(f"{name} asks for that")
